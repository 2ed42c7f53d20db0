//! From an arena into librdkafka's queue.

use crate::fault::{self, Fault};
use crate::headers;
use rdkafka_sys::bindings::*;

/// Numbers for each record: topic, partition (−1: the partitioner's choice), then key, value and headers, each as
/// place and length (−1 null; headers 0 none).
pub const INDEX_STRIDE: usize = 8;

/// Longer keys and values are refused by any broker anyway.
const ANYWHERE: i32 = -1;

/// One record of an arena, its numbers read once: the memory may be shared with other threads.
struct Record {
  topic: i32,
  partition: i32,
  key: (i32, i32),
  value: (i32, i32),
  headers: (i32, i32),
  time: f64,
}

impl Record {
  /// In ms; 0 stands for now.
  fn time(&self) -> i64 {
    if self.time > 0.0 { self.time as i64 } else { 0 }
  }
}

/// An arena as JavaScript passes it for the length of a call.
pub struct Batch<'a> {
  pub bytes: &'a [u8],
  pub index: &'a [i32],
  pub stamps: &'a [f64],
}

impl Batch<'_> {
  pub fn holds(&self, end: usize) -> bool {
    end <= self.index.len() / INDEX_STRIDE && end <= self.stamps.len()
  }

  fn record(&self, i: usize) -> Record {
    let n = |k: usize| unsafe { std::ptr::read_volatile(&self.index[i * INDEX_STRIDE + k]) };
    let time = unsafe { std::ptr::read_volatile(&self.stamps[i]) };
    Record { topic: n(0), partition: n(1), key: (n(2), n(3)), value: (n(4), n(5)), headers: (n(6), n(7)), time }
  }

  fn part(&self, (at, length): (i32, i32)) -> Result<Option<&[u8]>, Fault> {
    if length < 0 {
      return Ok(None);
    }
    let part = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..at.checked_add(length as usize)?));
    part.map(Some).ok_or_else(|| Fault::invalid(format!("a record's part at {at}, {length} bytes, is beyond the arena")))
  }

  /// The record for enqueue.c; `None` for one that makes no sense.
  fn entry(&self, record: &Record) -> Option<Entry> {
    if record.partition < ANYWHERE {
      return None;
    }
    let ((key, key_length), (value, value_length)) = (raw(self.part(record.key).ok()?), raw(self.part(record.value).ok()?));
    Some(Entry { key, key_length, value, value_length, time: record.time(), partition: record.partition })
  }
}

/// Topics of a producer by their number.
#[derive(Default)]
pub struct Targets(pub Vec<(String, *mut rd_kafka_topic_t)>);

unsafe impl Send for Targets {}

impl Targets {
  fn get(&self, id: i32) -> Result<*mut rd_kafka_topic_t, Fault> {
    let target = usize::try_from(id).ok().and_then(|id| self.0.get(id));
    target.map(|(_, topic)| *topic).ok_or_else(|| Fault::invalid(format!("{id} is the number of no topic")))
  }
}

/// A record without headers, as `entry_t` in enqueue.c.
#[repr(C)]
struct Entry {
  key: *const u8,
  key_length: usize,
  value: *const u8,
  value_length: usize,
  time: i64,
  partition: i32,
}

unsafe extern "C" {
  fn headrace_enqueue(topic: *mut rd_kafka_topic_t, entries: *const Entry, partitions: *mut i32, count: usize) -> usize;
}

/// Records that are queued at once: they stay in the CPU's cache.
const RUN: usize = 512;

/// Records of one topic, one after the other.
struct Run {
  topic: *mut rd_kafka_topic_t,
  entries: Vec<Entry>,
  partitions: Vec<i32>,
}

impl Run {
  fn of(most: usize) -> Run {
    Run { topic: std::ptr::null_mut(), entries: Vec::with_capacity(most), partitions: vec![0; most] }
  }

