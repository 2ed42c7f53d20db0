//! From librdkafka's messages into an arena.

use crate::arena::{Arena, INDEX_STRIDE};
use crate::client::Raw;
use crate::fault::{self, Fault};
use crate::headers;
use crate::signals::{Signals, fatal};
use rdkafka_sys::bindings::*;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::CString;

/// Messages are taken over from librdkafka in chunks of this many: they stay in the CPU's cache.
const CHUNK: usize = 1024;

/// An owned message.
struct Message(*mut rd_kafka_message_t);

unsafe impl Send for Message {}

impl Drop for Message {
  fn drop(&mut self) {
    unsafe { rd_kafka_message_destroy(self.0) };
  }
}

impl Message {
  fn code(&self) -> i32 {
    unsafe { std::ptr::read((&raw const (*self.0).err).cast::<i32>()) }
  }

  fn topic(&self) -> String {
    unsafe {
      let topic = (*self.0).rkt;
      if topic.is_null() { String::new() } else { fault::text(rd_kafka_topic_name(topic)) }
    }
  }

  fn key(&self) -> Option<&[u8]> {
    unsafe { slice((*self.0).key.cast(), (*self.0).key_len) }
  }

  fn value(&self) -> Option<&[u8]> {
    unsafe { slice((*self.0).payload.cast(), (*self.0).len) }
  }
}

unsafe fn slice<'a>(data: *const u8, length: usize) -> Option<&'a [u8]> {
  (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data, length) })
}

/// What a poll has got together so far.
pub struct Catch<'a> {
  arena: &'a Arena,
  pub count: usize,
  pub bytes: usize,
  limit: usize,
}

impl<'a> Catch<'a> {
  pub fn new(arena: &'a Arena, limit: usize) -> Catch<'a> {
    Catch { arena, count: 0, bytes: 0, limit: limit.min(arena.messages) }
  }
}

enum Fit {
  Stored,
  Kept,
  TooLarge(usize),
}

pub struct Fetcher {
  raw: Raw,
  /// Taken from librdkafka, not yet handed over: they did not fit.
  held: VecDeque<Message>,
  paused: HashSet<(String, i32)>,
  /// Handles that pin a topic, so that its address stays its own.
  pinned: HashMap<usize, i32>,
  last: (usize, i32),
  chunk: Vec<*mut rd_kafka_message_t>,
  headers: Vec<u8>,
}

unsafe impl Send for Fetcher {}

impl Fetcher {
  pub fn new(raw: Raw) -> Fetcher {
    let chunk = vec![std::ptr::null_mut(); CHUNK];
    let (held, paused, pinned) = (VecDeque::new(), HashSet::new(), HashMap::new());
    Fetcher { raw, held, paused, pinned, last: (0, -1), chunk, headers: Vec::new() }
  }

  /// Hands over what was kept, then what librdkafka has; waits up to `wait_ms` for the first message only.
  pub fn fill(
    &mut self,
    catch: &mut Catch,
    wait_ms: i32,
    signals: &Signals,
  ) -> Result<(), Fault> {
    self.drain_held(catch, signals)?;
    if self.held.iter().any(|message| !self.is_paused(message)) {
      return Ok(());
    }
    let mut wait = if catch.count > 0 { 0 } else { wait_ms };
    while catch.count < catch.limit {
      // Waiting means waiting for one: librdkafka would wait until all that were asked for are there.
      let ask = if wait > 0 { 1 } else { CHUNK.min(catch.limit - catch.count) };
      let got = self.take(wait, ask);
      self.drain_held(catch, signals)?;
      if !self.held.is_empty() || (got < ask) {
        break;
      }
      wait = 0;
    }
    Ok(())
  }

  /// Moves up to `ask` messages from librdkafka to the held ones; callbacks are served on the way.
  fn take(&mut self, wait_ms: i32, ask: usize) -> usize {
    let got = unsafe { rd_kafka_consume_batch_queue(self.raw.queue, wait_ms, self.chunk.as_mut_ptr(), ask) };
    let got = got.max(0) as usize;
    self.held.extend(self.chunk[..got].iter().map(|message| Message(*message)));
    got
  }

  fn drain_held(
    &mut self,
    catch: &mut Catch,
    signals: &Signals,
  ) -> Result<(), Fault> {
    let mut skipped = VecDeque::new();
    let mut outcome = Ok(());
    while let Some(message) = self.held.pop_front() {
      if self.is_paused(&message) {
        skipped.push_back(message);
        continue;
      }
      match self.store(&message, catch, signals) {
        Fit::Stored => continue,
        Fit::Kept => {}
        Fit::TooLarge(needed) => outcome = Err(Fault::too_small(needed, catch.arena.bytes)),
      }
      self.held.push_front(message);
      break;
    }
    while let Some(message) = skipped.pop_back() {
      self.held.push_front(message);
    }
    outcome
  }

