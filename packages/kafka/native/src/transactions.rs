//! Which transactions are open, whoever has them.

use crate::ask::{self, Answer, Reader, Writer};
use crate::fault::{self, Fault};
use crate::json;
use rdkafka_sys::bindings::*;

const LIST_TRANSACTIONS: i16 = 66;

/// `{"ids": […], "silent": …}`: the ids that begin with `prefix` of transactions that are open, and why some broker has not told
/// of those that it coordinates, which are missing then, or `null`. `null` where brokers do not tell (before Kafka 3.0).
pub fn open(rk: *mut rd_kafka_t, prefix: &str, timeout_ms: i32) -> Result<String, Fault> {
  // In this state, of any producer.
  let question = Writer::default().count(1).text("Ongoing").count(0);
  let (mut found, mut told, mut older, mut silent) = (Vec::new(), false, false, None);
  let all = ask::all(rk, LIST_TRANSACTIONS, &question.0, timeout_ms, &mut |answer: Answer| {
    match answer.and_then(ids) {
      Ok(ids) => {
        found.extend(ids);
        told = true;
      }
      Err(fault) if is_older(&fault) => older = true,
      Err(fault) => silent = Some(fault),
    }
    false
  });
  if !all {
    silent = silent.or(Some(Fault::timed_out(format!("within {timeout_ms} ms not every broker told of its transactions"))));
  }
  match silent {
    Some(fault) if !told => Err(fault),
    None if older && !told => Ok("null".into()),
    None if !told => Err(Fault::timed_out(format!("within {timeout_ms} ms no broker was there to tell of its transactions"))),
    silent => {
      let ids = json::array(found.iter().filter(|id| id.starts_with(prefix)).map(|id| json::quoted(id)));
      let silent = silent.map_or("null".into(), |fault| json::quoted(&fault.message));
      Ok(format!("{{\"ids\":{ids},\"silent\":{silent}}}"))
    }
  }
}

/// It does not know the question, and will not the next time.
fn is_older(fault: &Fault) -> bool {
  fault.code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE as i32
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
