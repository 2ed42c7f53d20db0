//! What consumers, producers and admins share: a librdkafka handle, the thread that owns it, and its end.

use crate::config::{self, Role, Setting};
use crate::fault::{self, Fault};
use crate::mailbox::Mailbox;
use crate::port::{Answer, Listener, Port, Promise};
use crate::signals::Signals;
use napi::bindgen_prelude::*;
use napi::sys;
use rdkafka_sys::bindings::*;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, RwLock};

unsafe extern "C" {
  fn headrace_attend(rk: *mut rd_kafka_t) -> *mut c_void;
}

pub type Outcome = std::result::Result<Answer, Fault>;

/// The raw pointers of a client, valid as long as nobody took them out of `Client::raw`.
#[derive(Clone, Copy)]
pub struct Raw {
  pub rk: *mut rd_kafka_t,
  /// Where polls wait: the consumer's queue, or a producer's main queue.
  pub queue: *mut rd_kafka_queue_t,
  /// By which it is looked after (attend.c). Freed when the handle is destroyed.
  timer: *mut c_void,
}

unsafe impl Send for Raw {}
unsafe impl Sync for Raw {}

/// What the thread of a client works on.
pub trait Desk: Send + 'static {
  fn open(raw: Raw, signals: Arc<Signals>, jobs: Arc<Mailbox<Self>>) -> Self
  where
    Self: Sized;
  /// Called in a loop: runs the next job, or serves librdkafka while there is none.
  fn idle(&mut self);
  /// Serves librdkafka's callbacks after a call that failed, so that the events tell why before the answer comes.
  fn explain(&mut self) {}
  /// Lets go of everything that would outlive the handle, within about `timeout_ms`.
  fn leave(&mut self, timeout_ms: i32) -> std::result::Result<(), Fault>;
}

pub struct Client<S: Desk> {
  raw: RwLock<Option<Raw>>,
  jobs: Arc<Mailbox<S>>,
  pub port: Arc<Port>,
  pub signals: Arc<Signals>,
}

/// What JavaScript holds. When it is collected, the client closes.
pub struct Handle<S: Desk>(pub Arc<Client<S>>);

impl<S: Desk> Drop for Handle<S> {
  fn drop(&mut self) {
    self.0.abandon();
  }
}

/// How long a client that was forgotten may take to leave its group.
const FORGOTTEN_MS: i32 = 3000;

impl<S: Desk> Client<S> {
  pub fn open(env: &Env, role: Role, settings: &[Setting], listener: Listener) -> Result<External<Handle<S>>> {
    let port = Port::new(listener)?;
    let signals = Signals::new(port.clone());
    let rk = config::build(role, settings, &signals)?;
    let queue = unsafe {
      match role {
        Role::Consumer => rd_kafka_queue_get_consumer(rk),
        _ => rd_kafka_queue_get_main(rk),
      }
    };
    if queue.is_null() {
      unsafe { rd_kafka_destroy(rk) };
      return Err(Fault::invalid("a consumer needs a group.id, also one that only assigns").into());
    }
    let raw = Raw { rk, queue, timer: unsafe { headrace_attend(rk) } };
    let client = Arc::new(Client { raw: RwLock::new(Some(raw)), jobs: Arc::new(Mailbox::new()), port, signals });
    client.start(raw)?;
    close_with(env, &client);
    Ok(External::new(Handle(client)))
  }

  fn start(self: &Arc<Self>, raw: Raw) -> std::result::Result<(), Fault> {
    let client = self.clone();
    let run = move || client.run(raw);
    match std::thread::Builder::new().name("headrace-kafka".into()).spawn(run) {
      Ok(_) => Ok(()),
      Err(error) => {
        self.destroy();
        Err(Fault::other(format!("cannot start a thread: {error}")))
      }
    }
  }

  fn run(self: Arc<Self>, raw: Raw) {
    let mut desk = S::open(raw, self.signals.clone(), self.jobs.clone());
    while self.alive() {
      // Jobs catch their own panics; this is for the serving in between.
      let _ = catch_unwind(AssertUnwindSafe(|| match self.jobs.take() {
        Some(job) => job(&mut desk),
        None => desk.idle(),
      }));
    }
  }

  fn alive(&self) -> bool {
    self.raw.read().map_or_else(|e| e.into_inner().is_some(), |raw| raw.is_some())
  }

