//! The thread of an admin client: one request after the other, each with its own queue and time limit.

use crate::client::{Desk, Outcome, Raw};
use crate::config::c_string;
use crate::fault::{self, Fault};
use crate::group;
use crate::json;
use crate::mailbox::Mailbox;
use crate::place::{self, Places};
use crate::port::Answer;
use crate::settings::{self, Asked};
use crate::signals::Signals;
use crate::transactions;
use napi_derive::napi;
use rdkafka_sys::bindings::*;
use std::ffi::c_char;
use std::sync::Arc;

pub struct Admin {
  raw: Raw,
  jobs: Arc<Mailbox<Admin>>,
}

#[napi(object)]
pub struct TopicSpec {
  pub topic: String,
  pub partitions: i32,
  pub replication: i32,
  pub config: Vec<crate::config::Setting>,
}

impl Desk for Admin {
  fn open(raw: Raw, _: Arc<Signals>, jobs: Arc<Mailbox<Admin>>) -> Admin {
    Admin { raw, jobs }
  }

  fn idle(&mut self) {
    if !self.jobs.pending() {
      unsafe { rd_kafka_poll(self.raw.rk, 200) };
    }
  }

  fn explain(&mut self) {
    unsafe { rd_kafka_poll(self.raw.rk, 0) };
  }

  fn leave(&mut self, _: i32) -> Result<(), Fault> {
    Ok(())
  }
}

/// A request to the cluster and its answer.
struct Call {
  queue: *mut rd_kafka_queue_t,
  options: *mut rd_kafka_AdminOptions_t,
  timeout_ms: i32,
}

impl Call {
  fn new(rk: *mut rd_kafka_t, timeout_ms: i32) -> Result<Call, Fault> {
    let call = unsafe {
      let options = rd_kafka_AdminOptions_new(rk, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ANY);
      Call { queue: rd_kafka_queue_new(rk), options, timeout_ms }
    };
    let mut text = [0 as c_char; 256];
    let err = unsafe {
      rd_kafka_AdminOptions_set_request_timeout(call.options, timeout_ms, text.as_mut_ptr(), text.len())
    };
    match fault::code(err) {
      0 => Ok(call),
      _ => Err(Fault::invalid(unsafe { fault::text(text.as_ptr()) })),
    }
  }

  fn answer(&self) -> Result<Event, Fault> {
    // The request's own limit speaks first; this one only guards against silence.
    let event = Event(unsafe { rd_kafka_queue_poll(self.queue, self.timeout_ms.saturating_add(1000)) });
    if event.0.is_null() {
      return Err(Fault::timed_out(format!("the cluster did not answer within {} ms", self.timeout_ms)));
    }
    match unsafe { fault::code(rd_kafka_event_error(event.0)) } {
      0 => Ok(event),
      code => Err(Fault::coded(code, &unsafe { fault::text(rd_kafka_event_error_string(event.0)) })),
    }
  }
}

impl Drop for Call {
  fn drop(&mut self) {
    unsafe {
      rd_kafka_queue_destroy(self.queue);
      rd_kafka_AdminOptions_destroy(self.options);
    }
  }
}

struct Event(*mut rd_kafka_event_t);

impl Drop for Event {
  fn drop(&mut self) {
    if !self.0.is_null() {
      unsafe { rd_kafka_event_destroy(self.0) };
    }
  }
}

struct NewTopic(*mut rd_kafka_NewTopic_t);

impl Drop for NewTopic {
  fn drop(&mut self) {
    unsafe { rd_kafka_NewTopic_destroy(self.0) };
  }
}

fn new_topic(spec: &TopicSpec) -> Result<NewTopic, Fault> {
  let name = c_string(&spec.topic)?;
  let mut text = [0 as c_char; 256];
  let raw = unsafe {
    rd_kafka_NewTopic_new(name.as_ptr(), spec.partitions, spec.replication, text.as_mut_ptr(), text.len())
  };
  if raw.is_null() {
    return Err(Fault::invalid(unsafe { fault::text(text.as_ptr()) }));
  }
  let topic = NewTopic(raw);
  for setting in &spec.config {
    let (key, value) = (c_string(&setting.name)?, c_string(&setting.value)?);
    fault::check(fault::code(unsafe { rd_kafka_NewTopic_set_config(topic.0, key.as_ptr(), value.as_ptr()) }))?;
  }
  Ok(topic)
}

unsafe fn topic_results(list: *mut *const rd_kafka_topic_result_t, count: usize) -> String {
  json::array((0..count).map(|i| unsafe {
    let result = *list.add(i);
    let code = fault::code(rd_kafka_topic_result_error(result));
    let name = json::quoted(&fault::text(rd_kafka_topic_result_name(result)));
    if code == 0 {
      return format!("{{\"topic\":{name}}}");
    }
    let fault = Fault::coded(code, &fault::text(rd_kafka_topic_result_error_string(result)));
    format!("{{\"topic\":{name},\"error\":{}}}", fault.json())
  }))
}

