//! How long things may take, and how old they may be: what more than one rule goes by. A time that only one rule knows
//! stands with that rule. No pod and no memory enters here.

use std::time::Duration;

use jiff::Timestamp;

/// How fresh the answer of a container has to be for a stop (rule S5).
pub const FRESH: Duration = Duration::from_secs(2);

/// A started pod that has not answered for this long does not count as redundancy any more. It is
/// not dead either (rule S3): it only gets a replacement, which is safe, as the lock decides.
pub const LOST: Duration = Duration::from_secs(30);

/// How long the lock may stay free after a stop on purpose before the last revision that worked is
/// started: Chainlink's lease duration and 5 s.
pub const RESCUE: Duration = Duration::from_secs(15);

/// How long something that the spec refers to may be missing before that is reported as stalled.
pub const MISSING: Duration = Duration::from_mins(10);

/// How long after the end of an active a standby may be in the middle of its takeover, unseen: before
/// 2.15 a backup and the migrations run without any server.
pub const TAKEOVER: Duration = Duration::from_mins(10);

/// How long after a pod was found on another database one that has waited is suspected to have waited there.
pub const SUSPECTED: Duration = Duration::from_mins(10);

/// How long after the last progress the database may speak against a handover before that is reported as stalled.
pub const DATABASE_DOUBT: Duration = Duration::from_secs(60);

/// Longer than the kubelet ever waits before it starts a container again: one that is down for so long
/// is on a lost machine.
pub const NOT_RESTARTED: Duration = Duration::from_mins(6);

/// How long after its intent was written a pod that no look has shown may still come to be. An API server works on a request
/// for a minute at most (`--request-timeout`), and no operator sends one of an intent that it did not write just now.
pub const RESERVED: Duration = Duration::from_secs(90);

/// How long after it was last due a refused creation is still held to be refused.
pub const REFUSAL: Duration = Duration::from_mins(10);

/// How long an active whose port can't be reached is taken to boot.
pub const BOOT: Duration = Duration::from_mins(1);

/// How long an active whose container runs may stay without an answer before that is told.
pub const UNRESPONSIVE: Duration = Duration::from_secs(10);

/// How long the port of an active that has worked may refuse before that is a person's: it refuses for a moment after
/// each end of a node, until the API server says that its container has ended.
pub const REFUSES: Duration = Duration::from_secs(10);

/// How long an active may refuse connections and be taken to boot: versions before 2.15 migrate without any server.
pub const NO_BOOT: Duration = Duration::from_hours(1);

/// How long a pod whose database was away is left in back-off, at least, before a fresh one replaces it.
pub const BACKOFF: Duration = Duration::from_secs(15);

/// And at most: the longest back-off of the kubelet (`pkg/kubelet/kubelet.go`, `MaxCrashLoopBackOff`).
pub const LONGEST_BACKOFF: Duration = Duration::from_mins(5);

/// How long after the last progress a move of the lock is looked at five times a second. What is waited for longer wakes the
/// operator by its log or its port.
pub const QUICK: Duration = Duration::from_mins(1);

/// A container that runs for less than this, after some exits that mean something, is in a crash loop: it
/// is between two of its crashes.
pub const CRASH_LOOP: Duration = Duration::from_secs(60);

/// How many exits make a crash loop.
pub const EXITS_OF_A_LOOP: i32 = 3;

/// Stands in for every pod that is gone: their names would only make the status longer and longer.
pub const GONE: &str = "gone";

/// `now - age`, for comparisons with a time that was seen.
pub fn before(now: Timestamp, age: Duration) -> Timestamp {
    now.checked_sub(age).unwrap_or(Timestamp::MIN)
}
