//! Everything that may happen on a walk.

use super::calls::Call;
use super::database::Database;
use super::faults::Fault;

/// Everything that may happen, apart from the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    // What goes on by itself.
    Starts(u8),
    AsksForLock(u8),
    TakesLock(u8),
    AnswersEarly(u8),
    FallsSilent(u8),
    Migrates(u8),
    Serves(u8),
    GivesOut(u8),
    SaysLine(u8),
    Restarts(u8),
    /// The API server is told what the container of a pod does.
    IsTold(u8),
    Goes(u8),
    IsDeposed(u8),
    RegainsLock(u8),
    SeenAgain(u8),
    /// The pods answer an operator that was started.
    Hears,
    CheckEnds(u8),
    CheckGoes(u8),
    CheckSeenAgain(u8),
    Seconds,
    HalfMinute,
    TenMinutes,
    // What goes wrong.
    Crashes(u8),
    /// The same, and the API server is not told of it for some seconds.
    CrashesUntold(u8),
    LosesDatabase(u8),
    IsKilled(u8),
    Fails(u8),
    IsLost(u8),
    MachineDies(u8),
    IsCutOff(u8),
    IsCordoned(u8),
    CheckIsEvicted(u8),
    CheckIsLost(u8),
    CheckIsKilled(u8),
    OutsiderLeaves,
    /// That a node left behind.
    LeaseRunsOut,
    DatabaseTurns(Database),
    SecretChanges,
    /// From now on the API server makes no pod of this revision.
    Refuses(u8),
    // What the user does.
    Wants(Option<u8>),
    Scales(u8),
    // The operator: looks, writes, and does so many of its acts.
    Operator,
    OperatorDies(u8),
    /// The same, where this is one of the worlds in which it may look again before a stop.
    OperatorAfter(u16),
    /// A second one was frozen in its pass, and this is what came of its acts.
    Late(u16),
    /// In its pass a call fails.
    CallFails(Call),
    /// Before it has looked.
    OperatorRestarts,
}

impl Event {
    pub fn takes_time(self) -> bool {
        matches!(self, Self::Seconds | Self::HalfMinute | Self::TenMinutes)
    }

    /// The pod that goes on by itself.
    pub fn pod(self) -> Option<u8> {
        match self {
            Self::Starts(no)
            | Self::AsksForLock(no)
            | Self::TakesLock(no)
            | Self::AnswersEarly(no)
            | Self::FallsSilent(no)
            | Self::Migrates(no)
            | Self::Serves(no)
            | Self::GivesOut(no)
            | Self::SaysLine(no)
            | Self::Restarts(no)
            | Self::IsTold(no)
            | Self::Goes(no)
            | Self::IsDeposed(no)
            | Self::RegainsLock(no) => Some(no),
            _ => None,
        }
    }
}

/// What may happen in a walk.
#[derive(Clone, Debug, Default)]
pub struct Menu {
    pub kinds: Vec<Option<u8>>,
    pub replicas: Vec<u8>,
    pub faults: Vec<Fault>,
}
