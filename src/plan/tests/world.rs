//! A world of a few pods that obeys the planner's acts, and to which things happen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Memory, RevisionName};
use crate::domain::{
    Answered, Checked, Claim, Contact, Container, DatabaseAnswer, DatabaseView, EndedNodes, Exit,
    HandoverPolicy, Intent, Lock, Machine, Observation, Pod, PodId, Problem, Pull, Pulled, Reason,
    Refused, Revision, Says, Silence, Took, Trouble, Validation, Wanted,
};
use crate::node::ExitKind;
use crate::plan::{Act, Cause, Plan, Progress, plan};

pub const SETTLE: u64 = 5;
pub const STANDBY_TIMEOUT: u64 = 600;

/// A revision of `version`, with an ordinary configuration and lock.
pub fn version(version: &str) -> Revision {
    revision(version, "plain", "lease on db")
}

/// A revision of the same version with another configuration.
pub fn configured(version: &str, configuration: &str) -> Revision {
    revision(version, configuration, "lease on db")
}

/// A revision that takes another lock.
pub fn locked(version: &str, lock: &str) -> Revision {
    revision(version, "plain", lock)
}

fn revision(version: &str, configuration: &str, lock: &str) -> Revision {
    Revision {
        name: RevisionName::new(format!("{version}-{configuration}-{lock}")),
        version: version.parse().unwrap(),
        lock: Lock::read(lock),
        lock_id_hidden: false,
        lease: None,
        validates: false,
        any_postgres: false,
    }
}

pub fn v1() -> Revision {
    version("2.28.0")
}

pub fn v2() -> Revision {
    version("2.29.0")
}

pub fn v3() -> Revision {
    version("2.30.0")
}

#[derive(Clone)]
pub struct World {
    pub now: Timestamp,
    pub memory: Memory,
    pub intent: Intent,
    pub pods: Vec<Pod>,
    pub pulls: Vec<Pull>,
    pub validations: Vec<Validation>,
    revisions: BTreeMap<RevisionName, Revision>,
    unseen: BTreeSet<String>,
    /// A name that turned out to be somebody else's.
    pub taken: Option<String>,
    pub refused_stop: Option<Refused>,
    /// Pods that the API server did not make when that was last tried.
    pub refused_creations: BTreeMap<RevisionName, Refused>,
    /// The same of pods that are no nodes, by their names.
    pub refused_oneshots: BTreeMap<String, Refused>,
    pub refused_return: Option<Refused>,
    pub best_timed: Option<PodId>,
    /// The nodes whose ends were seen.
    pub ended: EndedNodes,
    /// Revisions of which the API server makes no pod.
    refuses: BTreeSet<RevisionName>,
    /// And none that is no node.
    refuses_short: BTreeSet<RevisionName>,
    /// What the database says.
    pub database: DatabaseView,
    /// How many actives were stopped on purpose.
    pub handovers: usize,
    pub machines: Option<BTreeMap<String, Machine>>,
    /// Pods whose ports do not answer though their kubelets do, and when they last did.
    pub dumb: BTreeMap<String, Option<Timestamp>>,
    /// Pods that have the lock, and whose ports refuse, and when they last answered.
    pub refusing: BTreeMap<String, Timestamp>,
    /// Pods that have the lock, and whose temporary server answers.
    pub booting: BTreeSet<String>,
    /// What other resources have on the same database.
    pub claims: Vec<Claim>,
}

