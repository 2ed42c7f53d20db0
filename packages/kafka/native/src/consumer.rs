//! The thread of a consumer: it polls, assigns, pauses, seeks and asks for offsets, one thing after the other.

use crate::arena::Lease;
use crate::client::{Desk, Outcome, Raw};
use crate::config::c_string;
use crate::fault::{self, Fault};
use crate::fetch::{Catch, Fetcher};
use crate::mailbox::Mailbox;
use crate::membership::member_id;
use crate::place::Places;
use crate::port::Answer;
use crate::signals::Signals;
use rdkafka_sys::bindings::*;
use std::ffi::CStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For the answer of a leader that is there; nobody needs it.
const WAKE_MS: i32 = 100;
/// How late a heartbeat may go out.
const SERVE_EVERY_MS: i32 = 50;

pub struct Consumer {
  raw: Raw,
  signals: Arc<Signals>,
  jobs: Arc<Mailbox<Consumer>>,
  fetcher: Fetcher,
  /// When librdkafka was last made to look after the group; never, if it is a member of none.
  served: Option<Instant>,
}

unsafe impl Send for Consumer {}

impl Desk for Consumer {
  fn open(raw: Raw, signals: Arc<Signals>, jobs: Arc<Mailbox<Consumer>>) -> Consumer {
    Consumer { raw, signals, jobs, fetcher: Fetcher::new(raw), served: None }
  }

  fn idle(&mut self) {
    if let Some(job) = self.jobs.wait(Duration::from_secs(5)) {
      job(self);
    }
  }

  fn leave(&mut self, timeout_ms: i32) -> Result<(), Fault> {
    let outcome = self.leave_group(timeout_ms);
    self.fetcher.release();
    outcome
  }
}

/// How a set of partitions is taken on or given up.
#[derive(Clone, Copy, PartialEq)]
enum Protocol {
  /// No group: the list replaces what is assigned.
  Manual,
  Eager,
  Cooperative,
}

impl Consumer {
  fn leave_group(&mut self, timeout_ms: i32) -> Result<(), Fault> {
    self.fetcher.forget_all();
    // One that was fenced takes no answer any more, and waits for none.
    let _ = self.decline();
    // A static member of the classic protocol does not leave its group: there is nothing to wait for. (And librdkafka
    // can hang when it is closed in the middle of its first join: the answer to the rebalance then finds nobody.)
    if self.is_static() && !self.is_kip_848() {
      return Ok(());
    }
    fault::settle(unsafe { rd_kafka_consumer_close_queue(self.raw.rk, self.raw.queue) })?;
    let deadline = Deadline::after(timeout_ms);
    while unsafe { rd_kafka_consumer_closed(self.raw.rk) } == 0 {
      let Some(left) = deadline.left() else {
        return Err(Fault::timed_out(format!("leaving the group took longer than {timeout_ms} ms")));
      };
      self.fetcher.discard(left.min(20));
    }
    Ok(())
  }

  /// Answers an assignment that JavaScript has not taken up: librdkafka waits for that, also when it is closed or destroyed.
  fn decline(&self) -> Result<(), Fault> {
    match self.protocol() {
      Protocol::Cooperative => {
        let none = Places(unsafe { rd_kafka_topic_partition_list_new(0) });
        fault::settle(unsafe { rd_kafka_incremental_assign(self.raw.rk, none.0) })
      }
      Protocol::Eager => fault::check(fault::code(unsafe { rd_kafka_assign(self.raw.rk, std::ptr::null()) })),
      Protocol::Manual => Ok(()),
    }
  }

  fn is_static(&self) -> bool {
    self.setting(c"group.instance.id").is_some_and(|value| !value.is_empty())
  }

  fn is_kip_848(&self) -> bool {
    self.setting(c"group.protocol").is_some_and(|value| value == "consumer")
  }

