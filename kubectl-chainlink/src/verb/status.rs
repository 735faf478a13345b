//! `status`: one page.

use chainlink_operator::api::{ChainlinkNode, ChainlinkNodeStatus};
use futures::StreamExt;
use jiff::Timestamp;
use kube::ResourceExt;

use crate::args::Status;
use crate::connect::Session;
use crate::end::End;
use crate::failure::Failure;
use crate::out::{Out, Tone, Word};
use crate::words::{Health, ago, phase, tone_of, wanted_version, when};

pub async fn run(asked: &Status, session: &Session, out: &mut Out) -> Result<End, Failure> {
    if !asked.watch {
        let node = session.node(&asked.name).await?;
        show(&node, out)?;
        let bad = Health::of(node.status.as_ref()).needs_a_person();
        return Ok(if asked.check && bad {
            End::No
        } else {
            End::Done
        });
    }
    let mut states = Box::pin(session.watch(&asked.name));
    let mut first = true;
    while let Some(state) = states.next().await {
        let node = match state? {
            Some(node) => node,
            None if first => return Err(session.not_found(&asked.name)),
            None => {
                out.text(&format!("{} is gone", asked.name))?;
                return Ok(End::Done);
            }
        };
        if out.is_for_people() {
            out.new_page(first)?;
        }
        show(&node, out)?;
        first = false;
    }
    Ok(End::Done)
}

/// Scripts get the resource itself: its status is this page.
fn show(node: &ChainlinkNode, out: &mut Out) -> Result<(), Failure> {
    let now = Timestamp::now();
    out.show(node, |out| page(node, now, out))
}

/// Which node it is, and its phase.
pub fn heading(node: &ChainlinkNode, out: &mut Out) -> std::io::Result<()> {
    let place = format!(
        "{}/{}",
        node.namespace().unwrap_or_default(),
        node.name_any()
    );
    out.line(&[
        Word::new(place, Tone::Heading),
        "  ".into(),
        phase(node.status.as_ref()),
    ])
}

/// The page of a node.
pub fn page(node: &ChainlinkNode, now: Timestamp, out: &mut Out) -> std::io::Result<()> {
    let status = node.status.clone().unwrap_or_default();
    heading(node, out)?;
    if let Some(message) = &status.message {
        out.text(message)?;
    }
    out.text("")?;
    out.table(&[], &facts(node, &status, now))?;
    if !status.pods.is_empty() {
        out.heading("Pods")?;
        pods(&status, now, out)?;
    }
    if !status.conditions.is_empty() {
        out.heading("Evidence")?;
        evidence(&status, now, out)?;
    }
    history(&status, now, out)
}

/// Who works, what is wanted, and what is under way.
fn facts(node: &ChainlinkNode, status: &ChainlinkNodeStatus, now: Timestamp) -> Vec<Vec<Word>> {
    let mut facts: Vec<Vec<Word>> = Vec::new();
    let mut fact = |name: &str, word: Word| facts.push(vec![name.into(), word]);
    let mut all = status.pods.iter();
    let active = all.find(|pod| Some(&pod.name) == status.active.as_ref());
    fact(
        "Active",
        match (active, &status.active, &status.holder) {
            (Some(pod), ..) => {
                let machine = pod.machine.as_deref().unwrap_or("no machine");
                let since = pod
                    .since
                    .map(|since| format!(", since {}", when(since, now)));
                format!("{} on {machine}{}", pod.name, since.unwrap_or_default()).into()
            }
            (None, Some(active), _) => active.clone().into(),
            (None, None, Some(holder)) => format!("none of ours; the holder is {holder}").into(),
            (None, None, None) => Word::new("none", Tone::Bad),
        },
    );
    let standbys = status.standbys.clone();
    fact(
        "Standbys",
        standbys.unwrap_or_else(|| "-".to_owned()).into(),
    );
    let wanted = wanted_version(node);
    fact(
        "Version",
        match &status.current_version {
            Some(runs) if *runs == wanted => runs.clone().into(),
            Some(runs) => Word::new(format!("{runs}; {wanted} is wanted"), Tone::Waits),
            None => Word::new(format!("none; {wanted} is wanted"), Tone::Waits),
        },
    );
    if wanted != node.spec.version {
        let text = format!("{wanted}, in place of spec.version {}", node.spec.version);
        fact("Applied", text.into());
    }
    if let Some(handover) = &status.handover {
        let text = format!(
            "{} since {}: {} ({} → {})",
            handover.step,
            ago(handover.started_at, now),
            handover.reason,
            handover.from,
            handover.to
        );
        fact("Handover", Word::new(text, Tone::Waits));
    }
    for (name, request) in [("Switchover", &status.switchover), ("Drill", &status.drill)] {
        if let Some(request) = request {
            let told = request.message.clone().unwrap_or_default();
            let since = when(request.since, now);
            let tone = match request.state.as_str() {
                "Done" => Tone::Plain,
                "Pending" => Tone::Waits,
                _ => Tone::Bad,
            };
            let text = format!("{} ({since}) {told}", request.state.as_str());
            fact(name, Word::new(text, tone));
        }
    }
    if let Some(update) = &status.update {
        fact(
            "Newer",
            format!("{} is in the registry", update.version).into(),
        );
    }
    if node
        .metadata
        .generation
        .is_some_and(|is| is != status.observed_generation)
    {
        let text = "the operator has not looked at the last change of the spec yet";
        fact("Operator", Word::new(text, Tone::Waits));
    }
    facts
}

