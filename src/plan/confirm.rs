//! Whether a stop that was planned, and whose intent is written, is still permitted right before the delete (rule S5).
//! Only this file makes a [`Confirmed`], and the delete takes nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::acts::{Act, Plan};
use super::cause::Purpose;
use super::guard::{Permit, Return};
use super::limits::FRESH;
use crate::api::{Memory, Verification};
use crate::domain::{Observation, PodId};

/// A permit that a second look has confirmed.
#[derive(Debug)]
pub struct Confirmed {
    permit: Permit,
    good_for: Duration,
}

impl Confirmed {
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// How long from the second look on the answers that permit the stop are fresh enough for it: what is left of two
    /// seconds since the oldest of them (rule S5). A stop that needs no answer may be done at any time.
    pub fn good_for(&self) -> Duration {
        self.good_for
    }
}

/// A planned stop that is worth a second look.
#[derive(Debug)]
pub struct Pending<'p>(&'p Permit);

/// Why a planned stop is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unconfirmed {
    /// The Service could not follow the lock.
    LabelsNotInPlace,
    /// The second look permits no stop, or another one.
    NotPermitted,
    /// A container has ended since the intent was written, and the written number of ends does not count it: later that
    /// end would be held against the successor.
    ContainerEnded,
    /// This pod has not answered since it was asked.
    Silent(String),
}

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LabelsNotInPlace => f.write_str("the role labels could not be put in place"),
            Self::NotPermitted => f.write_str("a second look does not permit it"),
            Self::ContainerEnded => f.write_str("a container has ended since that was written"),
            Self::Silent(pod) => {
                write!(f, "it relies on {pod}, which does not answer now")
            }
        }
    }
}

/// What the second look has brought.
#[derive(Debug)]
pub struct SecondLook<'a> {
    /// The memory that was written before it.
    pub written: &'a Memory,
    pub seen: &'a Observation,
    /// What was planned from it, with the written memory.
    pub plan: &'a Plan,
    /// When the pods that the stop relies on were asked.
    pub asked: Timestamp,
    /// When it was planned.
    pub now: Timestamp,
}

/// Before anybody is asked: a handover that the Service could not follow is not begun.
pub fn pending(planned: &Permit, labels_in_place: bool) -> Result<Pending<'_>, Unconfirmed> {
    if planned.successor().is_some() && !labels_in_place {
        return Err(Unconfirmed::LabelsNotInPlace);
    }
    Ok(Pending(planned))
}

impl<'p> Pending<'p> {
    pub fn permit(&self) -> &'p Permit {
        self.0
    }
}

/// Confirms a stop only where the second look plans the same stop for the same cause, no container has ended since, and
/// everybody whom the stop relies on has answered since.
pub fn confirm(pending: &Pending<'_>, look: &SecondLook<'_>) -> Result<Confirmed, Unconfirmed> {
    let planned = pending.permit();
    let same =
        |permit: &&Permit| permit.pod() == planned.pod() && permit.cause() == planned.cause();
    let mut stops = look.plan.acts.iter().filter_map(|act| match act {
        Act::Stop(permit) => Some(permit),
        _ => None,
    });
    let permit = stops.find(same).ok_or(Unconfirmed::NotPermitted)?;
    if ends(look.written) != ends(&look.plan.memory) {
        return Err(Unconfirmed::ContainerEnded);
    }
    match silent(permit, look) {
        Some(pod) => Err(Unconfirmed::Silent(pod.name.clone())),
        None => Ok(Confirmed {
            permit: permit.clone(),
            good_for: good_for(permit, look),
        }),
    }
}

/// A return of a lease that a second look has confirmed.
#[derive(Debug)]
pub struct ConfirmedReturn {
    given_back: Return,
    good_for: Duration,
}

impl ConfirmedReturn {
    pub fn given_back(&self) -> &Return {
        &self.given_back
    }

    /// How long from the second look on the answers are fresh: of the pod that waits, and of the database. That checks its
    /// own part again in the moment of the act; what the pods are does not stand there.
    pub fn good_for(&self) -> Duration {
        self.good_for
    }
}

/// Confirms the return of a lease only where the second look plans the same: that the pod which waits for it has answered within
/// the last two seconds is a part of that. It need not have answered since the look, as a pod for which a working one is stopped:
/// where it has just ended, nobody takes a lease that would have run out by itself.
pub fn confirm_return(
    planned: &Return,
    look: &SecondLook<'_>,
) -> Result<ConfirmedReturn, Unconfirmed> {
    let mut returns = look.plan.acts.iter().filter_map(|act| match act {
        Act::ReleaseLease(given_back) => Some(given_back),
        _ => None,
    });
    let given_back = returns
        .find(|given_back| *given_back == planned)
        .ok_or(Unconfirmed::NotPermitted)?;
    let successor = given_back.successor();
    let pod = look.seen.pods.iter().find(|pod| pod.id == *successor);
    let contact = pod.and_then(|pod| pod.contact).map(|contact| contact.at);
    let answer = look.seen.database.answer.as_ref().map(|answer| answer.at);
    Ok(ConfirmedReturn {
        given_back: given_back.clone(),
        good_for: rest(contact, look.now).min(rest(answer, look.now)),
    })
}

/// What is left of the time that an answer is fresh. One that bears a time after the look is worth nothing: a clock was set
/// between.
fn rest(at: Option<Timestamp>, now: Timestamp) -> Duration {
    let age = at.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
    age.map_or(Duration::ZERO, |age| FRESH.saturating_sub(age))
}

/// How long the answers stay fresh: those of the pods that the stop relies on; in a handover that of the active, unless its
/// silence is what the handover is for; and that of the database where it has to be asked.
fn good_for(permit: &Permit, look: &SecondLook<'_>) -> Duration {
    let contact = |id: &PodId| {
        let pod = look.seen.pods.iter().find(|pod| pod.id == *id);
        Some(pod?.contact?.at)
    };
    let hands_over = permit.successor().is_some();
    let active = hands_over && permit.purpose() != Purpose::Unresponsive;
    let active = active.then(|| contact(permit.pod()));
    let database = &look.seen.database;
    let asks = hands_over && database.wanted == Verification::Required;
    let answer = asks.then(|| database.answer.as_ref().map(|answer| answer.at));
    let rest = |at: Option<Timestamp>| rest(at, look.now);
    let relied_on = permit.relies_on().iter().map(contact);
    let all = relied_on.chain(active).chain(answer).map(rest);
    all.min().unwrap_or(Duration::MAX)
}

fn ends(memory: &Memory) -> Option<&BTreeMap<String, i32>> {
    memory.attempt.as_ref().map(|attempt| &attempt.ends)
}

/// A pod that the stop relies on and that has not answered since it was asked.
fn silent<'a>(permit: &'a Permit, look: &SecondLook<'_>) -> Option<&'a PodId> {
    let answered = |id: &PodId| {
        let pod = look.seen.pods.iter().find(|pod| pod.id == *id);
        pod.is_some_and(|pod| pod.answered_since(look.asked))
    };
    permit.relies_on().iter().find(|id| !answered(id))
}
