//! The cluster: the one of tests/cluster, or an existing one that a variable names. Never the current context.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::exec::{quietly, repository, run};
use crate::images::programs;
use crate::until::until;

/// A kubeconfig of an existing cluster; the variables below go with it.
pub const KUBECONFIG: &str = "E2E_KUBECONFIG";
/// The operator's image there, with tag.
pub const OPERATOR_IMAGE: &str = "E2E_OPERATOR_IMAGE";
/// Where that cluster pulls the simulator's images from, one tag a version.
pub const NODE_IMAGE_REPOSITORY: &str = "E2E_NODE_IMAGE_REPOSITORY";
/// A role that may create databases, on a server that pods and this machine reach by the same address.
pub const DATABASE_URL: &str = "E2E_DATABASE_URL";
/// This machine's address as pods reach it, for the duty datagrams. Without it that record is not kept.
pub const COLLECTOR_ADDRESS: &str = "E2E_COLLECTOR_ADDRESS";

/// How long autovacuum may be at work in a database that is to go.
const VACUUMED: Duration = Duration::from_secs(30);

/// A cluster that can be used.
#[derive(Clone, Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
    /// The database server's URL, for making databases.
    database_url: String,
    /// Where duty datagrams are collected.
    pub collector_address: Option<String>,
    /// The repository of the simulator's images.
    pub node_repository: String,
    ours: bool,
}

impl Cluster {
    /// Takes the existing cluster that `E2E_KUBECONFIG` names, or brings up the one of tests/cluster.
    pub fn up() -> Result<Self> {
        if let Ok(kubeconfig) = env::var(KUBECONFIG) {
            return Ok(Self {
                kubeconfig: kubeconfig.into(),
                database_url: named(DATABASE_URL)?,
                collector_address: env::var(COLLECTOR_ADDRESS).ok(),
                node_repository: named(NODE_IMAGE_REPOSITORY)?,
                ours: false,
            });
        }
        run(Command::new(program()).arg("up"))?;
        Self::running()
    }

    /// The cluster of tests/cluster, which is up.
    fn running() -> Result<Self> {
        let database_url = quietly(Command::new(program()).args(["postgres", "url"]))?;
        let config: tokio_postgres::Config = database_url.parse()?;
        let collector_address = config.get_hosts().first().and_then(|host| match host {
            tokio_postgres::config::Host::Tcp(address) => Some(address.clone()),
            tokio_postgres::config::Host::Unix(_) => None,
        });
        Ok(Self {
            kubeconfig: quietly(Command::new(program()).arg("kubeconfig"))?.into(),
            database_url,
            collector_address,
            node_repository: "docker.io/smartcontract/chainlink".to_owned(),
            ours: true,
        })
    }

    /// Whether it is the cluster of tests/cluster, on this machine: its processes can be killed and its nodes lost.
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// A client of its own: connections belong to the runtime that made them.
    pub async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let mut config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        // The eviction API answers 429 while a budget denies: that is an answer, not to be asked for again.
        config.default_retry = false;
        Ok(Client::try_from(config)?)
    }

    /// kubectl, of the cluster's own tools or of the PATH.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        quietly(self.tool("kubectl")?.args(arguments))
    }

    /// `kubectl edit`, where the editor is a program that changes the file whose name it is given.
    pub fn kubectl_edit(&self, editor: &str, arguments: &[&str]) -> Result<String> {
        let mut kubectl = self.tool("kubectl")?;
        quietly(
            kubectl
                .env("KUBE_EDITOR", editor)
                .arg("edit")
                .args(arguments),
        )
    }

    /// helm, of the cluster's own tools or of the PATH.
    pub fn helm(&self, arguments: &[&str]) -> Result<String> {
        quietly(self.tool("helm")?.args(arguments))
    }

    /// kubectl's plugin, as it was built beside this program.
    pub fn plugin(&self, arguments: &[&str]) -> Result<Command> {
        let mut plugin = Command::new(programs()?.join("kubectl-chainlink"));
        plugin.env("KUBECONFIG", &self.kubeconfig).args(arguments);
        Ok(plugin)
    }

    fn tool(&self, name: &str) -> Result<Command> {
        let mut command = if self.ours {
            Command::new(PathBuf::from(quietly(Command::new(program()).arg("tools"))?).join(name))
        } else {
            Command::new(name)
        };
        command.env("KUBECONFIG", &self.kubeconfig);
        Ok(command)
    }

    /// A command of tests/cluster; only for a cluster that is ours.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        anyhow::ensure!(
            self.ours,
            "`cluster {}` needs the cluster of tests/cluster",
            arguments.join(" ")
        );
        quietly(Command::new(program()).args(arguments))
    }

    /// Makes a fresh, empty database and returns its URL, the same for pods and for this machine.
    pub async fn database(&self, name: &str) -> Result<String> {
        self.drop_database(name).await?;
        let server = connect(&self.database_url).await?;
        server
            .batch_execute(&format!("CREATE DATABASE \"{name}\""))
            .await?;
        let (server, query) = self
            .database_url
            .split_once('?')
            .unwrap_or((&self.database_url, ""));
        let (server, _) = server
            .rsplit_once('/')
            .context("the database URL has no path")?;
        Ok(format!("{server}/{name}?{query}"))
    }

    /// Removes a database. A worker of autovacuum in it, which this role may not end, is waited for.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        let drop = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
        until("the database is removed", VACUUMED, async || {
            let server = connect(&self.database_url).await?;
            Ok(server.batch_execute(&drop).await?)
        })
        .await
    }

    /// Removes all databases whose names begin so.
    pub async fn drop_databases(&self, prefix: &str) -> Result<()> {
        let server = connect(&self.database_url).await?;
        let found = server
            .query(
                "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)",
                &[&prefix],
            )
            .await?;
        for row in found {
            self.drop_database(row.get(0)).await?;
        }
        Ok(())
    }
}

/// Connects to a database.
pub async fn connect(url: &str) -> Result<tokio_postgres::Client> {
    let mut config: tokio_postgres::Config = url.parse()?;
    // A session without a name may be that of a node.
    config.application_name("e2e");
    let (client, connection) = config
        .connect(tokio_postgres::NoTls)
        .await
        .context("the database can't be reached")?;
    tokio::spawn(connection);
    Ok(client)
}

fn program() -> PathBuf {
    repository().join("tests/cluster/cluster")
}

fn named(variable: &str) -> Result<String> {
    env::var(variable).with_context(|| format!("{KUBECONFIG} is set: {variable} has to be set too"))
}