impl World {
    /// No pods yet; `v1` is wanted.
    pub fn with(replicas: usize) -> Self {
        let world = Self {
            now: "2026-01-01T12:00:00Z".parse().unwrap(),
            memory: Memory::default(),
            intent: Intent {
                namespace: "chain".to_owned(),
                node: PodId {
                    name: "cl".to_owned(),
                    uid: "7".to_owned(),
                },
                generation: 1,
                replicas,
                surge: 1,
                settle: Duration::from_secs(SETTLE),
                standby_timeout: Duration::from_secs(STANDBY_TIMEOUT),
                wanted: Wanted::Revision(v1()),
                policy: HandoverPolicy::default(),
            },
            pods: Vec::new(),
            pulls: Vec::new(),
            validations: Vec::new(),
            revisions: BTreeMap::new(),
            unseen: BTreeSet::new(),
            taken: None,
            refused_stop: None,
            refused_creations: BTreeMap::new(),
            refused_oneshots: BTreeMap::new(),
            refused_return: None,
            best_timed: None,
            ended: EndedNodes::default(),
            refuses: BTreeSet::new(),
            refuses_short: BTreeSet::new(),
            database: DatabaseView::default(),
            handovers: 0,
            machines: None,
            dumb: BTreeMap::new(),
            refusing: BTreeMap::new(),
            booting: BTreeSet::new(),
            claims: Vec::new(),
        };
        world.wanting(&v1())
    }

    pub fn surge(mut self, surge: usize) -> Self {
        self.intent.surge = surge;
        self
    }

    /// A pod that has long been active.
    pub fn active(mut self, name: &str, of: &Revision) -> Self {
        let mut pod = self.running_pod(name, of);
        pod.labelled_active = true;
        pod.gate = true;
        self.add(pod);
        self.takes(name);
        self
    }

    /// A pod that has long waited for the lock.
    pub fn standby(mut self, name: &str, of: &Revision) -> Self {
        let mut pod = self.running_pod(name, of);
        pod.gate = true;
        self.add(pod);
        self.waits(name);
        self
    }

    fn running_pod(&self, name: &str, of: &Revision) -> Pod {
        let mut pod = new_pod(name, of, self.before(3600));
        pod.container = Container::Running {
            since: self.before(3600),
            last: None,
        };
        pod
    }

    fn before(&self, seconds: i64) -> Timestamp {
        self.now - jiff::SignedDuration::from_secs(seconds)
    }

    fn add(&mut self, pod: Pod) {
        if let Some(revision) = &pod.revision {
            self.revisions
                .insert(revision.name.clone(), revision.clone());
        }
        self.pods.push(pod);
    }

    /// Looks until nothing changes, so that the memory is that of a resource at rest.
    pub fn at_rest(mut self) -> Self {
        for _ in 0..3 {
            let acts = self.obey();
            assert_eq!(acts, Vec::<String>::new(), "the resource is at rest");
        }
        self.later(86_400);
        self.obey();
        self
    }

    pub fn wanting(mut self, revision: &Revision) -> Self {
        self.want(revision);
        self
    }

    pub fn want(&mut self, revision: &Revision) {
        self.revisions
            .insert(revision.name.clone(), revision.clone());
        self.intent.wanted = Wanted::Revision(revision.clone());
    }

    /// The spec changes, is seen, and stays so for as long as the planner asks.
    pub fn want_settled(&mut self, revision: &Revision) {
        self.want(revision);
        self.obey();
        self.later(SETTLE);
    }

    pub fn want_unusable(&mut self, reason: &'static str, missing: bool) {
        self.intent.wanted = Wanted::Unusable(Problem {
            reason: Reason::of(reason),
            message: format!("{reason}: write it differently"),
            missing,
        });
    }

    pub fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    // What happens to pods.

    pub fn pod(&mut self, name: &str) -> &mut Pod {
        self.pods
            .iter_mut()
            .find(|pod| pod.id.name == name)
            .unwrap_or_else(|| panic!("no pod {name}"))
    }

    pub fn has(&self, name: &str) -> bool {
        self.pods.iter().any(|pod| pod.id.name == name)
    }

    /// The pod made last.
    pub fn newest(&self) -> String {
        self.pods.last().unwrap().id.name.clone()
    }

