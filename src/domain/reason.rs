//! Every reason that a person may see: in a condition, in an event, in why the database could not be asked. One table; docs/status.md and
//! docs/database.md explain each of its words, which `tests/it/docs.rs` checks.

use std::fmt;

/// How long what a reason names may last before a person is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It does not pass by itself: a person is called at once, but where the rule that asked knows better.
    None,
    /// It passes with the next progress; a person is called after `handover.standbyTimeout` without any. A standby that is
    /// only there to be seen waiting is not blamed for it.
    UntilProgress,
    /// It passes when the pod itself comes to work. A person is called after `handover.standbyTimeout`, and a standby that is
    /// only there to be seen waiting is blamed for it then.
    OfItsPod,
    /// It passes when a pod shows that it has the lock; a person is called where no pod has taken a lock lately.
    UntilTheTakerShows,
    /// The database says otherwise. A session that was lost is soon there again: a person is called after a minute.
    DatabaseDoubt,
    /// The database says nothing. A person is called after a minute; a pod that waits to be seen is given
    /// `handover.standbyTimeout` for it.
    DatabaseSilence,
    /// No guard denies anything for it: whoever tells it says whether a person is needed.
    Told,
}

macro_rules! reasons {
    ($($(#[$doc:meta])+ $reason:ident = $word:literal, $patience:ident;)+) => {
        /// Why something is so, or is not done: one word of the operator's API.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])+ $reason,)+
            /// A word of Kubernetes' own, or of another version of this operator: passed on as it is.
            Kubernetes(String),
        }

        impl Reason {
            /// All reasons of the operator's own.
            pub const ALL: &[Self] = &[$(Self::$reason),+];

            /// The word in conditions, events and logs. It is API: a variant may be renamed, its word may not.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$reason => $word,)+
                    Self::Kubernetes(word) => word,
                }
            }

            /// How long what it names may last before a person is called.
            pub fn patience(&self) -> Patience {
                match self {
                    $(Self::$reason => Patience::$patience,)+
                    Self::Kubernetes(_) => Patience::Told,
                }
            }
        }
    };
}

