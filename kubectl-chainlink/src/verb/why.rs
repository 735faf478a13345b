//! `why`: what is waited for, and what to do, in the words of the conditions and of the documents.

use chainlink_operator::api::{ChainlinkNode, ChainlinkNodeStatus};
use chainlink_operator::domain::Reason;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde::Serialize;

use super::status::heading;
use crate::advice;
use crate::args::Why;
use crate::connect::Session;
use crate::end::End;
use crate::failure::Failure;
use crate::out::{Out, Tone, Word};
use crate::words::{Health, ago, condition};

/// Something that is not as it should be, or that is waited for.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waited {
    pub condition: String,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    pub message: String,
    pub meaning: String,
    pub to_do: String,
    /// A command that does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

pub async fn run(asked: &Why, session: &Session, out: &mut Out) -> Result<End, Failure> {
    let node = session.node(&asked.name).await?;
    let all = waited(&node);
    let now = Timestamp::now();
    out.show(&all, |out| show(&node, &all, now, out))?;
    let bad = Health::of(node.status.as_ref()).needs_a_person();
    Ok(if asked.check && bad {
        End::No
    } else {
        End::Done
    })
}

/// The conditions that speak of something to wait for, and the status by which they do, the most urgent first.
const URGENT: [(&str, &str); 12] = [
    ("Stalled", "True"),
    ("Available", "False"),
    ("Available", "Unknown"),
    ("LockVerified", "False"),
    ("DatabaseShared", "True"),
    ("ApprovalRequired", "True"),
    ("Ready", "False"),
    ("Redundant", "False"),
    ("Redundant", "Unknown"),
    ("ChangePending", "True"),
    ("Paused", "True"),
    ("SecretsChanged", "True"),
];

/// All that a node waits for. Each reason is told once.
pub fn waited(node: &ChainlinkNode) -> Vec<Waited> {
    let Some(status) = node
        .status
        .as_ref()
        .filter(|status| status.observed_generation >= 0)
    else {
        return vec![not_looked_at("no operator has looked at this resource yet")];
    };
    let mut all: Vec<Waited> = Vec::new();
    if node
        .metadata
        .generation
        .is_some_and(|is| is > status.observed_generation)
    {
        all.push(not_looked_at(
            "the operator has not looked at the last change of the spec yet",
        ));
    }
    let told = URGENT.iter().filter_map(|(kind, word)| {
        let one = condition(status, kind)?;
        (one.status == *word && is_waited_for(one, status)).then_some(one)
    });
    for one in told {
        if !all.iter().any(|known| known.reason == one.reason) {
            all.push(of(one, node));
        }
    }
    all
}

/// With one pod there is no standby by wish, and what hibernates does so by wish.
fn is_waited_for(one: &Condition, status: &ChainlinkNodeStatus) -> bool {
    let hibernates = status.phase.as_deref() == Some("Hibernated");
    one.reason != Reason::NoStandbyWanted && !hibernates
}

fn not_looked_at(message: &str) -> Waited {
    Waited {
        condition: "observedGeneration".to_owned(),
        reason: "NotLookedAt".to_owned(),
        since: None,
        message: message.to_owned(),
        meaning: "the operator is away, or this namespace is none of those that it watches".to_owned(),
        to_do: "see whether its pod runs, and read its log".to_owned(),
        command: Some(
            "kubectl get pods --all-namespaces --selector app.kubernetes.io/name=chainlink-operator"
                .to_owned(),
        ),
    }
}

fn of(one: &Condition, node: &ChainlinkNode) -> Waited {
    let advice = advice::of(&one.reason).cloned().unwrap_or_default();
    Waited {
        condition: format!("{}={}", one.type_, one.status),
        command: command(&one.reason, node),
        reason: one.reason.clone(),
        since: Some(one.last_transition_time.0),
        message: one.message.clone(),
        meaning: advice.meaning,
        to_do: advice.to_do,
    }
}

/// Where one command is all that is to be done.
fn command(reason: &str, node: &ChainlinkNode) -> Option<String> {
    let verb = match Reason::of(reason) {
        Reason::ApprovalRequired => "approve",
        Reason::Paused | Reason::PausedBySpec => "resume",
        _ => return None,
    };
    let (name, namespace) = (node.name_any(), node.namespace().unwrap_or_default());
    Some(format!(
        "kubectl chainlink {verb} {name} --namespace {namespace}"
    ))
}

fn show(
    node: &ChainlinkNode,
    all: &[Waited],
    now: Timestamp,
    out: &mut Out,
) -> std::io::Result<()> {
    heading(node, out)?;
    if all.is_empty() {
        let message = node
            .status
            .as_ref()
            .and_then(|status| status.message.clone());
        out.text(&message.unwrap_or_default())?;
        return out.text("nothing is waited for");
    }
    for one in all {
        out.heading(&one.reason)?;
        let since = one.since.map(|since| format!(" for {}", ago(since, now)));
        let mut rows: Vec<Vec<Word>> = Vec::new();
        let mut row = |name: &str, text: &str| {
            if !text.is_empty() {
                rows.push(vec![Word::new(name, Tone::Faint), text.into()]);
            }
        };
        row(
            "condition",
            &format!("{}{}", one.condition, since.unwrap_or_default()),
        );
        row("message", &one.message);
        row("meaning", &one.meaning);
        row("what to do", &one.to_do);
        row("command", one.command.as_deref().unwrap_or_default());
        out.table(&[], &rows)?;
    }
    Ok(())
}
