//! `pause`, `resume`, `hibernate`, `wake`: changes of the spec. They take the right to update a node, which people on call do not
//! have; and where a tool applies the spec from Git, the change belongs there.

use chainlink_operator::api::ChainlinkNode;
use kube::ResourceExt;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Hibernate, Wake};
use crate::cluster::{annotation, applied_by};
use crate::connect::Session;
use crate::end::End;
use crate::failure::Failure;
use crate::out::{Out, Tone, Word};

/// How many pods there were before `hibernate`. Only this program reads it.
pub const REPLICAS_BEFORE: &str = "kubectl.chainlink-operator.dev/replicas-before";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    namespace: String,
    name: String,
    message: String,
    /// Whoever may set it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_by: Option<&'static str>,
}

pub async fn pause(
    name: &str,
    paused: bool,
    session: &Session,
    out: &mut Out,
) -> Result<End, Failure> {
    let node = session.node(name).await?;
    let message = match (node.spec.paused, paused) {
        (true, true) => return told(&node, "it is paused already", out),
        (false, false) => return told(&node, "it is not paused", out),
        (false, true) => "paused: nothing planned is done; a failover still is",
        (true, false) => "resumed: what was held back goes on",
    };
    change(
        &node,
        json!({"spec": {"paused": paused}}),
        message,
        session,
        out,
    )
    .await
}

pub async fn hibernate(
    asked: &Hibernate,
    session: &Session,
    out: &mut Out,
) -> Result<End, Failure> {
    let node = session.node(&asked.name).await?;
    let before = node.spec.replicas;
    if before == 0 {
        return told(&node, "it hibernates already", out);
    }
    if !asked.yes {
        return Err(Failure::Asked(format!(
            "{} would stop to work, and nobody would take over: say --yes where that is meant",
            asked.name
        )));
    }
    let set = json!({
        "metadata": {"annotations": {REPLICAS_BEFORE: before.to_string()}},
        "spec": {"replicas": 0},
    });
    let message =
        format!("all {before} pods are being stopped; kubectl chainlink wake starts as many");
    change(&node, set, &message, session, out).await
}

pub async fn wake(asked: &Wake, session: &Session, out: &mut Out) -> Result<End, Failure> {
    let node = session.node(&asked.name).await?;
    if node.spec.replicas != 0 {
        return told(&node, "it does not hibernate", out);
    }
    let before = annotation(&node, REPLICAS_BEFORE).and_then(|text| text.parse().ok());
    let Some(replicas) = asked.replicas.or(before) else {
        return Err(Failure::Asked(format!(
            "how many pods {} had is not noted: say --replicas 2",
            asked.name
        )));
    };
    let set = json!({
        "metadata": {"annotations": {REPLICAS_BEFORE: null}},
        "spec": {"replicas": replicas},
    });
    let message = format!("{replicas} pods are being started");
    change(&node, set, &message, session, out).await
}

async fn change(
    node: &ChainlinkNode,
    set: Value,
    message: &str,
    session: &Session,
    out: &mut Out,
) -> Result<End, Failure> {
    let node = session.change(node, set, "changing the spec of").await?;
    told(&node, message, out)
}

fn told(node: &ChainlinkNode, message: &str, out: &mut Out) -> Result<End, Failure> {
    let changed = Changed {
        namespace: node.namespace().unwrap_or_default(),
        name: node.name_any(),
        message: message.to_owned(),
        applied_by: applied_by(node),
    };
    out.show(&changed, |out| {
        out.text(message)?;
        if let Some(who) = changed.applied_by {
            let beware = format!(
                "note: {who} applies this resource, and may set it back: change it there, too (docs/gitops.md)"
            );
            out.line(&[Word::new(beware, Tone::Waits)])?;
        }
        Ok(())
    })?;
    Ok(End::Done)
}
