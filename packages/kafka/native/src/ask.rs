//! Questions that librdkafka does not ask, or not without risk: sent to every broker as bytes, see ask.c.

use crate::fault::Fault;
use rdkafka_sys::bindings::*;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a broker says: an error, or the bytes behind the response's header.
pub type Answer<'a> = Result<&'a [u8], Fault>;
type Take<'a> = &'a mut dyn FnMut(Answer) -> bool;

unsafe extern "C" {
  fn headrace_ask_all(
    rk: *mut rd_kafka_t,
    api: i16,
    body: *const u8,
    size: usize,
    timeout_ms: c_int,
    answer: unsafe extern "C" fn(*mut c_void, c_int, *const u8, usize) -> c_int,
    opaque: *mut c_void,
  ) -> c_int;
}

/// Asks all brokers by the first version of a request, which has to be a flexible one; `take` says whether an answer is
/// enough. Returns when one was, when all have come, or when the time is over, and then whether all have come; a broker that is
/// away does not answer, or by an error.
pub fn all(rk: *mut rd_kafka_t, api: i16, body: &[u8], timeout_ms: i32, take: Take) -> bool {
  let mut take = take;
  let opaque = (&raw mut take).cast::<c_void>();
  unsafe { headrace_ask_all(rk, api, body.as_ptr(), body.len(), timeout_ms, on_answer, opaque) == 0 }
}

unsafe extern "C" fn on_answer(opaque: *mut c_void, error: c_int, bytes: *const u8, size: usize) -> c_int {
  // A panic must not unwind into C: what this broker says counts for nothing then.
  let enough = catch_unwind(AssertUnwindSafe(|| unsafe {
    let take = &mut *opaque.cast::<Take>();
    let answer = if error == 0 { Ok(std::slice::from_raw_parts(bytes, size)) } else { Err(Fault::coded(error, "")) };
    take(answer)
  }));
  c_int::from(enough.unwrap_or(false))
}

/// Kafka's flexible encoding, as far as questions need it: counts and lengths are one more than they are.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
  pub fn count(mut self, count: usize) -> Writer {
    let mut left = count + 1;
    while left >= 0x80 {
      self.0.push(left as u8 | 0x80);
      left >>= 7;
    }
    self.0.push(left as u8);
    self
  }

  pub fn text(self, text: &str) -> Writer {
    let mut writer = self.count(text.len());
    writer.0.extend_from_slice(text.as_bytes());
    writer
  }

  pub fn flag(mut self, flag: bool) -> Writer {
    self.0.push(u8::from(flag));
    self
  }
}

/// Numbers are big-endian; `None` where the bytes end too early.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
  pub fn take(&mut self, size: usize) -> Option<&'a [u8]> {
    let (head, rest) = self.0.split_at_checked(size)?;
    self.0 = rest;
    Some(head)
  }

  pub fn i16(&mut self) -> Option<i16> {
    Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
  }

  pub fn i32(&mut self) -> Option<i32> {
    Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
  }

  fn varint(&mut self) -> Option<usize> {
    let mut value = 0u64;
    for shift in (0..35).step_by(7) {
      let byte = *self.take(1)?.first()?;
      value |= u64::from(byte & 0x7f) << shift;
      if byte < 0x80 {
        return usize::try_from(value).ok();
      }
    }
    None
  }

  /// How many there are of an array, 0 also of none.
  pub fn count(&mut self) -> Option<usize> {
    Some(self.varint()?.saturating_sub(1))
  }

  /// A text, empty also where there is none.
  pub fn text(&mut self) -> Option<String> {
    let length = self.count()?;
    Some(String::from_utf8_lossy(self.take(length)?).into_owned())
  }

  pub fn skip_tags(&mut self) -> Option<()> {
    for _ in 0..self.varint()? {
      self.varint()?;
      let size = self.varint()?;
      self.take(size)?;
    }
    Some(())
  }
}
