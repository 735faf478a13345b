//! A new configuration is checked before a running pod is replaced for it: by the node's own check, in a short pod.

use crate::api::{Memory, Validation, ValidationState};
use crate::domain;
use crate::domain::{Checked, Observation, PodId, Reason, Revision, Wanted};
use crate::node::Verdict;
use crate::plan::acts::Act;
use crate::plan::decision::{Decision, Note};
use crate::plan::limits::before;
use crate::plan::rules::{late, oneshot, repair};
use crate::plan::step::{Blocked, Progress, Step};
use crate::plan::view::{Look, View};

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
    let Some(pod) = pod(look.seen, validation) else {
        return;
    };
    let (state, message) = match &pod.checked {
        Checked::NotYet(_) => return,
        Checked::Never if pod.deleted => return,
        Checked::Never => {
            validation.attempt += 1;
            return;
        }
        Checked::Said(Verdict::Valid) => (ValidationState::Valid, None),
        Checked::Said(Verdict::Invalid(why)) => (ValidationState::Invalid, Some(why.clone())),
        Checked::Said(Verdict::Unknown(why)) => (ValidationState::Unknown, Some(why.clone())),
    };
    validation.state = state;
    validation.message = message;
}

/// The pod of a check that goes on, where it is not there yet.
pub fn make(look: &Look<'_>, validation: Option<&Validation>) -> Option<Act> {
    let missing = validation.filter(|validation| pod(look.seen, validation).is_none());
    missing.map(|validation| Act::Validate {
        pod: pod_name(&look.seen.intent.node, validation),
        revision: validation.revision.clone(),
    })
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
    let wanted = match &look.seen.intent.wanted {
        Wanted::Revision(wanted) => wanted.name == validation.revision,
        Wanted::Unusable(_) => false,
    };
    wanted
        && look.seen.intent.replicas > 0
        && !look.seen.intent.policy.paused
        && memory.last_worked.as_ref() != Some(&validation.revision)
        && matches!(
            validation.state,
            ValidationState::Pending | ValidationState::Invalid
        )
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
    });
    if matches!(
        validation.state,
        ValidationState::Valid | ValidationState::Unknown
    ) {
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
    if decided.waits() {
        let name = pod_name(&view.seen.intent.node, &validation);
        decided.progress = Progress::at(Step::Validating).about(&name);
    }
    decided.progress.blocked = keeps_from_passing(view, &validation, pod);
    Some(decided.noting(Note::Validates(validation)))
}

/// What keeps the check of `target` from being passed, where no pod of it is made before.
pub fn fails_its_check(view: &View<'_>, target: &Revision) -> Option<Blocked> {
    let known = view.memory.validation.as_ref();
    let validation = known.filter(|validation| validation.revision == target.name)?;
    let open = matches!(
        validation.state,
        ValidationState::Pending | ValidationState::Invalid
    );
    let blocked = keeps_from_passing(view, validation, pod(view.seen, validation));
    blocked.filter(|_| open)
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
    let pod = pod?;
    let trouble = match &pod.checked {
        Checked::NotYet(trouble) => trouble.as_ref(),
        Checked::Said(_) | Checked::Never => None,
    };
    let late = pod.created <= before(view.now, late::patience(view, trouble));
    let (reason, message, hopeless) = match trouble {
        Some(trouble) => (
            Reason::of(&trouble.reason),
            format!("{}: {}", pod.id.name, trouble.message_and_advice()),
            trouble.of_a_wrong_image(),
        ),
        None if late => (
            Reason::ValidationTimeout,
            format!(
                "{} has not checked the configuration within handover.standbyTimeout",
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
