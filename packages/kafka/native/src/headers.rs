//! Message headers as bytes: count u16, then for each: u16 name length, name, i32 value length (−1 null), value.
//! All little-endian.

use crate::fault::Fault;
use rdkafka_sys::bindings::*;
use std::ffi::{CStr, c_char, c_void};

/// Appends the headers of a message; nothing without any.
///
/// # Safety
/// `message` must be live.
pub unsafe fn read(message: *const rd_kafka_message_t, out: &mut Vec<u8>) {
  let mut headers: *mut rd_kafka_headers_t = std::ptr::null_mut();
  if unsafe { rd_kafka_message_headers(message, &mut headers) as i32 } != 0 || headers.is_null() {
    return;
  }
  let count = unsafe { rd_kafka_header_cnt(headers) }.min(u16::MAX as usize);
  out.extend_from_slice(&(count as u16).to_le_bytes());
  for i in 0..count {
    unsafe { read_one(headers, i, out) };
  }
}

unsafe fn read_one(headers: *const rd_kafka_headers_t, i: usize, out: &mut Vec<u8>) {
  let mut name: *const c_char = std::ptr::null();
  let mut value: *const c_void = std::ptr::null();
  let mut size = 0usize;
  unsafe { rd_kafka_header_get_all(headers, i, &mut name, &mut value, &mut size) };
  let name = if name.is_null() { &[] } else { unsafe { CStr::from_ptr(name) }.to_bytes() };
  let name = &name[..name.len().min(u16::MAX as usize)];
  out.extend_from_slice(&(name.len() as u16).to_le_bytes());
  out.extend_from_slice(name);
  if value.is_null() {
    return out.extend_from_slice(&(-1i32).to_le_bytes());
  }
  out.extend_from_slice(&(size as i32).to_le_bytes());
  out.extend_from_slice(unsafe { std::slice::from_raw_parts(value.cast(), size) });
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
  fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
    if count > self.0.len() {
      return Err(Fault::invalid("the headers of the record are cut off"));
    }
    let (head, rest) = self.0.split_at(count);
    self.0 = rest;
    Ok(head)
  }

  fn u16(&mut self) -> Result<usize, Fault> {
    let b = self.take(2)?;
    Ok(u16::from_le_bytes([b[0], b[1]]) as usize)
  }

  fn i32(&mut self) -> Result<i32, Fault> {
    let b = self.take(4)?;
    Ok(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
  }
}

/// Headers for a record to send.
pub struct Headers(pub *mut rd_kafka_headers_t);

impl Drop for Headers {
  fn drop(&mut self) {
    if !self.0.is_null() {
      unsafe { rd_kafka_headers_destroy(self.0) };
    }
  }
}

pub fn write(bytes: &[u8]) -> Result<Headers, Fault> {
  // A copy: JavaScript may have handed over memory that it shares with another thread.
  let copy = bytes.to_vec();
  let mut reader = Reader(&copy);
  let count = reader.u16()?;
  let headers = Headers(unsafe { rd_kafka_headers_new(count) });
  for _ in 0..count {
    let length = reader.u16()?;
    let name = reader.take(length)?;
    let value = match reader.i32()? {
      length if length < 0 => None,
      length => Some(reader.take(length as usize)?),
    };
    add(&headers, name, value)?;
  }
  Ok(headers)
}

fn add(headers: &Headers, name: &[u8], value: Option<&[u8]>) -> Result<(), Fault> {
  let (data, size) = value.map_or((std::ptr::null(), 0), |value| (value.as_ptr().cast(), value.len() as isize));
  // An empty slice's pointer is dangling but not null: an empty value stays apart from null.
  let code = unsafe { rd_kafka_header_add(headers.0, name.as_ptr().cast(), name.len() as isize, data, size) };
  crate::fault::check(code as i32)
}
