//! Two `PostgreSQL` servers behind one address: a Service in front of a primary and its replica. The database can fail
//! over from the one to the other, and be dark meanwhile.

use std::ffi::OsStr;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::World;
use crate::exec::quietly;

const PASSWORD: &str = "chainlink-test-only-password";
/// The Service, and the name of the database.
const NAME: &str = "pair";

/// One server, in a folder of its own.
struct Server {
    folder: PathBuf,
    port: u16,
    process: Option<Child>,
}

/// The primary first. Both end with this.
pub struct Pair {
    servers: [Server; 2],
    address: String,
    cluster_ip: String,
    folder: PathBuf,
    dark: bool,
}

impl Pair {
    /// Starts both, and the Service that leads to the first. The machine has to be the one of the cluster's database.
    pub async fn start(world: &World) -> Result<Self> {
        let address = world
            .cluster
            .collector_address
            .clone()
            .context("this machine has no address that pods reach")?;
        let folder = std::env::temp_dir().join(format!("{}-pair", world.namespace));
        let _ = std::fs::remove_dir_all(&folder);
        quietly(Command::new("install").args([
            "-d",
            "-o",
            "postgres",
            "-g",
            "postgres",
            &folder.to_string_lossy(),
        ]))?;
        certificate(&folder, &address)?;
        let server = |name: &str| -> Result<Server> {
            Ok(Server {
                folder: folder.join(name),
                port: TcpListener::bind((address.as_str(), 0))?
                    .local_addr()?
                    .port(),
                process: None,
            })
        };
        let mut pair = Self {
            servers: [server("first")?, server("second")?],
            address: address.clone(),
            cluster_ip: String::new(),
            folder: folder.clone(),
            dark: false,
        };
        let [first, second] = &mut pair.servers;
        as_postgres(
            "initdb",
            &[
                "-D",
                &first.data(),
                "-U",
                "postgres",
                "-A",
                "trust",
                "--no-sync",
            ],
        )?;
        std::fs::write(
            Path::new(&first.data()).join("pg_hba.conf"),
            "local all all trust\nlocal replication all trust\nhost all all 0.0.0.0/0 scram-sha-256\n",
        )?;
        first.run(&address, &folder)?;
        first.sql(
            "postgres",
            &format!("CREATE ROLE chainlink LOGIN PASSWORD '{PASSWORD}'"),
        )?;
        first.sql(
            "postgres",
            &format!("CREATE DATABASE {NAME} OWNER chainlink"),
        )?;
        let socket = folder.to_string_lossy().into_owned();
        let port = first.port.to_string();
        as_postgres(
            "pg_basebackup",
            &[
                "-h",
                &socket,
                "-p",
                &port,
                "-U",
                "postgres",
                "-D",
                &second.data(),
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "--no-sync",
            ],
        )?;
        second.run(&address, &folder)?;
        pair.cluster_ip = pair.service(world).await?;
        Ok(pair)
    }

    /// The one URL of both, for pods.
    pub fn url(&self) -> String {
        format!(
            "postgresql://chainlink:{PASSWORD}@{}:5432/{NAME}?sslmode=disable",
            self.cluster_ip
        )
    }