reasons! {
    // What the guard of a stop or a creation denies.
    /// No active pod of ours is known.
    NoActive = "NoActive", UntilProgress;
    /// The active does not answer.
    ActiveNotSeen = "ActiveNotSeen", UntilProgress;
    /// The active has the lock and does not serve yet.
    ActiveBoots = "ActiveBoots", UntilProgress;
    /// No pod waits that may succeed.
    NoSuccessor = "NoSuccessor", UntilProgress;
    /// The successor does not answer now.
    SuccessorNotSeen = "SuccessorNotSeen", UntilProgress;
    /// A sidecar of a pod is not ready: no Service leads there, and its node may not do without it.
    SidecarNotReady = "SidecarNotReady", OfItsPod;
    /// The port of the successor can't be reached while the active is silent: the operator may be cut off itself.
    SuccessorPortNotSeen = "SuccessorPortNotSeen", None;
    /// A pod of another revision could win the lock instead.
    RivalStandby = "RivalStandby", UntilProgress;
    /// A pod is still stopping.
    StopUnderWay = "StopUnderWay", UntilProgress;
    /// The successor has not taken over yet.
    TakeoverAwaited = "TakeoverAwaited", UntilProgress;
    /// A pod that worked before another took the lock still answers.
    SuspectAnswers = "SuspectAnswers", UntilProgress;
    /// A pod that worked before another took the lock can't be reached.
    OldPodOutOfReach = "OldPodOutOfReach", UntilProgress;
    /// Several pods have taken the lock, and nothing says which came last.
    OrderUnknown = "OrderUnknown", UntilTheTakerShows;
    /// The database says otherwise than what is seen.
    DatabaseContradicts = "DatabaseContradicts", DatabaseDoubt;
    /// The database has to be asked, and could not be.
    DatabaseNotAsked = "DatabaseNotAsked", DatabaseSilence;
    /// The log names another version than the spec.
    VersionDiffers = "VersionDiffers", None;
    /// The pod's own log says that it can't win the lock.
    WaitingDoubtful = "WaitingDoubtful", None;
    /// What was to be stopped holds the lock.
    IsActive = "IsActive", None;
    /// What was to be made anew is not in back-off.
    NotInBackOff = "NotInBackOff", None;
    /// Another node takes the database by a lock that the pod would not see.
    LockDiffers = "LockDiffers", None;
    /// A newer version has, or may have, migrated the database.
    VersionWentBack = "VersionWentBack", None;
    /// Whether a newer release was applied is not known any more, and the database has not said which version migrated it.
    AppliedUpdateUnknown = "AppliedUpdateUnknown", DatabaseSilence;
    /// The server is older than the version starts on.
    PostgresTooOld = "PostgresTooOld", None;
    /// A pod sits on another database.
    DatabaseDiffers = "DatabaseDiffers", None;
    /// The revision has failed.
    HandoverFailed = "HandoverFailed", None;

    // What else is in the way of a plan.
    /// Two nodes work on one database.
    TwoHolders = "TwoHolders", Told;
    /// `spec.paused` is true, and something planned waits for its end.
    Paused = "Paused", Told;
    /// The handover waits for a person.
    ApprovalRequired = "ApprovalRequired", Told;
    /// The handover waits for a window.
    WaitingForWindow = "WaitingForWindow", Told;
    /// As many resources as may move their lock.
    WaitingForTurn = "WaitingForTurn", Told;
    /// The active's machine is being emptied, and there is no room for a pod elsewhere.
    NoRoom = "NoRoom", Told;
    /// With `handover.surge: 0`: the wanted revision did not come to wait, and its room was given back.
    RolloutGivenUp = "RolloutGivenUp", Told;
    /// The node ends again and again.
    CrashLoop = "CrashLoop", Told;
    /// The cluster's API server is too old for sidecars, and makes of one a container that has to end first.
    SidecarsUnsupported = "SidecarsUnsupported", Told;
    /// The pod has not come to wait in time.
    StandbyTimeout = "StandbyTimeout", Told;
    /// The image has not been pulled in time.
    PullTimeout = "PullTimeout", Told;
    /// The nodes do not reach their database.
    DatabaseAway = "DatabaseAway", Told;
    /// A newer version had the lock and ended, and what the way back waits for does not come.
    WayBackAwaited = "WayBackAwaited", Told;
    /// The active has ended, and nobody takes the lock.
    LockNotTaken = "LockNotTaken", Told;
    /// The node's own check refuses the configuration.
    ConfigurationInvalid = "ConfigurationInvalid", Told;
    /// The node's own check says nothing of a configuration that a start would check only with the lock.
    ConfigurationUnchecked = "ConfigurationUnchecked", Told;
    /// The pod that checks the configuration does not end.
    ValidationTimeout = "ValidationTimeout", Told;
    /// The active holds the lock, and its port is silent.
    ActiveUnresponsive = "ActiveUnresponsive", Told;
    /// The active holds the lock, and nothing listens on its port.
    ActiveRefuses = "ActiveRefuses", Told;

    // Why a spec can't be turned into pods.
    /// The spec can't work.
    InvalidSpec = "InvalidSpec", Told;
    /// A release was applied, and `spec.image` names another image by now.
    AppliedUpdateUnfit = "AppliedUpdateUnfit", Told;
    /// `spec.version` is none that the operator knows, or not what the image's tag names.
    InvalidVersion = "InvalidVersion", Told;
    /// The node's configuration can't work.
    InvalidConfiguration = "InvalidConfiguration", Told;
    /// The version has no lock of this mode.
    InvalidLockMode = "InvalidLockMode", Told;
    /// A schedule or time zone can't be read.
    ScheduleInvalid = "ScheduleInvalid", Told;
    /// A `ConfigMap` is not there.
    ConfigMapMissing = "ConfigMapMissing", Told;
    /// A `ConfigMap` has no such key.
    ConfigMapKeyMissing = "ConfigMapKeyMissing", Told;
    /// The API server does not let the operator read a `ConfigMap`.
    ConfigMapUnreadable = "ConfigMapUnreadable", Told;

    // What the API server did not do.
    /// The wanted revision can't be kept.
    RevisionNotKept = "RevisionNotKept", Told;
    /// A pod can't be made.
    PodRefused = "PodRefused", Told;
    /// A pod can't be labelled, marked ready or tidied away.
    PodNotUpdated = "PodNotUpdated", Told;
    /// A pod can't be stopped.
    StopRefused = "StopRefused", Told;
    /// The database did not give back the lease of a node that has ended.
    LeaseNotGivenBack = "LeaseNotGivenBack", Told;
    /// The Service can't be made or brought up to date.
    ServiceRefused = "ServiceRefused", Told;
    /// The disruption budgets can't be made or brought up to date.
    BudgetRefused = "BudgetRefused", Told;
    /// The annotation that names the applied release can't be written.
    AppliedUpdateNotKept = "AppliedUpdateNotKept", Told;
    /// What every look needs is refused.
    LookRefused = "LookRefused", Told;
    /// What every look needs has failed for a while.
    LookFailed = "LookFailed", Told;
    /// The cluster's CRD drops what has to be remembered.
    CrdOutdated = "CrdOutdated", Told;

    // What the database did not say, or the operator could not ask.
    /// The right to read Secrets was not given.
    NotAllowed = "NotAllowed", Told;
    /// `verification: Never`.
    NotWanted = "NotWanted", Told;
    /// The database was not asked since the last takeover.
    NotAskedYet = "NotAskedYet", Told;
    /// The last answer is old.
    NotAskedLately = "NotAskedLately", Told;
    /// No pod's address is seen at the database.
    AddressesHidden = "AddressesHidden", Told;
    /// In `dual` mode the active has the advisory lock, and no longer the lease.
    LeaseLost = "LeaseLost", Told;
    /// The database does not show which client holds the lock.
    HolderUnknown = "HolderUnknown", Told;
    /// A session at the successor's address has no node's name.
    SessionUnnamed = "SessionUnnamed", Told;
    /// The Secret or `ConfigMap` of the URL can't be read.
    ReferenceUnreadable = "ReferenceUnreadable", Told;
    /// The URL is none that a node could use.
    UrlUnreadable = "UrlUnreadable", Told;
    /// The URL leads to the pod itself.
    LocalAddress = "LocalAddress", Told;
    /// The server is to be verified, and there is no authority to do it by.
    AuthorityMissing = "AuthorityMissing", Told;
    /// There is no TLS as `sslmode` asks for it.
    TlsFailed = "TlsFailed", Told;
    /// The server refuses the login.
    LoginRefused = "LoginRefused", Told;
    /// The server refuses a question, or takes too long with it.
    QueryRefused = "QueryRefused", Told;
    /// The server does not answer.
    Unreachable = "Unreachable", Told;

    // What a condition says where all is well, or where it is a matter of that condition alone.
    /// `Stalled` is False.
    Progressing = "Progressing", Told;
    /// All pods wait: the lock is held outside.
    HolderExternal = "HolderExternal", Told;
    /// The database says that the active holds the lock.
    HolderIsActive = "HolderIsActive", Told;
    /// A pod holds the lock, and answers.
    ActiveServes = "ActiveServes", Told;
    /// The active's port can't be reached.
    ActiveNotReached = "ActiveNotReached", Told;
    /// As many standbys wait as are wanted.
    StandbysWait = "StandbysWait", Told;
    /// Fewer standbys wait than are wanted.
    StandbyMissing = "StandbyMissing", Told;
    /// All pods are on one machine.
    SameMachine = "SameMachine", Told;
    /// `replicas` is 0 or 1.
    NoStandbyWanted = "NoStandbyWanted", Told;
    /// Another resource runs pods on the same database.
    AnotherResource = "AnotherResource", Told;
    /// The content of a Secret has changed under pods that run.
    SecretChanged = "SecretChanged", Told;
    /// `spec.paused` is true.
    PausedBySpec = "PausedBySpec", Told;
    /// No change waits for a person.
    NothingToApprove = "NothingToApprove", Told;
    /// No change waits for a person or for its time.
    NothingPending = "NothingPending", Told;
    /// The active is on a preferred machine.
    OnPreferredMachine = "OnPreferredMachine", Told;
    /// The active is on no preferred machine.
    Elsewhere = "Elsewhere", Told;
    /// The last automatic fail-back did not work.
    FailbackHeld = "FailbackHeld", Told;
    /// The operator may not read machines.
    MachinesNotRead = "MachinesNotRead", Told;
    /// A machine that is cordoned or drained is left by handover.
    ByHandover = "ByHandover", Told;

    // What `UpdateAvailable` tells.
    /// A newer release is there that `spec.updates` asks for.
    NewerRelease = "NewerRelease", Told;
    /// No newer release is there in its range.
    UpToDate = "UpToDate", Told;
    /// A newer release was not seen for `minimumAge` yet.
    UpdateTooYoung = "UpdateTooYoung", Told;
    /// A newer release runs in place of `spec.version`.
    UpdateApplied = "UpdateApplied", Told;
    /// `spec.updates` can't be used as it is.
    UpdatesInvalid = "UpdatesInvalid", Told;
    /// The registry was not asked yet.
    RegistryNotAsked = "RegistryNotAsked", Told;
    /// The registry can't be reached, or has not answered.
    RegistryNotReached = "RegistryNotReached", Told;
    /// The registry does not show the image to the operator.
    RegistryDenied = "RegistryDenied", Told;
    /// The registry was asked too often.
    RegistryBusy = "RegistryBusy", Told;
    /// The registry's answer can't be read, or contradicts itself.
    RegistryUnusable = "RegistryUnusable", Told;

    // What only events tell.
    /// The annotation that names the applied release said something else than the status, and was written anew.
    AppliedUpdateDiffers = "AppliedUpdateDiffers", Told;
    /// A short pod is about to be made that checks the wanted configuration.
    ValidatingConfiguration = "ValidatingConfiguration", Told;
    /// The wanted image is about to be pulled on a machine.
    PullingImage = "PullingImage", Told;
    /// A pod is about to be made.
    CreatingPod = "CreatingPod", Told;
    /// The active is about to be stopped for its successor.
    HandingOver = "HandingOver", Told;
    /// Another pod is about to be stopped.
    StoppingPod = "StoppingPod", Told;
    /// A pod that has ended is removed.
    RemovingPod = "RemovingPod", Told;
    /// A handover ended.
    HandedOver = "HandedOver", Told;
    /// The lock moved without a stop on purpose.
    FailedOver = "FailedOver", Told;
    /// The lease of a node that has ended was given back for it.
    LeaseGivenBack = "LeaseGivenBack", Told;
    /// The switchover that was asked for is over.
    SwitchoverDone = "SwitchoverDone", Told;
    /// The switchover that was asked for is not made.
    SwitchoverRefused = "SwitchoverRefused", Told;
    /// The switchover that was asked for did not work.
    SwitchoverFailed = "SwitchoverFailed", Told;
    /// The drill is over.
    DrillDone = "DrillDone", Told;
    /// The drill was skipped.
    DrillRefused = "DrillRefused", Told;
    /// The drill did not work.
    DrillFailed = "DrillFailed", Told;
    /// A node ended with an error.
    NodeExited = "NodeExited", Told;
    /// The image's `pg_dump` is older than the server, and is to dump it before an upgrade.
    DumpToolTooOld = "DumpToolTooOld", Told;
    /// A version is wanted that is in no line of what is known.
    VersionUnknown = "VersionUnknown", Told;
    /// A newer version is wanted, and the node makes no backup before it migrates.
    NoBackup = "NoBackup", Told;
    /// Another resource runs pods on the same database.
    DatabaseShared = "DatabaseShared", Told;
    /// A setting of the user's that the operator's replaces.
    SettingOverridden = "SettingOverridden", Told;
}

