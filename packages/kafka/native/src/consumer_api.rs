//! The functions of a consumer that JavaScript sees. Those with an `id` answer through the listener.

use crate::arena::{Arena, Lease};
use crate::client::{Client, Handle, Outcome};
use crate::config::{Role, Setting, c_string};
use crate::consumer::Consumer;
use crate::fault::{self, Fault};
use crate::membership::{Membership, member_id};
use crate::place::{Place, Places};
use crate::port::{Listener, Promise};
use crate::signals;
use napi::bindgen_prelude::*;
use napi_derive::napi;
use rdkafka_sys::bindings::*;
use std::ffi::c_void;
use std::sync::Arc;

type Handled<'a> = &'a External<Handle<Consumer>>;

#[napi]
pub fn consumer_open(
  env: &Env,
  settings: Vec<Setting>,
  listener: Listener<'_>,
) -> Result<External<Handle<Consumer>>> {
  Client::open(env, Role::Consumer, &settings, listener)
}

#[napi]
pub fn consumer_hold(env: &Env, consumer: Handled, hold: bool) {
  consumer.0.port.hold(env, hold);
}

#[napi]
pub fn consumer_wake(consumer: Handled) {
  consumer.0.wake();
}

unsafe extern "C" {
  /// Of rejoin.c.
  fn headrace_rejoin(rk: *mut rd_kafka_t);
}

#[napi]
pub fn consumer_rejoin(consumer: Handled) -> Result<()> {
  Ok(consumer.0.with(|raw| {
    unsafe { headrace_rejoin(raw.rk) };
    Ok(())
  })?)
}

#[napi]
pub fn consumer_poll(consumer: Handled, id: u32, arena: &External<Arc<Arena>>, limit: u32, timeout_ms: i32) {
  match Lease::take(arena) {
    Err(fault) => Promise::new(&consumer.0.port, id).settle(Err(fault)),
    Ok(lease) => consumer.0.request(id, move |desk| {
      let outcome = desk.poll(&lease, limit as usize, timeout_ms);
      drop(lease);
      outcome
    }),
  }
}

/// A request about partitions; a list that is no good rejects the promise.
fn with_places(
  consumer: Handled,
  id: u32,
  places: std::result::Result<Places, Fault>,
  body: impl FnOnce(&mut Consumer, &Places) -> Outcome + Send + 'static,
) {
  match places {
    Err(fault) => Promise::new(&consumer.0.port, id).settle(Err(fault)),
    Ok(places) => consumer.0.request(id, move |desk| body(desk, &places)),
  }
}

#[napi]
pub fn consumer_subscribe(consumer: Handled, id: u32, topics: Vec<String>) {
  if topics.is_empty() {
    return consumer.0.request(id, Consumer::unsubscribe);
  }
  with_places(consumer, id, Places::topics(&topics), Consumer::subscribe);
}

#[napi]
pub fn consumer_assign(consumer: Handled, id: u32, places: Vec<Place>) {
  with_places(consumer, id, Places::of(&places), Consumer::assign);
}

#[napi]
pub fn consumer_take(consumer: Handled, id: u32, places: Vec<Place>) {
  with_places(consumer, id, Places::of(&places), Consumer::take);
}

#[napi]
pub fn consumer_unassign(consumer: Handled, id: u32, places: Vec<Place>) {
  with_places(consumer, id, Places::of(&places), Consumer::unassign);
}

#[napi]
pub fn consumer_pause(consumer: Handled, id: u32, places: Vec<Place>) {
  with_places(consumer, id, Places::of(&places), Consumer::pause);
}

#[napi]
pub fn consumer_resume(consumer: Handled, id: u32, places: Vec<Place>) {
  with_places(consumer, id, Places::of(&places), Consumer::resume);
}

#[napi]
pub fn consumer_seek(consumer: Handled, id: u32, places: Vec<Place>, timeout_ms: i32) {
  with_places(consumer, id, Places::of(&places), move |desk, places| desk.seek(places, timeout_ms));
}

#[napi]
pub fn consumer_read_from(consumer: Handled, id: u32, places: Vec<Place>, timeout_ms: i32) {
  with_places(consumer, id, Places::of(&places), move |desk, places| desk.read_from(places, timeout_ms));
}

#[napi]
pub fn consumer_committed(consumer: Handled, id: u32, places: Vec<Place>, timeout_ms: i32) {
  with_places(consumer, id, Places::of(&places), move |desk, places| desk.committed(places, timeout_ms));
}

#[napi]
pub fn consumer_commit(consumer: Handled, id: u32, places: Vec<Place>, timeout_ms: i32) {
  with_places(consumer, id, Places::of(&places), move |desk, places| desk.commit(places, timeout_ms));
}

#[napi]
pub fn consumer_offsets_for_times(consumer: Handled, id: u32, places: Vec<Place>, timeout_ms: i32) {
  with_places(consumer, id, Places::of(&places), move |desk, places| desk.offsets_for_times(places, timeout_ms));
}

#[napi]
pub fn consumer_epoch(consumer: Handled, id: u32) {
  consumer.0.request(id, Consumer::epoch);
}

#[napi]
pub fn consumer_watermarks(consumer: Handled, id: u32, topic: String, partition: i32, timeout_ms: i32) {
  consumer.0.request(id, move |desk| desk.watermarks(&topic, partition, timeout_ms));
}

