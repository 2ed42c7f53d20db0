//! From a list of settings to a librdkafka client with our callbacks.

use crate::fault::{self, Fault};
use crate::signals::{self, Signals};
use napi_derive::napi;
use rdkafka_sys::bindings::*;
use std::ffi::{CString, c_char};
use std::sync::Arc;

#[napi(object)]
pub struct Setting {
  pub name: String,
  pub value: String,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Role {
  Consumer,
  Producer,
  Admin,
}

/// A C string; NUL inside is refused.
pub fn c_string(text: &str) -> Result<CString, Fault> {
  CString::new(text).map_err(|_| Fault::invalid(format!("{text:?} has a NUL character in it")))
}

struct Conf(*mut rd_kafka_conf_t);

impl Drop for Conf {
  fn drop(&mut self) {
    if !self.0.is_null() {
      unsafe { rd_kafka_conf_destroy(self.0) };
    }
  }
}

/// A live client. The pointer to `signals` that librdkafka got is owned by the caller's `Arc`.
pub fn build(role: Role, settings: &[Setting], signals: &Arc<Signals>) -> Result<*mut rd_kafka_t, Fault> {
  let mut conf = Conf(unsafe { rd_kafka_conf_new() });
  for setting in settings {
    set(&conf, &setting.name, &setting.value)?;
  }
  set(&conf, "log.queue", "true")?;
  callbacks(&conf, role, settings, signals);
  let rk = create(&mut conf, role)?;
  unsafe { rd_kafka_set_log_queue(rk, std::ptr::null_mut()) };
  if role == Role::Consumer {
    unsafe { rd_kafka_poll_set_consumer(rk) };
  }
  if wants_tokens(settings) {
    fault::settle(unsafe { rd_kafka_sasl_background_callbacks_enable(rk) }).inspect_err(|_| unsafe { rd_kafka_destroy(rk) })?;
  }
  Ok(rk)
}

fn set(conf: &Conf, name: &str, value: &str) -> Result<(), Fault> {
  let (c_name, c_value) = (c_string(name)?, c_string(value)?);
  let mut text = [0 as c_char; 512];
  let result = unsafe { rd_kafka_conf_set(conf.0, c_name.as_ptr(), c_value.as_ptr(), text.as_mut_ptr(), text.len()) };
  match result {
    rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
    _ => Err(Fault::invalid(unsafe { fault::text(text.as_ptr()) })),
  }
}

fn callbacks(conf: &Conf, role: Role, settings: &[Setting], signals: &Arc<Signals>) {
  let opaque = Arc::as_ptr(signals).cast_mut().cast();
  unsafe {
    rd_kafka_conf_set_opaque(conf.0, opaque);
    rd_kafka_conf_set_log_cb(conf.0, Some(signals::on_log));
    rd_kafka_conf_set_stats_cb(conf.0, Some(signals::on_stats));
    rd_kafka_conf_set_error_cb(conf.0, Some(signals::on_error));
    match role {
      Role::Consumer => rd_kafka_conf_set_rebalance_cb(conf.0, Some(signals::on_rebalance)),
      Role::Producer => {
        rd_kafka_conf_set_dr_msg_cb(conf.0, Some(signals::on_delivery));
        rd_kafka_conf_interceptor_add_on_new(conf.0, c"headrace".as_ptr(), Some(signals::on_new), opaque);
      }
      Role::Admin => {}
    }
    if wants_tokens(settings) {
      rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf.0, Some(signals::on_token));
      rd_kafka_conf_enable_sasl_queue(conf.0, 1);
    }
  }
}

fn get<'a>(settings: &'a [Setting], names: &[&str]) -> &'a str {
  settings.iter().rfind(|s| names.contains(&s.name.as_str())).map_or("", |s| s.value.as_str())
}

/// OAUTHBEARER with tokens from JavaScript, rather than librdkafka's own unsecured ones.
fn wants_tokens(settings: &[Setting]) -> bool {
  get(settings, &["sasl.mechanism", "sasl.mechanisms"]) == "OAUTHBEARER"
    && get(settings, &["enable.sasl.oauthbearer.unsecure.jwt"]) != "true"
    && get(settings, &["sasl.oauthbearer.method"]) != "oidc"
}

fn create(conf: &mut Conf, role: Role) -> Result<*mut rd_kafka_t, Fault> {
  let kind = match role {
    // An admin client that were a producer would create the topics that it only asks about.
    Role::Consumer | Role::Admin => rd_kafka_type_t::RD_KAFKA_CONSUMER,
    Role::Producer => rd_kafka_type_t::RD_KAFKA_PRODUCER,
  };
  let mut text = [0 as c_char; 512];
  let rk = unsafe { rd_kafka_new(kind, conf.0, text.as_mut_ptr(), text.len()) };
  if rk.is_null() {
    return Err(Fault::invalid(unsafe { fault::text(text.as_ptr()) }));
  }
  conf.0 = std::ptr::null_mut();
  Ok(rk)
}
