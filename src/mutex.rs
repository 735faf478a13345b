//! Locks within the process. One whose holder has panicked is taken all the same: an operator that goes on with what it
//! knows does better than one of which every later pass panics too.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
