//! What is measured of one fleet, phase by phase: all of it is made, the operator starts with everything there, rests, upgrades all
//! of them, is given a version that can't be pulled, and loses a machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde_json::json;
use tokio::time::sleep;

use super::control::ControlPlane;
use super::database::Databases;
use super::figures::Figure;
use super::files::{Most, ensure_files};
use super::hollow::{Hollow, NOT_THERE};
use super::lease::Written;
use super::operator::{Operator, Times};
use super::resources::{FIRST, Fleet, LOOK, condition, number, resources};
use super::seen::Resource;

/// A tenth of the actives is on each machine.
const MACHINES: usize = 10;

/// Where the operator runs.
const POD: &str = "operator-0";

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// Nothing is to be done.
    Rest,
    /// All are upgraded.
    Upgrade,
    /// All are upgraded, and the operator that leads is killed meanwhile.
    Leader,
    /// Nothing is to be done, beside ten ConfigMaps and ten pods of others for each resource.
    Unrelated,
    /// All are given a version that nobody has.
    Stalled,
    /// A machine is lost.
    Loss,
    /// Nothing is to be done, and no pod is there. The last, as none of the others begins without pods.
    Hibernate,
}

/// How it is measured.
#[derive(Clone, Debug)]
pub struct Settings {
    pub phases: Vec<Phase>,
    /// The operator's program.
    pub operator: PathBuf,
    /// So many resources have a database of their own, which the operator asks.
    pub databases: usize,
    /// How many locks move at a time.
    pub cap: usize,
    /// So many resources share a namespace.
    pub together: usize,
    /// Where no request is made for so long the operator rests.
    pub quiet: Duration,
    /// How long a rest is looked at.
    pub rest: Duration,
    /// How long anything may take.
    pub patience: Duration,
    /// Where the control plane is kept.
    pub folder: PathBuf,
    /// Whether its folder stays.
    pub keep: bool,
}

/// Measures a fleet of so many resources.
pub async fn measure(size: usize, settings: &Settings) -> Result<Vec<Figure>> {
    ensure_files(size)?;
    let before_last = settings.phases.split_last().map(|(_, before)| before);
    ensure!(
        !before_last.is_some_and(|before| before.contains(&Phase::Hibernate)),
        "hibernate has to be the last phase"
    );
    let control = ControlPlane::start(&settings.folder, settings.keep).await?;
    let client = control.client().await?;
    let (certificate, key) = control.certificate();
    let with_databases = resources(size.min(settings.databases), settings.together);
    let databases = match settings.databases {
        0 => None,
        _ => Some(Databases::start(&settings.folder, &with_databases).await?),
    };
    let tls = (&*certificate, &*key);
    let hollow = Hollow::start(client.clone(), MACHINES, tls, databases.clone()).await?;
    let (written, counting) = Written::watch(client.clone());
    let processes = control.processes().into_iter();
    let processes = processes.chain([("the benchmark", std::process::id())]);
    let (most, looking) = Most::watch(processes.collect());
    let mut fleet = Fleet {
        size,
        settings: settings.clone(),
        client,
        hollow,
        databases,
        written,
        version: FIRST.to_owned(),
        upgrades: 0,
        figures: Vec::new(),
        control,
    };
    let measured = fleet.all().await;
    // The next one has the same addresses.
    fleet.hollow.end().await;
    counting.abort();
    looking.abort();
    measured?;
    for (process, files) in most.all() {
        fleet.note("files", &format!("most of {process}"), "", number(files));
    }
    Ok(fleet.figures)
}

impl Fleet {
    async fn all(&mut self) -> Result<()> {
        self.define().await?;
        let first = self.operator(POD)?;
        self.make(&first).await?;
        // The next one in the same pod finds everything there, and takes the Lease at once.
        drop(first);
        let mut operator = self.operator(POD)?;
        self.start(&mut operator).await?;
        for phase in self.settings.phases.clone() {
            match phase {
                Phase::Rest => self.at_rest("rest", &operator).await?,
                Phase::Upgrade => self.upgrade(&operator).await?,
                Phase::Leader => operator = self.leader(operator).await?,
                Phase::Unrelated => self.unrelated(&operator).await?,
                Phase::Stalled => self.stalled(&operator).await?,
                Phase::Loss => self.loss(&operator).await?,
                Phase::Hibernate => self.hibernate(&operator).await?,
            }
        }
        Ok(())
    }

