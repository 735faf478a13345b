//! A kube-apiserver and an etcd on the loopback network, with a folder of their own. Both end with this process, however that
//! ends, and the folder goes with them. Nothing else of a control plane runs: no controller manager, no scheduler.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::exec::{quietly, repository};
use crate::until;

/// How long the API server may take to be ready.
const READY: Duration = Duration::from_secs(120);
/// Who may do everything.
const TOKEN: &str = "fleet";

/// A process that ends with this one.
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts a program, whose words go to a file.
    pub fn start(command: &mut Command, name: &str, folder: &Path) -> Result<Self> {
        let log = fs::File::create(folder.join(format!("{name}.log")))?;
        // Whatever ends this process, also a SIGKILL, ends the other.
        let mut bound = Command::new("setpriv");
        bound.args(["--pdeathsig", "KILL", "--"]);
        bound.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            if let Some(value) = value {
                bound.env(key, value);
            }
        }
        let child = bound
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        fs::write(folder.join(format!("{name}.pid")), child.id().to_string())?;
        Ok(Self {
            child,
            name: name.to_owned(),
        })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails where it has ended.
    pub fn ensure_runs(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "{} has ended", self.name);
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A control plane that runs.
pub struct ControlPlane {
    // They end in this order, before their folder goes.
    api: Process,
    etcd: Process,
    folder: PathBuf,
    keep: bool,
}

/// A port that nobody listens on now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl ControlPlane {
    /// Starts one in an empty folder, which it removes when it is dropped.
    pub async fn start(folder: &Path, keep: bool) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let cluster = repository().join("tests/cluster/cluster");
        quietly(Command::new(&cluster).arg("build"))?;
        let tools: PathBuf = quietly(Command::new(&cluster).arg("tools"))?.into();
        let (clients, peers, secure) = (free_port()?, free_port()?, free_port()?);
        let (clients, peers) = (
            format!("http://127.0.0.1:{clients}"),
            format!("http://127.0.0.1:{peers}"),
        );
        let etcd = Process::start(
            Command::new(tools.join("etcd"))
                .args(["--name", "fleet", "--unsafe-no-fsync"])
                .arg("--data-dir")
                .arg(folder.join("etcd"))
                .args(["--listen-client-urls", &clients])
                .args(["--advertise-client-urls", &clients])
                .args(["--listen-peer-urls", &peers])
                .args(["--initial-advertise-peer-urls", &peers])
                .args(["--initial-cluster", &format!("fleet={peers}")])
                .args(["--log-level", "warn"]),
            "etcd",
            folder,
        )?;
        let (key, tokens) = (folder.join("accounts.key"), folder.join("tokens.csv"));
        quietly(
            Command::new("openssl")
                .args(["genrsa", "-out"])
                .arg(&key)
                .arg("2048"),
        )?;
        fs::write(&tokens, format!("{TOKEN},admin,admin,\"system:masters\"\n"))?;
        let api = Process::start(
            Command::new(tools.join("kube-apiserver"))
                .args(["--bind-address", "127.0.0.1"])
                .args(["--secure-port", &secure.to_string()])
                .args(["--etcd-servers", &clients])
                .args(["--endpoint-reconciler-type", "none"])
                .args(["--service-cluster-ip-range", "10.96.0.0/12"])
                .arg("--cert-dir")
                .arg(folder.join("certificates"))
                .arg("--token-auth-file")
                .arg(&tokens)
                .args(["--service-account-issuer", "https://fleet"])
                .arg("--service-account-key-file")
                .arg(&key)
                .arg("--service-account-signing-key-file")
                .arg(&key)
                .args(["--authorization-mode", "RBAC"])
                .args(["--kubelet-preferred-address-types", "InternalIP"])
                // Nobody makes the accounts of namespaces.
                .args(["--disable-admission-plugins", "ServiceAccount"]),
            "kube-apiserver",
            folder,
        )?;
        fs::write(folder.join("kubeconfig"), kubeconfig(secure))?;
        let mut control = Self {
            api,
            etcd,
            folder: folder.to_owned(),
            keep,
        };
        let client = control.client().await?;
        until("the API server is ready", READY, async || {
            control.etcd.ensure_runs()?;
            control.api.ensure_runs()?;
            let ready = client.request_text(http::Request::get("/readyz").body(Vec::new())?);
            ready.await?;
            Ok(())
        })
        .await?;
        Ok(control)
    }

    /// A kubeconfig of somebody who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Where its logs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The certificate and key of its API server, which serve a hollow kubelet as well.
    pub fn certificate(&self) -> (PathBuf, PathBuf) {
        let folder = self.folder.join("certificates");
        (folder.join("apiserver.crt"), folder.join("apiserver.key"))
    }

    /// A client of its own.
    pub async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let mut config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        Ok(Client::try_from(config)?)
    }

    /// The processes, by their names.
    pub fn processes(&self) -> [(&'static str, u32); 2] {
        [("kube-apiserver", self.api.id()), ("etcd", self.etcd.id())]
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        for process in [&mut self.api, &mut self.etcd] {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        if !self.keep {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn kubeconfig(port: u16) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: fleet
  cluster: {{server: \"https://127.0.0.1:{port}\", insecure-skip-tls-verify: true}}
users:
- name: admin
  user: {{token: {TOKEN}}}
contexts:
- name: fleet
  context: {{cluster: fleet, user: admin}}
current-context: fleet
"
    )
}
