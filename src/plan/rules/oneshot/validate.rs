//! A new configuration is checked before a running pod is replaced for it: by the node's own check, in a short pod.

use std::time::Duration;

use crate::api::names::UNCHECKED_ANNOTATION;
use crate::api::{Memory, Validation, ValidationState};
use crate::domain;
use crate::domain::{Checked, Observation, PodId, Reason, Revision, Wanted};
use crate::node::Verdict;
use crate::plan::acts::Act;
use crate::plan::decision::{Decision, Note};
use crate::plan::limits::before;
use crate::plan::moves;
use crate::plan::rules::{late, oneshot, repair};
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::{Look, View};

/// The pause after an answer that says nothing. Each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(30);

/// And at most.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// After so many answers on end that say nothing a person is called: one may come of a machine that was short of memory.
const SILENT: u32 = 2;

/// The name of the pod of one try: the same after a crash, and another for another resource of that name.
pub fn pod_name(node: &PodId, validation: &Validation) -> String {
    let of = format!("{} {}", validation.revision, validation.attempt);
    oneshot::name(node, "validate", &of)
}

/// The pod that checks now, if it is there.
fn pod<'a>(seen: &'a Observation, validation: &Validation) -> Option<&'a domain::Validation> {
    let name = pod_name(&seen.intent.node, validation);
    seen.validations.iter().find(|pod| pod.id.name == name)
}

/// Whether an answer that says nothing holds the change. Such a node finds a mistake only when it has the lock and the old one
/// has lost it: the check is all that stands before that.
fn silence_holds(target: &Revision) -> bool {
    target.version.validates_after_lock()
}

/// Whether a person lets this revision go on without an answer. One that was refused stays refused.
fn is_overruled(validation: &Validation, look: &Look<'_>) -> bool {
    look.seen.intent.policy.unchecked.as_ref() == Some(&validation.revision)
        && validation.state != ValidationState::Invalid
}

/// The next pause, after `silent` answers on end that said nothing.
fn pause(silent: u32) -> Duration {
    let doubled = 1 << silent.saturating_sub(1).min(10);
    (PAUSE * doubled).min(LONGEST_PAUSE)
}

/// Takes up what the check has said.
pub fn remember(memory: &mut Memory, look: &Look<'_>) {
    let Some(validation) = &mut memory.validation else {
        return;
    };
    let wanted = memory.wanted.as_ref().map(|wanted| &wanted.name);
    let done = memory.last_worked.as_ref() == Some(&validation.revision);
    if (wanted != Some(&validation.revision) || done) && look.seen.validations.is_empty() {
        memory.validation = None;
        return;
    }
    if validation.again.is_some_and(|again| again <= look.now) {
        validation.again = None;
        validation.attempt += 1;
    }
    let Some(pod) = pod(look.seen, validation).filter(|_| validation.again.is_none()) else {
        return;
    };
    let target = look.seen.revisions.get(&validation.revision);
    let holds = target.is_some_and(silence_holds);
    let (state, message) = match &pod.checked {
        Checked::NotYet(_) => return,
        // It was stopped before it had an answer, and is made again once it is gone.
        Checked::Never | Checked::Said(Verdict::Unknown(_)) if pod.deleted => return,
        Checked::Never if !holds || validation.state == ValidationState::Invalid => {
            validation.attempt += 1;
            return;
        }
        Checked::Never => {
            let why = "its pod was evicted, or lost with its machine";
            (ValidationState::Unknown, Some(why.to_owned()))
        }
        Checked::Said(Verdict::Valid) => (ValidationState::Valid, None),
        Checked::Said(Verdict::Invalid(why)) => (ValidationState::Invalid, Some(why.clone())),
        Checked::Said(Verdict::Unknown(why)) => (ValidationState::Unknown, Some(why.clone())),
    };
    if holds && state == ValidationState::Unknown {
        validation.silent += 1;
        validation.again = look.now.checked_add(pause(validation.silent)).ok();
    } else {
        validation.silent = 0;
    }
    validation.state = state;
    validation.message = message;
}

/// The pod of a check that goes on, where it is not there yet.
pub fn make(look: &Look<'_>, validation: Option<&Validation>) -> Option<Act> {
    let missing = validation
        .filter(|validation| validation.again.is_none() && pod(look.seen, validation).is_none());
    let act = missing.map(|validation| Act::Validate {
        pod: pod_name(&look.seen.intent.node, validation),
        revision: validation.revision.clone(),
    });
    act.filter(|act| !matches!(act, Act::Validate { pod, .. } if look.is_too_early_for(pod)))
}

/// Checks that are over are removed.
pub fn end(memory: &Memory, look: &Look<'_>) -> impl Iterator<Item = Act> {
    over(look, memory).map(|pod| Act::EndOneshot {
        pod: pod.id.clone(),
    })
}

/// Pods that check nothing any more.
fn over<'a>(look: &Look<'a>, memory: &Memory) -> impl Iterator<Item = &'a domain::Validation> {
    let current = memory
        .validation
        .as_ref()
        .filter(|validation| goes_on(validation, memory, look))
        .map(|validation| pod_name(&look.seen.intent.node, validation));
    let over =
        move |pod: &&domain::Validation| !pod.deleted && current.as_ref() != Some(&pod.id.name);
    look.seen.validations.iter().filter(over)
}

