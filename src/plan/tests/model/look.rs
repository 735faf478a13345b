//! One look at the cluster of the model, as the operator sees it.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::check::{self, Check};
use super::cluster::Cluster;
use super::kind::Nature;
use super::lease::End;
use super::names::{
    self, Ago, CHECKS, NODE, NOW, REVISIONS, name, revision, schema, uid, version_text,
};
use super::pod::{Does, NEVER, Pod, Sight};
use super::second;
use crate::api::{RevisionName, Verification};
use crate::domain::{
    self, Answered, Checked, Contact, Container, DatabaseAnswer, DatabaseView, Exit, Holder,
    Intent, Machine, Observation, PodId, Problem, Reason, Revision, Says, Took, Trouble, Wanted,
};
use crate::node::database::SessionOf;
use crate::node::{ExitKind, Verdict};

/// The machine of those pods that are to leave theirs. The others need none.
const LEFT: &str = "left";

/// The `client_id` of the last node whose end was noted, and of any other.
const ENDED_CLIENT: &str = "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11";
const OTHER_CLIENT: &str = "00000000-2d9b-4d1c-9c1f-6d2a1f0e8b11";

/// When the server was started.
const SERVER_START: i64 = 7;

static MACHINES: LazyLock<BTreeMap<String, Machine>> = LazyLock::new(|| {
    let left = Machine {
        emptying: Some("cordoned".to_owned()),
        ready: true,
        ..Machine::default()
    };
    BTreeMap::from([(LEFT.to_owned(), left)])
});

static KEPT: LazyLock<BTreeMap<RevisionName, Revision>> = LazyLock::new(|| {
    REVISIONS
        .iter()
        .map(|revision| (revision.name.clone(), revision.clone()))
        .collect()
});

/// One look at the cluster.
pub fn look(cluster: &Cluster, surge: usize) -> Observation {
    Observation {
        taken: None,
        refused_stop: None,
        refused_creations: BTreeMap::new(),
        refused_oneshots: BTreeMap::new(),
        refused_return: None,
        best_timed: None,
        ended: ended(cluster),
        database: asked(cluster),
        at: *NOW,
        intent: Intent {
            namespace: String::new(),
            node: NODE.clone(),
            replicas: usize::from(cluster.replicas),
            surge,
            settle: Duration::from_secs(5),
            standby_timeout: Duration::from_mins(10),
            generation: 1,
            wanted: cluster.wanted.map_or_else(
                || {
                    Wanted::Unusable(Problem {
                        reason: Reason::InvalidSpec,
                        message: String::new(),
                        missing: false,
                    })
                },
                |kind| Wanted::Revision(revision(kind).clone()),
            ),
            policy: domain::HandoverPolicy::default(),
        },
        claims: Vec::new(),
        revisions: KEPT.clone(),
        pods: cluster
            .pods()
            .iter()
            .map(|pod| seen(pod, cluster))
            .collect(),
        pulls: Vec::new(),
        validations: cluster.checks.into_iter().flatten().map(checked).collect(),
        machines: Some(MACHINES.clone()),
    }
}

/// What the operator has noted of a node that left its lease.
fn ended(cluster: &Cluster) -> domain::EndedNodes {
    let mut all = domain::EndedNodes::default();
    if let Some(ended) = cluster.lease.ended() {
        let mut pod = seen(&Pod::new(ended.no, ended.kind), cluster);
        pod.ended_client = Some(ENDED_CLIENT.to_owned());
        let since = if ended.now { *NOW } else { Ago::Moment.at() };
        all.note(&[pod], since);
    }
    all
}

/// The kubelets were asked: they know which containers have ended, whatever the API server shows.
pub fn asked_kubelets(seen: &mut Observation, cluster: &Cluster) {
    for pod in &mut seen.pods {
        let truth = cluster.pod(names::number(&pod.id.name));
        pod.log_ended = truth.is_some_and(|pod| pod.untold && !Pod::runs(pod.does));
    }
}

/// Some that can't be seen have answered a moment ago, for the last time.
pub fn answered_lately(seen: &mut Observation, lost: &[u8]) {
    for pod in &mut seen.pods {
        if let Some(contact) = &mut pod.contact
            && lost.contains(&names::number(&pod.id.name))
        {
            contact.at = second::answered_before();
        }
    }
}

