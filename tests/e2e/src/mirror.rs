//! A registry on this machine, for one scenario: the nodes pull from it, and the operator asks it for releases. Over TLS, with an
//! authority of its own. It ends when dropped.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::exec::{quietly, repository};
use crate::images;
use crate::install;

/// The `ConfigMap` beside the operator that holds the registry's authority, as docs/updates.md names it.
const AUTHORITY: &str = "registry-authority";
/// What docs/updates.md tells to set for such a registry, and the right to keep what was applied.
pub const SETTINGS: &str = "updates.apply=true,\
    extraEnv[0].name=SSL_CERT_FILE,extraEnv[0].value=/authority/ca.crt,\
    extraVolumes[0].name=authority,extraVolumes[0].configMap.name=registry-authority,\
    extraVolumeMounts[0].name=authority,extraVolumeMounts[0].mountPath=/authority,extraVolumeMounts[0].readOnly=true";

/// A registry that runs.
pub struct Mirror {
    cluster: Cluster,
    process: Child,
    asks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    host: String,
    folder: PathBuf,
}

impl Mirror {
    /// Starts it without any image, for these versions of the simulator to be released later, and has nodes and operator
    /// trust it; the operator sees that once it is installed with [`SETTINGS`].
    pub fn start(cluster: &Cluster, versions: &[&str]) -> Result<Self> {
        Self::slow(cluster, versions, Duration::ZERO)
    }

    /// [`Mirror::start`], with a registry that lets each pull wait for so long.
    pub fn slow(cluster: &Cluster, versions: &[impl AsRef<str>], pull: Duration) -> Result<Self> {
        let address = cluster.collector_address.as_deref();
        let address = address.context("no address of this machine is known")?;
        let folder = std::env::temp_dir().join(format!("mirror-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let archive = folder.join("images.tar");
        let names: Vec<String> = versions.iter().map(|one| named(one.as_ref())).collect();
        images::archived(&archive, &names, &folder)?;
        let (program, authority) = (folder.join("mirror"), folder.join("ca.crt"));
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(&program).arg("./mirror");
        quietly(build.current_dir(repository().join("tests/manifests")))?;
        let mut process = Command::new(&program)
            .arg(address)
            .args([&archive, &authority])
            .arg(format!("{}ms", pull.as_millis()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let asks = process.stdin.take().context("it takes no names")?;
        let said = process.stdout.take().context("it says nothing")?;
        let mut answers = BufReader::new(said).lines();
        let host = answers.next().context("the registry ended")??;
        let mirror = Self {
            cluster: cluster.clone(),
            process,
            asks,
            answers,
            host,
            folder,
        };
        let authority = authority.to_string_lossy();
        cluster.command(&["trust", &mirror.host, &authority])?;
        mirror.forget()?;
        cluster.kubectl(&[
            "create",
            "configmap",
            AUTHORITY,
            "--namespace",
            install::NAMESPACE,
            &format!("--from-file=ca.crt={authority}"),
        ])?;
        Ok(mirror)
    }

    /// For `spec.image.repository`.
    pub fn repository(&self) -> String {
        format!("{}/smartcontract/chainlink", self.host)
    }

    /// Pushes a version, and returns the digest of its image.
    pub fn release(&mut self, version: &str) -> Result<String> {
        writeln!(self.asks, "{}", named(version))?;
        Ok(self.answers.next().context("the registry ended")??)
    }

    fn forget(&self) -> Result<()> {
        self.cluster.kubectl(&[
            "delete",
            "configmap",
            AUTHORITY,
            "--namespace",
            install::NAMESPACE,
            "--ignore-not-found",
        ])?;
        Ok(())
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
        if let Err(error) = self.forget() {
            eprintln!("the registry's authority could not be removed: {error:#}");
        }
    }
}

/// An image in the archive.
fn named(version: &str) -> String {
    format!("mirror/chainlink:{version}")
}
