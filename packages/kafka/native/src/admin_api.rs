//! The functions of an admin client that JavaScript sees; all answer through the listener.

use crate::admin::{Admin, TopicSpec};
use crate::client::{Client, Handle};
use crate::config::{Role, Setting};
use crate::consumer_api::{refuse_token, set_token};
use crate::place::{Place, Places};
use crate::port::{Listener, Promise};
use napi::bindgen_prelude::*;
use napi_derive::napi;

type Handled<'a> = &'a External<Handle<Admin>>;

#[napi]
pub fn admin_open(env: &Env, settings: Vec<Setting>, listener: Listener<'_>) -> Result<External<Handle<Admin>>> {
  Client::open(env, Role::Admin, &settings, listener)
}

#[napi]
pub fn admin_hold(env: &Env, admin: Handled, hold: bool) {
  admin.0.port.hold(env, hold);
}

#[napi]
pub fn admin_create_topics(admin: Handled, id: u32, topics: Vec<TopicSpec>, timeout_ms: i32) {
  admin.0.request(id, move |desk| desk.create_topics(&topics, timeout_ms));
}

#[napi]
pub fn admin_delete_topics(admin: Handled, id: u32, topics: Vec<String>, timeout_ms: i32) {
  admin.0.request(id, move |desk| desk.delete_topics(&topics, timeout_ms));
}

#[napi]
pub fn admin_delete_records(admin: Handled, id: u32, places: Vec<Place>, timeout_ms: i32) {
  match Places::of(&places) {
    Err(fault) => Promise::new(&admin.0.port, id).settle(Err(fault)),
    Ok(places) => admin.0.request(id, move |desk| {
      let places = places;
      desk.delete_records(&places, timeout_ms)
    }),
  }
}

#[napi]
pub fn admin_metadata(admin: Handled, id: u32, topic: Option<String>, timeout_ms: i32) {
  admin.0.request(id, move |desk| desk.metadata(topic.as_deref(), timeout_ms));
}

#[napi]
pub fn admin_settings(admin: Handled, id: u32, topics: Vec<String>, timeout_ms: i32) {
  admin.0.request(id, move |desk| desk.settings(&topics, timeout_ms));
}

#[napi]
pub fn admin_members(admin: Handled, id: u32, group: String, timeout_ms: i32) {
  admin.0.request(id, move |desk| desk.members(&group, timeout_ms));
}

#[napi]
pub fn admin_transactions(admin: Handled, id: u32, prefix: String, timeout_ms: i32) {
  admin.0.request(id, move |desk| desk.transactions(&prefix, timeout_ms));
}

#[napi]
pub fn admin_events(admin: Handled) -> Option<String> {
  admin.0.signals.take()
}

#[napi]
pub fn admin_set_token(admin: Handled, token: String, lifetime_ms: f64, principal: String) -> Result<()> {
  Ok(admin.0.with(|raw| set_token(raw.rk, &token, lifetime_ms, &principal))?)
}

#[napi]
pub fn admin_refuse_token(admin: Handled, reason: String) -> Result<()> {
  Ok(admin.0.with(|raw| refuse_token(raw.rk, &reason))?)
}

#[napi]
pub fn admin_close(admin: Handled, id: u32, timeout_ms: i32) {
  admin.0.close(id, timeout_ms);
}
