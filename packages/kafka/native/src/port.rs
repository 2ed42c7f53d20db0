//! The way back to JavaScript: one callback for each client, called with the number of the request.

use crate::fault::Fault;
use napi::bindgen_prelude::*;
use napi::sys;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use std::sync::Arc;

/// What a request came to. `a` and `b` are two numbers (of a poll: messages and bytes), `text` is JSON.
#[derive(Default)]
pub struct Answer {
  pub a: f64,
  pub b: f64,
  pub text: Option<String>,
}

impl Answer {
  pub fn text(text: String) -> Answer {
    Answer { text: Some(text), ..Answer::default() }
  }
}

pub struct Reply {
  id: u32,
  outcome: std::result::Result<Answer, Fault>,
}

type Arguments = FnArgs<(u32, Option<String>, f64, f64, Option<String>)>;
type Callback = ThreadsafeFunction<Reply, Unknown<'static>, Arguments, Status, false, true, 0>;
pub type Listener<'a> = Function<'a, Arguments, Unknown<'static>>;

pub struct Port {
  callback: Callback,
}

impl Port {
  pub fn new(listener: Listener) -> Result<Arc<Port>> {
    let builder = listener.build_threadsafe_function::<Reply>().callee_handled::<false>().weak::<true>();
    let callback = builder.build_callback(|context| Ok(arguments(context.value)))?;
    Ok(Arc::new(Port { callback }))
  }

  fn send(&self, reply: Reply) {
    // Refused only while the environment ends: then nobody waits for the answer any more.
    self.callback.call(reply, ThreadsafeFunctionCallMode::NonBlocking);
  }

  /// An event outside of any request.
  pub fn tell(&self, event: String) {
    self.send(Reply { id: 0, outcome: Ok(Answer::text(event)) });
  }

  /// Whether this client keeps its event loop alive: while a request is under way, it does.
  pub fn hold(&self, env: &Env, hold: bool) {
    self.callback.handle.with_read_aborted(|aborted| {
      let raw = self.callback.raw();
      match (aborted, hold) {
        (true, _) => 0,
        (false, true) => unsafe { sys::napi_ref_threadsafe_function(env.raw(), raw) },
        (false, false) => unsafe { sys::napi_unref_threadsafe_function(env.raw(), raw) },
      }
    });
  }
}

fn arguments(reply: Reply) -> Arguments {
  let (error, answer) = match reply.outcome {
    Ok(answer) => (None, answer),
    Err(fault) => (Some(fault.json()), Answer::default()),
  };
  (reply.id, error, answer.a, answer.b, answer.text).into()
}

/// A promise in JavaScript that is settled exactly once, whatever becomes of the job that holds this.
pub struct Promise {
  port: Arc<Port>,
  id: u32,
  settled: bool,
}

impl Promise {
  pub fn new(port: &Arc<Port>, id: u32) -> Promise {
    Promise { port: port.clone(), id, settled: false }
  }

  pub fn settle(mut self, outcome: std::result::Result<Answer, Fault>) {
    self.settled = true;
    self.port.send(Reply { id: self.id, outcome });
  }
}

impl Drop for Promise {
  fn drop(&mut self) {
    if !self.settled {
      self.port.send(Reply { id: self.id, outcome: Err(Fault::closed()) });
    }
  }
}
