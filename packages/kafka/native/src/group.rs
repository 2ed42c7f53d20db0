//! Who is in a group, by the old requests of librdkafka: those of its admin interface that go to a coordinator end the
//! process when that goes away in the middle (an assertion, in librdkafka up to 2.13 at least).

use crate::fault::{self, Fault};
use crate::json;
use rdkafka_sys::bindings::*;

/// `[{"name": …, "partitions": […]}]`, by client ids; empty without such a group, and `null` for one of KIP-848, of which
/// these requests tell nothing.
pub fn members(rk: *mut rd_kafka_t, group: &std::ffi::CStr, timeout_ms: i32) -> Result<String, Fault> {
  let mut list: *const rd_kafka_group_list = std::ptr::null();
  let code = fault::code(unsafe { rd_kafka_list_groups(rk, group.as_ptr(), &mut list, timeout_ms) });
  if list.is_null() {
    fault::check(code)?;
    return Ok("[]".into());
  }
  let text = unsafe { describe(list) };
  unsafe { rd_kafka_group_list_destroy(list) };
  // Some brokers did not answer: one of them may have the group.
  fault::check(code)?;
  text
}

unsafe fn describe(list: *const rd_kafka_group_list) -> Result<String, Fault> {
  unsafe {
    if (*list).group_cnt <= 0 {
      return Ok("[]".into());
    }
    let group = (*list).groups;
    fault::check(fault::code((*group).err))?;
    if fault::text((*group).state) == "Dead" {
      return Ok("null".into());
    }
    Ok(json::array((0..(*group).member_cnt as usize).map(|i| {
      let member = (*group).members.add(i);
      let (at, size) = ((*member).member_assignment.cast::<u8>(), (*member).member_assignment_size.max(0) as usize);
      let given = if at.is_null() { &[] } else { std::slice::from_raw_parts(at, size) };
      let name = json::quoted(&fault::text((*member).client_id));
      // One that has not been given anything yet has no assignment.
      let places = Reader(given).assignment().unwrap_or_default();
      format!("{{\"name\":{name},\"partitions\":{}}}", json::array(places.into_iter()))
    })))
  }
}

/// The assignment of the consumer protocol: version, then topics with their partitions; numbers are big-endian.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
  fn take(&mut self, size: usize) -> Option<&'a [u8]> {
    let (head, rest) = self.0.split_at_checked(size)?;
    self.0 = rest;
    Some(head)
  }

  fn i16(&mut self) -> Option<i16> {
    Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
  }

  fn i32(&mut self) -> Option<i32> {
    Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
  }

  fn assignment(mut self) -> Option<Vec<String>> {
    self.i16()?;
    let mut places = Vec::new();
    for _ in 0..self.i32()? {
      let length = self.i16()?;
      let topic = json::quoted(&String::from_utf8_lossy(self.take(usize::try_from(length).ok()?)?));
      for _ in 0..self.i32()? {
        places.push(format!("{{\"topic\":{topic},\"partition\":{}}}", self.i32()?));
      }
    }
    Some(places)
  }
}
