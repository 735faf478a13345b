//! The world of one scenario: a namespace and a database of its own, the nodes in them, and the record of their duty.

mod database;
mod namespace;
mod objects;
mod placed;
mod pods;
mod status;

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DeleteParams;
use kube::{Api, Client};
use tokio::task::JoinSet;

use crate::audit::Audit;
use crate::canary::Canaries;
use crate::cluster::Cluster;
use crate::collector::Collector;
use crate::duty::{Event, Gap, Record};
use crate::timeline::Timeline;
use crate::until;
use namespace::fresh_namespace;
pub use namespace::{enforced_namespace, remove_leftovers};
pub use status::{brief, condition, pods_with_role};

/// How long a step may take on a busy machine before it counts as a failure. Tests judge order, never speed.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Kubernetes' and the simulator's side of one scenario.
pub struct World {
    pub cluster: Cluster,
    pub client: Client,
    pub namespace: String,
    pub timeline: Timeline,
    database: String,
    database_url: String,
    collector: Option<Collector>,
    /// What no one is to be shown.
    canaries: Mutex<Canaries>,
    /// The gaps until one was outlived.
    outlived: OnceLock<Vec<Gap>>,
    _watches: JoinSet<()>,
}

impl World {
    /// Makes the namespace and its database anew.
    pub async fn new(cluster: &Cluster, namespace: &str, timeline: Timeline) -> Result<Self> {
        let client = cluster.client().await?;
        let namespace = namespace.to_owned();
        fresh_namespace(&client, &namespace).await?;
        let database = namespace.replace('-', "_");
        let database_url = cluster.database(&database).await?;
        let told = timeline.clone();
        let listener = move |event: &Event| told.duty(event);
        let collector = cluster
            .collector_address
            .as_deref()
            .map(|address| Collector::start(address, Box::new(listener)))
            .transpose()?;
        let watches = timeline.watch(&client, &namespace);
        let world = Self {
            cluster: cluster.clone(),
            client,
            namespace,
            timeline,
            database,
            database_url,
            collector,
            canaries: Mutex::default(),
            outlived: OnceLock::new(),
            _watches: watches,
        };
        world.prepare_database(&world.database_url).await?;
        Ok(world)
    }

    /// Makes the Secrets that [`World::node`] refers to.
    pub async fn with_secrets(self) -> Result<Self> {
        self.secret("database", &[("url", &self.database_url)])
            .await?;
        self.secret(
            "credentials",
            &[
                ("keystore-password", "a-keystore-password-for-tests"),
                (
                    "api-credentials",
                    "tests@example.com\na-password-for-tests\n",
                ),
            ],
        )
        .await?;
        Ok(self)
    }

    /// The operator's writes from now on.
    pub fn audit(&self) -> Result<Audit> {
        Audit::begin(&self.cluster)
    }

    /// The record of the datagrams, where they can be collected.
    pub fn duty_collected(&self) -> Option<Record> {
        self.collector
            .as_ref()
            .map(|collector| Record::of(collector.events()))
    }

    /// Judges both records: never two actives. Returns the fuller one.
    pub async fn judged(&self) -> Result<Record> {
        let written = self.duty_in_database().await?;
        written
            .never_two_actives()
            .context("by the record in the database")?;
        let Some(collected) = self.duty_collected() else {
            return Ok(written);
        };
        collected.never_two_actives().context("by the datagrams")?;
        Ok(collected)
    }

    /// Judges once more, and for the last time: one that was cut off or frozen works on for a moment when it comes back,
    /// as it does not know yet that its lease went to another.
    pub async fn outlived(&self) -> Result<()> {
        let gaps = self.gaps().await?;
        self.outlived.get_or_init(|| gaps);
        Ok(())
    }

    /// The end of a scenario: both records tell of the same work, and never of two actives. Returns the gaps.
    pub async fn last_judged(&self) -> Result<Vec<Gap>> {
        // A record may be on its way.
        let what = "both records of duty tell of the same work";
        until(what, PATIENCE, async || {
            let Some(collected) = self.duty_collected() else {
                return Ok(());
            };
            self.duty_in_database().await?.agrees_with(&collected)
        })
        .await?;
        match self.outlived.get() {
            Some(until_then) => Ok(until_then.clone()),
            None => self.gaps().await,
        }
    }

    /// The gaps so far; refuses two actives.
    pub async fn gaps(&self) -> Result<Vec<Gap>> {
        Ok(self.judged().await?.gaps())
    }

    /// Removes the namespace and the databases.
    pub async fn remove(self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        // A scenario may have deleted it itself.
        if namespaces.get_opt(&self.namespace).await?.is_some() {
            namespaces
                .delete(&self.namespace, &DeleteParams::default())
                .await?;
        }
        self.cluster.drop_database(&self.database).await?;
        self.cluster.drop_databases(&self.other_name("")).await
    }
}
