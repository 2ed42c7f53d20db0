//! One thread for each client, and the jobs that it does in order.

use crate::fault::Fault;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

pub type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// More waiting calls than this on one client are a mistake of the caller.
const JOBS_MAX: usize = 1024;

/// A bounded queue of jobs. `pending` can be read without the lock: a waiting poll looks at it.
pub struct Mailbox<S> {
  inner: Mutex<Inner<S>>,
  arrived: Condvar,
  pending: AtomicUsize,
}

struct Inner<S> {
  jobs: VecDeque<Job<S>>,
  closed: bool,
}

impl<S> Mailbox<S> {
  pub fn new() -> Self {
    let inner = Inner { jobs: VecDeque::new(), closed: false };
    Mailbox { inner: Mutex::new(inner), arrived: Condvar::new(), pending: AtomicUsize::new(0) }
  }

  fn lock(&self) -> MutexGuard<'_, Inner<S>> {
    self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
  }

  pub fn post(&self, job: Job<S>) -> Result<(), Fault> {
    let mut inner = self.lock();
    if inner.closed {
      return Err(Fault::closed());
    }
    if inner.jobs.len() >= JOBS_MAX {
      return Err(Fault::queue_full(format!("{JOBS_MAX} calls on this client wait already")));
    }
    self.push(&mut inner, job);
    Ok(())
  }

  /// The last job: what comes after it is refused, and so is it after another last one.
  pub fn post_last(&self, job: Job<S>) {
    let mut inner = self.lock();
    if !inner.closed {
      inner.closed = true;
      self.push(&mut inner, job);
    }
  }

  fn push(&self, inner: &mut Inner<S>, job: Job<S>) {
    inner.jobs.push_back(job);
    self.pending.store(inner.jobs.len(), Ordering::Release);
    self.arrived.notify_one();
  }

  pub fn pending(&self) -> bool {
    self.pending.load(Ordering::Acquire) > 0
  }

  pub fn take(&self) -> Option<Job<S>> {
    self.pop(&mut self.lock())
  }

  /// Waits at most `limit` for a job.
  pub fn wait(&self, limit: Duration) -> Option<Job<S>> {
    let inner = self.lock();
    let waited = self.arrived.wait_timeout_while(inner, limit, |inner| inner.jobs.is_empty());
    let (mut inner, _) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
    self.pop(&mut inner)
  }

  fn pop(&self, inner: &mut Inner<S>) -> Option<Job<S>> {
    let job = inner.jobs.pop_front();
    self.pending.store(inner.jobs.len(), Ordering::Release);
    job
  }
}
