//! Who is in a group. Of a classic one by the old requests of librdkafka, of one of KIP-848 by a question of our own: those of
//! its admin interface that go to a coordinator end the process when that goes away in the middle (an assertion, in librdkafka
//! up to 2.13 at least).

use crate::ask::{self, Answer, Reader, Writer};
use crate::fault::{self, Fault};
use crate::json;
use rdkafka_sys::bindings::*;

/// `[{"name": …, "partitions": […]}]`, by client ids; empty without such a group, and `null` where the broker does not tell (of
/// one of KIP-848, before Kafka 4.0).
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
  text?.map_or_else(|| consumers(rk, &group.to_string_lossy(), timeout_ms), Ok)
}

/// `None`: the group is there, and these requests tell nothing of it.
unsafe fn describe(list: *const rd_kafka_group_list) -> Result<Option<String>, Fault> {
  unsafe {
    if (*list).group_cnt <= 0 {
      return Ok(Some("[]".into()));
    }
    let group = (*list).groups;
    fault::check(fault::code((*group).err))?;
    if fault::text((*group).state) == "Dead" {
      return Ok(None);
    }
    Ok(Some(json::array((0..(*group).member_cnt as usize).map(|i| {
      let member = (*group).members.add(i);
      let (at, size) = ((*member).member_assignment.cast::<u8>(), (*member).member_assignment_size.max(0) as usize);
      let given = if at.is_null() { &[] } else { std::slice::from_raw_parts(at, size) };
      let name = json::quoted(&fault::text((*member).client_id));
      // One that has not been given anything yet has no assignment.
      let places = assignment(Reader(given)).unwrap_or_default();
      format!("{{\"name\":{name},\"partitions\":{}}}", json::array(places.into_iter()))
    }))))
  }
}

/// The assignment of the classic protocol: version, then topics with their partitions.
fn assignment(mut reader: Reader) -> Option<Vec<String>> {
  reader.i16()?;
  let mut places = Vec::new();
  for _ in 0..reader.i32()? {
    let length = reader.i16()?;
    let topic = json::quoted(&String::from_utf8_lossy(reader.take(usize::try_from(length).ok()?)?));
    for _ in 0..reader.i32()? {
      places.push(place(&topic, reader.i32()?));
    }
  }
  Some(places)
}

fn place(topic: &str, partition: i32) -> String {
  format!("{{\"topic\":{topic},\"partition\":{partition}}}")
}

const CONSUMER_GROUP_DESCRIBE: i16 = 69;

/// The members of a group of KIP-848. All brokers are asked, and its coordinator knows.
fn consumers(rk: *mut rd_kafka_t, group: &str, timeout_ms: i32) -> Result<String, Fault> {
  let question = Writer::default().count(1).text(group).flag(false);
  let nobody = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE as i32;
  let other = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NOT_COORDINATOR as i32;
  let mut told = Err(Fault::coded(nobody, &format!("no broker told who is in {group} within {timeout_ms} ms")));
  ask::all(rk, CONSUMER_GROUP_DESCRIBE, &question.0, timeout_ms, &mut |answer: Answer| {
    let described = answer.and_then(described);
    if !described.as_ref().is_err_and(|fault| fault.code == other) {
      told = described;
    }
    told.is_ok()
  });
  match told {
    Err(fault) if fault.code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE as i32 => Ok("null".into()),
    told => told,
  }
}

fn described(bytes: &[u8]) -> Result<String, Fault> {
  let mut reader = Reader(bytes);
  let unreadable = || Fault::other("a broker's description of a group cannot be read");
  let error = header(&mut reader).ok_or_else(unreadable)?;
  fault::check(i32::from(error))?;
  members_of(&mut reader).map(json::array).ok_or_else(unreadable)
}

/// How long the client was throttled, one group, and its error.
fn header(reader: &mut Reader) -> Option<i16> {
  reader.i32()?;
  reader.count()?;
  reader.i16()
}

fn members_of(reader: &mut Reader) -> Option<Vec<String>> {
  // What there is to say of the error, the group, and its state.
  for _ in 0..3 {
    reader.text()?;
  }
  // The group's epoch, and the assignment's; the assignor.
  reader.take(8)?;
  reader.text()?;
  let count = reader.count()?;
  let mut members = Vec::new();
  for _ in 0..count {
    members.push(member(reader)?);
  }
  Some(members)
}

/// One member, also one that has left and will come back.
fn member(reader: &mut Reader) -> Option<String> {
  // Its id, instance id and rack; its epoch.
  for _ in 0..3 {
    reader.text()?;
  }
  reader.i32()?;
  let name = json::quoted(&reader.text()?);
  // Its host; what it subscribes to, by name and by pattern.
  reader.text()?;
  for _ in 0..reader.count()? + 1 {
    reader.text()?;
  }
  let places = given(reader)?;
  // What it is to have.
  given(reader)?;
  reader.skip_tags()?;
  Some(format!("{{\"name\":{name},\"partitions\":{}}}", json::array(places)))
}

/// Topics with their partitions.
fn given(reader: &mut Reader) -> Option<Vec<String>> {
  let mut places = Vec::new();
  for _ in 0..reader.count()? {
    // The topic's id.
    reader.take(16)?;
    let topic = json::quoted(&reader.text()?);
    for _ in 0..reader.count()? {
      places.push(place(&topic, reader.i32()?));
    }
    reader.skip_tags()?;
  }
  reader.skip_tags()?;
  Some(places)
}