    /// The certificate of both servers, which is its own authority (PEM).
    pub fn authority(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.join("server.crt"))?)
    }

    /// That of a server which is neither of them (PEM).
    pub fn another_authority(&self) -> Result<String> {
        let folder = self.folder.join("another");
        quietly(of_postgres("mkdir").arg(&folder))?;
        certificate(&folder, &self.address)?;
        Ok(std::fs::read_to_string(folder.join("server.crt"))?)
    }

    /// Runs a statement on the second server and returns what it prints.
    pub fn on_second(&self, sql: &str) -> Result<String> {
        self.servers[1].sql(NAME, sql)
    }

    async fn service(&self, world: &World) -> Result<String> {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
            "spec": {"ports": [{"name": "sql", "port": 5432, "targetPort": 5432, "protocol": "TCP"}]}});
        let api: Api<Service> = Api::namespaced(world.client.clone(), &world.namespace);
        let made = api
            .patch(
                NAME,
                &PatchParams::apply("e2e").force(),
                &Patch::Apply(&service),
            )
            .await?;
        self.lead_to(world, 0).await?;
        made.spec
            .and_then(|spec| spec.cluster_ip)
            .context("the Service has no address")
    }

    async fn lead_to(&self, world: &World, server: usize) -> Result<()> {
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": NAME, "labels": {"kubernetes.io/service-name": NAME}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [self.address], "conditions": {"ready": true}}],
            "ports": [{"name": "sql", "port": self.servers[server].port, "protocol": "TCP"}]});
        let api: Api<EndpointSlice> = Api::namespaced(world.client.clone(), &world.namespace);
        api.patch(
            NAME,
            &PatchParams::apply("e2e").force(),
            &Patch::Apply(&slice),
        )
        .await?;
        Ok(())
    }

    /// No packet comes to either server any more, or all do again.
    pub fn dark(&mut self, dark: bool) -> Result<()> {
        if self.dark != dark {
            for server in &self.servers {
                let port = server.port.to_string();
                let action = if dark { "-I" } else { "-D" };
                quietly(Command::new("iptables").args([
                    action,
                    "INPUT",
                    "-p",
                    "tcp",
                    "-d",
                    &self.address,
                    "--dport",
                    &port,
                    "-j",
                    "DROP",
                ]))?;
            }
            self.dark = dark;
        }
        Ok(())
    }

    /// The second takes over. The first stays up and answers, and refuses every write, in old sessions too.
    pub async fn fail_over(&self, world: &World) -> Result<()> {
        let [first, second] = &self.servers;
        first.sql(
            "postgres",
            "ALTER SYSTEM SET default_transaction_read_only = on",
        )?;
        first.sql("postgres", "SELECT pg_reload_conf()")?;
        ensure!(
            second.sql("postgres", "SELECT pg_promote()")? == "t",
            "it was not promoted"
        );
        self.lead_to(world, 1).await
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if let Err(error) = self.dark(false) {
            eprintln!("a rule of iptables is left: {error:#}");
        }
        for server in &mut self.servers {
            server.end();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Server {
    fn data(&self) -> String {
        self.folder.to_string_lossy().into_owned()
    }

    /// Its parent is a shell that waits for the end of its standard input: it also ends when this program is killed.
    fn run(&mut self, address: &str, socket: &Path) -> Result<()> {
        let script = format!(
            "{program} -D {data} -p {port} -k {socket} -h {address} -F -c max_connections=100 -c hot_standby=on \
                -c ssl=on -c ssl_cert_file={socket}/server.crt -c ssl_key_file={socket}/server.key \
                >>{data}.log 2>&1 & server=$!; cat >/dev/null; kill -QUIT $server; wait",
            program = binary("postgres")?.display(),
            data = self.data(),
            port = self.port,
            socket = socket.display(),
        );
        let process = of_postgres("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .spawn()?;
        self.process = Some(process);
        for _ in 0..100 {
            if self.sql("postgres", "SELECT 1").is_ok() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        self.sql("postgres", "SELECT 1").map(drop)
    }

    fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let socket = self.folder.parent().context("it has no folder")?;
        let (socket, port) = (socket.to_string_lossy(), self.port.to_string());
        let mut words = vec!["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
        words.extend(["-h", &socket, "-p", &port, "-U", "postgres", "-d", database]);
        // Also on a server that refuses writes by default.
        words.extend(["-c", "SET default_transaction_read_only = off", "-c", sql]);
        as_postgres("psql", &words)
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            if let Some(mut input) = process.stdin.take() {
                let _ = input.flush();
            }
            let _ = process.wait();
        }
    }
}

fn as_postgres(program: &str, arguments: &[&str]) -> Result<String> {
    quietly(of_postgres(binary(program)?).args(arguments))
}

/// Makes `server.crt` and `server.key`, for the address.
fn certificate(folder: &Path, address: &str) -> Result<()> {
    let subject = format!("subjectAltName=IP:{address}");
    quietly(
        of_postgres("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=pair"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-addext", &subject])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", "server.key", "-out", "server.crt"])
            .current_dir(folder),
    )
    .map(drop)
}

/// A program that will run as the user postgres.
pub(crate) fn of_postgres(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid",
            "postgres",
            "--regid",
            "postgres",
            "--init-groups",
        ])
        .arg(program)
        .current_dir("/");
    command
}

pub(crate) fn binary(program: &str) -> Result<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")?
        .flatten()
        .map(|entry| entry.path().join("bin").join(program))
        .filter(|path| path.exists())
        .collect();
    versions.sort();
    versions
        .pop()
        .context("PostgreSQL's server is not installed")
}