fn pods(status: &ChainlinkNodeStatus, now: Timestamp, out: &mut Out) -> std::io::Result<()> {
    let rows = status.pods.iter().map(|pod| {
        let tone = match pod.role.as_str() {
            "Active" | "Standby" => Tone::Good,
            "Suspect" | "Foreign" | "Failing" | "Unknown" => Tone::Bad,
            _ => Tone::Waits,
        };
        vec![
            pod.name.clone().into(),
            Word::new(pod.role.clone(), tone),
            pod.version.clone().unwrap_or_default().into(),
            pod.revision.clone().into(),
            pod.machine.clone().unwrap_or_default().into(),
            pod.since
                .map(|since| ago(since, now))
                .unwrap_or_default()
                .into(),
            pod.exits.to_string().into(),
            pod.message.clone().unwrap_or_default().into(),
        ]
    });
    let heads = [
        "POD", "ROLE", "VERSION", "REVISION", "MACHINE", "SINCE", "EXITS", "MESSAGE",
    ];
    out.table(&heads, &rows.collect::<Vec<_>>())
}

fn evidence(status: &ChainlinkNodeStatus, now: Timestamp, out: &mut Out) -> std::io::Result<()> {
    let rows = status.conditions.iter().map(|one| {
        vec![
            one.type_.clone().into(),
            Word::new(one.status.clone(), tone_of(one)),
            ago(one.last_transition_time.0, now).into(),
            one.reason.clone().into(),
            one.message.clone().into(),
        ]
    });
    let heads = ["CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE"];
    out.table(&heads, &rows.collect::<Vec<_>>())
}

/// The moves of the lock, the last one first. An operator of before noted the last one alone.
fn history(status: &ChainlinkNodeStatus, now: Timestamp, out: &mut Out) -> std::io::Result<()> {
    let mut rows: Vec<(Timestamp, Vec<Word>)> = status
        .history
        .iter()
        .map(|one| {
            let gap = gap(one.gap.as_ref(), one.gap_is_upper_bound);
            let from = one.from.as_deref().unwrap_or("nobody");
            let mut row = moved(one.finished_at, (from, &one.to), &one.reason, gap, now);
            row.push(one.asked_by.clone().into());
            (one.finished_at, row)
        })
        .collect();
    if let (true, Some(last)) = (rows.is_empty(), &status.last_handover) {
        let gap = gap(last.gap.as_ref(), last.gap_is_upper_bound);
        let row = moved(
            last.finished_at,
            (&last.from, &last.to),
            &last.reason,
            gap,
            now,
        );
        rows.push((last.finished_at, row));
    }
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let rows: Vec<Vec<Word>> = rows.into_iter().map(|(_, row)| row).collect();
    out.heading("Moves of the lock")?;
    out.table(&["WHEN", "FROM", "TO", "REASON", "GAP", "ASKED BY"], &rows)
}

fn moved(
    at: Timestamp,
    (from, to): (&str, &str),
    reason: &str,
    gap: String,
    now: Timestamp,
) -> Vec<Word> {
    let unplanned = reason == "Failover" || reason == "Unresponsive";
    let tone = if unplanned { Tone::Bad } else { Tone::Plain };
    vec![
        when(at, now).into(),
        from.into(),
        to.into(),
        Word::new(reason, tone),
        gap.into(),
    ]
}

fn gap(gap: Option<&String>, is_upper_bound: bool) -> String {
    match (gap, is_upper_bound) {
        (Some(gap), true) => format!("at most {gap}"),
        (Some(gap), false) => gap.clone(),
        (None, _) => "not seen".to_owned(),
    }
}