fn checked(check: Check) -> domain::Validation {
    let known = |known: &&(u8, u8, String)| (known.0, known.1) == (check.kind, check.attempt);
    let (_, _, name) = CHECKS.iter().find(known).expect("a check of the model");
    domain::Validation {
        id: PodId {
            name: name.clone(),
            uid: format!("uid-{name}"),
        },
        created: if check.late {
            Ago::TenMinutes
        } else {
            Ago::HalfMinute
        }
        .at(),
        deleted: check.deleted,
        checked: match check.says {
            check::Says::Nothing => Checked::NotYet(None),
            check::Says::Valid => Checked::Said(Verdict::Valid),
            check::Says::Invalid => Checked::Said(Verdict::Invalid(String::new())),
            check::Says::Unknown => Checked::Said(Verdict::Unknown(String::new())),
            check::Says::Never => Checked::Never,
        },
    }
}

/// What the database says, on a walk that asks it, and where a pod lies of which the log tells nothing: elsewhere the
/// rules hold without it.
fn asked(cluster: &Cluster) -> DatabaseView {
    let id = |pod: &Pod| PodId {
        name: name(pod.no).to_owned(),
        uid: uid(pod.no),
    };
    let silent = |pod: &&Pod| pod.kind().nature == Nature::LiesSilently;
    if !cluster.asked && !cluster.pods().iter().any(|pod| silent(&pod)) {
        return DatabaseView::default();
    }
    let holder = cluster.pods().iter().find(|pod| pod.holds()).map(id);
    let outlives = cluster.lease.stays;
    let row = cluster.lease.row();
    let noted = row.is_some_and(|row| row.noted);
    let client = if noted { ENDED_CLIENT } else { OTHER_CLIENT };
    let left = cluster.lease.left();
    let cut_off = left.filter(|left| left.end == End::NotYet);
    let cut_off = cut_off.and_then(|left| cluster.pod(left.no)).map(id);
    let works = holder.is_some() || cut_off.is_some();
    // Who has ended has no session by which he could be found.
    let nobody = left.map_or(Holder::Nobody, |_| Holder::Unseen);
    let there = |pod: &&Pod| Pod::runs(pod.does) && !silent(pod);
    let sessions = cluster.pods().iter().filter(there);
    let sessions = sessions.map(|pod| (id(pod), SessionOf::Node));
    let says = Says {
        read_only: None,
        missing_right: None,
        may_not_create: false,
        lease: holder.or(cut_off).map_or(nobody, Holder::Pod),
        lease_client: (outlives && (works || row.is_some())).then(|| client.to_owned()),
        leaseholder_has_a_session: outlives && works,
        server_start: outlives.then_some(SERVER_START),
        version: cluster
            .asked
            .then(|| version_text(cluster.named).parse().unwrap()),
        schema: cluster.asked.then(|| schema(cluster.migrated)),
        sessions: sessions.collect(),
        ..Says::quiet()
    };
    let said = cluster.database_says(says);
    // Where nothing has changed for long, it said the same then.
    let before = (said.is_ok() && cluster.pods().iter().all(|pod| pod.long_up))
        .then(|| DatabaseAnswer::after(None, Ago::HalfMinute.at(), said.clone()));
    let mut answer = DatabaseAnswer::after(before, *NOW, said);
    if cluster.lease.ended().is_some_and(|ended| ended.shown) {
        answer.shown.insert(ENDED_CLIENT.to_owned(), SERVER_START);
    }
    DatabaseView {
        wanted: Verification::Auto,
        duals: Vec::new(),
        answer: Some(answer),
    }
}

/// Moments of takeovers and last answers, such that each is after what it was after.
struct Moments {
    /// The newest takeover known when a pod was lost for long, and for some seconds.
    lost: u8,
    dim: u8,
}

impl Moments {
    fn of(cluster: &Cluster) -> Self {
        let newest = |sight| {
            cluster
                .pods()
                .iter()
                .filter(|pod| pod.sight == sight && pod.contact != NEVER)
                .map(|pod| pod.contact)
                .max()
                .unwrap_or(0)
        };
        Self {
            lost: newest(Sight::Lost),
            dim: newest(Sight::Dim),
        }
    }

    fn takeover(&self, rank: u8, long_ago: bool) -> Timestamp {
        let rank_seconds = i64::from(rank);
        *NOW - if rank <= self.lost {
            SignedDuration::from_secs(100 - rank_seconds)
        } else if long_ago {
            SignedDuration::from_secs(60 - rank_seconds)
        } else if rank <= self.dim {
            SignedDuration::from_millis(20_000 - rank_seconds * 500)
        } else {
            SignedDuration::from_millis(1800 - rank_seconds * 100)
        }
    }

    fn contact(&self, pod: &Pod) -> Option<Timestamp> {
        let after = i64::from(pod.contact);
        match pod.sight {
            Sight::Seen => Some(*NOW),
            _ if pod.contact == NEVER => None,
            Sight::Lost => Some(*NOW - SignedDuration::from_millis(99_900 - after * 1000)),
            Sight::Dim => Some(*NOW - SignedDuration::from_millis(19_900 - after * 500)),
        }
    }
}

