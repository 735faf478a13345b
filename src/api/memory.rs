//! `status.operator`: what the operator must not forget, in the form in which it is written.
//!
//! It is written, with the resource's `resourceVersion`, before each act (rule S4), so that a crash at any point resumes the
//! same handover. Field names are part of the API: an older operator may have written them, and a newer one reads them. What
//! an attempt at another revision leaves behind stands in `attempt`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Upgrade};
use super::revision_name::RevisionName;

/// A handover that somebody, or a schedule, asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The text of the annotation, or the time of the schedule: the same never acts twice.
    pub token: String,
    /// The pod or machine that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub state: RequestState,
    /// How it ended, or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was first seen.
    pub since: Timestamp,
    /// Uid of the pod that was active then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

impl Request {
    /// Whether it is still to be done.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.state == RequestState::Pending
    }
}

words! {
    /// What became of it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    pub enum RequestState {
        Pending = "Pending",
        Done = "Done",
        /// It could not be done, and the active was not stopped.
        Refused = "Refused",
        /// The lock moved, but not to where it was to go.
        Failed = "Failed",
    }
}

impl RequestState {
    /// The states that a request ends in.
    pub fn ends() -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|state| *state != Self::Pending)
    }
}

/// What the operator must not forget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// The revision that the spec asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<WantedRevision>,
    /// The last revision that held the lock and served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_worked: Option<RevisionName>,
    /// The newest version that has held the lock (rule S6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_held: Option<String>,
    /// A revision whose pods say that they are another version than it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<SaidVersion>,
    /// A newer version that has been started and may have held the lock (rule S6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_have_held: Option<MayHaveHeld>,
    /// The last word of a restored backup that was taken into account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<String>,
    /// Pods made so far: names are never used twice.
    #[serde(default)]
    pub pods_made: u32,
    /// The creation that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creating: Option<Creation>,
    /// The stop on purpose that is under way (rule S2: at most one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<Stop>,
    /// The last pod known to be active, and when its duty ended, for the gap of the next takeover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_active: Option<LastActive>,
    /// Since when something the spec refers to is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Timestamp>,
    /// A revision whose handover failed: nobody of it served. It is not tried again until the spec changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<RevisionName>,
    /// How it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_how: Option<FailedHow>,
    /// Why, in the words of the node or of Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_because: Option<String>,
    /// A revision that works since a moment ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// The handover to a revision that has not worked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// The same, where that is of a newer version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
    /// Since when pods of the wanted revision come up, and none of them has come to wait or work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coming: Option<Coming>,
    /// Since when no pod of ours is known to hold the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unheld_since: Option<Timestamp>,
    /// The last pod that was found on another database (rule S9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_differs: Option<DatabaseDiffers>,
    /// The last switchover that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switchover: Option<Request>,
    /// Texts of earlier switchovers, the last ones: none of them acts again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_switchovers: Vec<String>,
    /// The last drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Request>,
    /// From when on a scheduled drill is due: before that, nothing was missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drills_since: Option<Timestamp>,
    /// The schedule that this was noted for: with another one it begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_schedule: Option<String>,
    /// What became of automatic fail-backs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub going_back: Option<GoingBack>,
    /// The active, where it runs and its port has stopped to answer: a new operator has not seen it answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unresponsive: Option<Unresponsive>,
    /// A revision whose rollout is stuck, and whose pods make room for a move of place first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<RevisionName>,
    /// What was last seen of the Secrets that pods read, where they may be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SecretsSeen>,
    /// The check of a revision's configuration, before a running pod is replaced for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// The revision of which a pod was seen to wait for the lock, and which may not be handed over to yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<RevisionName>,
    /// The last pod that was made to be seen waiting and was not, or not as it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_failed: Option<CheckFailed>,
    /// When sessions of pods began that can never write, as far as one is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_only_spells: Vec<ReadOnlySpell>,
}

