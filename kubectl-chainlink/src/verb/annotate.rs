//! `switchover` and `approve`: what a person asks for by an annotation. They set annotations and nothing else, which is all that
//! people on call may do.

use std::time::Duration;

use chainlink_operator::api::names::{
    APPROVED_ANNOTATION, SWITCHOVER_ANNOTATION, SWITCHOVER_TO_ANNOTATION,
};
use chainlink_operator::api::{Approval, ChainlinkNode, Request, RequestState};
use chainlink_operator::domain::Reason;
use futures::StreamExt;
use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use crate::args::{Approve, Switchover};
use crate::connect::Session;
use crate::end::End;
use crate::failure::Failure;
use crate::out::{Out, Tone, Word};
use crate::words::{condition, wanted_version};

/// What became of a request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    namespace: String,
    name: String,
    state: String,
    message: String,
}

impl Outcome {
    fn new(node: &ChainlinkNode, state: &str, message: impl Into<String>) -> Self {
        Self {
            namespace: node.namespace().unwrap_or_default(),
            name: node.name_any(),
            state: state.to_owned(),
            message: message.into(),
        }
    }

    fn show(&self, tone: Tone, out: &mut Out) -> Result<(), Failure> {
        out.show(self, |out| {
            let state = Word::new(self.state.clone(), tone);
            out.line(&[state, format!(": {}", self.message).into()])
        })
    }
}

/// Asks for a switchover, and waits until it has ended.
pub async fn switchover(
    asked: &Switchover,
    session: &Session,
    out: &mut Out,
) -> Result<End, Failure> {
    let node = session.node(&asked.name).await?;
    // The same text never acts twice.
    let token = format!(
        "kubectl-{}",
        Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
    );
    let annotations = [
        (SWITCHOVER_ANNOTATION, Some(token.as_str())),
        // One of before would lead there.
        (SWITCHOVER_TO_ANNOTATION, asked.to.as_deref()),
    ];
    let node = session.annotate(&node, &annotations).await?;
    if asked.no_wait {
        Outcome::new(&node, "Asked", token).show(Tone::Waits, out)?;
        return Ok(End::Done);
    }
    let patience = Duration::from_secs(asked.timeout);
    let ended = tokio::time::timeout(patience, ended(session, &asked.name, &token)).await;
    let Ok(ended) = ended else {
        let message = format!(
            "it has not ended within {} s, and goes on: kubectl chainlink why {} --namespace {}",
            asked.timeout, asked.name, session.namespace
        );
        Outcome::new(&node, "Pending", message).show(Tone::Waits, out)?;
        return Ok(End::NotYet);
    };
    let request = ended?;
    let (tone, end) = match request.state {
        RequestState::Done => (Tone::Good, End::Done),
        RequestState::Pending | RequestState::Refused | RequestState::Failed => {
            (Tone::Bad, End::No)
        }
    };
    let message = request.message.unwrap_or_default();
    Outcome::new(&node, request.state.as_str(), message).show(tone, out)?;
    Ok(end)
}

/// The switchover of this token, once it has ended.
async fn ended(session: &Session, name: &str, token: &str) -> Result<Request, Failure> {
    let mut states = Box::pin(session.watch(name));
    while let Some(state) = states.next().await {
        let node = state?.ok_or_else(|| session.not_found(name))?;
        let asked = node.annotations().get(SWITCHOVER_ANNOTATION).cloned();
        let request = node.status.and_then(|status| status.switchover);
        let ours = request.filter(|request| request.token == token);
        match (ours, asked) {
            (Some(request), _) if !request.is_pending() => return Ok(request),
            (Some(_), _) => {}
            (None, Some(asked)) if asked == token => {}
            (None, asked) => {
                let by = asked.map_or("it was removed", |_| "somebody asked for another one");
                return Err(Failure::Asked(format!(
                    "the switchover was not taken up: {by}; ask again where you still want it"
                )));
            }
        }
    }
    Err(Failure::Asked(format!(
        "the API server ended the watch; the switchover goes on: see kubectl chainlink status {name}"
    )))
}

/// Approves the revision that waits for a person.
pub async fn approve(asked: &Approve, session: &Session, out: &mut Out) -> Result<End, Failure> {
    let node = session.node(&asked.name).await?;
    let revision = match waiting(&node, asked.revision.as_deref()) {
        Ok(revision) => revision,
        Err(why) => {
            Outcome::new(&node, "NotApproved", why).show(Tone::Bad, out)?;
            return Ok(End::No);
        }
    };
    let node = session
        .annotate(&node, &[(APPROVED_ANNOTATION, Some(revision.as_str()))])
        .await?;
    let message = format!("revision {revision}, version {}", wanted_version(&node));
    Outcome::new(&node, "Approved", message).show(Tone::Good, out)?;
    Ok(End::Done)
}

/// The revision that waits for an approval, or why there is none.
fn waiting(node: &ChainlinkNode, meant: Option<&str>) -> Result<String, String> {
    let handover = node.spec.handover.as_ref();
    if handover.and_then(|handover| handover.approval) != Some(Approval::Manual) {
        return Err("spec.handover.approval is not Manual: nothing has to be approved".to_owned());
    }
    let status = node.status.clone().unwrap_or_default();
    if node.metadata.generation != Some(status.observed_generation) {
        return Err(
            "the operator has not looked at the last change of the spec yet: ask again in a moment"
                .to_owned(),
        );
    }
    let required = condition(&status, "ApprovalRequired");
    let required = required.filter(|one| one.status == "True");
    let wanted = status.operator.wanted_name().map(ToString::to_string);
    let (Some(_), Some(wanted)) = (required, wanted) else {
        let doing = status.message.unwrap_or_default();
        let word = Reason::NothingToApprove;
        return Err(format!("no change waits for approval ({word}): {doing}"));
    };
    match meant {
        Some(meant) if meant != wanted => Err(format!(
            "revision {wanted} waits for approval, and not {meant}: look at it, and approve that one"
        )),
        _ => Ok(wanted),
    }
}