  /// The records from `from` on that have one topic and no headers, up to the first that makes no sense.
  fn gather(&mut self, targets: &Targets, batch: &Batch, from: usize, end: usize) -> usize {
    self.entries.clear();
    let id = batch.record(from).topic;
    self.topic = targets.get(id).unwrap_or(std::ptr::null_mut());
    let records = (from..end.min(from + self.partitions.len())).map(|i| batch.record(i));
    let plain = records.take_while(|record| record.topic == id && record.headers.1 == 0);
    if !self.topic.is_null() {
      self.entries.extend(plain.map_while(|record| batch.entry(&record)));
    }
    self.entries.len()
  }

  /// How many of them librdkafka has now.
  fn enqueue(&mut self) -> usize {
    let count = self.entries.len();
    if count == 0 {
      return 0;
    }
    unsafe { headrace_enqueue(self.topic, self.entries.as_ptr(), self.partitions.as_mut_ptr(), count) }
  }
}

/// Queues the records `from` to `end` in order, and returns how many: fewer when the queue is full.
pub fn send_all(rk: *mut rd_kafka_t, targets: &Targets, batch: &Batch, from: usize, end: usize) -> Result<usize, Fault> {
  let mut run = Run::of(RUN.min(end - from));
  let mut at = from;
  while at < end {
    let next = at + run.gather(targets, batch, at, end).max(1);
    at += run.enqueue();
    // What was not taken, or begins no run.
    while at < next {
      if !send(rk, targets, batch, at).map_err(|fault| fault.at(at as i64))? {
        return Ok(at - from);
      }
      at += 1;
    }
  }
  Ok(end - from)
}

/// Queues record `i` alone; `Ok(false)` when the queue is full.
fn send(rk: *mut rd_kafka_t, targets: &Targets, batch: &Batch, i: usize) -> Result<bool, Fault> {
  let record = batch.record(i);
  if record.partition < ANYWHERE {
    return Err(Fault::invalid(format!("{} is no partition", record.partition)));
  }
  let topic = targets.get(record.topic)?;
  let (key, value) = (batch.part(record.key)?, batch.part(record.value)?);
  let mut headers = match batch.part(record.headers)? {
    Some(bytes) if !bytes.is_empty() => Some(headers::write(bytes)?),
    _ => None,
  };
  let fields = [
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT, rd_kafka_vu_s__bindgen_ty_1 { rkt: topic }),
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION, rd_kafka_vu_s__bindgen_ty_1 { i32_: record.partition }),
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS, rd_kafka_vu_s__bindgen_ty_1 { i: RD_KAFKA_MSG_F_COPY as i32 }),
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY, memory(key)),
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE, memory(value)),
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP, rd_kafka_vu_s__bindgen_ty_1 { i64_: record.time() }),
    field(
      rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
      rd_kafka_vu_s__bindgen_ty_1 { headers: headers.as_ref().map_or(std::ptr::null_mut(), |h| h.0) },
    ),
  ];
  let count = if headers.is_some() { fields.len() } else { fields.len() - 1 };
  match fault::settle(unsafe { rd_kafka_produceva(rk, fields.as_ptr(), count) }) {
    Ok(()) => {
      // librdkafka owns them now.
      headers.iter_mut().for_each(|h| h.0 = std::ptr::null_mut());
      Ok(true)
    }
    Err(fault) if fault.code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__QUEUE_FULL as i32 => Ok(false),
    Err(fault) => Err(fault),
  }
}

fn field(vtype: rd_kafka_vtype_t, u: rd_kafka_vu_s__bindgen_ty_1) -> rd_kafka_vu_t {
  rd_kafka_vu_t { vtype, u }
}

fn memory(data: Option<&[u8]>) -> rd_kafka_vu_s__bindgen_ty_1 {
  let (ptr, size) = raw(data);
  rd_kafka_vu_s__bindgen_ty_1 { mem: rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr: ptr.cast_mut().cast(), size } }
}

/// An empty slice's pointer is dangling but not null: an empty value stays apart from null.
fn raw(data: Option<&[u8]>) -> (*const u8, usize) {
  data.map_or((std::ptr::null(), 0), |data| (data.as_ptr(), data.len()))
}