impl Memory {
    /// No time of what has been is later than now. One that is was written by a clock that was wrong, or is wrong now, and
    /// would hold up for as long whatever counts from it. Times up to which something is held stay as they are.
    pub fn bring_back_to(&mut self, now: Timestamp) {
        let Self {
            wanted,
            creating,
            stopping,
            last_active,
            missing_since,
            trial,
            attempt,
            upgrade,
            coming,
            unheld_since,
            database_differs,
            switchover,
            drill,
            drills_since,
            going_back,
            unresponsive,
            check_failed,
            secrets,
            // These have no times.
            last_worked: _,
            newest_held: _,
            said: _,
            may_have_held: _,
            restored: _,
            pods_made: _,
            failed: _,
            failed_how: _,
            failed_because: _,
            earlier_switchovers: _,
            drill_schedule: _,
            set_aside: _,
            validation: _,
            checked: _,
            // Of these the database's clock decides.
            read_only_spells: _,
        } = self;
        let requests = [switchover, drill].into_iter().flatten();
        let requests = requests.flat_map(|asked| [Some(&mut asked.since), asked.ended.as_mut()]);
        let upgrade = upgrade.iter_mut().flat_map(|upgrade| {
            [
                upgrade.crashed.as_mut(),
                upgrade.removed.as_mut(),
                upgrade.cleared.as_mut(),
            ]
        });
        let going_back = going_back.iter_mut().flat_map(|going| {
            [
                going.since.as_mut(),
                going.at.as_mut(),
                going.failed_at.as_mut(),
            ]
        });
        let secrets = secrets
            .iter_mut()
            .flat_map(|seen| [seen.changed.as_mut(), seen.url_changed.as_mut()]);
        [
            wanted.as_mut().map(|wanted| &mut wanted.since),
            creating.as_mut().map(|creating| &mut creating.at),
            stopping.as_mut().map(|stop| &mut stop.at),
            last_active.as_mut().and_then(|last| last.ended.as_mut()),
            missing_since.as_mut(),
            trial.as_mut().map(|trial| &mut trial.since),
            attempt.as_mut().map(|attempt| &mut attempt.since),
            coming.as_mut().map(|coming| &mut coming.since),
            unheld_since.as_mut(),
            database_differs.as_mut().map(|differs| &mut differs.at),
            drills_since.as_mut(),
            unresponsive.as_mut().map(|silent| &mut silent.since),
            check_failed.as_mut().map(|failed| &mut failed.at),
        ]
        .into_iter()
        .chain(requests)
        .chain(upgrade)
        .chain(going_back)
        .chain(secrets)
        .flatten()
        .for_each(|time| *time = (*time).min(now));
    }

    /// Name of the revision that the spec asks for.
    pub fn wanted_name(&self) -> Option<&RevisionName> {
        self.wanted.as_ref().map(|wanted| &wanted.name)
    }

    /// The stop of an active that is intended or under way: the lock is about to move.
    pub fn stop_of_active(&self) -> Option<&Stop> {
        self.stopping.as_ref().filter(|stop| stop.active)
    }

    /// Whether the pod with this uid is the last one known to be active, and has not ended.
    pub fn knows_as_active(&self, uid: &str) -> bool {
        let last = self.last_active.as_ref();
        last.is_some_and(|last| last.uid == uid && last.ended.is_none())
    }
}

/// Automatic fail-backs: the one that is under way, and how the last one ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoingBack {
    /// Generation of the spec at that time: with a later one all of this is forgotten.
    #[serde(default)]
    pub generation: i64,
    /// Since when one is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Uid of the pod that the last one led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// When it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// How many in a row have ended in a failover.
    #[serde(default)]
    pub failures: u32,
    /// When the last one was seen to have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// Before that time there is no other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// An active that works, and whose port does not answer any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unresponsive {
    pub uid: String,
    /// When its container took the lock: another container is another matter.
    pub took: Timestamp,
    /// When its port last answered.
    pub since: Timestamp,
}

/// A time in which the sessions that began with the database may never write: its `default_transaction_read_only`, or its
/// role's, was on. All by the clock of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadOnlySpell {
    /// The last answer before it. Absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The first answer after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When the server was started, in microseconds since 1970: no session outlives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_start: Option<i64>,
}

/// A pod of a rollout that is held, and what was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckFailed {
    pub revision: RevisionName,
    pub reason: String,
    pub message: String,
    pub at: Timestamp,
}

/// How a handover failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FailedHow {
    /// Nobody took over in time. Who does later has only been late.
    Late,
    /// Who had taken over ended by itself. It has to work for a while before it is trusted again.
    Crashed,
    /// It had not begun: with `surge: 0` its pod came to nothing, and gave its room back.
    GivenUp,
    /// It had not begun: the log of its pod names another version than the spec.
    OtherVersion,
}