  fn store(
    &mut self,
    message: &Message,
    catch: &mut Catch,
    signals: &Signals,
  ) -> Fit {
    if message.code() != 0 {
      self.report(message, signals);
      return Fit::Stored;
    }
    if catch.count >= catch.limit {
      return Fit::Kept;
    }
    self.headers.clear();
    unsafe { headers::read(message.0, &mut self.headers) };
    let (key, value) = (message.key(), message.value());
    let needed = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + self.headers.len();
    if needed > catch.arena.bytes - catch.bytes {
      let fresh = catch.count == 0 && !signals.waiting();
      return if fresh { Fit::TooLarge(needed) } else { Fit::Kept };
    }
    let topic = self.topic_id(message, signals);
    self.copy(message, topic, catch);
    Fit::Stored
  }

  fn copy(&self, message: &Message, topic: i32, catch: &mut Catch) {
    let mut at = catch.bytes;
    let mut put = |data: Option<&[u8]>| -> (i32, i32) {
      let Some(data) = data else { return (at as i32, -1) };
      let from = at;
      catch.arena.write(from, data);
      at += data.len();
      (from as i32, data.len() as i32)
    };
    let (key, value, headers) = (put(message.key()), put(message.value()), put(Some(&self.headers)));
    let (partition, offset) = unsafe { ((*message.0).partition, (*message.0).offset) };
    let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    let time = unsafe { rd_kafka_message_timestamp(message.0, &mut kind) };
    let index: [i32; INDEX_STRIDE] = [topic, partition, key.0, key.1, value.0, value.1, headers.0, headers.1];
    catch.arena.describe(catch.count, index, [offset as f64, time as f64]);
    catch.bytes = at;
    catch.count += 1;
  }

  fn topic_id(&mut self, message: &Message, signals: &Signals) -> i32 {
    let address = unsafe { (*message.0).rkt } as usize;
    if self.last.0 == address {
      return self.last.1;
    }
    if let Some(id) = self.pinned.get(&address) {
      self.last = (address, *id);
      return *id;
    }
    let name = message.topic();
    let id = signals.topics().intern(&name);
    self.pin(&name, id);
    id
  }

  /// Handles of these topics, before there is a message of them.
  pub fn pin_all(&mut self, places: &[(String, i32)], signals: &Signals) {
    for (name, _) in places {
      let id = signals.topics().intern(name);
      if !self.pinned.values().any(|pinned| *pinned == id) {
        self.pin(name, id);
      }
    }
  }

  fn pin(&mut self, name: &str, id: i32) {
    let Ok(name) = CString::new(name) else { return };
    let topic = unsafe { rd_kafka_topic_new(self.raw.rk, name.as_ptr(), std::ptr::null_mut()) };
    if topic.is_null() || self.pinned.insert(topic as usize, id).is_some() {
      unsafe { rd_kafka_topic_destroy(topic) };
    }
  }

  fn report(&self, message: &Message, signals: &Signals) {
    let (code, topic) = (message.code(), message.topic());
    let (partition, offset) = unsafe { ((*message.0).partition, (*message.0).offset) };
    if code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32 {
      let topic = crate::json::quoted(&topic);
      let end = format!("{{\"type\":\"end\",\"topic\":{topic},\"partition\":{partition},\"offset\":{offset}}}");
      return signals.push(end);
    }
    let fault = if code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__FATAL as i32 { fatal(self.raw.rk) } else { None };
    let detail = unsafe { fault::text(rd_kafka_message_errstr(message.0)) };
    let fault = fault.unwrap_or_else(|| Fault::coded(code, &detail));
    signals.complain(&fault, (!topic.is_empty()).then_some((topic.as_str(), partition)));
  }

  fn is_paused(&self, message: &Message) -> bool {
    !self.paused.is_empty() && self.paused.contains(&(message.topic(), unsafe { (*message.0).partition }))
  }

  pub fn pause(&mut self, places: Vec<(String, i32)>) {
    self.paused.extend(places);
  }

  pub fn resume(&mut self, places: &[(String, i32)]) {
    places.iter().for_each(|place| {
      self.paused.remove(place);
    });
  }

  /// Messages of these partitions belong to a position that is left: drops them. Resumes the partitions, too.
  pub fn forget(&mut self, places: &[(String, i32)]) {
    self.resume(places);
    self.drop_held(places);
  }

  pub fn drop_held(&mut self, places: &[(String, i32)]) {
    if !self.held.is_empty() {
      self.held.retain(|m| !places.contains(&(m.topic(), unsafe { (*m.0).partition })));
    }
  }

  /// Serves callbacks, and drops messages that nobody will ask for any more.
  pub fn discard(&mut self, wait_ms: i32) {
    self.take(wait_ms, 1);
    self.held.clear();
  }

  pub fn forget_all(&mut self) {
    self.paused.clear();
    self.held.clear();
  }

  /// Before the handle is destroyed.
  pub fn release(&mut self) {
    self.forget_all();
    for (topic, _) in self.pinned.drain() {
      unsafe { rd_kafka_topic_destroy(topic as *mut rd_kafka_topic_t) };
    }
    self.last = (0, -1);
  }
}
