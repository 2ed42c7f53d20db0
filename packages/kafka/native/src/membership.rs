//! Who a member of a group is, for as long as it has partitions.
//!
//! A member that its group has let go has lost what it had, and hears so. Not a static one that asks to join again just then, and is
//! told that nobody knows it: librdkafka (2.12: the end of rd_kafka_cgrp_handle_JoinGroup) joins under another id with all
//! that it had, since it waits for the question for an id that only others are asked. What the group then takes away is said to be
//! revoked, as if nobody else could have had it in between, and the group takes offsets of it.

use crate::fault::{self, Fault};
use rdkafka_sys::bindings::*;
use std::ptr;
use std::sync::{Mutex, MutexGuard};

/// The id under which the group gave what the client has; empty while it was given nothing.
#[derive(Default)]
pub struct Membership(Mutex<String>);

impl Membership {
  /// The group gives something, or says that all stays as it is. An error if it has let the member go since it gave what the
  /// client still has.
  ///
  /// # Safety
  /// `rk` is a live consumer; called from its rebalance callback.
  pub unsafe fn gives(&self, rk: *mut rd_kafka_t) -> Result<(), Fault> {
    if unsafe { self.is_over(rk) }? {
      return Err(Fault { fatal: true, ..fault() });
    }
    *self.known() = unsafe { member_id(rk) };
    Ok(())
  }

  /// The client has partitions, and not as the member that it is by now.
  ///
  /// # Safety
  /// As `gives`.
  pub unsafe fn is_over(&self, rk: *mut rd_kafka_t) -> Result<bool, Fault> {
    unsafe { Ok(has_partitions(rk)? && self.check(&member_id(rk)).is_err()) }
  }

  /// An error if offsets of what the client has are not to be committed by the member of this id.
  pub fn check(&self, id: &str) -> Result<(), Fault> {
    let known = self.known();
    if known.is_empty() || *known == id { Ok(()) } else { Err(Fault { abortable: true, ..fault() }) }
  }

  fn known(&self) -> MutexGuard<'_, String> {
    self.0.lock().unwrap_or_else(|e| e.into_inner())
  }
}

fn fault() -> Fault {
  let code = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID as i32;
  Fault::coded(code, "the group has let this member go, and others may have had its partitions since")
}

/// # Safety
/// `rk` is a live consumer.
pub unsafe fn member_id(rk: *mut rd_kafka_t) -> String {
  unsafe {
    let id = rd_kafka_memberid(rk);
    let text = fault::text(id);
    if !id.is_null() {
      rd_kafka_mem_free(rk, id.cast());
    }
    text
  }
}

unsafe fn has_partitions(rk: *mut rd_kafka_t) -> Result<bool, Fault> {
  unsafe {
    let mut list = ptr::null_mut();
    fault::check(fault::code(rd_kafka_assignment(rk, &mut list)))?;
    let has = (*list).cnt > 0;
    rd_kafka_topic_partition_list_destroy(list);
    Ok(has)
  }
}
