//! The annotation that names the release which was applied. It is written after the status, which holds the same, so that a
//! resource that was restored without its status still says what ran. What fails here is noted, and holds up nothing.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::scene::Pass;
use crate::api::names::{APPLIED_ANNOTATION, FIELD_MANAGER, NONE_APPLIED};
use crate::api::{AppliedUpdate, ChainlinkNodeStatus};
use crate::cluster::refusal;
use crate::controller::failures::ApiFailures;
use crate::domain::{Applied, Reason};
use crate::report::Note;

impl Pass<'_> {
    /// Brings the annotation to what the status says, where the resource is still of this `version`.
    pub(super) async fn keep_applied(
        &self,
        new: &ChainlinkNodeStatus,
        version: &str,
        failures: &mut ApiFailures,
    ) {
        let word = self.node.annotations().get(APPLIED_ANNOTATION);
        let word = word.map(|word| word.trim());
        let known = Applied::of(self.node);
        let wanted = new.applied.as_ref().map(AppliedUpdate::image);
        let is_a_persons = word == Some(NONE_APPLIED) || matches!(known, Applied::Unreadable(_));
        if word == wanted.as_deref() || (wanted.is_none() && is_a_persons) {
            return;
        }
        let change = json!({"metadata": {
            "resourceVersion": version,
            "annotations": {APPLIED_ANNOTATION: wanted},
        }});
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patched = self
            .api
            .patch_metadata(&self.node.name_any(), &parameters, &Patch::Merge(change))
            .await;
        match patched {
            Ok(_) => {
                let told = word.filter(|word| known.contradicts(word));
                self.context
                    .tell(
                        self.client,
                        self.node,
                        told.map(|word| differs(word, &known)),
                    )
                    .await;
            }
            // The next pass looks anew.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {}
            Err(error) => match refusal(&error) {
                Some(said) => failures.refuse(Reason::AppliedUpdateNotKept, not_kept(&said)),
                None => failures.fail(
                    Reason::AppliedUpdateNotKept,
                    "write the annotation of the applied release",
                    &error,
                ),
            },
        }
    }
}

fn differs(word: &str, known: &Applied) -> Note {
    let image = known.release().map(AppliedUpdate::image);
    let image = image.unwrap_or_default();
    Note {
        warning: true,
        reason: Reason::AppliedUpdateDiffers,
        action: "Apply",
        text: format!(
            "the annotation {APPLIED_ANNOTATION} said `{word}`, and status.applied says {image}: the status counts, and the annotation was written anew. To have the release count no more, take policy: Apply out of spec.updates first, and then write {NONE_APPLIED} into the annotation"
        ),
    }
}

fn not_kept(said: &str) -> String {
    format!(
        "the API server refuses to write the annotation {APPLIED_ANNOTATION}, by which a restored resource knows which release ran: {said}. Set updates.apply=true in the values of the operator's chart, or leave policy: Apply out of spec.updates"
    )
}
