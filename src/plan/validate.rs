//! A new configuration is checked before a running pod is replaced for it: by the node's own check, in a short pod.

use super::census::before;
use super::errand;
use super::moves::{Board, Decided};
use super::situation::{Blocked, Situation, Step};
use crate::api::{Memory, Validation, ValidationState};
use crate::node::Verdict;
use crate::observe::{self, Checked, Observation, PodId, Revision, Wanted};

/// The name of the pod of one try: the same after a crash, and another for another resource of that name.
pub(super) fn pod_name(node: &PodId, validation: &Validation) -> String {
    let of = format!("{} {}", validation.revision, validation.attempt);
    errand::name(node, "validate", &of)
}

/// The pod that checks now, if it is there.
fn pod<'a>(seen: &'a Observation, validation: &Validation) -> Option<&'a observe::Validation> {
    let name = pod_name(&seen.intent.node, validation);
    seen.validations.iter().find(|pod| pod.id.name == name)
}

/// Takes up what the check has said.
pub(super) fn remember(memory: &mut Memory, seen: &Observation) {
    let Some(validation) = &mut memory.validation else {
        return;
    };
    let wanted = memory.wanted.as_ref().map(|wanted| &wanted.name);
    let done = memory.last_worked.as_ref() == Some(&validation.revision);
    if (wanted != Some(&validation.revision) || done) && seen.validations.is_empty() {
        memory.validation = None;
        return;
    }
    let Some(pod) = pod(seen, validation) else {
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

/// Pods that check nothing any more.
pub(super) fn over<'a>(
    seen: &'a Observation,
    memory: &Memory,
) -> impl Iterator<Item = &'a observe::Validation> {
    let current = memory
        .validation
        .as_ref()
        .filter(|validation| goes_on(validation, memory, seen))
        .map(|validation| pod_name(&seen.intent.node, validation));
    let over =
        move |pod: &&observe::Validation| !pod.deleted && current.as_ref() != Some(&pod.id.name);
    seen.validations.iter().filter(over)
}

/// Whether its pod is still of use.
fn goes_on(validation: &Validation, memory: &Memory, seen: &Observation) -> bool {
    let wanted = match &seen.intent.wanted {
        Wanted::Revision(wanted) => wanted.name == validation.revision,
        Wanted::Unusable(_) => false,
    };
    wanted
        && seen.intent.replicas > 0
        && !seen.intent.wishes.paused
        && memory.last_worked.as_ref() != Some(&validation.revision)
        && matches!(
            validation.state,
            ValidationState::Pending | ValidationState::Invalid
        )
}

impl Board<'_> {
    /// The check of `target`, where it has to come first and has not passed.
    pub(super) fn validate(&self, target: &Revision) -> Option<Decided> {
        let made = |pod: &observe::Pod| pod.revision.as_ref() == Some(target);
        let worked = self.memory.last_worked.as_ref();
        if !target.validates || worked == Some(&target.name) || self.seen.pods.iter().any(made) {
            return None;
        }
        let known = self.memory.validation.as_ref();
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
        let pod = pod(self.seen, &validation);
        // It ends as soon as its machine hears of it, which a lost machine never does.
        let stranded = pod.is_some_and(|pod| {
            pod.deleted && pod.created <= before(self.now, self.seen.intent.standby_timeout)
        });
        if stranded {
            validation.attempt += 1;
        }
        let mut decided = self.hold_quietly();
        if decided.create.is_none() && decided.stop.is_none() {
            let name = pod_name(&self.seen.intent.node, &validation);
            decided.situation = Situation::at(Step::Validating).about(&name);
        }
        decided.situation.blocked = self.keeps_from_passing(&validation, pod);
        decided.validation = Some(validation);
        Some(decided)
    }

    /// What keeps the check of `target` from being passed, where no pod of it is made before.
    pub(super) fn fails_its_check(&self, target: &Revision) -> Option<Blocked> {
        let known = self.memory.validation.as_ref();
        let validation = known.filter(|validation| validation.revision == target.name)?;
        let open = matches!(
            validation.state,
            ValidationState::Pending | ValidationState::Invalid
        );
        let blocked = self.keeps_from_passing(validation, pod(self.seen, validation));
        blocked.filter(|_| open)
    }

    /// What is wrong with the configuration, or keeps the check from being made.
    fn keeps_from_passing(
        &self,
        validation: &Validation,
        pod: Option<&observe::Validation>,
    ) -> Option<Blocked> {
        if validation.state == ValidationState::Invalid {
            let why = validation.message.as_deref().unwrap_or_default();
            return Some(Blocked {
                reason: "ConfigurationInvalid".to_owned(),
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
        let late = pod.created <= before(self.now, self.patience(trouble));
        let (reason, message, hopeless) = match trouble {
            Some(trouble) => (
                trouble.reason.clone(),
                format!("{}: {}", pod.id.name, trouble.message_and_advice()),
                trouble.of_a_wrong_image(),
            ),
            None if late => (
                "ValidationTimeout".to_owned(),
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
}