/// Whether its pod is still of use.
fn goes_on(validation: &Validation, memory: &Memory, look: &Look<'_>) -> bool {
    let open = match &look.seen.intent.wanted {
        Wanted::Revision(wanted) => {
            wanted.name == validation.revision && is_open(validation, wanted, look)
        }
        Wanted::Unusable(_) => false,
    };
    open && validation.again.is_none()
        && look.seen.intent.replicas > 0
        && !look.seen.intent.policy.paused
        && memory.last_worked.as_ref() != Some(&validation.revision)
}

/// Whether the check of `target` still has to be passed.
fn is_open(validation: &Validation, target: &Revision, look: &Look<'_>) -> bool {
    let open = match validation.state {
        ValidationState::Pending | ValidationState::Invalid => true,
        ValidationState::Unknown => silence_holds(target),
        ValidationState::Valid => false,
    };
    open && !is_overruled(validation, look)
}

/// The check of `target`, where it has to come first and has not passed.
pub fn decide(view: &View<'_>, target: &Revision) -> Option<Decision> {
    let made = |pod: &domain::Pod| pod.revision.as_ref() == Some(target);
    let worked = view.memory.last_worked.as_ref();
    if !target.validates || worked == Some(&target.name) || view.seen.pods.iter().any(made) {
        return None;
    }
    let known = view.memory.validation.as_ref();
    let known = known.filter(|validation| validation.revision == target.name);
    let mut validation = known.cloned().unwrap_or_else(|| Validation {
        revision: target.name.clone(),
        attempt: 1,
        state: ValidationState::Pending,
        message: None,
        silent: 0,
        again: None,
    });
    if !is_open(&validation, target, &view.look) {
        return None;
    }
    let pod = pod(view.seen, &validation);
    // It ends as soon as its machine hears of it, which a lost machine never does.
    let stranded = pod.is_some_and(|pod| {
        pod.deleted && pod.created <= before(view.now, view.seen.intent.standby_timeout)
    });
    if stranded {
        validation.attempt += 1;
    }
    let mut decided = repair::hold_quietly(view);
    let not_made = decided.not_made();
    if decided.waits() {
        let name = pod_name(&view.seen.intent.node, &validation);
        decided.progress = Progress::at(Step::Validating).about(&name);
        decided.progress.until = validation.again;
    }
    decided.progress.blocked = not_made.or_else(|| keeps_from_passing(view, &validation, pod));
    Some(decided.noting(Note::Validates(validation)))
}

/// What keeps the check of `target` from being passed, where no pod of it is made before.
pub fn fails_its_check(view: &View<'_>, target: &Revision) -> Option<Blocked> {
    let known = view.memory.validation.as_ref();
    let validation = known.filter(|validation| validation.revision == target.name)?;
    let blocked = keeps_from_passing(view, validation, pod(view.seen, validation));
    blocked.filter(|_| is_open(validation, target, &view.look))
}

/// What is wrong with the configuration, or keeps the check from being made.
fn keeps_from_passing(
    view: &View<'_>,
    validation: &Validation,
    pod: Option<&domain::Validation>,
) -> Option<Blocked> {
    if validation.state == ValidationState::Invalid {
        let why = validation.message.as_deref().unwrap_or_default();
        return Some(Blocked {
            reason: Reason::ConfigurationInvalid,
            message: format!(
                "the node's own check refuses the configuration of revision {}, and no pod is replaced for it: {why}",
                validation.revision
            ),
            stalled: true,
        });
    }
    let Some(pod) = pod else {
        let name = pod_name(&view.seen.intent.node, validation);
        let refused = view.refused_oneshot(&name).map(moves::not_made);
        return refused.or_else(|| has_said_nothing(view, validation));
    };
    keeps_from_answering(view, pod).or_else(|| has_said_nothing(view, validation))
}

/// The check was made and says nothing: what that means, and how a person goes on without.
fn has_said_nothing(view: &View<'_>, validation: &Validation) -> Option<Blocked> {
    if validation.state != ValidationState::Unknown {
        return None;
    }
    let why = validation.message.as_deref().unwrap_or_default();
    let again = validation
        .again
        .map_or_else(|| "now".to_owned(), |again| format!("at {again}"));
    let (intent, revision) = (&view.seen.intent, &validation.revision);
    Some(Blocked {
        reason: Reason::ConfigurationUnchecked,
        message: format!(
            "the node's own check says nothing about the configuration of revision {revision} ({why}), and from 2.30 on a node finds a mistake only when it has the lock and the old one has lost it: no pod is replaced, and the check is made again {again}; to go on without it: kubectl annotate --namespace {} chainlinknode/{} {UNCHECKED_ANNOTATION}={revision} --overwrite",
            intent.namespace, intent.node.name
        ),
        stalled: validation.silent >= SILENT,
    })
}

/// What keeps the pod of a check from giving an answer.
fn keeps_from_answering(view: &View<'_>, pod: &domain::Validation) -> Option<Blocked> {
    let trouble = match &pod.checked {
        Checked::NotYet(trouble) => trouble.as_ref(),
        Checked::Said(_) | Checked::Never => None,
    };
    let late = pod.created <= before(view.now, late::patience(view, trouble));
    let (reason, message, hopeless) = match trouble {
        Some(trouble) => (
            Reason::of(&trouble.reason),
            format!("{}: {}", pod.id.name, trouble.message_and_advice()),
            trouble.lasts(),
        ),
        None if late => (
            Reason::ValidationTimeout,
            format!(
                "{} has not checked the configuration within handover.standbyTimeout: read its log, or delete it to have it made again",
                pod.id.name
            ),
            false,
        ),
        None => return None,
    };
    Some(Blocked {
        reason,
        message,
        stalled: late || hopeless,
    })
}
