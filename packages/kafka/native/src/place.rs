//! Lists of topic, partition, offset, metadata: in from JavaScript, out as JSON.

use crate::config::c_string;
use crate::fault::{self, Fault};
use crate::json;
use napi_derive::napi;
use rdkafka_sys::bindings::*;
use std::ffi::CString;

/// A partition, and a place in it where the call needs one. Negative offsets are Kafka's logical ones.
#[napi(object)]
pub struct Place {
  pub topic: String,
  pub partition: i32,
  pub offset: Option<f64>,
  pub metadata: Option<String>,
}

/// An owned partition list.
pub struct Places(pub *mut rd_kafka_topic_partition_list_t);

unsafe impl Send for Places {}

impl Drop for Places {
  fn drop(&mut self) {
    unsafe { rd_kafka_topic_partition_list_destroy(self.0) };
  }
}

const OFFSET_MAX: f64 = 9_007_199_254_740_991.0;

fn offset(place: &Place) -> Result<i64, Fault> {
  match place.offset {
    None => Ok(-1001),
    Some(offset) if offset.fract() == 0.0 && offset.abs() <= OFFSET_MAX => Ok(offset as i64),
    Some(offset) => Err(Fault::invalid(format!("{offset} is no offset (of {} [{}])", place.topic, place.partition))),
  }
}

impl Places {
  pub fn empty() -> Places {
    Places(unsafe { rd_kafka_topic_partition_list_new(8) })
  }

  pub fn of(list: &[Place]) -> Result<Places, Fault> {
    let places = Places::empty();
    for place in list {
      places.add(place)?;
    }
    Ok(places)
  }

  pub fn topics(names: &[String]) -> Result<Places, Fault> {
    let places = Places::empty();
    for name in names {
      let name = topic_name(name)?;
      unsafe { rd_kafka_topic_partition_list_add(places.0, name.as_ptr(), -1) };
    }
    Ok(places)
  }

  fn add(&self, place: &Place) -> Result<(), Fault> {
    let (topic, offset) = (topic_name(&place.topic)?, offset(place)?);
    if place.partition < 0 {
      return Err(Fault::invalid(format!("{} is no partition (of {})", place.partition, place.topic)));
    }
    unsafe {
      let entry = rd_kafka_topic_partition_list_add(self.0, topic.as_ptr(), place.partition);
      (*entry).offset = offset;
      if let Some(text) = &place.metadata {
        write_metadata(entry, text);
      }
    }
    Ok(())
  }

  pub fn keys(&self) -> Vec<(String, i32)> {
    unsafe { entries(self.0).map(|entry| (fault::text((*entry).topic), (*entry).partition)).collect() }
  }

  pub fn set_offsets(&self, offset: i64) {
    for entry in unsafe { entries(self.0) } {
      unsafe { (*entry).offset = offset };
    }
  }

  pub fn json(&self) -> String {
    unsafe { describe(self.0) }
  }

  /// The first error that the broker gave for a partition.
  pub fn check(&self) -> Result<(), Fault> {
    match unsafe { entries(self.0).find(|entry| entry_code(*entry) != 0) } {
      None => Ok(()),
      Some(entry) => Err(unsafe { entry_fault(entry) }),
    }
  }
}

fn topic_name(name: &str) -> Result<CString, Fault> {
  if name.is_empty() { Err(Fault::invalid("a topic name is empty")) } else { c_string(name) }
}

/// librdkafka frees the metadata with `free`, so it must come from `malloc`.
unsafe fn write_metadata(entry: *mut rd_kafka_topic_partition_t, text: &str) {
  unsafe {
    let copy = libc::malloc(text.len().max(1));
    if !copy.is_null() {
      std::ptr::copy_nonoverlapping(text.as_ptr(), copy.cast(), text.len());
      (*entry).metadata = copy;
      (*entry).metadata_size = text.len();
    }
  }
}

unsafe fn entries(
  list: *const rd_kafka_topic_partition_list_t,
) -> impl Iterator<Item = *mut rd_kafka_topic_partition_t> {
  let count = if list.is_null() { 0 } else { unsafe { (*list).cnt } };
  (0..count as usize).map(move |i| unsafe { (*list).elems.add(i) })
}

unsafe fn entry_code(entry: *const rd_kafka_topic_partition_t) -> i32 {
  unsafe { std::ptr::read((&raw const (*entry).err).cast::<i32>()) }
}

unsafe fn entry_fault(entry: *const rd_kafka_topic_partition_t) -> Fault {
  unsafe {
    let mut fault = Fault::coded(entry_code(entry), "");
    fault.message = format!("{} ({} [{}])", fault.message, fault::text((*entry).topic), (*entry).partition);
    fault
  }
}

/// A partition list as JSON.
///
/// # Safety
/// `list` must be null or live.
pub unsafe fn describe(list: *const rd_kafka_topic_partition_list_t) -> String {
  unsafe { json::array(entries(list).map(|entry| describe_entry(entry))) }
}

unsafe fn describe_entry(entry: *const rd_kafka_topic_partition_t) -> String {
  unsafe {
    let e = &raw const *entry;
    let error = if entry_code(entry) == 0 { String::new() } else { format!(",\"error\":{}", entry_fault(entry).json()) };
    let topic = json::quoted(&fault::text((*e).topic));
    let (partition, offset, metadata) = ((*e).partition, (*e).offset, metadata(entry));
    format!("{{\"topic\":{topic},\"partition\":{partition},\"offset\":{offset},\"metadata\":{metadata}{error}}}")
  }
}

unsafe fn metadata(entry: *const rd_kafka_topic_partition_t) -> String {
  unsafe {
    if (*entry).metadata.is_null() {
      return "null".into();
    }
    let bytes = std::slice::from_raw_parts((*entry).metadata.cast::<u8>(), (*entry).metadata_size);
    json::quoted(&String::from_utf8_lossy(bytes))
  }
}
