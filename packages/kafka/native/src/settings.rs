//! The settings of topics, which any broker tells.

use crate::config::c_string;
use crate::fault::{self, Fault};
use crate::json;
use rdkafka_sys::bindings::*;

/// What is asked about: these topics.
pub struct Asked(pub Vec<*mut rd_kafka_ConfigResource_t>);

impl Asked {
  pub fn topics(names: &[String]) -> Result<Asked, Fault> {
    let names = names.iter().map(|name| c_string(name)).collect::<Result<Vec<_>, _>>()?;
    let kind = rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
    Ok(Asked(names.iter().map(|name| unsafe { rd_kafka_ConfigResource_new(kind, name.as_ptr()) }).collect()))
  }
}

impl Drop for Asked {
  fn drop(&mut self) {
    unsafe { rd_kafka_ConfigResource_destroy_array(self.0.as_mut_ptr(), self.0.len()) };
  }
}

/// `[{"topic": …, "settings": {…}}]`, or with an `error` in place of the settings. The event must outlive the call.
pub unsafe fn describe(result: *const rd_kafka_DescribeConfigs_result_t) -> String {
  unsafe {
    let mut count = 0;
    let list = rd_kafka_DescribeConfigs_result_resources(result, &mut count);
    json::array((0..count).map(|i| describe_topic(*list.add(i))))
  }
}

unsafe fn describe_topic(resource: *const rd_kafka_ConfigResource_t) -> String {
  unsafe {
    let name = json::quoted(&fault::text(rd_kafka_ConfigResource_name(resource)));
    let code = fault::code(rd_kafka_ConfigResource_error(resource));
    if code != 0 {
      let fault = Fault::coded(code, &fault::text(rd_kafka_ConfigResource_error_string(resource)));
      return format!("{{\"topic\":{name},\"error\":{}}}", fault.json());
    }
    let mut count = 0;
    let list = rd_kafka_ConfigResource_configs(resource, &mut count);
    let settings = (0..count).map(|i| describe_entry(*list.add(i))).collect::<Vec<_>>().join(",");
    format!("{{\"topic\":{name},\"settings\":{{{settings}}}}}")
  }
}

/// Brokers keep the value of a secret to themselves: no value is null here.
unsafe fn describe_entry(entry: *const rd_kafka_ConfigEntry_t) -> String {
  unsafe {
    let name = json::quoted(&fault::text(rd_kafka_ConfigEntry_name(entry)));
    let value = rd_kafka_ConfigEntry_value(entry);
    let value = if value.is_null() { "null".into() } else { json::quoted(&fault::text(value)) };
    format!("{name}:{value}")
  }
}