    /// Its container starts, or starts again: what the one before said counts no more.
    pub fn starts(&mut self, name: &str) {
        let now = self.now;
        let pod = self.pod(name);
        let last = pod.last_exit().cloned();
        pod.container = Container::Running { since: now, last };
        pod.waiting = None;
        pod.took = None;
        pod.worked_at = None;
        pod.doubt = None;
        pod.contact = None;
        touch(pod);
    }

    pub fn waits(&mut self, name: &str) {
        let now = self.now;
        let pod = self.pod(name);
        if !pod.running() {
            let last = pod.last_exit().cloned();
            pod.container = Container::Running { since: now, last };
        }
        pod.waiting = Some(now);
        touch(pod);
    }

    /// It takes the lock and serves.
    pub fn takes(&mut self, name: &str) {
        let now = self.now;
        let pod = self.pod(name);
        pod.took = Some(Took {
            at: now,
            waited: Some(pod.waiting.is_some()),
        });
        touch(pod);
    }

    /// From now on nothing listens on its port any more.
    pub fn refuses(&mut self, name: &str) {
        self.pod(name);
        self.refusing.insert(name.to_owned(), self.now);
    }

    /// It has the lock, and boots or migrates.
    pub fn boots(&mut self, name: &str) {
        self.booting.insert(name.to_owned());
    }

    /// Its boot is over.
    pub fn serves(&mut self, name: &str) {
        self.booting.remove(name);
    }

    pub fn crashes(&mut self, name: &str, kind: ExitKind, words: &str) {
        let now = self.now;
        let pod = self.pod(name);
        let restarts = pod.last_exit().map_or(1, |exit| exit.number);
        pod.container = Container::Down {
            exit: Exit {
                number: restarts + 1,
                at: Some(now),
                kind,
                code: 1,
                words: Some(words.to_owned()),
            },
            restarts,
        };
        pod.waiting = None;
        pod.took = None;
        pod.contact = None;
        touch(pod);
    }

    /// The pod is Failed: evicted, or its machine was shut down.
    pub fn ends(&mut self, name: &str) {
        let pod = self.pod(name);
        pod.container = Container::Ended { exit: None };
        pod.took = None;
        touch(pod);
    }

    pub fn gone(&mut self, name: &str) {
        self.pod(name);
        self.pods.retain(|pod| pod.id.name != name);
    }

    /// What becomes of the pull that is under way, if there is one.
    pub fn pull_comes_to(&mut self, pulled: &Pulled) -> bool {
        let mut any = false;
        for pull in &mut self.pulls {
            any |= pull.pulled != *pulled;
            pull.pulled = pulled.clone();
        }
        any
    }

    /// What becomes of the check of a configuration that is under way.
    pub fn validation_comes_to(&mut self, checked: &Checked) {
        for validation in &mut self.validations {
            validation.checked = checked.clone();
        }
    }

    /// From now on it does not answer; the API server goes on showing what it knew.
    pub fn unseen(&mut self, name: &str) {
        self.pod(name);
        self.unseen.insert(name.to_owned());
    }

    pub fn seen_again(&mut self, name: &str) {
        self.unseen.remove(name);
    }

    pub fn in_trouble(&mut self, name: &str, reason: &str, message: &str) {
        self.pod(name).container = Container::NotStarted {
            trouble: Some(Trouble {
                reason: reason.to_owned(),
                message: message.to_owned(),
            }),
        };
    }

    /// The database is asked now, by the URL of before.
    pub fn hears(&mut self, said: Result<Says, Silence>) {
        let before = self.database.answer.take();
        self.database.answer = Some(DatabaseAnswer::after(before, self.now, said));
    }

    // What the operator does.

    /// It is started, and has heard of no pod yet.
    pub fn operator_starts(&mut self) {
        for pod in &mut self.pods {
            pod.contact = None;
            pod.watched = Some(self.now);
        }
    }

