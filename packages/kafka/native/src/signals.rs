//! What librdkafka's callbacks leave for JavaScript to pick up: events, the first failed delivery, torn transactions.

use crate::fault::{self, Fault};
use crate::json;
use crate::membership::Membership;
use crate::place;
use crate::port::Port;
use crate::produce::Targets;
use rdkafka_sys::bindings::*;
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Logs, statistics and passing errors beyond this many are counted and dropped; rebalances and fatal errors are kept.
const CHATTER_MAX: usize = 1000;

/// Shared by a client, its thread and librdkafka's callbacks (as their opaque pointer).
pub struct Signals {
  events: Mutex<Vec<String>>,
  waiting: AtomicBool,
  dropped: AtomicU64,
  /// The client closes: revocations are answered here, since JavaScript no longer does.
  pub closing: AtomicBool,
  pub poisoned: AtomicBool,
  pub membership: Membership,
  failed: Mutex<Option<Fault>>,
  failures: AtomicU64,
  port: Arc<Port>,
  topics: Mutex<Topics>,
  targets: Mutex<Targets>,
}

/// Topics by the number that stands for them in an arena's index.
#[derive(Default)]
pub struct Topics {
  ids: HashMap<String, i32>,
  names: Vec<String>,
}

impl Topics {
  pub fn intern(&mut self, name: &str) -> i32 {
    if let Some(id) = self.ids.get(name) {
      return *id;
    }
    let id = self.names.len() as i32;
    self.ids.insert(name.to_string(), id);
    self.names.push(name.to_string());
    id
  }

  pub fn name(&self, id: i32) -> Option<String> {
    usize::try_from(id).ok().and_then(|id| self.names.get(id)).cloned()
  }
}

impl Signals {
  pub fn new(port: Arc<Port>) -> Arc<Signals> {
    Arc::new(Signals {
      events: Mutex::new(Vec::new()),
      waiting: AtomicBool::new(false),
      dropped: AtomicU64::new(0),
      closing: AtomicBool::new(false),
      poisoned: AtomicBool::new(false),
      membership: Membership::default(),
      failed: Mutex::new(None),
      failures: AtomicU64::new(0),
      port,
      topics: Mutex::default(),
      targets: Mutex::default(),
    })
  }

  pub fn topics(&self) -> MutexGuard<'_, Topics> {
    self.topics.lock().unwrap_or_else(|e| e.into_inner())
  }

  /// A producer's topics: used on the JavaScript thread, let go before the handle is destroyed.
  pub fn targets(&self) -> MutexGuard<'_, Targets> {
    self.targets.lock().unwrap_or_else(|e| e.into_inner())
  }

  pub fn push(&self, event: String) {
    let mut events = self.events.lock().unwrap_or_else(|e| e.into_inner());
    events.push(event);
    self.waiting.store(true, Ordering::Release);
  }

  fn chat(&self, event: String) {
    if self.events.lock().unwrap_or_else(|e| e.into_inner()).len() < CHATTER_MAX {
      self.push(event);
    } else {
      self.dropped.fetch_add(1, Ordering::Relaxed);
    }
  }

  /// An error. A cluster that is away makes any number of them.
  pub fn complain(&self, fault: &Fault, place: Option<(&str, i32)>) {
    let event = error_event(fault, place);
    if fault.fatal { self.push(event) } else { self.chat(event) }
  }

  pub fn waiting(&self) -> bool {
    self.waiting.load(Ordering::Acquire)
  }

  /// All events since the last call, as a JSON array; `None` without any.
  pub fn take(&self) -> Option<String> {
    if !self.waiting() {
      return None;
    }
    let mut events = self.events.lock().unwrap_or_else(|e| e.into_inner());
    self.waiting.store(false, Ordering::Release);
    let dropped = self.dropped.swap(0, Ordering::Relaxed);
    if dropped > 0 {
      events.push(log_event(4, "DROPPED", &format!("{dropped} logs, errors or statistics were dropped: ask for events more often")));
    }
    Some(json::array(events.drain(..)))
  }

  pub fn failed_delivery(&self, fault: Fault) {
    self.failures.fetch_add(1, Ordering::Relaxed);
    self.failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(fault);
  }

  /// The first failed delivery since the last call, and how many there were.
  pub fn take_failure(&self) -> Option<Fault> {
    let count = self.failures.swap(0, Ordering::Relaxed);
    let fault = self.failed.lock().unwrap_or_else(|e| e.into_inner()).take()?;
    Some(Fault { message: format!("{count} messages were not delivered, first: {}", fault.message), ..fault })
  }
}

