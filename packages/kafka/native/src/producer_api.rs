//! A producer: records are queued on the calling thread, everything that waits runs on the producer's own.

use crate::client::{Client, Desk, Handle, Outcome, Raw};
use crate::config::{Role, Setting, c_string};
use crate::consumer::Consumer;
use crate::consumer_api::{group_metadata, refuse_token, set_token};
use crate::fault::{self, Fault};
use crate::mailbox::Mailbox;
use crate::place::{Place, Places};
use crate::port::{Answer, Listener, Promise};
use crate::produce::{self, Batch};
use crate::signals::{self, Signals};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use rdkafka_sys::bindings::*;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub struct Producer {
  raw: Raw,
  signals: Arc<Signals>,
  jobs: Arc<Mailbox<Producer>>,
}

type Handled<'a> = &'a External<Handle<Producer>>;

impl Desk for Producer {
  fn open(raw: Raw, signals: Arc<Signals>, jobs: Arc<Mailbox<Producer>>) -> Producer {
    Producer { raw, signals, jobs }
  }

  /// Serves delivery reports, logs and statistics; a new job ends the wait.
  fn idle(&mut self) {
    if !self.jobs.pending() {
      unsafe { rd_kafka_poll(self.raw.rk, 200) };
    }
  }

  fn explain(&mut self) {
    unsafe { rd_kafka_poll(self.raw.rk, 0) };
  }

  /// What was not delivered is given up: flush first.
  fn leave(&mut self, _: i32) -> std::result::Result<(), Fault> {
    let everything = RD_KAFKA_PURGE_F_QUEUE as i32 | RD_KAFKA_PURGE_F_INFLIGHT as i32;
    unsafe {
      rd_kafka_purge(self.raw.rk, everything);
      while rd_kafka_poll(self.raw.rk, 0) > 0 {}
    }
    Ok(())
  }
}

/// Between two requests for a session in the first second, and then: as long as librdkafka would wait.
const ASK_MS: (i32, i32) = (25, 500);

impl Producer {
  /// Where a predecessor left a transaction open, the first answer is that it is being aborted, which takes some tens of
  /// milliseconds; librdkafka asks again half a second later, or when it is called again, which takes up what was begun.
  fn init(&self, end: Instant) -> Outcome {
    let begun = Instant::now();
    loop {
      let ask = if begun.elapsed() < Duration::from_secs(1) { ASK_MS.0 } else { ASK_MS.1 };
      let left = left(end);
      let outcome = self.done(unsafe { rd_kafka_init_transactions(self.raw.rk, ask.min(left)) });
      match outcome {
        // That another call was left in the middle is said at once, again and again.
        Err(fault) if fault.code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__CONFLICT as i32 => return Err(fault),
        Err(fault) if fault.retriable && left > ask => {}
        settled => return settled,
      }
    }
  }

  fn done(&self, error: *mut rd_kafka_error_t) -> Outcome {
    fault::settle(error).map(|_| Answer::default())
  }

  fn delivered(&self) -> Outcome {
    self.signals.take_failure().map_or_else(|| Ok(Answer::default()), Err)
  }

  fn flush(&self, timeout_ms: i32) -> Outcome {
    let code = fault::code(unsafe { rd_kafka_flush(self.raw.rk, timeout_ms) });
    if code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT as i32 {
      let left = unsafe { rd_kafka_outq_len(self.raw.rk) };
      return Err(Fault::timed_out(format!("{left} messages were not delivered within {timeout_ms} ms; they stay queued")));
    }
    fault::check(code)?;
    self.delivered()
  }

  fn drain(&self, below: i32, timeout_ms: i32) -> Outcome {
    let end = Instant::now() + Duration::from_millis(timeout_ms.max(0) as u64);
    while unsafe { rd_kafka_outq_len(self.raw.rk) } > below {
      if Instant::now() >= end {
        return Err(Fault::timed_out(format!("more than {below} messages wait still after {timeout_ms} ms")));
      }
      unsafe { rd_kafka_poll(self.raw.rk, 1) };
    }
    Ok(Answer::default())
  }

