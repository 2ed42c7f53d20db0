//! The memory that polls write into.
//!
//! It is native and reference-counted, and JavaScript sees it through an external ArrayBuffer: a buffer that is
//! transferred, detached or collected while a poll writes does no harm.

use crate::fault::Fault;
use napi::bindgen_prelude::*;
use napi_derive::napi;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Numbers for each message: topic, partition, key at, length, value at, length, headers at, length.
pub const INDEX_STRIDE: usize = 8;
/// Offset and timestamp.
pub const STAMPS_STRIDE: usize = 2;

const BYTES_MAX: usize = 1 << 30;
const MESSAGES_MAX: usize = 1 << 20;

/// One block: bytes (rounded up to 8), then stamps (f64), then the index (i32).
pub struct Arena {
  block: *mut u8,
  layout: Layout,
  stamps_at: usize,
  index_at: usize,
  pub bytes: usize,
  pub messages: usize,
  busy: AtomicBool,
}

unsafe impl Send for Arena {}
unsafe impl Sync for Arena {}

impl Drop for Arena {
  fn drop(&mut self) {
    unsafe { dealloc(self.block, self.layout) };
  }
}

impl Arena {
  fn new(bytes: usize, messages: usize) -> std::result::Result<Arena, Fault> {
    if bytes == 0 || bytes > BYTES_MAX || messages == 0 || messages > MESSAGES_MAX {
      let limits = format!("1–{BYTES_MAX} bytes and 1–{MESSAGES_MAX} messages");
      return Err(Fault::invalid(format!("an arena has {limits}, not {bytes} and {messages}")));
    }
    let stamps_at = bytes.div_ceil(8) * 8;
    let index_at = stamps_at + messages * STAMPS_STRIDE * 8;
    let layout = Layout::from_size_align(index_at + messages * INDEX_STRIDE * 4, 64)
      .map_err(|error| Fault::invalid(error.to_string()))?;
    let block = unsafe { alloc_zeroed(layout) };
    if block.is_null() {
      return Err(Fault::other(format!("out of memory: an arena of {} bytes", layout.size())));
    }
    Ok(Arena { block, layout, stamps_at, index_at, bytes, messages, busy: AtomicBool::new(false) })
  }

  /// Copies into the byte region; the caller has made sure that it fits, and it is checked again.
  pub fn write(&self, at: usize, data: &[u8]) {
    assert!(at.checked_add(data.len()).is_some_and(|end| end <= self.bytes), "beyond the arena");
    unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), self.block.add(at), data.len()) };
  }

  pub fn describe(&self, message: usize, index: [i32; INDEX_STRIDE], stamps: [f64; STAMPS_STRIDE]) {
    assert!(message < self.messages, "beyond the arena's index");
    unsafe {
      let to = self.block.add(self.index_at).cast::<[i32; INDEX_STRIDE]>().add(message);
      std::ptr::write(to, index);
      let to = self.block.add(self.stamps_at).cast::<[f64; STAMPS_STRIDE]>().add(message);
      std::ptr::write(to, stamps);
    }
  }
}

/// The right to write into an arena, for one poll at a time.
pub struct Lease(pub Arc<Arena>);

impl Lease {
  pub fn take(arena: &Arc<Arena>) -> std::result::Result<Lease, Fault> {
    if arena.busy.swap(true, Ordering::AcqRel) {
      return Err(Fault::invalid("another poll writes into this arena: take two arenas in turn"));
    }
    Ok(Lease(arena.clone()))
  }
}

impl Drop for Lease {
  fn drop(&mut self) {
    self.0.busy.store(false, Ordering::Release);
  }
}

#[napi(object, object_from_js = false)]
pub struct ArenaParts<'a> {
  pub handle: External<Arc<Arena>>,
  pub buffer: ArrayBuffer<'a>,
  pub stamps_at: u32,
  pub index_at: u32,
}

/// `bytes` of payload for up to `messages` messages.
#[napi]
pub fn arena_create(env: &Env, bytes: f64, messages: f64) -> Result<ArenaParts<'_>> {
  let arena = Arc::new(Arena::new(bytes as usize, messages as usize)?);
  let (block, size) = (arena.block, arena.layout.size());
  let buffer = unsafe { ArrayBuffer::from_external(env, block, size, arena.clone(), |_, arena| drop(arena))? };
  if buffer.as_ptr() != block {
    return Err(Fault::other("this runtime does not allow native memory behind an ArrayBuffer").into());
  }
  let (stamps_at, index_at) = (arena.stamps_at as u32, arena.index_at as u32);
  Ok(ArenaParts { handle: External::new(arena), buffer, stamps_at, index_at })
}