/// # Safety
/// `opaque` is the pointer that `config::build` gave to librdkafka; it lives until after `rd_kafka_destroy`.
pub unsafe fn signals<'a>(opaque: *mut c_void) -> Option<&'a Signals> {
  unsafe { opaque.cast::<Signals>().as_ref() }
}

fn guarded(body: impl FnOnce()) {
  // A panic must not unwind into C; there is nobody here to tell.
  let _ = catch_unwind(AssertUnwindSafe(body));
}

fn log_event(level: i32, facility: &str, message: &str) -> String {
  let (facility, message) = (json::quoted(facility), json::quoted(message));
  format!("{{\"type\":\"log\",\"level\":{level},\"facility\":{facility},\"message\":{message}}}")
}

fn error_event(fault: &Fault, place: Option<(&str, i32)>) -> String {
  let at = place.map(|(topic, partition)| format!(",\"topic\":{},\"partition\":{partition}", json::quoted(topic)));
  format!("{{\"type\":\"error\",\"error\":{}{}}}", fault.json(), at.unwrap_or_default())
}

pub unsafe extern "C" fn on_log(rk: *const rd_kafka_t, level: c_int, facility: *const c_char, line: *const c_char) {
  guarded(|| unsafe {
    if let Some(signals) = signals(rd_kafka_opaque(rk)) {
      signals.chat(log_event(level, &fault::text(facility), &fault::text(line)));
    }
  });
}

pub unsafe extern "C" fn on_stats(_: *mut rd_kafka_t, text: *mut c_char, length: usize, opaque: *mut c_void) -> c_int {
  guarded(|| unsafe {
    if let (Some(signals), false) = (signals(opaque), text.is_null()) {
      let bytes = std::slice::from_raw_parts(text.cast::<u8>(), length);
      let text = String::from_utf8_lossy(bytes);
      signals.chat(format!("{{\"type\":\"stats\",\"json\":{}}}", json::quoted(&text)));
    }
  });
  0
}

pub unsafe extern "C" fn on_error(rk: *mut rd_kafka_t, code: c_int, reason: *const c_char, opaque: *mut c_void) {
  guarded(|| unsafe {
    let Some(signals) = signals(opaque) else { return };
    let fault = if code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__FATAL as i32 {
      fatal(rk).unwrap_or_else(|| Fault::coded(code, &fault::text(reason)))
    } else {
      Fault::coded(code, &fault::text(reason))
    };
    signals.complain(&fault, None);
  });
}

/// The client's fatal error, if it has one.
pub fn fatal(rk: *mut rd_kafka_t) -> Option<Fault> {
  let mut text = [0 as c_char; 512];
  let code = unsafe { fault::code(rd_kafka_fatal_error(rk, text.as_mut_ptr(), text.len())) };
  (code != 0).then(|| Fault { fatal: true, ..Fault::coded(code, &unsafe { fault::text(text.as_ptr()) }) })
}

pub unsafe extern "C" fn on_token(_: *mut rd_kafka_t, config: *const c_char, opaque: *mut c_void) {
  guarded(|| unsafe {
    if let Some(signals) = signals(opaque) {
      signals.port.tell(format!("{{\"type\":\"token\",\"config\":{}}}", json::quoted(&fault::text(config))));
    }
  });
}