  fn send_offsets(&self, places: &Places, metadata: &[u8], timeout_ms: i32) -> Outcome {
    let mut group = std::ptr::null_mut();
    unsafe {
      fault::settle(rd_kafka_consumer_group_metadata_read(&mut group, metadata.as_ptr().cast(), metadata.len()))?;
      let error = rd_kafka_send_offsets_to_transaction(self.raw.rk, places.0, group, timeout_ms);
      rd_kafka_consumer_group_metadata_destroy(group);
      self.done(error)
    }
  }

  fn abort(&self, timeout_ms: i32) -> Outcome {
    let outcome = self.done(unsafe { rd_kafka_abort_transaction(self.raw.rk, timeout_ms) });
    if outcome.is_ok() {
      // What was purged for the abort is not news.
      self.signals.take_failure();
    }
    outcome
  }
}

#[napi]
pub fn producer_open(
  env: &Env,
  settings: Vec<Setting>,
  listener: Listener<'_>,
) -> Result<External<Handle<Producer>>> {
  Client::open(env, Role::Producer, &settings, listener)
}

fn client<'a>(producer: Handled<'a>) -> &'a Arc<Client<Producer>> {
  &producer.0
}

#[napi]
pub fn producer_hold(env: &Env, producer: Handled, hold: bool) {
  client(producer).port.hold(env, hold);
}

/// The number that stands for a topic in the arenas of this producer.
#[napi]
pub fn producer_topic_id(producer: Handled, name: String) -> Result<i32> {
  let mut targets = client(producer).signals.targets();
  if let Some(id) = targets.0.iter().position(|(topic, _)| *topic == name) {
    return Ok(id as i32);
  }
  if name.is_empty() {
    return Err(Fault::invalid("a topic name is empty").into());
  }
  let topic = client(producer).with(|raw| unsafe { new_topic(raw.rk, &name) })?;
  targets.0.push((name, topic));
  Ok(targets.0.len() as i32 - 1)
}

unsafe fn new_topic(rk: *mut rd_kafka_t, name: &str) -> std::result::Result<*mut rd_kafka_topic_t, Fault> {
  let name = c_string(name)?;
  let topic = unsafe { rd_kafka_topic_new(rk, name.as_ptr(), std::ptr::null_mut()) };
  if topic.is_null() { Err(Fault::coded(fault::code(unsafe { rd_kafka_last_error() }), "")) } else { Ok(topic) }
}

/// How many of the records from `from` were queued: fewer than `count` when the queue is full.
#[napi]
pub fn producer_produce(
  producer: Handled,
  bytes: &[u8],
  index: &[i32],
  stamps: &[f64],
  from: u32,
  count: u32,
) -> Result<u32> {
  let batch = Batch { bytes, index, stamps };
  let (from, end) = (from as usize, from as usize + count as usize);
  if !batch.holds(end) {
    return Err(Fault::invalid(format!("records {from} to {end} are beyond the arena's index")).into());
  }
  let targets = client(producer).signals.targets();
  let sent = client(producer).with(|raw| produce::send_all(raw.rk, &targets, &batch, from, end))?;
  Ok(sent as u32)
}

#[napi]
pub fn producer_begin(producer: Handled) -> Result<()> {
  let client = client(producer);
  client.with(|raw| fault::settle(unsafe { rd_kafka_begin_transaction(raw.rk) }))?;
  client.signals.take_failure();
  Ok(())
}

/// Waits for a connection: librdkafka asks for the transaction coordinator when it is told to begin, and where nobody is
/// connected yet it asks again half a second later. Twice, since the first answer replaces the connection it came by.
fn meet(rk: *mut rd_kafka_t, end: Instant) -> std::result::Result<(), Fault> {
  for _ in 0..2 {
    let mut raw: *const rd_kafka_metadata = std::ptr::null();
    fault::check(fault::code(unsafe { rd_kafka_metadata(rk, 0, std::ptr::null_mut(), &mut raw, left(end)) }))?;
    unsafe { rd_kafka_metadata_destroy(raw) };
  }
  Ok(())
}

