//! `surge: 0`: the image is on the machine before a standby is replaced there.

use std::time::Duration;

use crate::domain::{Observation, Pod, PodId, Pull, Pulled, Revision};
use crate::plan::acts::Act;
use crate::plan::decision::Needed;
use crate::plan::limits::before;
use crate::plan::rules::oneshot;
use crate::plan::view::Look;

/// How long a pull that its machine did not admit stands before it is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// The image for a pod of `target` in the place of `pod`, if that is anywhere yet.
pub fn in_place_of(pod: &Pod, target: &Revision) -> Option<Needed> {
    Some(Needed {
        revision: target.name.clone(),
        machine: pod.machine.clone()?,
    })
}

fn is_for(pull: &Pull, needed: &Needed) -> bool {
    pull.revision == needed.revision && pull.machine == needed.machine
}

/// The pull that was made for an image.
pub fn found<'a>(seen: &'a Observation, needed: &Needed) -> Option<&'a Pull> {
    seen.pulls.iter().find(|pull| is_for(pull, needed))
}

/// The name of its pod: the same after a crash, and never the same for another resource of that name.
pub fn pod_name(node: &PodId, needed: &Needed) -> String {
    oneshot::name(
        node,
        "pull",
        &format!("{} {}", needed.revision, needed.machine),
    )
}

/// The pull that is needed, where it is not there yet.
pub fn make(look: &Look<'_>, needed: Option<&Needed>) -> Option<Act> {
    let missing = needed.filter(|needed| found(look.seen, needed).is_none())?;
    let pod = pod_name(&look.seen.intent.node, missing);
    (!look.is_too_early_for(&pod)).then(|| Act::Pull {
        pod,
        revision: missing.revision.clone(),
        machine: missing.machine.clone(),
    })
}

/// Pulls that are over are removed.
pub fn end(look: &Look<'_>, needed: Option<&Needed>) -> impl Iterator<Item = Act> {
    over(look, needed).map(|pull| Act::EndOneshot {
        pod: pull.id.clone(),
    })
}

/// Pulls that nothing needs any more, or that are to be tried again.
fn over<'a>(look: &Look<'a>, needed: Option<&Needed>) -> impl Iterator<Item = &'a Pull> {
    look.seen.pulls.iter().filter(move |pull| {
        let refused = matches!(pull.pulled, Pulled::Refused(_));
        let stale = refused && pull.created <= before(look.now, AGAIN);
        !pull.deleted && (stale || !needed.is_some_and(|needed| is_for(pull, needed)))
    })
}