/// What the pods of a revision say of their version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SaidVersion {
    pub revision: RevisionName,
    pub version: String,
}

/// A revision that has taken over from another and has not worked for long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    pub revision: RevisionName,
    /// The last that had worked before.
    pub before: RevisionName,
    /// Uid of the active.
    pub pod: String,
    /// When it was first seen to serve.
    pub since: Timestamp,
    /// How often its container had ended by then. An operator of before did not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<i32>,
}

/// What was last seen of the Secrets that pods read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretsSeen {
    /// Digest of their names: which of them could be read.
    pub of: String,
    /// Digest of all of their content together.
    pub content: String,
    /// Part of the wanted revision since a change of the content was first to be rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<String>,
    /// When a change was last rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamped: Option<Timestamp>,
    /// Until when a change that is to be rolled out waits, as the one before was rolled out so short a time ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// When the content was last seen to have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
    /// Digest of the database URL alone, where it may be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the database URL was last seen to have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_changed: Option<Timestamp>,
}

impl SecretsSeen {
    /// Whether pods with this content are part of what is wanted, so that older ones are replaced.
    #[must_use]
    pub fn is_rolled_out(&self) -> bool {
        let mut stamp = self.stamp.iter();
        stamp.any(|stamp| self.content.starts_with(stamp.as_str()))
    }
}

/// The check of a revision's configuration by a short pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    pub revision: RevisionName,
    /// Which try this is, from 1: a pod that its machine lost is not waited for.
    pub attempt: u32,
    pub state: ValidationState,
    /// What the node said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many tries on end have said nothing, where that holds the change.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub silent: u32,
    /// When it is tried again after one that said nothing. Until then there is no pod for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Timestamp>,
}

// As serde wants it.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_none_yet(count: &u32) -> bool {
    *count == 0
}

/// How far the check of a configuration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ValidationState {
    Pending,
    Valid,
    /// Nothing is replaced for it. The pod tries again now and then, as the Secrets that it reads may be corrected.
    Invalid,
    /// It could not be checked. That holds up a version that checks its configuration only when it has the lock (from 2.30
    /// on), and no other.
    Unknown,
}

/// A pod that took a lock without having waited, while the active was at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseDiffers {
    pub pod: String,
    pub at: Timestamp,
    /// Generation of the spec at that time.
    #[serde(default)]
    pub generation: i64,
    /// The text of the annotation `database-corrected` at that time: another one asks for another try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<String>,
}

/// A version newer than any that is known to have held the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MayHaveHeld {
    pub version: String,
    /// The pods made of such a version that can't be shown never to have started.
    pub pods: Vec<String>,
}

/// Pods that come up in vain so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Coming {
    pub revision: RevisionName,
    pub since: Timestamp,
    /// Whether the last of them that ended did so because its database was away.
    #[serde(default)]
    pub database_away: bool,
    /// Its last words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

/// The revision that the spec asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WantedRevision {
    pub name: RevisionName,
    /// First seen: the start of `handover.settle`.
    pub since: Timestamp,
}

/// A pod that is to be made, or has just been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Creation {
    pub pod: String,
    pub revision: RevisionName,
    pub at: Timestamp,
}

/// A stop on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    pub pod: String,
    pub uid: String,
    /// Whether the pod was the active one.
    pub active: bool,
    /// The standby that the handover is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
    /// The revision that the handover is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<RevisionName>,
    pub reason: String,
    /// What the handover is for, where it is for no rollout: Maintenance, Switchover, Failback, Drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// When it was decided; once it is over, when that was first seen.
    pub at: Timestamp,
    /// Whether the pod was seen to be over, and nobody has taken over from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
}

/// The last pod known to be active.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastActive {
    pub pod: String,
    pub uid: String,
    pub version: String,
    pub revision: RevisionName,
    /// When its duty ended, as far as was seen: its accepted stop, or its container's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Whether it was stopped on purpose.
    #[serde(default)]
    pub planned: bool,
    /// What it was stopped for, where that was no rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_states_of_a_request_are_part_of_the_api() {
        let words: Vec<_> = RequestState::ALL
            .iter()
            .map(|state| state.as_str())
            .collect();
        assert_eq!(words, ["Pending", "Done", "Refused", "Failed"]);
        let written = serde_json::to_value(RequestState::ALL).unwrap();
        assert_eq!(written, serde_json::json!(words));
    }
}