    pub fn look(&self) -> Observation {
        let mut pods = self.pods.clone();
        for pod in &mut pods {
            if pod.running() && !self.unseen.contains(&pod.id.name) {
                pod.contact = Some(Contact {
                    at: self.now,
                    answer: if self.dumb.contains_key(&pod.id.name) {
                        Answered::Kubelet
                    } else if self.refusing.contains_key(&pod.id.name) {
                        Answered::Refused
                    } else if self.booting.contains(&pod.id.name) {
                        Answered::Starting
                    } else if pod.took.is_some() {
                        Answered::Serving
                    } else {
                        Answered::Refused
                    },
                });
                let refuses = self.refusing.get(&pod.id.name).copied();
                pod.http_at = refuses.or(self.dumb.get(&pod.id.name).copied().flatten());
            }
        }
        let mut ended = self.ended.clone();
        ended.note(&pods, self.now);
        Observation {
            at: self.now,
            intent: self.intent.clone(),
            revisions: self.revisions.clone(),
            pods,
            pulls: self.pulls.clone(),
            validations: self.validations.clone(),
            taken: self.taken.clone(),
            refused_stop: self.refused_stop.clone(),
            refused_creations: self.refused_creations.clone(),
            refused_oneshots: self.refused_oneshots.clone(),
            refused_return: self.refused_return.clone(),
            best_timed: self.best_timed.clone(),
            ended,
            machines: self.machines.clone(),
            database: self.database.clone(),
            claims: self.claims.clone(),
        }
    }

    pub fn plan(&self) -> Plan {
        plan(&self.look(), &self.memory, self.now)
    }

    /// Looks, plans, remembers, and does it. The acts are told in words.
    pub fn obey(&mut self) -> Vec<String> {
        let plan = self.remember();
        plan.acts.iter().map(|act| self.act(act)).collect()
    }

    /// [`Self::obey`], but for the readiness gates: what is made, stopped and labelled.
    pub fn moves(&mut self) -> Vec<String> {
        let mut acts = self.obey();
        acts.retain(|act| !act.starts_with("ready") && !act.starts_with("unready"));
        acts
    }

    /// Looks, plans and writes the memory; the operator is killed before its first act.
    pub fn remember(&mut self) -> Plan {
        let look = self.look();
        self.pods = look.pods;
        self.ended = look.ended;
        let plan = self.plan();
        let stops = |act: &Act| matches!(act, Act::Stop(_));
        assert!(
            plan.acts.iter().filter(|act| stops(act)).count() <= 1,
            "at most one stop: {:?}",
            plan.acts
        );
        if let Some(place) = plan.acts.iter().position(stops) {
            assert_eq!(place, plan.acts.len() - 1, "the stop comes last");
        }
        self.memory = plan.memory.clone();
        plan
    }