  /// Runs `body` on the calling thread while the handle is kept from being destroyed.
  pub fn with<T>(&self, body: impl FnOnce(Raw) -> std::result::Result<T, Fault>) -> std::result::Result<T, Fault> {
    let guard = self.raw.read().unwrap_or_else(|e| e.into_inner());
    let raw = (*guard).filter(|_| !self.signals.closing.load(Ordering::Acquire)).ok_or_else(Fault::closed)?;
    match catch_unwind(AssertUnwindSafe(|| body(raw))) {
      Ok(outcome) => outcome,
      Err(panic) => Err(Fault::other(fault::panic_text(panic))),
    }
  }

  /// Queues a job for the client's thread; its outcome settles promise `id` of this client's listener.
  pub fn request(&self, id: u32, body: impl FnOnce(&mut S) -> Outcome + Send + 'static) {
    // Shared, so that a job which is refused (and dropped) leaves the promise for the reason.
    let promise = Arc::new(Mutex::new(Some(Promise::new(&self.port, id))));
    let mine = promise.clone();
    let job = move |desk: &mut S| {
      let outcome = guarded(|| body(desk));
      if outcome.is_err() {
        desk.explain();
      }
      settle(&mine, outcome);
    };
    match self.jobs.post(Box::new(job)) {
      Ok(()) => self.wake(),
      Err(fault) => settle(&promise, Err(fault)),
    }
  }

  /// Ends a wait in librdkafka that is under way, or else the next one.
  pub fn wake(&self) {
    let guard = self.raw.read().unwrap_or_else(|e| e.into_inner());
    if let Some(raw) = *guard {
      unsafe { rd_kafka_queue_yield(raw.queue) };
    }
  }

  /// Closes after the jobs that wait already. A second close is answered at once.
  pub fn close(self: &Arc<Self>, id: u32, timeout_ms: i32) {
    let promise = Promise::new(&self.port, id);
    // Refused when it closes already: then the promise goes with the job, and says "closed".
    self.end(timeout_ms, move |outcome| promise.settle(outcome));
  }

  fn abandon(self: &Arc<Self>) {
    self.end(FORGOTTEN_MS, |_| {});
  }

  fn end(self: &Arc<Self>, timeout_ms: i32, done: impl FnOnce(Outcome) + Send + 'static) {
    let client = self.clone();
    let job = move |desk: &mut S| {
      client.signals.closing.store(true, Ordering::Release);
      let outcome = guarded(|| desk.leave(timeout_ms).map(|_| Answer::default()));
      // After a time-out librdkafka may go on waiting for its cluster; nobody else needs to.
      if outcome.is_err() {
        done(outcome);
        client.destroy();
      } else {
        client.destroy();
        done(outcome);
      }
    };
    self.jobs.post_last(Box::new(job));
    self.wake();
  }

  /// Waits for calls on other threads that use the handle, then destroys it.
  fn destroy(&self) {
    let raw = self.raw.write().unwrap_or_else(|e| e.into_inner()).take();
    if let Some(raw) = raw {
      unsafe {
        self.signals.targets().0.drain(..).for_each(|(_, topic)| rd_kafka_topic_destroy(topic));
        rd_kafka_queue_destroy(raw.queue);
        rd_kafka_destroy_flags(raw.rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE as i32);
        libc::free(raw.timer);
      }
    }
  }
}

fn settle(promise: &Mutex<Option<Promise>>, outcome: Outcome) {
  if let Some(promise) = promise.lock().unwrap_or_else(|e| e.into_inner()).take() {
    promise.settle(outcome);
  }
}

fn guarded(body: impl FnOnce() -> Outcome) -> Outcome {
  catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(Fault::other(fault::panic_text(panic))))
}

/// A worker thread that ends (or is terminated) takes its clients with it.
fn close_with<S: Desk>(env: &Env, client: &Arc<Client<S>>) {
  type Hook = Box<dyn FnOnce()>;
  unsafe extern "C" fn run(hook: *mut c_void) {
    let hook = unsafe { Box::from_raw(hook.cast::<Hook>()) };
    let _ = catch_unwind(AssertUnwindSafe(*hook));
  }
  let weak = Arc::downgrade(client);
  let hook: Hook = Box::new(move || {
    if let Some(client) = weak.upgrade() {
      client.abandon();
    }
  });
  let hook = Box::into_raw(Box::new(hook));
  if unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(run), hook.cast()) } != 0 {
    drop(unsafe { Box::from_raw(hook) });
  }
}