/// In milliseconds; 0 when it is past.
fn left(end: Instant) -> i32 {
  i32::try_from(end.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(i32::MAX)
}

#[napi]
pub fn producer_init(producer: Handled, id: u32, timeout_ms: i32) {
  client(producer).request(id, move |desk| {
    let end = Instant::now() + Duration::from_millis(timeout_ms.max(0) as u64);
    meet(desk.raw.rk, end)?;
    desk.init(end)
  });
}

#[napi]
pub fn producer_flush(producer: Handled, id: u32, timeout_ms: i32) {
  client(producer).request(id, move |desk| desk.flush(timeout_ms));
}

#[napi]
pub fn producer_drain(producer: Handled, id: u32, below: i32, timeout_ms: i32) {
  client(producer).request(id, move |desk| desk.drain(below, timeout_ms));
}

#[napi]
pub fn producer_send_offsets(producer: Handled, id: u32, places: Vec<Place>, metadata: &[u8], timeout_ms: i32) {
  let metadata = metadata.to_vec();
  match Places::of(&places) {
    Err(fault) => Promise::new(&client(producer).port, id).settle(Err(fault)),
    Ok(places) => client(producer).request(id, move |desk| {
      let places = places;
      desk.send_offsets(&places, &metadata, timeout_ms)
    }),
  }
}

/// The same with the metadata of this consumer's group, taken on the producer's thread just before: it is a round trip
/// to librdkafka's main thread, too long for JavaScript's.
#[napi]
pub fn producer_send_offsets_of(
  producer: Handled,
  id: u32,
  places: Vec<Place>,
  consumer: &External<Handle<Consumer>>,
  timeout_ms: i32,
) {
  let consumer = consumer.0.clone();
  match Places::of(&places) {
    Err(fault) => Promise::new(&client(producer).port, id).settle(Err(fault)),
    Ok(places) => client(producer).request(id, move |desk| {
      let places = places;
      let metadata = consumer.with(|raw| unsafe { group_metadata(raw.rk, &consumer.signals.membership) })?;
      desk.send_offsets(&places, &metadata, timeout_ms)
    }),
  }
}

#[napi]
pub fn producer_commit(producer: Handled, id: u32, timeout_ms: i32) {
  client(producer).request(id, move |desk| desk.done(unsafe { rd_kafka_commit_transaction(desk.raw.rk, timeout_ms) }));
}

#[napi]
pub fn producer_abort(producer: Handled, id: u32, timeout_ms: i32) {
  client(producer).request(id, move |desk| desk.abort(timeout_ms));
}

#[napi]
pub fn producer_purge(producer: Handled) -> Result<()> {
  let everything = RD_KAFKA_PURGE_F_QUEUE as i32 | RD_KAFKA_PURGE_F_INFLIGHT as i32;
  Ok(client(producer).with(|raw| fault::check(fault::code(unsafe { rd_kafka_purge(raw.rk, everything) })))?)
}

#[napi]
pub fn producer_poisoned(producer: Handled) -> bool {
  client(producer).signals.poisoned.load(Ordering::Acquire)
}

/// Messages (and delivery reports) that librdkafka still holds; 0 once closed.
#[napi]
pub fn producer_pending(producer: Handled) -> i32 {
  client(producer).with(|raw| Ok(unsafe { rd_kafka_outq_len(raw.rk) })).unwrap_or(0)
}

#[napi]
pub fn producer_events(producer: Handled) -> Option<String> {
  client(producer).signals.take()
}

#[napi]
pub fn producer_fatal_error(producer: Handled) -> Result<Option<String>> {
  Ok(client(producer).with(|raw| Ok(signals::fatal(raw.rk).map(|fault| fault.json())))?)
}

#[napi]
pub fn producer_set_token(producer: Handled, token: String, lifetime_ms: f64, principal: String) -> Result<()> {
  Ok(client(producer).with(|raw| set_token(raw.rk, &token, lifetime_ms, &principal))?)
}

#[napi]
pub fn producer_refuse_token(producer: Handled, reason: String) -> Result<()> {
  Ok(client(producer).with(|raw| refuse_token(raw.rk, &reason))?)
}

#[napi]
pub fn producer_close(producer: Handled, id: u32, timeout_ms: i32) {
  client(producer).close(id, timeout_ms);
}
