//! `events`: what happened to a node and its pods, by time.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde::Serialize;

use crate::connect::Session;
use crate::end::End;
use crate::failure::{Doing, Failure};
use crate::out::{Out, Tone, Word};
use crate::words::ago;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Happened {
    at: Option<Timestamp>,
    kind: String,
    reason: String,
    object: String,
    message: String,
    count: i32,
}

pub async fn run(name: &str, session: &Session, out: &mut Out) -> Result<End, Failure> {
    let node = session.node(name).await?;
    let api: Api<Event> = Api::namespaced(session.client.clone(), &session.namespace);
    let of_node = format!("involvedObject.kind=ChainlinkNode,involvedObject.name={name}");
    let mut found = api
        .list(&ListParams::default().fields(&of_node))
        .await
        .doing("listing events")?
        .items;
    let pods: BTreeSet<String> = node
        .status
        .iter()
        .flat_map(|status| &status.pods)
        .map(|pod| pod.name.clone())
        .collect();
    let of_pods = api
        .list(&ListParams::default().fields("involvedObject.kind=Pod"))
        .await
        .doing("listing events")?;
    found.extend(of_pods.items.into_iter().filter(|event| {
        let named = event.involved_object.name.as_ref();
        named.is_some_and(|named| pods.contains(named))
    }));
    // One of an earlier resource of this name is another's.
    let uid = node.uid();
    found.retain(|event| {
        let about = &event.involved_object;
        about.kind.as_deref() != Some("ChainlinkNode") || about.uid.is_none() || about.uid == uid
    });
    let mut all: Vec<Happened> = found.iter().map(happened).collect();
    all.sort_by_key(|one| one.at);
    let now = Timestamp::now();
    out.show(&all, |out| {
        if all.is_empty() {
            return out.text("there are no events of the last hour (the API server keeps them no longer by default)");
        }
        let rows = all.iter().map(|one| {
            let tone = if one.kind == "Warning" { Tone::Bad } else { Tone::Plain };
            vec![
                one.at.map(|at| ago(at, now)).unwrap_or_default().into(),
                Word::new(one.reason.clone(), tone),
                one.object.clone().into(),
                one.count.to_string().into(),
                one.message.clone().into(),
            ]
        });
        let heads = ["AGO", "REASON", "OBJECT", "COUNT", "MESSAGE"];
        out.table(&heads, &rows.collect::<Vec<_>>())
    })?;
    Ok(End::Done)
}

fn happened(event: &Event) -> Happened {
    let series = event.series.as_ref();
    let last = series.and_then(|series| series.last_observed_time.as_ref().map(|time| time.0));
    let at = last
        .or(event.last_timestamp.as_ref().map(|time| time.0))
        .or(event.event_time.as_ref().map(|time| time.0))
        .or(event
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0));
    let about = &event.involved_object;
    let (kind, name) = (about.kind.as_deref(), about.name.as_deref());
    Happened {
        at,
        kind: event.type_.clone().unwrap_or_default(),
        reason: event.reason.clone().unwrap_or_default(),
        object: format!("{}/{}", kind.unwrap_or_default(), name.unwrap_or_default()),
        message: event.message.clone().unwrap_or_default(),
        count: series
            .and_then(|series| series.count)
            .or(event.count)
            .unwrap_or(1),
    }
}
