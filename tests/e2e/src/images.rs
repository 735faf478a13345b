//! The images: the operator's and the simulator's, assembled from what cargo has built and loaded into the cluster.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cluster::{Cluster, OPERATOR_IMAGE};
use crate::exec::{quietly, repository, run};

const OPERATOR: &str = "docker.io/chainlink-operator/chainlink-operator";
/// The versions that tests and the demo use. One layer, so that each costs a few hundred bytes.
const VERSIONS: [&str; 12] = [
    "1.11.0", "1.13.3", "2.15.0", "2.17.0", "2.18.0", "2.19.0", "2.20.0", "2.21.0", "2.22.0",
    "2.23.0", "2.29.0", "2.30.0",
];
/// The versions of soak: 2.40.0 to 2.99.0.
pub const SOAK_VERSIONS: std::ops::Range<u32> = 40..100;

/// Builds everything once, and loads the images that are not there yet. Returns the operator's image with its tag.
pub fn load(cluster: &Cluster) -> Result<String> {
    if !cluster.is_ours() {
        return env::var(OPERATOR_IMAGE).with_context(|| format!("{OPERATOR_IMAGE} has to be set"));
    }
    let programs = build()?;
    let folder = env::temp_dir().join(format!("chainlink-operator-images-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let image = load_into(cluster, &programs, &folder);
    fs::remove_dir_all(&folder).context("the folder of image archives could not be removed")?;
    image
}

fn load_into(cluster: &Cluster, programs: &Path, folder: &Path) -> Result<String> {
    let operator = stripped(&programs.join("chainlink-operator"), folder)?;
    let image = format!("{OPERATOR}:e2e-{}", fingerprint(&operator)?);
    if !present(cluster, &image)? {
        let archive = folder.join("operator.tar");
        assemble(
            &archive,
            &[&image],
            &operator,
            "/chainlink-operator",
            &[
                "--entrypoint",
                "/chainlink-operator",
                "--cmd",
                "run",
                "--user",
                "65532",
            ],
        )?;
        cluster.command(&["load", &archive.to_string_lossy()])?;
    }

    let simulator = stripped(&programs.join("chainlink-simulator"), folder)?;
    // Tags are versions, so one more tells which build they are of.
    let marker = format!(
        "{}:simulator-{}",
        cluster.node_repository,
        fingerprint(&simulator)?
    );
    if !present(cluster, &marker)? {
        let archive = folder.join("simulator.tar");
        let soak = SOAK_VERSIONS.map(|minor| format!("2.{minor}.0"));
        let mut names: Vec<String> = VERSIONS
            .iter()
            .map(|version| (*version).to_owned())
            .chain(soak)
            .map(|version| format!("{}:{version}", cluster.node_repository))
            .collect();
        names.push(marker);
        simulators(&archive, &names, &simulator, "from=archive")?;
        cluster.command(&["load", &archive.to_string_lossy()])?;
    }
    Ok(image)
}

/// Archives images of the simulator under these names, whose tags are the versions that they play.
fn simulators(archive: &Path, names: &[String], simulator: &Path, label: &str) -> Result<()> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assemble(
        archive,
        &names,
        simulator,
        "/usr/local/bin/chainlink",
        &[
            "--label",
            label,
            "--env",
            "SIMULATOR_VERSION={tag}",
            "--entrypoint",
            "chainlink",
            // What of the real image a pod uses beside the node.
            "/bin/sh:/bin/sh",
            "/usr/bin/base64:/bin/base64",
            "/bin/cat:/bin/cat",
            "/bin/mkdir:/bin/mkdir",
        ],
    )
}

/// The simulator that was built last, as an archive for whoever serves these names. These are other images than those that are
/// loaded: of one that a kubelet has pulled once it believes no name any more that it has not pulled.
pub(crate) fn archived(archive: &Path, names: &[String], folder: &Path) -> Result<()> {
    let simulator = stripped(&programs()?.join("chainlink-simulator"), folder)?;
    simulators(archive, names, &simulator, "from=registry")
}

/// Loads Debian's sh and wget under the name of the image of `helm test`. A cluster that is not ours pulls the true one.
pub fn load_test(cluster: &Cluster) -> Result<()> {
    const IMAGE: &str = "docker.io/library/busybox:1.37.0";
    if !cluster.is_ours() || present(cluster, IMAGE)? {
        return Ok(());
    }
    cluster.command(&["packages", "wget"])?;
    let archive = env::temp_dir().join(format!("helm-test-{}.tar", std::process::id()));
    let more = ["/usr/bin/wget:/bin/wget"];
    assemble(&archive, &[IMAGE], Path::new("/bin/sh"), "/bin/sh", &more)?;
    let loaded = cluster.command(&["load", &archive.to_string_lossy()]);
    fs::remove_file(&archive).context("the archive of helm test could not be removed")?;
    loaded.map(drop)
}

/// What runs in the cluster or is called beside it. Whoever calls the others has built them; tests/e2e/build.py names these, too.
const PROGRAMS: [&str; 4] = [
    "chainlink-operator",
    "chainlink-simulator",
    "kubectl-chainlink",
    "requests",
];

/// Builds what is needed of the workspace in the profile that this program was built in, so that nothing is compiled twice,
/// and returns the folder of the programs.
fn build() -> Result<PathBuf> {
    let folder = programs()?;
    let mut cargo = cargo();
    cargo
        .current_dir(repository())
        .args(["build", "--quiet", "--workspace"])
        .args(PROGRAMS.iter().flat_map(|program| ["--bin", program]));
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    run(&mut cargo)?;
    Ok(folder)
}

/// Cargo, which knows nothing of the crate whose tests call it: ring looks at these variables, and would be compiled anew for
/// another crate's, with all that needs it.
fn cargo() -> Command {
    let mut cargo = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Where cargo puts the programs of the workspace.
pub fn programs() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let folder = own
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"))
        .context("this program lies nowhere")?;
    Ok(folder.to_path_buf())
}

fn stripped(program: &Path, folder: &Path) -> Result<PathBuf> {
    ensure!(
        program.exists(),
        "there is no program {}",
        program.display()
    );
    let out = folder.join(program.file_name().context("a program has a name")?);
    quietly(Command::new("strip").arg("-o").arg(&out).arg(program))?;
    Ok(out)
}

fn fingerprint(file: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    fs::read(file)?.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn assemble(
    archive: &Path,
    names: &[&str],
    program: &Path,
    destination: &str,
    more: &[&str],
) -> Result<()> {
    let mut command = Command::new(repository().join("tests/cluster/cluster"));
    command.arg("image").arg("--out").arg(archive);
    for name in names {
        command.args(["--name", name]);
    }
    command
        .args(more)
        .arg(format!("{}:{destination}", program.display()));
    quietly(&mut command).map(drop)
}

fn present(cluster: &Cluster, image: &str) -> Result<bool> {
    for node in crate::machine::NODES {
        if !cluster
            .command(&["images", node])?
            .lines()
            .any(|line| line == image)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_for_the_cluster_is_no_other_build_than_one_by_hand() {
        let cargo = cargo();
        let kept = |name: &str| cargo.get_envs().all(|(one, _)| one != name);
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"] {
            assert!(env::var_os(name).is_some(), "cargo tells {name} no more");
            assert!(!kept(name), "{name} is told to another cargo");
        }
        assert!(kept("CARGO_HOME"));
    }
}
