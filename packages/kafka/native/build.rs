use std::env;

/// Where another crate's build script said that something is.
fn of(variable: &str) -> String {
  env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: a dependency of Cargo.toml builds otherwise than it did"))
}

/// Functions of librdkafka that src/slab.c stands before.
const WRAPPED: [&str; 3] =
  ["rd_kafka_msg_destroy", "rd_kafka_interceptors_on_acknowledgement_queue", "rd_kafka_msgq_set_metadata"];

fn main() {
  napi_build::setup();
  // With the headers and settings that librdkafka was compiled with, since it reaches into its structures.
  let librdkafka = of("DEP_RDKAFKA_ROOT");
  cc::Build::new()
    .file("src/ask.c")
    .file("src/attend.c")
    .file("src/bootstrap.c")
    .file("src/coordinators.c")
    .file("src/enqueue.c")
    .file("src/heartbeats.c")
    .file("src/rejoin.c")
    .file("src/slab.c")
    .include(format!("{librdkafka}/src"))
    .include(librdkafka)
    .include(of("DEP_OPENSSL_INCLUDE"))
    .warnings(false)
    .compile("headrace_librdkafka");
  let wraps = of("CARGO_CFG_TARGET_OS") == "linux";
  for function in WRAPPED.iter().filter(|_| wraps) {
    println!("cargo:rustc-link-arg-cdylib=-Wl,--wrap={function}");
  }
  for file in [
    "ask.c", "attend.c", "attend.h", "bootstrap.c", "coordinators.c", "enqueue.c", "heartbeats.c", "rejoin.c", "slab.c", "slab.h",
  ] {
    println!("cargo:rerun-if-changed=src/{file}");
  }
}