  fn setting(&self, name: &CStr) -> Option<String> {
    let mut value = [0u8; 512];
    let mut size = value.len();
    let found = unsafe { rd_kafka_conf_get(rd_kafka_conf(self.raw.rk), name.as_ptr(), value.as_mut_ptr().cast(), &mut size) };
    if found != rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
      return None;
    }
    CStr::from_bytes_until_nul(&value).ok().map(|text| text.to_string_lossy().into_owned())
  }

  /// Until there is a message or an event, another job, or the end of the time.
  pub fn poll(&mut self, lease: &Lease, limit: usize, timeout_ms: i32) -> Outcome {
    let deadline = Deadline::after(timeout_ms);
    let mut catch = Catch::new(&lease.0, limit);
    loop {
      self.serve_group();
      let wait = if self.signals.waiting() || self.jobs.pending() { 0 } else { deadline.left().unwrap_or(0) };
      let wait = if self.served.is_some() { wait.min(SERVE_EVERY_MS) } else { wait };
      self.fetcher.fill(&mut catch, wait, &self.signals)?;
      if catch.count > 0 || self.signals.waiting() || self.jobs.pending() || deadline.left().is_none() {
        break;
      }
    }
    Ok(Answer { a: catch.count as f64, b: catch.bytes as f64, text: self.signals.take() })
  }

  /// librdkafka looks whether a heartbeat is due when something comes in for its main thread, and else twice a second. A question
  /// for the group comes in there.
  fn serve_group(&mut self) {
    if self.served.is_none_or(|at| at.elapsed() < Duration::from_millis(SERVE_EVERY_MS as u64)) {
      return;
    }
    self.served = Some(Instant::now());
    unsafe {
      let metadata = rd_kafka_consumer_group_metadata(self.raw.rk);
      if !metadata.is_null() {
        rd_kafka_consumer_group_metadata_destroy(metadata);
      }
    }
  }

  fn protocol(&self) -> Protocol {
    match unsafe { fault::text(rd_kafka_rebalance_protocol(self.raw.rk)) }.as_str() {
      "COOPERATIVE" => Protocol::Cooperative,
      "EAGER" => Protocol::Eager,
      _ => Protocol::Manual,
    }
  }

  pub fn assign(&mut self, places: &Places) -> Outcome {
    let list = places.0;
    match self.protocol() {
      Protocol::Cooperative => {
        self.fetcher.forget(&places.keys());
        fault::settle(unsafe { rd_kafka_incremental_assign(self.raw.rk, list) })?;
      }
      Protocol::Eager | Protocol::Manual => {
        self.fetcher.forget_all();
        fault::check(fault::code(unsafe { rd_kafka_assign(self.raw.rk, list) }))?;
      }
    }
    Ok(Answer::default())
  }

  /// Takes partitions on without reading any of it: they are paused before they are placed. A place that has to be
  /// looked up (the end) is none to wait at: librdkafka 2.12 takes an answer that a seek has overtaken for a failed
  /// one, asks again half a second later, and goes on from there, past everything in between.
  pub fn take(&mut self, places: &Places) -> Outcome {
    self.fetcher.pin_all(&places.keys(), &self.signals);
    // A partition that is not known yet cannot be paused, nor read before the next two calls are done.
    fault::check(fault::code(unsafe { rd_kafka_pause_partitions(self.raw.rk, places.0) }))?;
    self.assign(places)?;
    self.pause(places)
  }

  pub fn unassign(&mut self, places: &Places) -> Outcome {
    match self.protocol() {
      Protocol::Eager => {
        self.fetcher.forget_all();
        fault::check(fault::code(unsafe { rd_kafka_assign(self.raw.rk, std::ptr::null()) }))?;
      }
      Protocol::Cooperative | Protocol::Manual => {
        self.fetcher.forget(&places.keys());
        fault::settle(unsafe { rd_kafka_incremental_unassign(self.raw.rk, places.0) })?;
      }
    }
    Ok(Answer::default())
  }

  pub fn subscribe(&mut self, topics: &Places) -> Outcome {
    fault::check(fault::code(unsafe { rd_kafka_subscribe(self.raw.rk, topics.0) }))?;
    self.served = Some(Instant::now());
    Ok(Answer::default())
  }

  pub fn unsubscribe(&mut self) -> Outcome {
    fault::check(fault::code(unsafe { rd_kafka_unsubscribe(self.raw.rk) }))?;
    self.served = None;
    Ok(Answer::default())
  }

  pub fn pause(&mut self, places: &Places) -> Outcome {
    fault::check(fault::code(unsafe { rd_kafka_pause_partitions(self.raw.rk, places.0) }))?;
    places.check()?;
    self.fetcher.pause(places.keys());
    Ok(Answer::default())
  }

  pub fn resume(&mut self, places: &Places) -> Outcome {
    fault::check(fault::code(unsafe { rd_kafka_resume_partitions(self.raw.rk, places.0) }))?;
    places.check()?;
    self.fetcher.resume(&places.keys());
    Ok(Answer::default())
  }

  pub fn seek(&mut self, places: &Places, timeout_ms: i32) -> Outcome {
    fault::settle(unsafe { rd_kafka_seek_partitions(self.raw.rk, places.0, timeout_ms) })?;
    places.check()?;
    self.fetcher.drop_held(&places.keys());
    Ok(Answer::default())
  }

  /// Reads on at these places in partitions that were taken or paused. A resumed partition goes on from where it is sought last.
  pub fn read_from(&mut self, places: &Places, timeout_ms: i32) -> Outcome {
    self.seek(places, timeout_ms)?;
    self.resume(places)?;
    self.seek(places, timeout_ms)?;
    self.wake_leaders(places);
    Ok(Answer::default())
  }

  /// librdkafka lets a partition lie for up to a second where nothing else is read from its broker: neither a resume nor a seek
  /// wakes that broker's thread, which sleeps so long. A request does, whatever is asked and answered.
  fn wake_leaders(&self, places: &Places) {
    places.set_offsets(RD_KAFKA_OFFSET_END as i64);
    unsafe { rd_kafka_offsets_for_times(self.raw.rk, places.0, WAKE_MS) };
  }

  pub fn committed(&mut self, places: &Places, timeout_ms: i32) -> Outcome {
    fault::check(fault::code(unsafe { rd_kafka_committed(self.raw.rk, places.0, timeout_ms) }))?;
    Ok(Answer::text(places.json()))
  }

  pub fn offsets_for_times(&mut self, places: &Places, timeout_ms: i32) -> Outcome {
    fault::check(fault::code(unsafe { rd_kafka_offsets_for_times(self.raw.rk, places.0, timeout_ms) }))?;
    Ok(Answer::text(places.json()))
  }

  pub fn watermarks(&mut self, topic: &str, partition: i32, timeout_ms: i32) -> Outcome {
    let (topic, mut low, mut high) = (c_string(topic)?, 0i64, 0i64);
    let rk = self.raw.rk;
    let err =
      unsafe { rd_kafka_query_watermark_offsets(rk, topic.as_ptr(), partition, &mut low, &mut high, timeout_ms) };
    fault::check(fault::code(err))?;
    Ok(Answer { a: low as f64, b: high as f64, text: None })
  }

  /// The member's epoch, or generation; 0 or less before the group has answered.
  pub fn epoch(&mut self) -> Outcome {
    unsafe {
      let metadata = rd_kafka_consumer_group_metadata(self.raw.rk);
      if metadata.is_null() {
        return Err(Fault::invalid("the consumer has no group: set group.id"));
      }
      let epoch = rd_kafka_consumer_group_metadata_generation_id(metadata);
      rd_kafka_consumer_group_metadata_destroy(metadata);
      Ok(Answer { a: epoch as f64, b: 0.0, text: None })
    }
  }

  /// The plain commit call would wait without end for a coordinator; a queue of its own has a time limit.
  pub fn commit(&mut self, places: &Places, timeout_ms: i32) -> Outcome {
    unsafe {
      self.signals.membership.check(&member_id(self.raw.rk))?;
      let queue = rd_kafka_queue_new(self.raw.rk);
      let err = rd_kafka_commit_queue(self.raw.rk, places.0, queue, None, std::ptr::null_mut());
      let outcome = fault::check(fault::code(err)).and_then(|_| committed_event(queue, timeout_ms));
      rd_kafka_queue_destroy(queue);
      outcome
    }
  }
}

unsafe fn committed_event(queue: *mut rd_kafka_queue_t, timeout_ms: i32) -> Outcome {
  unsafe {
    let event = rd_kafka_queue_poll(queue, timeout_ms);
    if event.is_null() {
      return Err(Fault::timed_out(format!("no answer to the offset commit within {timeout_ms} ms")));
    }
    let err = fault::code(rd_kafka_event_error(event));
    let detail = fault::text(rd_kafka_event_error_string(event));
    let list = rd_kafka_event_topic_partition_list(event);
    let text = crate::place::describe(list);
    rd_kafka_event_destroy(event);
    if err == 0 { Ok(Answer::text(text)) } else { Err(Fault::coded(err, &detail)) }
  }
}

struct Deadline(Instant);

impl Deadline {
  fn after(ms: i32) -> Deadline {
    Deadline(Instant::now() + Duration::from_millis(ms.max(0) as u64))
  }

  /// Milliseconds until then, at least 1; `None` when it is past.
  fn left(&self) -> Option<i32> {
    let left = self.0.saturating_duration_since(Instant::now());
    if left.is_zero() { None } else { Some((left.as_millis() as i32).max(1)) }
  }
}