    pub fn act(&mut self, act: &Act) -> String {
        match act {
            Act::Create { pod, revision, .. } => {
                let revision = self.revisions[revision].clone();
                if self.refuses.contains(&revision.name) {
                    self.note_refusal(pod, &revision);
                    return format!("create {} in vain", revision.version);
                }
                self.refused_creations.remove(&revision.name);
                if !self.has(pod) {
                    let pod = new_pod(pod, &revision, self.now);
                    self.add(pod);
                }
                format!("create {}", revision.version)
            }
            Act::Label { pod, active } => {
                self.pod(&pod.name).labelled_active = *active;
                format!("{} {}", if *active { "label" } else { "unlabel" }, pod.name)
            }
            Act::Gate { pod, ready } => {
                self.pod(&pod.name).gate = *ready;
                format!("{} {}", if *ready { "ready" } else { "unready" }, pod.name)
            }
            Act::Pull {
                pod,
                revision,
                machine,
            } => {
                if self.refuses_short.contains(revision) {
                    let refused = self.refusal(pod, self.refused_oneshots.get(pod));
                    self.refused_oneshots.insert(pod.clone(), refused);
                    return "pull in vain".to_owned();
                }
                self.pulls.push(Pull {
                    id: PodId {
                        name: pod.clone(),
                        uid: format!("uid-{pod}"),
                    },
                    revision: revision.clone(),
                    machine: machine.clone(),
                    created: self.now,
                    deleted: false,
                    pulled: Pulled::NotYet(None),
                });
                format!("pull {} on {machine}", self.revisions[revision].version)
            }
            Act::Validate { pod, revision } => {
                if self.refuses_short.contains(revision) {
                    let refused = self.refusal(pod, self.refused_oneshots.get(pod));
                    self.refused_oneshots.insert(pod.clone(), refused);
                    return "validate in vain".to_owned();
                }
                self.validations.push(Validation {
                    id: PodId {
                        name: pod.clone(),
                        uid: format!("uid-{pod}"),
                    },
                    created: self.now,
                    deleted: false,
                    checked: Checked::NotYet(None),
                });
                format!("validate {}", self.revisions[revision].version)
            }
            Act::EndOneshot { pod } if self.pulls.iter().any(|pull| pull.id == *pod) => {
                self.pulls.retain(|pull| pull.id != *pod);
                "end pull".to_owned()
            }
            Act::EndOneshot { pod } => {
                self.validations.retain(|validation| validation.id != *pod);
                "end validation".to_owned()
            }
            Act::Tidy { pod } => {
                self.gone(&pod.name);
                format!("tidy {}", pod.name)
            }
            Act::ReleaseLease(given_back) => {
                let client = given_back.lease().client();
                self.ended.given_back(client, self.now);
                format!("give back the lease of {}", given_back.pod().name)
            }
            Act::Stop(permit) => {
                self.handovers += usize::from(matches!(permit.cause(), Cause::Handover { .. }));
                let pod = self.pod(&permit.pod().name);
                assert_eq!(pod.resource_version, permit.resource_version());
                pod.deleted = true;
                touch(pod);
                format!("stop {}", permit.pod().name)
            }
        }
    }

    fn note_refusal(&mut self, pod: &str, revision: &Revision) {
        let refused = self.refusal(pod, self.refused_creations.get(&revision.name));
        self.refused_creations
            .insert(revision.name.clone(), refused);
    }

    fn refusal(&self, pod: &str, known: Option<&Refused>) -> Refused {
        let tries = known.map_or(1, |known| known.tries + 1);
        Refused {
            pod: pod.to_owned(),
            message: "the API server refuses to make a pod: image policy".to_owned(),
            lasting: true,
            perhaps: false,
            tries,
            again: self.now + Duration::from_secs(2_u64.pow(tries.min(6)).min(60)),
        }
    }

    /// Obeys, and lets the cluster do its part, until there is nothing more to do: made pods come to
    /// wait, stopped pods go, a free lock is taken by the oldest that waits.
    pub fn carry_on(&mut self) -> Progress {
        for _ in 0..60 {
            let acts = self.obey();
            let progress = self.plan().progress;
            if !self.progress() && acts.is_empty() && progress.until.is_none() {
                return progress;
            }
            self.later(1);
        }
        panic!("no end: {:#?}", self.plan());
    }

    /// Obeys, and lets made pods come to wait, until the active is stopped for one: its name.
    pub fn carry_on_until_stop(&mut self) -> String {
        for _ in 0..20 {
            let acts = self.obey();
            if acts.iter().any(|act| act.starts_with("stop")) {
                return self.newest();
            }
            self.progress();
            self.later(1);
        }
        panic!("nothing is stopped: {:#?}", self.plan());
    }