/// The partition's end (high watermark) as of the last fetch, without a request; negative where it is not known.
#[napi]
pub fn consumer_known_end(consumer: Handled, topic: String, partition: i32) -> f64 {
  let end = consumer.0.with(|raw| {
    let (topic, mut low, mut high) = (c_string(&topic)?, 0i64, 0i64);
    let err = unsafe { rd_kafka_get_watermark_offsets(raw.rk, topic.as_ptr(), partition, &mut low, &mut high) };
    fault::check(fault::code(err)).map(|_| high)
  });
  end.unwrap_or(-1) as f64
}

#[napi]
pub fn consumer_close(consumer: Handled, id: u32, timeout_ms: i32) {
  consumer.0.close(id, timeout_ms);
}

/// Where the next message will come from; −1001 before the first one.
#[napi]
pub fn consumer_position(consumer: Handled, places: Vec<Place>) -> Result<String> {
  let places = Places::of(&places)?;
  let text = consumer.0.with(|raw| {
    fault::check(fault::code(unsafe { rd_kafka_position(raw.rk, places.0) }))?;
    Ok(places.json())
  })?;
  Ok(text)
}

#[napi]
pub fn consumer_assignment(consumer: Handled) -> Result<String> {
  let text = consumer.0.with(|raw| unsafe {
    let mut list = std::ptr::null_mut();
    fault::check(fault::code(rd_kafka_assignment(raw.rk, &mut list)))?;
    Ok(Places(list).json())
  })?;
  Ok(text)
}

#[napi]
pub fn consumer_group_metadata(consumer: Handled) -> Result<Uint8Array> {
  Ok(consumer.0.with(|raw| unsafe { group_metadata(raw.rk, &consumer.0.signals.membership) })?.into())
}

/// An error if the group has let the member go since it gave what the client has.
pub unsafe fn group_metadata(rk: *mut rd_kafka_t, membership: &Membership) -> std::result::Result<Vec<u8>, Fault> {
  unsafe {
    let metadata = rd_kafka_consumer_group_metadata(rk);
    if metadata.is_null() {
      return Err(Fault::invalid("the consumer has no group: set group.id"));
    }
    let (mut buffer, mut size): (*mut c_void, usize) = (std::ptr::null_mut(), 0);
    let member = fault::text(rd_kafka_consumer_group_metadata_member_id(metadata));
    let outcome = fault::settle(rd_kafka_consumer_group_metadata_write(metadata, &mut buffer, &mut size));
    rd_kafka_consumer_group_metadata_destroy(metadata);
    outcome?;
    // Of the same moment: whom the group lets go later it refuses by itself.
    let checked = membership.check(&member);
    let bytes = std::slice::from_raw_parts(buffer.cast::<u8>(), size).to_vec();
    rd_kafka_mem_free(rk, buffer);
    checked.map(|_| bytes)
  }
}

#[napi]
pub fn consumer_assignment_lost(consumer: Handled) -> Result<bool> {
  Ok(consumer.0.with(|raw| Ok(unsafe { rd_kafka_assignment_lost(raw.rk) } != 0))?)
}

#[napi]
pub fn consumer_member_id(consumer: Handled) -> Result<String> {
  Ok(consumer.0.with(|raw| Ok(unsafe { member_id(raw.rk) }))?)
}

#[napi]
pub fn consumer_fatal_error(consumer: Handled) -> Result<Option<String>> {
  Ok(consumer.0.with(|raw| Ok(signals::fatal(raw.rk).map(|fault| fault.json())))?)
}

/// The number that stands for a topic in an arena's index.
#[napi]
pub fn consumer_topic_id(consumer: Handled, name: String) -> i32 {
  consumer.0.signals.topics().intern(&name)
}

#[napi]
pub fn consumer_topic(consumer: Handled, id: i32) -> Option<String> {
  consumer.0.signals.topics().name(id)
}

#[napi]
pub fn consumer_set_token(consumer: Handled, token: String, lifetime_ms: f64, principal: String) -> Result<()> {
  Ok(consumer.0.with(|raw| set_token(raw.rk, &token, lifetime_ms, &principal))?)
}

#[napi]
pub fn consumer_refuse_token(consumer: Handled, reason: String) -> Result<()> {
  Ok(consumer.0.with(|raw| refuse_token(raw.rk, &reason))?)
}

/// `lifetime_ms` is the moment at which the token ends, in ms since 1970.
pub fn set_token(rk: *mut rd_kafka_t, token: &str, lifetime_ms: f64, principal: &str) -> std::result::Result<(), Fault> {
  let (token, principal) = (c_string(token)?, c_string(principal)?);
  let mut text = [0 as std::ffi::c_char; 512];
  let (token, principal, none) = (token.as_ptr(), principal.as_ptr(), std::ptr::null_mut());
  let until = lifetime_ms as i64;
  let err =
    unsafe { rd_kafka_oauthbearer_set_token(rk, token, until, principal, none, 0, text.as_mut_ptr(), text.len()) };
  match fault::code(err) {
    0 => Ok(()),
    code => Err(Fault::coded(code, &unsafe { fault::text(text.as_ptr()) })),
  }
}

pub fn refuse_token(rk: *mut rd_kafka_t, reason: &str) -> std::result::Result<(), Fault> {
  let reason = c_string(reason)?;
  fault::check(fault::code(unsafe { rd_kafka_oauthbearer_set_token_failure(rk, reason.as_ptr()) }))
}