impl Reason {
    /// The reason of this word, as it was stored or comes from Kubernetes.
    pub fn of(word: &str) -> Self {
        let mut own = Self::ALL.iter();
        own.find(|reason| reason.as_str() == word)
            .cloned()
            .unwrap_or_else(|| Self::Kubernetes(word.to_owned()))
    }

    /// Whether it is the database that denies.
    pub fn is_of_database(&self) -> bool {
        match self.patience() {
            Patience::DatabaseDoubt | Patience::DatabaseSilence => true,
            Patience::None
            | Patience::UntilProgress
            | Patience::OfItsPod
            | Patience::UntilTheTakerShows
            | Patience::Told => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl PartialEq<Reason> for String {
    fn eq(&self, reason: &Reason) -> bool {
        self == reason.as_str()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_word_is_one_reason_and_is_read_back_as_it() {
        let words: BTreeSet<_> = Reason::ALL.iter().map(Reason::as_str).collect();
        assert_eq!(words.len(), Reason::ALL.len(), "two reasons share a word");
        for reason in Reason::ALL {
            assert_eq!(Reason::of(reason.as_str()), *reason);
        }
        let foreign = Reason::of("FailedMount");
        assert_eq!(foreign, Reason::Kubernetes("FailedMount".to_owned()));
        assert_eq!(foreign.as_str(), "FailedMount");
    }
}
