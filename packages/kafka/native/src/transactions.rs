//! Which transactions are open, whoever has them.

use crate::ask::{self, Answer, Reader, Writer};
use crate::fault::{self, Fault};
use crate::json;
use rdkafka_sys::bindings::*;

const LIST_TRANSACTIONS: i16 = 66;

/// The ids that begin with `prefix` of transactions that are open, as a JSON array, as far as brokers answer: those of one that
/// is away are missing. `null` where they do not tell (before Kafka 3.0).
pub fn open(rk: *mut rd_kafka_t, prefix: &str, timeout_ms: i32) -> Result<String, Fault> {
  // In this state, of any producer.
  let question = Writer::default().count(1).text("Ongoing").count(0);
  let mut found = Vec::new();
  let mut told = Err(Fault::timed_out(format!("no broker told of its transactions within {timeout_ms} ms")));
  ask::all(rk, LIST_TRANSACTIONS, &question.0, timeout_ms, &mut |answer: Answer| {
    match answer.and_then(ids) {
      Ok(ids) => {
        found.extend(ids);
        told = Ok(());
      }
      Err(fault) if told.is_err() => told = Err(fault),
      Err(_) => {}
    }
    false
  });
  match told {
    Ok(()) => Ok(json::array(found.iter().filter(|id| id.starts_with(prefix)).map(|id| json::quoted(id)))),
    Err(fault) if fault.code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE as i32 => Ok("null".into()),
    Err(fault) => Err(fault),
  }
}

fn ids(bytes: &[u8]) -> Result<Vec<String>, Fault> {
  let mut reader = Reader(bytes);
  let unreadable = || Fault::other("a broker's list of transactions cannot be read");
  let error = header(&mut reader).ok_or_else(unreadable)?;
  fault::check(i32::from(error))?;
  listed(&mut reader).ok_or_else(unreadable)
}

/// How long the client was throttled, and an error.
fn header(reader: &mut Reader) -> Option<i16> {
  reader.i32()?;
  reader.i16()
}

fn listed(reader: &mut Reader) -> Option<Vec<String>> {
  for _ in 0..reader.count()? {
    // A state that the broker does not know.
    reader.text()?;
  }
  let count = reader.count()?;
  let mut ids = Vec::new();
  for _ in 0..count {
    ids.push(reader.text()?);
    // The producer's id, and the state.
    reader.take(8)?;
    reader.text()?;
    reader.skip_tags()?;
  }
  Some(ids)
}
