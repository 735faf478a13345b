//! What the operator must not forget: what each look adds to the memory, and what each decision does.

use super::decision::{Decision, Move, Note};
use super::rules::oneshot::validate;
use super::rules::{
    failback, hold, intent, late, requests, rollback, takeover, unresponsive, verdict, versions,
    wrong_database,
};
use super::view::Look;
use crate::api::{LockMove, Memory};
use crate::domain::Pod;

/// The memory after this look, and the move of the lock that the look shows to have ended. In this order: what is
/// remembered first is asked for by what follows.
pub fn look(look: &Look<'_>) -> (Memory, Option<LockMove>) {
    let mut memory = look.before.clone();
    memory.bring_back_to(look.now);
    intent::remember(&mut memory, look);
    verdict::fails(&mut memory, look);
    versions::remember(&mut memory, look);
    versions::remember_restored(&mut memory, look);
    late::remember(&mut memory, look);
    intent::forget_creation(&mut memory, look);
    let moved = takeover::remember(&mut memory, look);
    unresponsive::remember(&mut memory, look);
    let finished = moved.as_ref().and_then(LockMove::handover);
    failback::remember(&mut memory, finished.as_ref(), look);
    hold::remember(&mut memory, look);
    requests::remember(&mut memory, look);
    validate::remember(&mut memory, look);
    verdict::remember_crash(&mut memory, look);
    takeover::forget_stop(&mut memory, look);
    verdict::forget_attempt(&mut memory, look);
    rollback::remember(&mut memory, look);
    wrong_database::remember(&mut memory, look);
    takeover::remember_unheld(&mut memory, look);
    if let Some(answer) = &look.seen.database.answer {
        memory.read_only_spells = answer.read_only.noted().to_vec();
    }
    forget_life(&mut memory, look);
    intent::drop_creation(&mut memory, look);
    (memory, moved)
}

/// What starts after `replicas: 0` is a new life, and no handover.
fn forget_life(memory: &mut Memory, look: &Look<'_>) {
    if look.seen.intent.replicas == 0 && look.seen.pods.iter().all(Pod::ended) {
        memory.last_active = None;
        verdict::forget_failure(memory);
        memory.trial = None;
        memory.database_differs = None;
    }
}

/// What has been decided, before any of it is done (rule S4).
pub fn decision(memory: &mut Memory, look: &Look<'_>, decided: &Decision) {
    match &decided.next {
        Move::Wait => {}
        Move::Create(new) => intent::intend_creation(memory, new, look),
        Move::Stop(permit) => {
            verdict::note_attempt(memory, look, permit);
            rollback::note(memory, look, permit);
            intent::intend_stop(memory, permit, look);
        }
    }
    for note in &decided.notes {
        take_note(memory, look, note);
    }
}

fn take_note(memory: &mut Memory, look: &Look<'_>, note: &Note) {
    let wanted = memory.wanted_name().cloned();
    match note {
        Note::Failed(how, because) => verdict::failed(memory, *how, because.clone(), look),
        Note::Validates(validation) => memory.validation = Some(validation.clone()),
        Note::Checked => memory.checked = wanted,
        Note::CheckFailed(blocked) => hold::note_failed_check(memory, blocked.clone(), look),
        Note::SetAside => memory.set_aside = wanted,
        Note::GoesBack => failback::note(memory, look),
        Note::Refused(purpose, why) => requests::refused(memory, *purpose, why, look),
    }
}
