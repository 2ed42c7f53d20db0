//! librdkafka behind Node-API, in batches: the same add-on for Bun, Node and Deno, in any number of threads.
//!
//! There is no policy here: no defaults, no retries, no choices. Those live in TypeScript (`packages/kafka/src`).
//! Whatever JavaScript passes in, the process stays up: handles are reference-counted, arenas are native memory,
//! every offset is bounds-checked, and every promise is settled.

mod admin;
mod admin_api;
mod arena;
mod ask;
mod client;
mod config;
mod consumer;
mod consumer_api;
mod fault;
mod fetch;
mod group;
mod headers;
mod json;
mod mailbox;
mod membership;
mod place;
mod port;
mod produce;
mod producer_api;
mod settings;
mod signals;
mod transactions;

use napi_derive::module_init;

/// OpenSSL's own clean-up at process exit races with the broker threads of clients that were never closed.
const OPENSSL_INIT_NO_ATEXIT: u64 = 0x0008_0000;

unsafe extern "C" {
  fn OPENSSL_init_crypto(options: u64, settings: *const std::ffi::c_void) -> std::ffi::c_int;
}

#[module_init]
fn init() {
  unsafe { OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, std::ptr::null()) };
}