    pub fn progress(&mut self) -> bool {
        let before = self.pods.clone();
        let pulling = self.pull_comes_to(&Pulled::Yes);
        self.pods.retain(|pod| !pod.deleted);
        let names: Vec<String> = self.pods.iter().map(|pod| pod.id.name.clone()).collect();
        for name in &names {
            if self.pod(name).container == (Container::NotStarted { trouble: None }) {
                self.starts(name);
            }
        }
        if self.pods.iter().all(|pod| pod.took.is_none())
            && let Some(first) = names.first()
        {
            self.takes(first);
        }
        for name in &names {
            let pod = self.pod(name);
            if pod.running() && pod.waiting.is_none() && pod.took.is_none() {
                self.waits(name);
            }
        }
        let same = before.len() == self.pods.len();
        !same
            || pulling
            || before.iter().zip(&self.pods).any(|(was, is)| {
                (was.waiting, was.took, &was.container) != (is.waiting, is.took, &is.container)
            })
    }

    /// Somebody removes what is kept of this revision.
    pub fn forgets(&mut self, revision: &Revision) {
        self.revisions.remove(&revision.name);
    }

    /// From now on the API server makes no pod of this revision.
    pub fn refuses_pods_of(&mut self, revision: &Revision) {
        self.refuses.insert(revision.name.clone());
    }

    /// The same for those that check its configuration, or pull its image.
    pub fn refuses_short_pods_of(&mut self, revision: &Revision) {
        self.refuses_short.insert(revision.name.clone());
    }

    /// And from now on it does again.
    pub fn allows_pods_of(&mut self, revision: &Revision) {
        self.refuses.remove(&revision.name);
        self.refuses_short.remove(&revision.name);
    }

    // What is asked about it.

    /// The versions of the pods, active first.
    pub fn versions(&self) -> Vec<String> {
        let mut pods: Vec<&Pod> = self.pods.iter().collect();
        pods.sort_by_key(|pod| pod.took.is_none());
        pods.iter()
            .map(|pod| pod.revision.as_ref().unwrap().version.to_string())
            .collect()
    }

    /// The pod that carries the active role label.
    pub fn labelled(&self) -> Vec<String> {
        self.pods
            .iter()
            .filter(|pod| pod.labelled_active)
            .map(|pod| pod.id.name.clone())
            .collect()
    }

    /// The reason for which nothing goes on, and whether that is reported as stalled.
    pub fn blocked(&self) -> Option<(String, bool)> {
        self.plan()
            .progress
            .blocked
            .map(|blocked| (blocked.reason.to_string(), blocked.stalled))
    }
}

/// An active `a` of the first version, which wants no standby and has long been so.
pub fn alone() -> World {
    World::with(1).active("a", &v1()).at_rest()
}

/// An active `a` and a standby `b` of the first version, which have long been so.
pub fn pair() -> World {
    World::with(2)
        .active("a", &v1())
        .standby("b", &v1())
        .at_rest()
}

/// A world whose spec has moved to the second version, with the first pod of that; and the name of this pod.
pub fn surging(mut world: World) -> (World, String) {
    world.want_settled(&v2());
    world.obey();
    let surge = world.newest();
    (world, surge)
}

fn new_pod(name: &str, of: &Revision, created: Timestamp) -> Pod {
    Pod {
        id: PodId {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
        },
        resource_version: "1".to_owned(),
        revision: Some(of.clone()),
        created,
        machine: Some(format!("machine-{name}")),
        labelled_active: false,
        gate: false,
        ready: false,
        deleted_at: None,
        has_own_label: true,
        deleted: false,
        container: Container::NotStarted { trouble: None },
        waiting: None,
        doubt: None,
        took: None,
        contact: None,
        watched: Some(Timestamp::MIN),
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

fn touch(pod: &mut Pod) {
    let version: u64 = pod.resource_version.parse().unwrap();
    pod.resource_version = (version + 1).to_string();
}

/// For a test's expectations.
#[allow(clippy::unnecessary_wraps)]
pub fn blocked(reason: &str, stalled: bool) -> Option<(String, bool)> {
    Some((reason.to_owned(), stalled))
}

/// No acts.
pub fn nothing() -> Vec<String> {
    Vec::new()
}
