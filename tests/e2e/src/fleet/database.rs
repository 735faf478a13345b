//! Real databases for some of a fleet: one `PostgreSQL` server with a database for each of them, and the lease of a hollow node in it,
//! which is the row that a real node keeps there. The server has an address of this machine, as no operator asks one at a loopback
//! address: that would be beside the node. Nobody else is let in.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpSocket;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

use super::control::Process;
use super::lock::LEASE;
use crate::cluster::connect;
use crate::exec::quietly;
use crate::pair::{binary, of_postgres};
use crate::until;

/// How long the server may take until it answers.
const READY: Duration = Duration::from_secs(60);
/// Two nodes and a successor of fifty resources, and who asks beside them.
const CONNECTIONS: &str = "max_connections=400";
/// The row of the lease: one at most.
const CREATE: &str =
    "CREATE TABLE lease_lock (client_id uuid NOT NULL, expires_at timestamptz NOT NULL);
    CREATE UNIQUE INDEX only_one_lease_lock ON lease_lock ((client_id IS NOT NULL))";

/// A server with its databases. It ends with this.
pub struct Databases {
    _process: Process,
    at: SocketAddr,
    /// Whose they are: `NAMESPACE/NAME`.
    of: BTreeSet<String>,
    data: PathBuf,
}

impl Drop for Databases {
    fn drop(&mut self) {
        // It is in a folder that goes anyway.
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

impl Databases {
    /// Starts a server with a database for each of these resources, its data beside this folder.
    pub async fn start(folder: &Path, resources: &[(String, String)]) -> Result<Arc<Self>> {
        let data = folder.with_extension("postgres");
        let path = data.to_string_lossy();
        quietly(Command::new("install").args(["-d", "-o", "postgres", "-g", "postgres", &path]))?;
        let mut init = of_postgres(binary("initdb")?);
        quietly(init.args(["-D", &path, "-U", "postgres", "-A", "trust", "--no-sync"]))?;
        let ip = own_address()?;
        let at = TcpListener::bind((ip, 0))?.local_addr()?;
        let (ip, port) = (ip.to_string(), at.port().to_string());
        let rules = format!("host all all 127.0.0.0/8 trust\nhost all all {ip}/32 trust\n");
        std::fs::write(data.join("pg_hba.conf"), rules)?;
        // A new user makes a process forget whose end is its own.
        let mut server = of_postgres("setpriv");
        server.args(["--pdeathsig", "KILL", "--"]);
        server
            .arg(binary("postgres")?)
            .args(["-D", &path, "-k", &path, "-F"]);
        server.args(["-h", &ip, "-p", &port, "-c", CONNECTIONS]);
        let databases = Self {
            _process: Process::start(&mut server, "postgres", folder)?,
            at,
            of: resources
                .iter()
                .map(|(of, name)| format!("{of}/{name}"))
                .collect(),
            data,
        };
        until("the database server answers", READY, async || {
            connect(&databases.address("postgres")).await.map(drop)
        })
        .await?;
        let server = connect(&databases.address("postgres")).await?;
        for (_, name) in resources {
            server
                .batch_execute(&format!("CREATE DATABASE {name}"))
                .await?;
            let made = connect(&databases.address(name)).await?;
            made.batch_execute(CREATE).await?;
        }
        Ok(Arc::new(databases))
    }

    fn address(&self, name: &str) -> String {
        format!("postgresql://postgres@{}/{name}?sslmode=disable", self.at)
    }

    /// The URL of a resource's database, where it has one.
    pub fn url(&self, resource: &str) -> Option<String> {
        let (_, name) = resource.split_once('/')?;
        self.of.contains(resource).then(|| self.address(name))
    }

    /// The lease of a node at this address, where its resource has a database.
    pub fn lease(&self, resource: &str, address: IpAddr, version: &str) -> Option<Lease> {
        let url = self.url(resource)?;
        Some(Lease::new((url, self.at), address, version))
    }

    /// How many connections were made to these databases so far, and how many transactions.
    pub async fn counted(&self) -> Result<(f64, f64)> {
        let server = connect(&self.address("postgres")).await?;
        let row = server
            .query_one(
                "SELECT sum(sessions)::float8, sum(xact_commit + xact_rollback)::float8 FROM pg_stat_database
                 WHERE datname NOT IN ('postgres', 'template0', 'template1')",
                &[],
            )
            .await?;
        let of = |place| {
            row.get::<_, Option<f64>>(place)
                .context("no database is there")
        };
        Ok((of(0)?, of(1)?))
    }
}

/// An address of this machine that is none of the loopback network.
fn own_address() -> Result<IpAddr> {
    let all = quietly(Command::new("hostname").arg("-I"))?;
    let mut all = all.split_whitespace().filter_map(|word| word.parse().ok());
    all.find(IpAddr::is_ipv4).context(
        "this machine has no address but loopback ones, and no operator asks a database there",
    )
}

/// The lease of one hollow node in its database, by a session that comes from the address of its pod.
pub struct Lease {
    url: String,
    at: SocketAddr,
    address: IpAddr,
    version: String,
    session: Mutex<Option<Client>>,
}

impl Lease {
    fn new((url, at): (String, SocketAddr), address: IpAddr, version: &str) -> Self {
        Self {
            url,
            at,
            address,
            version: version.to_owned(),
            session: Mutex::default(),
        }
    }

    /// Takes the lease or keeps it: says whether this node has it. Nobody has it by a database that does not answer.
    pub async fn take(&self, id: &str) -> bool {
        let sql = format!(
            "INSERT INTO lease_lock VALUES ('{id}', now() + interval '{} s')
             ON CONFLICT ((client_id IS NOT NULL)) DO UPDATE SET client_id = excluded.client_id, expires_at = excluded.expires_at
             WHERE lease_lock.client_id = excluded.client_id OR lease_lock.expires_at < now()",
            LEASE.as_secs()
        );
        self.execute(id, &sql).await.unwrap_or_default() > 0
    }

    /// Gives it back, if this node has it.
    pub async fn release(&self, id: &str) {
        let sql = format!("UPDATE lease_lock SET expires_at = now() WHERE client_id = '{id}'");
        // What does not succeed is left to the lease's own end.
        let _ = self.execute(id, &sql).await;
    }

    async fn execute(&self, id: &str, sql: &str) -> Result<u64> {
        let mut session = self.session.lock().await;
        let client = match session.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connect(id).await?,
        };
        let rows = client.execute(sql, &[]).await?;
        *session = Some(client);
        Ok(rows)
    }

    async fn connect(&self, id: &str) -> Result<Client> {
        let mut config: Config = self.url.parse()?;
        config.application_name(format!("Chainlink {} |App|{id}", self.version));
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(self.address, 0))?;
        let stream = socket.connect(self.at).await?;
        let (client, connection) = config.connect_raw(stream, NoTls).await?;
        tokio::spawn(async move {
            // Its end shows in the client.
            let _ = connection.await;
        });
        Ok(client)
    }
}
