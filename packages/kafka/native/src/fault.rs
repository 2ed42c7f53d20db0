//! What went wrong, in the shape that TypeScript turns into a `KafkaError`.

use crate::json;
use rdkafka_sys::bindings::*;
use std::ffi::{CStr, c_char};

/// Codes are librdkafka's; 0 stands for an error of this add-on, told apart by `kind`.
#[derive(Clone, Debug)]
pub struct Fault {
  pub code: i32,
  pub kind: &'static str,
  pub name: String,
  pub message: String,
  pub fatal: bool,
  pub retriable: bool,
  pub abortable: bool,
  /// Bytes that an arena needs, for `ArenaTooSmall`; else 0.
  pub needed: usize,
  /// Index of the record that was refused; -1 for none.
  pub record: i64,
}

impl Fault {
  fn own(kind: &'static str, message: impl Into<String>) -> Fault {
    let message = message.into();
    Fault {
      code: 0,
      kind,
      name: kind.to_string(),
      message,
      fatal: false,
      retriable: false,
      abortable: false,
      needed: 0,
      record: -1,
    }
  }

  pub fn closed() -> Fault {
    Fault::own("Closed", "the handle is closed")
  }

  pub fn invalid(message: impl Into<String>) -> Fault {
    Fault::own("InvalidArgument", message)
  }

  pub fn timed_out(message: impl Into<String>) -> Fault {
    Fault { retriable: true, ..Fault::own("TimedOut", message) }
  }

  pub fn queue_full(message: impl Into<String>) -> Fault {
    Fault { retriable: true, ..Fault::own("QueueFull", message) }
  }

  pub fn other(message: impl Into<String>) -> Fault {
    Fault::own("Other", message)
  }

  pub fn too_small(needed: usize, available: usize) -> Fault {
    let message = format!("the next message takes {needed} bytes and the arena holds {available}; it is kept");
    Fault { needed, ..Fault::own("ArenaTooSmall", message) }
  }

  /// From an error code; `detail` says what librdkafka knows beyond the code, else its own description is taken.
  pub fn coded(code: i32, detail: &str) -> Fault {
    let message = if detail.is_empty() { description(code) } else { detail.to_string() };
    Fault { code, name: name(code), ..Fault::own("", message) }
  }

  pub fn at(self, record: i64) -> Fault {
    Fault { record, ..self }
  }

  pub fn json(&self) -> String {
    format!(
      "{{\"code\":{},\"kind\":{},\"name\":{},\"message\":{},\"fatal\":{},\"retriable\":{},\"abortable\":{},\"needed\":{},\"record\":{}}}",
      self.code,
      json::quoted(self.kind),
      json::quoted(&self.name),
      json::quoted(&self.message),
      self.fatal,
      self.retriable,
      self.abortable,
      self.needed,
      self.record
    )
  }
}

impl From<Fault> for napi::Error {
  fn from(fault: Fault) -> napi::Error {
    napi::Error::from_reason(fault.json())
  }
}

/// A code as librdkafka returns it, without trusting that the generated enum knows it.
pub fn code(err: rd_kafka_resp_err_t) -> i32 {
  err as i32
}

/// `Ok` for "no error".
pub fn check(code: i32) -> Result<(), Fault> {
  if code == 0 { Ok(()) } else { Err(Fault::coded(code, "")) }
}

/// Takes over an `rd_kafka_error_t`; null is success.
pub fn settle(error: *mut rd_kafka_error_t) -> Result<(), Fault> {
  if error.is_null() {
    return Ok(());
  }
  let fault = unsafe { borrow(error) };
  unsafe { rd_kafka_error_destroy(error) };
  Err(fault)
}

/// Looks at an `rd_kafka_error_t` that belongs to somebody else; null is success.
///
/// # Safety
/// `error` must be null or a live error object.
pub unsafe fn look(error: *const rd_kafka_error_t) -> Result<(), Fault> {
  if error.is_null() || unsafe { code(rd_kafka_error_code(error)) } == 0 {
    return Ok(());
  }
  Err(unsafe { borrow(error) })
}

/// # Safety
/// `error` must be a live error object.
unsafe fn borrow(error: *const rd_kafka_error_t) -> Fault {
  unsafe {
    let text = text(rd_kafka_error_string(error));
    let mut fault = Fault::coded(code(rd_kafka_error_code(error)), &text);
    fault.fatal = rd_kafka_error_is_fatal(error) != 0;
    fault.retriable = rd_kafka_error_is_retriable(error) != 0;
    fault.abortable = rd_kafka_error_txn_requires_abort(error) != 0;
    fault
  }
}

fn name(code: i32) -> String {
  known(code).map_or_else(|| format!("ERR_{code}"), |err| unsafe { text(rd_kafka_err2name(err)) })
}

fn description(code: i32) -> String {
  known(code).map_or_else(|| format!("error {code}"), |err| unsafe { text(rd_kafka_err2str(err)) })
}

/// The generated enum has gaps; a number outside of it must never become one.
fn known(code: i32) -> Option<rd_kafka_resp_err_t> {
  let low = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__BEGIN as i32;
  let high = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_END_ALL as i32;
  if code <= low || code >= high {
    return None;
  }
  let mut list: *const rd_kafka_err_desc = std::ptr::null();
  let mut count = 0usize;
  unsafe {
    rd_kafka_get_err_descs(&mut list, &mut count);
    (0..count).map(|i| list.add(i)).find(|d| std::ptr::read((&raw const (**d).code).cast::<i32>()) == code && !(**d).name.is_null())
  }
  .map(|d| unsafe { (*d).code })
}

/// # Safety
/// `raw` must be null or a NUL-terminated string.
pub unsafe fn text(raw: *const c_char) -> String {
  if raw.is_null() { String::new() } else { unsafe { CStr::from_ptr(raw) }.to_string_lossy().into_owned() }
}

/// The message of the panic, when something in this crate was wrong after all.
pub fn panic_text(panic: Box<dyn std::any::Any + Send>) -> String {
  let text = panic.downcast_ref::<&str>().map(|s| s.to_string());
  text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown panic".into())
}

