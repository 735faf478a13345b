//! `fleet`: all nodes, the worst first.

use chainlink_operator::api::ChainlinkNode;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use serde::Serialize;

use crate::args::Fleet;
use crate::connect::Session;
use crate::end::End;
use crate::failure::Failure;
use crate::out::{Out, Word};
use crate::words::{Health, ago, wanted_version};

/// One node, as a row.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: String,
    name: String,
    phase: String,
    needs_a_person: bool,
    version: Option<String>,
    wanted_version: Option<String>,
    active: Option<String>,
    active_since: Option<Timestamp>,
    standbys: Option<String>,
    message: String,
    #[serde(skip)]
    health: Health,
}

pub async fn run(asked: &Fleet, session: &Session, out: &mut Out) -> Result<End, Failure> {
    let found = session
        .fleet(asked.all_namespaces, asked.selector.as_deref())
        .await?;
    let mut rows: Vec<Row> = found.into_iter().map(row).collect();
    rows.sort_by(|one, other| {
        let key = |row: &Row| (row.health, row.namespace.clone(), row.name.clone());
        key(one).cmp(&key(other))
    });
    let now = Timestamp::now();
    out.show(&rows, |out| {
        if rows.is_empty() {
            let place = if asked.all_namespaces {
                "in this cluster".to_owned()
            } else {
                format!("in namespace {}", session.namespace)
            };
            return out.text(&format!("there are no ChainlinkNodes {place}"));
        }
        let mut heads = vec![
            "NAME", "PHASE", "VERSION", "ACTIVE", "SINCE", "STANDBYS", "MESSAGE",
        ];
        if asked.all_namespaces {
            heads.insert(0, "NAMESPACE");
        }
        let cells = rows.iter().map(|row| cells(row, asked.all_namespaces, now));
        out.table(&heads, &cells.collect::<Vec<_>>())
    })?;
    let bad = rows.iter().any(|row| row.needs_a_person);
    Ok(if asked.check && bad {
        End::No
    } else {
        End::Done
    })
}

fn row(found: DeserializeGuard<ChainlinkNode>) -> Row {
    let node = match found.0 {
        Ok(node) => node,
        Err(invalid) => {
            return Row {
                namespace: invalid.metadata.namespace.unwrap_or_default(),
                name: invalid.metadata.name.unwrap_or_default(),
                phase: "Unreadable".to_owned(),
                needs_a_person: true,
                version: None,
                wanted_version: None,
                active: None,
                active_since: None,
                standbys: None,
                message: format!("this program can't read it: {}", invalid.error),
                health: Health::Stalled,
            };
        }
    };
    let health = Health::of(node.status.as_ref());
    let status = node.status.clone().unwrap_or_default();
    let active = status.active.clone();
    let mut pods = status.pods.iter();
    let since = pods.find(|pod| Some(&pod.name) == active.as_ref());
    Row {
        namespace: node.namespace().unwrap_or_default(),
        name: node.name_any(),
        phase: crate::words::phase(node.status.as_ref()).text,
        needs_a_person: health.needs_a_person(),
        version: status.current_version.clone(),
        wanted_version: Some(wanted_version(&node)),
        active_since: since.and_then(|pod| pod.since),
        active,
        standbys: status.standbys.clone(),
        message: status.message.clone().unwrap_or_default(),
        health,
    }
}

fn cells(row: &Row, with_namespace: bool, now: Timestamp) -> Vec<Word> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let version = match (&row.version, &row.wanted_version) {
        (Some(runs), Some(wanted)) if runs != wanted => format!("{runs} → {wanted}"),
        (Some(runs), _) => runs.clone(),
        (None, wanted) => format!("- → {}", or_dash(wanted)),
    };
    let since = row
        .active_since
        .map_or_else(|| "-".to_owned(), |since| ago(since, now));
    let mut cells = vec![
        row.name.clone().into(),
        Word::new(row.phase.clone(), row.health.tone()),
        version.into(),
        or_dash(&row.active).into(),
        since.into(),
        or_dash(&row.standbys).into(),
        row.message.clone().into(),
    ];
    if with_namespace {
        cells.insert(0, row.namespace.clone().into());
    }
    cells
}