    pub(super) fn operator(&self, pod: &str) -> Result<Operator> {
        let (program, cap) = (&self.settings.operator, self.settings.cap);
        let pod = (pod, self.databases.is_some());
        Operator::start(program, &self.control, pod, cap, &self.written)
    }

    async fn make(&mut self, operator: &Operator) -> Result<()> {
        let begun = Instant::now();
        self.create().await?;
        self.until_all_are(FIRST, begun).await?;
        self.until_ready().await?;
        let cost = operator.cost().await?;
        let each = self.each(cost.requests());
        self.note("make", "time", "s", begun.elapsed().as_secs_f64());
        self.note("make", "requests of a resource", "", each);
        let cpu = self.each(cost.cpu);
        self.note("make", "core of a resource", "ms", cpu * 1000.0);
        self.note("make", "most memory", "MiB", cost.peak);
        Ok(())
    }

    async fn start(&mut self, operator: &mut Operator) -> Result<()> {
        let patience = self.settings.patience;
        let looked = operator.has_looked_at(self.size, patience).await?;
        let cost = operator.cost().await?;
        self.note("start", "all were looked at", "s", looked.as_secs_f64());
        self.note("start", "requests until then", "", cost.requests());
        self.note("start", "core until then", "s", cost.cpu);
        let _ = self.until_quiet(operator).await?;
        let cost = operator.cost().await?;
        self.note("start", "requests", "", cost.requests());
        self.note("start", "writes", "", cost.writes());
        self.note("start", "most memory", "MiB", cost.peak);
        let within = cost.passes.within(&Times::default(), 0.99);
        self.note("start", "99 % of passes within", "s", within);
        Ok(())
    }

    /// What a rest costs.
    pub(super) async fn at_rest(&mut self, phase: &str, operator: &Operator) -> Result<()> {
        self.until_quiet(operator).await?;
        let (before, begun) = (operator.cost().await?, Instant::now());
        let servers = self.processor_time()?;
        let asked = self.asked().await?;
        sleep(self.settings.rest).await;
        let (after, seconds) = (operator.cost().await?, begun.elapsed().as_secs_f64());
        self.cost_of(phase, &before, &after, seconds);
        let of = ("1/s", seconds.recip());
        self.kinds(phase, "requests", (&before, &after), of);
        self.note(phase, "memory", "MiB", after.memory);
        self.note(phase, "open streams", "", after.streams);
        if let (Some((connections, transactions)), Some(before)) = (self.asked().await?, asked) {
            let connections = (connections - before.0) / seconds;
            self.note(phase, "connections to databases", "1/s", connections);
            let transactions = (transactions - before.1) / seconds;
            self.note(
                phase,
                "transactions and the nodes' own",
                "1/s",
                transactions,
            );
        }
        let lead = 2.0 * (after.lease - before.lease) / seconds;
        self.note(phase, "requests to lead", "1/s", lead);
        let cores = (self.processor_time()? - servers) / seconds * 100.0;
        self.note(phase, "core of the API server and etcd", "%", cores);
        Ok(())
    }

    /// What the databases were asked so far, where there are any.
    async fn asked(&self) -> Result<Option<(f64, f64)>> {
        match &self.databases {
            Some(databases) => databases.counted().await.map(Some),
            None => Ok(None),
        }
    }

    async fn upgrade(&mut self, operator: &Operator) -> Result<()> {
        let (before, begun) = (operator.cost().await?, Instant::now());
        let version = self.give_next_version().await?;
        self.until_all_are(&version, begun).await?;
        let (after, seconds) = (operator.cost().await?, begun.elapsed().as_secs_f64());
        self.note("upgrade", "time", "s", seconds);
        let at_a_time = number(self.settings.cap.min(self.size));
        let one = seconds * at_a_time / number(self.size);
        self.note("upgrade", "time of a turn", "s", one);
        self.cost_of("upgrade", &before, &after, seconds);
        let each = self.each(after.requests() - before.requests());
        self.note("upgrade", "requests of a handover", "", each);
        let cpu = self.each(after.cpu - before.cpu) * 1000.0;
        self.note("upgrade", "core of a handover", "ms", cpu);
        let (what, of) = ("of a handover", ("", self.each(1.0)));
        self.kinds("upgrade", what, (&before, &after), of);
        let seen = self.hollow.seen.all();
        self.times(
            "upgrade",
            "without an active",
            seen.values().filter_map(Resource::gap),
        );
        self.note("upgrade", "most memory", "MiB", after.peak);
        self.until_ready().await
    }

