//! The connections of a client, so that one can be made anew.

use crate::signals;
use std::collections::BTreeSet;
use std::ffi::{c_int, c_void};
use std::sync::{Mutex, MutexGuard};

#[derive(Default)]
pub struct Sockets(Mutex<Open>);

/// One is closed under the lock only, so that none is broken off whose number is another's by now.
#[derive(Default)]
struct Open {
  sockets: BTreeSet<c_int>,
  /// The one that was broken off last.
  last: c_int,
}

impl Sockets {
  fn lock(&self) -> MutexGuard<'_, Open> {
    self.0.lock().unwrap_or_else(|e| e.into_inner())
  }

  /// Ends a connection, as its broker might, and another one the next time. librdkafka closes the socket, and connects
  /// again where it has to. Not all at once: whatever looks again then needs somebody to ask.
  pub fn break_one_off(&self) {
    let mut open = self.lock();
    let next = open.sockets.range(open.last + 1..).next().or(open.sockets.first()).copied();
    if let Some(socket) = next {
      open.last = socket;
      unsafe { libc::shutdown(socket, libc::SHUT_RDWR) };
    }
  }
}

/// What librdkafka does by default, but for keeping the number.
pub unsafe extern "C" fn on_socket(domain: c_int, kind: c_int, protocol: c_int, opaque: *mut c_void) -> c_int {
  let socket = unsafe { libc::socket(domain, kind, protocol) };
  if socket >= 0 {
    unsafe { libc::fcntl(socket, libc::F_SETFD, libc::FD_CLOEXEC) };
    if let Some(signals) = unsafe { signals::signals(opaque) } {
      signals.sockets.lock().sockets.insert(socket);
    }
  }
  socket
}

pub unsafe extern "C" fn on_close(socket: c_int, opaque: *mut c_void) -> c_int {
  let Some(signals) = (unsafe { signals::signals(opaque) }) else { return unsafe { libc::close(socket) } };
  let mut open = signals.sockets.lock();
  open.sockets.remove(&socket);
  unsafe { libc::close(socket) }
}