pub unsafe extern "C" fn on_rebalance(
  rk: *mut rd_kafka_t,
  err: rd_kafka_resp_err_t,
  partitions: *mut rd_kafka_topic_partition_list_t,
  opaque: *mut c_void,
) {
  let assign = err as i32 == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS as i32;
  guarded(|| unsafe {
    let Some(signals) = signals(opaque) else { return };
    if signals.closing.load(Ordering::Acquire) {
      return yield_all(rk, assign, partitions);
    }
    let kind = if assign {
      signals.membership.gives(rk).unwrap_or_else(|fault| signals.complain(&fault, None));
      "assign"
    } else if rd_kafka_assignment_lost(rk) != 0 || signals.membership.is_over(rk).unwrap_or(true) {
      "lost"
    } else {
      "revoke"
    };
    signals.push(format!("{{\"type\":\"{kind}\",\"partitions\":{}}}", place::describe(partitions)));
    // The poll that this is called in would go on to wait for a message.
    let queue = rd_kafka_queue_get_consumer(rk);
    rd_kafka_queue_yield(queue);
    rd_kafka_queue_destroy(queue);
  });
}

/// While closing: take nothing on, let everything go.
unsafe fn yield_all(rk: *mut rd_kafka_t, assign: bool, partitions: *mut rd_kafka_topic_partition_list_t) {
  unsafe {
    // A rebalance that was queued before the group was left: nobody waits for its answer, and asking would hang.
    if rd_kafka_consumer_closed(rk) != 0 {
      return;
    }
    let cooperative = fault::text(rd_kafka_rebalance_protocol(rk)) == "COOPERATIVE";
    let outcome = match (cooperative, assign) {
      (false, _) => fault::check(fault::code(rd_kafka_assign(rk, std::ptr::null()))),
      (true, false) => fault::settle(rd_kafka_incremental_unassign(rk, partitions)),
      (true, true) => {
        let none = rd_kafka_topic_partition_list_new(0);
        let outcome = fault::settle(rd_kafka_incremental_assign(rk, none));
        rd_kafka_topic_partition_list_destroy(none);
        outcome
      }
    };
    if let (Err(fault), Some(signals)) = (outcome, signals(rd_kafka_opaque(rk))) {
      signals.complain(&fault, None);
    }
  }
}

pub unsafe extern "C" fn on_delivery(_: *mut rd_kafka_t, message: *const rd_kafka_message_t, opaque: *mut c_void) {
  let code = unsafe { std::ptr::read((&raw const (*message).err).cast::<i32>()) };
  if code == 0 {
    return;
  }
  guarded(|| unsafe {
    let Some(signals) = signals(opaque) else { return };
    let topic = fault::text(rd_kafka_topic_name((*message).rkt));
    let mut fault = Fault::coded(code, "");
    fault.message = format!("{} (topic {topic}, partition {})", fault.message, (*message).partition);
    signals.failed_delivery(fault);
  });
}

/// AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit.
const TRANSACTIONAL: [i16; 4] = [24, 25, 26, 28];

unsafe extern "C" fn on_response(
  _: *mut rd_kafka_t,
  _: c_int,
  _: *const c_char,
  _: i32,
  key: i16,
  _: i16,
  _: i32,
  _: usize,
  _: i64,
  err: rd_kafka_resp_err_t,
  opaque: *mut c_void,
) -> rd_kafka_resp_err_t {
  if let Some(signals) = unsafe { signals(opaque) } {
    if TRANSACTIONAL.contains(&key) && torn(err as i32) {
      signals.poisoned.store(true, Ordering::Release);
    }
  }
  rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// The broker may or may not have seen the request. (Timed out in the local queue: it has not.)
fn torn(code: i32) -> bool {
  use rd_kafka_resp_err_t::*;
  let unknown = [RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT];
  unknown.iter().any(|err| *err as i32 == code)
}

pub unsafe extern "C" fn on_new(
  rk: *mut rd_kafka_t,
  _: *const rd_kafka_conf_t,
  opaque: *mut c_void,
  _: *mut c_char,
  _: usize,
) -> rd_kafka_resp_err_t {
  let name = c"headrace".as_ptr();
  unsafe { rd_kafka_interceptor_add_on_response_received(rk, name, Some(on_response), opaque) }
}