    /// A version that nobody has: as many wait as may move at a time, and the rest for them.
    async fn stalled(&mut self, operator: &Operator) -> Result<()> {
        let works = self.works();
        self.change(json!({"version": format!("2.30{NOT_THERE}")}))
            .await?;
        sleep(self.settings.rest).await;
        let (before, begun) = (operator.cost().await?, Instant::now());
        sleep(self.settings.rest).await;
        let (after, seconds) = (operator.cost().await?, begun.elapsed().as_secs_f64());
        self.cost_of("stalled", &before, &after, seconds);
        self.note("stalled", "memory", "MiB", after.memory);
        let stalled = self.count(|node| condition(node, "Stalled")).await?;
        self.note("stalled", "say Stalled", "", number(stalled));
        let moved = self.works() != works;
        ensure!(
            !moved,
            "an active was stopped for a version that nobody has"
        );
        self.change(json!({"version": self.version})).await?;
        self.until_ready().await
    }

    /// The machine with most actives is lost, and then declared gone.
    async fn loss(&mut self, operator: &Operator) -> Result<()> {
        let before = operator.cost().await?;
        let mut machines: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for (resource, pod) in self.works() {
            let machine = self.hollow.machine_of(&pod).await;
            let machine = machine.with_context(|| format!("{pod} is nowhere"))?;
            machines.entry(machine).or_default().push((resource, pod));
        }
        let most = machines.into_iter().max_by_key(|(_, lost)| lost.len());
        let (machine, lost) = most.context("nobody is active")?;
        let begun = Instant::now();
        self.hollow.lose(&machine).await?;
        let seen = loop {
            let seen = self.hollow.seen.all();
            let followed = lost.iter().filter(|(resource, pod)| {
                let one = seen.get(resource);
                one.is_some_and(|one| {
                    one.is_followed() && one.works.as_ref().is_some_and(|it| it.pod != *pod)
                })
            });
            if followed.count() == lost.len() {
                break seen;
            }
            ensure!(
                begun.elapsed() < self.settings.patience,
                "Services did not follow within {:?}",
                begun.elapsed()
            );
            sleep(LOOK / 5).await;
        };
        let after = operator.cost().await?;
        self.note("loss", "actives lost", "", number(lost.len()));
        let of = |(resource, _): &(String, String)| seen.get(resource);
        let took = lost.iter().filter_map(of).filter_map(|one| {
            let works = one.works.as_ref()?;
            Some(works.since.saturating_duration_since(begun))
        });
        self.times("loss", "until the successor works", took);
        let follows = lost.iter().filter_map(of);
        let follows = follows.filter_map(Resource::followed_after);
        self.times("loss", "until its Service follows it", follows);
        let seconds = begun.elapsed().as_secs_f64();
        self.cost_of("loss", &before, &after, seconds);
        let (what, of) = ("of a resource", ("", 1.0 / number(lost.len())));
        self.kinds("loss", what, (&before, &after), of);
        self.hollow.discard(&machine).await?;
        self.until_ready().await?;
        let whole = begun.elapsed().as_secs_f64();
        self.note("loss", "until all are Ready, the machine gone", "s", whole);
        Ok(())
    }

    /// All are scaled down to nothing.
    async fn hibernate(&mut self, operator: &Operator) -> Result<()> {
        let begun = Instant::now();
        self.change(json!({"replicas": 0})).await?;
        self.until_hibernated().await?;
        let seconds = begun.elapsed().as_secs_f64();
        self.note("hibernate", "time", "s", seconds);
        self.at_rest("hibernate", operator).await
    }
}