impl Admin {
  pub fn create_topics(&mut self, specs: &[TopicSpec], timeout_ms: i32) -> Outcome {
    let topics = specs.iter().map(new_topic).collect::<Result<Vec<_>, _>>()?;
    let mut raw: Vec<_> = topics.iter().map(|topic| topic.0).collect();
    let call = Call::new(self.raw.rk, timeout_ms)?;
    unsafe { rd_kafka_CreateTopics(self.raw.rk, raw.as_mut_ptr(), raw.len(), call.options, call.queue) };
    let event = call.answer()?;
    unsafe {
      let mut count = 0;
      let list = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.0), &mut count);
      Ok(Answer::text(topic_results(list, count)))
    }
  }

  pub fn delete_topics(&mut self, names: &[String], timeout_ms: i32) -> Outcome {
    let names = names.iter().map(|name| c_string(name)).collect::<Result<Vec<_>, _>>()?;
    let call = Call::new(self.raw.rk, timeout_ms)?;
    let mut raw: Vec<_> = names.iter().map(|name| unsafe { rd_kafka_DeleteTopic_new(name.as_ptr()) }).collect();
    unsafe {
      rd_kafka_DeleteTopics(self.raw.rk, raw.as_mut_ptr(), raw.len(), call.options, call.queue);
      rd_kafka_DeleteTopic_destroy_array(raw.as_mut_ptr(), raw.len());
    }
    let event = call.answer()?;
    unsafe {
      let mut count = 0;
      let list = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.0), &mut count);
      Ok(Answer::text(topic_results(list, count)))
    }
  }

  pub fn delete_records(&mut self, places: &Places, timeout_ms: i32) -> Outcome {
    let call = Call::new(self.raw.rk, timeout_ms)?;
    unsafe {
      let mut request = rd_kafka_DeleteRecords_new(places.0);
      rd_kafka_DeleteRecords(self.raw.rk, &mut request, 1, call.options, call.queue);
      rd_kafka_DeleteRecords_destroy(request);
      let event = call.answer()?;
      let result = rd_kafka_event_DeleteRecords_result(event.0);
      Ok(Answer::text(place::describe(rd_kafka_DeleteRecords_result_offsets(result))))
    }
  }

  /// The settings of these topics, each with its own error.
  pub fn settings(&mut self, topics: &[String], timeout_ms: i32) -> Outcome {
    let mut asked = Asked::topics(topics)?;
    let call = Call::new(self.raw.rk, timeout_ms)?;
    unsafe { rd_kafka_DescribeConfigs(self.raw.rk, asked.0.as_mut_ptr(), asked.0.len(), call.options, call.queue) };
    let event = call.answer()?;
    Ok(Answer::text(unsafe { settings::describe(rd_kafka_event_DescribeConfigs_result(event.0)) }))
  }

  /// Who is in a group.
  pub fn members(&mut self, group: &str, timeout_ms: i32) -> Outcome {
    Ok(Answer::text(group::members(self.raw.rk, &c_string(group)?, timeout_ms)?))
  }

  /// Which transactions are open.
  pub fn transactions(&mut self, prefix: &str, timeout_ms: i32) -> Outcome {
    Ok(Answer::text(transactions::open(self.raw.rk, prefix, timeout_ms)?))
  }

  /// One topic, or all of them with `None`.
  pub fn metadata(&mut self, topic: Option<&str>, timeout_ms: i32) -> Outcome {
    let name = topic.map(c_string).transpose()?;
    unsafe {
      let handle = name.as_ref().map(|name| rd_kafka_topic_new(self.raw.rk, name.as_ptr(), std::ptr::null_mut()));
      if handle.is_some_and(|handle| handle.is_null()) {
        return Err(Fault::coded(fault::code(rd_kafka_last_error()), ""));
      }
      let mut raw: *const rd_kafka_metadata = std::ptr::null();
      let all = i32::from(handle.is_none());
      let only = handle.unwrap_or(std::ptr::null_mut());
      let code = fault::code(rd_kafka_metadata(self.raw.rk, all, only, &mut raw, timeout_ms));
      if let Some(handle) = handle {
        rd_kafka_topic_destroy(handle);
      }
      fault::check(code)?;
      let text = describe(raw);
      rd_kafka_metadata_destroy(raw);
      Ok(Answer::text(text))
    }
  }
}

unsafe fn describe(raw: *const rd_kafka_metadata) -> String {
  unsafe {
    let brokers = (0..(*raw).broker_cnt as usize).map(|i| {
      let broker = (*raw).brokers.add(i);
      let host = json::quoted(&fault::text((*broker).host));
      format!("{{\"id\":{},\"host\":{host},\"port\":{}}}", (*broker).id, (*broker).port)
    });
    let topics = (0..(*raw).topic_cnt as usize).map(|i| describe_topic((*raw).topics.add(i)));
    format!("{{\"brokers\":{},\"topics\":{}}}", json::array(brokers), json::array(topics))
  }
}

unsafe fn error_field(err: *const rd_kafka_resp_err_t) -> String {
  match unsafe { std::ptr::read(err.cast::<i32>()) } {
    0 => String::new(),
    code => format!(",\"error\":{}", Fault::coded(code, "").json()),
  }
}

unsafe fn describe_topic(topic: *const rd_kafka_metadata_topic) -> String {
  unsafe {
    let partitions = (0..(*topic).partition_cnt as usize).map(|i| {
      let partition = (*topic).partitions.add(i);
      let (id, leader, replicas, isr) =
        ((*partition).id, (*partition).leader, (*partition).replica_cnt, (*partition).isr_cnt);
      let error = error_field(&raw const (*partition).err);
      format!("{{\"partition\":{id},\"leader\":{leader},\"replicas\":{replicas},\"inSync\":{isr}{error}}}")
    });
    let error = error_field(&raw const (*topic).err);
    let name = json::quoted(&fault::text((*topic).topic));
    format!("{{\"topic\":{name},\"partitions\":{}{error}}}", json::array(partitions))
  }
}
