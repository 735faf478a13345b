//! How soon a resource is looked at again beside others that are not at rest either. Witnesses and watches wake it with whatever
//! they see; that it is looked at meanwhile all the same is for what nobody tells. Of one resource that costs nothing. Of a
//! hundred whose machine was lost at the same moment it would keep the API server from what has to be done.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use crate::mutex::lock;
use crate::plan::CALM;

/// So much time there is between two looks at whichever resources that nobody has asked for: 25 a second, of about ten reads each.
const EACH: Duration = Duration::from_millis(40);
/// What is to be looked at sooner waits for an answer of its own, and for nothing that a watch could tell.
const AT_ONCE: Duration = Duration::from_millis(200);

/// The resources that are to be looked at soon, by their uids.
#[derive(Debug, Default)]
pub(super) struct Beside(Mutex<HashSet<String>>);

impl Beside {
    /// A resource wants to be looked at again after this time. Returns after which it is, beside the others that do.
    pub(super) fn share(&self, uid: &str, again: Duration) -> Duration {
        let mut soon = lock(&self.0);
        if again >= CALM {
            soon.remove(uid);
            return again;
        }
        if !soon.contains(uid) {
            soon.insert(uid.to_owned());
        }
        let all = u32::try_from(soon.len()).unwrap_or(u32::MAX);
        if again < AT_ONCE {
            return again;
        }
        again.max(EACH.saturating_mul(all)).min(CALM)
    }

    /// A resource is gone.
    pub(super) fn forget(&self, uid: &str) {
        lock(&self.0).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(200);

    fn with(others: u32) -> Beside {
        let beside = Beside::default();
        for other in 0..others {
            beside.share(&other.to_string(), SOON);
        }
        beside
    }

    #[test]
    fn a_few_are_looked_at_as_soon_as_they_want_and_many_at_a_rate_of_all() {
        assert_eq!(with(0).share("a", SOON), SOON);
        assert_eq!(with(4).share("a", SOON), SOON);
        let of_hundred = with(99).share("a", SOON);
        assert_eq!(of_hundred, Duration::from_secs(4));
        let slow = Duration::from_secs(10);
        assert_eq!(with(99).share("a", slow), slow);
        assert_eq!(with(2000).share("a", SOON), CALM, "and no later than that");
    }

    #[test]
    fn who_rests_or_is_gone_makes_nobody_wait() {
        let beside = with(99);
        for other in 0..50 {
            beside.share(&other.to_string(), 2 * CALM);
        }
        for other in 50..95 {
            beside.forget(&other.to_string());
        }
        assert_eq!(beside.share("a", SOON), SOON);
    }

    #[test]
    fn who_waits_for_an_answer_of_its_own_waits_for_nobody() {
        let at_once = Duration::from_millis(100);
        assert_eq!(with(99).share("a", at_once), at_once);
    }
}
