use std::env;

/// Where another crate's build script said that something is.
fn of(variable: &str) -> String {
  env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: a dependency of Cargo.toml builds otherwise than it did"))
}

fn main() {
  napi_build::setup();
  // With the headers and settings that librdkafka was compiled with, since it reaches into its structures.
  let librdkafka = of("DEP_RDKAFKA_ROOT");
  cc::Build::new()
    .file("src/enqueue.c")
    .include(format!("{librdkafka}/src"))
    .include(librdkafka)
    .include(of("DEP_OPENSSL_INCLUDE"))
    .warnings(false)
    .compile("headrace_enqueue");
  println!("cargo:rerun-if-changed=src/enqueue.c");
}
