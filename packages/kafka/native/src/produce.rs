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

/// Queues record `i`; `Ok(false)` when the queue is full.
pub fn send(rk: *mut rd_kafka_t, targets: &Targets, batch: &Batch, i: usize) -> Result<bool, Fault> {
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
  let time = if record.time > 0.0 { record.time as i64 } else { 0 };
  let fields = [
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT, rd_kafka_vu_s__bindgen_ty_1 { rkt: topic }),
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION, rd_kafka_vu_s__bindgen_ty_1 { i32_: record.partition }),
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS, rd_kafka_vu_s__bindgen_ty_1 { i: RD_KAFKA_MSG_F_COPY as i32 }),
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY, memory(key)),
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE, memory(value)),
    field(rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP, rd_kafka_vu_s__bindgen_ty_1 { i64_: time }),
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
  // An empty slice's pointer is dangling but not null: an empty value stays apart from null.
  let (ptr, size) = data.map_or((std::ptr::null_mut(), 0), |data| (data.as_ptr().cast_mut().cast(), data.len()));
  rd_kafka_vu_s__bindgen_ty_1 { mem: rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size } }
}