fn seen(pod: &Pod, cluster: &Cluster) -> domain::Pod {
    let moments = Moments::of(cluster);
    let status = pod.status();
    let runs = Pod::runs(status);
    // Its port tells of the container that runs now.
    let now = if pod.seen() { pod.does } else { status };
    let answer = match now {
        Does::Serve | Does::Zombie => Answered::Serving,
        Does::Migrate => Answered::Starting,
        _ => Answered::Refused,
    };
    let unheard = cluster.deaf && pod.seen();
    let contact = (runs && !unheard).then(|| moments.contact(pod)).flatten();
    domain::Pod {
        id: PodId {
            name: name(pod.no).to_owned(),
            uid: uid(pod.no),
        },
        resource_version: "1".to_owned(),
        revision: Some(revision(pod.kind).clone()),
        created: if pod.late {
            Ago::TenMinutes
        } else {
            Ago::HalfMinute
        }
        .at()
            + Duration::from_secs(pod.no.into()),
        machine: pod.leaving.then(|| LEFT.to_owned()),
        labelled_active: pod.labelled,
        gate: pod.gate,
        ready: pod.gate,
        deleted_at: None,
        has_own_label: true,
        deleted: pod.deleted,
        container: container(pod, status, cluster),
        waiting: (runs && pod.line).then(|| *NOW - SignedDuration::from_secs(40)),
        doubt: (pod.kind().nature == Nature::Lies && pod.line).then(|| "read-only".to_owned()),
        took: (runs && pod.took > 0).then(|| Took {
            at: moments.takeover(pod.took, pod.took_long_ago),
            waited: Some(pod.took_waited),
        }),
        contact: contact.map(|at| Contact { at, answer }),
        watched: Some(if unheard {
            Ago::Moment.at()
        } else if pod.sight == Sight::Dim && pod.contact == NEVER {
            Ago::Seconds.at()
        } else {
            Ago::TenMinutes.at()
        }),
        http_at: None,
        contradicting_version: None,
        stranded: false,
        sidecar: None,
        worked_at: None,
        lost_lease_at: None,
        ended_client: None,
        serving_since: None,
        log_ended: false,
        lock_id_hidden: false,
    }
}

/// How often the API server says that a pod's container has ended: which end is the last is known by [`Known`].
pub fn ends_shown(cluster: &Cluster, pod: &Pod) -> i32 {
    match (pod.untold, cluster.fails_for_good(pod)) {
        (true, _) => 1,
        (false, true) => 5,
        (false, false) => 2,
    }
}

fn container(pod: &Pod, status: Does, cluster: &Cluster) -> Container {
    let exits = ends_shown(cluster, pod);
    let exit = |kind, long: bool| Exit {
        number: exits,
        at: Some(
            match (pod.long_up, long) {
                (true, _) => Ago::TenMinutes,
                (false, true) => Ago::HalfMinute,
                (false, false) => Ago::Seconds,
            }
            .at(),
        ),
        kind,
        code: 1,
        words: None,
    };
    // What exited with a reason of its own; the API server knows no more than it is told.
    let told = pod.exit.filter(|_| pod.is_told() || !pod.changed);
    let last = told.map(|ago| Exit {
        // Exits are told in whole seconds: one that was before is so by more than one.
        at: Some(ago.at() - Duration::from_secs(if pod.exited_before { 4 } else { 0 })),
        ..exit(ExitKind::Unknown, false)
    });
    match status {
        Does::NotStarted => Container::NotStarted {
            trouble: (pod.kind().nature == Nature::NoImage).then(|| Trouble {
                reason: "ImagePullBackOff".to_owned(),
                message: "not found".to_owned(),
            }),
        },
        Does::Down => Container::Down {
            exit: last.unwrap_or_else(|| {
                // One that did not exit ended with its machine.
                let own = pod.exit.is_some();
                exit(
                    if own {
                        ExitKind::Unknown
                    } else {
                        ExitKind::Unseen
                    },
                    false,
                )
            }),
            restarts: exits,
        },
        Does::DownByDatabase => Container::Down {
            exit: exit(ExitKind::DatabaseAway, pod.long_down),
            restarts: exits,
        },
        Does::Ended => Container::Ended { exit: None },
        _ => Container::Running {
            since: if pod.long_up {
                Ago::TenMinutes.at()
            } else if pod.sight == Sight::Lost {
                Ago::HalfMinute.at() - Duration::from_mins(1)
            } else {
                Ago::Seconds.at()
            },
            last,
        },
    }
}
