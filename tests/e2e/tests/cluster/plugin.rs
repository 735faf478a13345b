//! kubectl's plugin, by somebody who is on call and has the chart's role for it, and no other right.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::world::{PATIENCE, pods_with_role};
use e2e::{Company, World, scenario, until};
use serde_json::{Value, json};

/// The plugin, by somebody of the group that the role is bound to.
fn plugin(world: &World, arguments: &[&str]) -> Result<Command> {
    let somebody = ["--as", "somebody", "--as-group", "on-call"];
    let place = ["--namespace", world.namespace.as_str()];
    let all = [place.as_slice(), &somebody, arguments].concat();
    world.cluster.plugin(&all)
}

/// What it prints, and its exit code.
fn run(world: &World, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = plugin(world, arguments)?.stdin(Stdio::null()).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

/// It ends with this exit code, and says these words.
fn says(world: &World, arguments: &[&str], code: i32, words: &[&str]) -> Result<String> {
    let (ended, said) = run(world, arguments)?;
    let line = arguments.join(" ");
    ensure!(ended == Some(code), "{line} ended with {ended:?}: {said}");
    for word in words {
        ensure!(said.contains(word), "{line} has no {word:?}: {said}");
    }
    Ok(said)
}

/// A command that goes on; it is ended when it is dropped.
struct Running(Child);

impl Running {
    fn start(world: &World, arguments: &[&str]) -> Result<Self> {
        let mut command = plugin(world, arguments)?;
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        Ok(Self(started?))
    }

    /// Its lines, as they come.
    fn lines(&mut self) -> Result<Receiver<String>> {
        let output = self.0.stdout.take().context("its output is read already")?;
        let (lines, read) = channel();
        thread::spawn(move || {
            let mut all = BufReader::new(output).lines().map_while(Result::ok);
            all.all(|line| lines.send(line).is_ok())
        });
        Ok(read)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first line with these words, of those that come.
fn until_line(lines: &Receiver<String>, words: &str) -> Result<String> {
    loop {
        let line = lines.recv_timeout(PATIENCE);
        let line = line.with_context(|| format!("it has not said {words:?}"))?;
        if line.contains(words) {
            return Ok(line);
        }
    }
}

async fn bind(world: &World) -> Result<()> {
    world.cluster.kubectl(&[
        "--namespace",
        &world.namespace,
        "create",
        "rolebinding",
        "on-call",
        "--group=on-call",
        "--clusterrole=chainlink-operator-on-call",
    ])?;
    // The API server learns of a right, and of its limit, some seconds after it was given.
    until("the right is in force", PATIENCE, async || {
        let (code, said) = run(world, &["status", "node"])?;
        ensure!(code == Some(0), "it says: {said}");
        Ok(())
    })
    .await?;
    until("its limit is in force", PATIENCE, async || {
        let (code, said) = run(world, &["pause", "node"])?;
        ensure!(code == Some(1), "it was paused");
        ensure!(said.contains("you may set annotations"), "it says: {said}");
        Ok(())
    })
    .await
}

/// The verbs that only look.
fn looks(world: &World) -> Result<()> {
    let active = ["Running", "Active", "Standby", "LockVerified", "2.18.0"];
    says(world, &["status", "node", "--check"], 0, &active)?;
    let read: Value =
        serde_json::from_str(&says(world, &["status", "node", "-o", "json"], 0, &[])?)?;
    ensure!(read["status"]["phase"] == "Running", "{read}");
    says(world, &["fleet"], 0, &["NAME", "node", "Running"])?;
    says(world, &["why", "node"], 0, &["nothing is waited for"])?;
    says(world, &["events", "node"], 0, &["CreatingPod"])?;
    let (_, all) = run(world, &["logs", "node", "--of", "all", "--timestamps"])?;
    ensure!(all.contains("[node-"), "no line of a pod: {all}");
    says(world, &["logs", "node"], 0, &["[node-"])?;
    // All namespaces are not theirs.
    says(world, &["fleet", "--all-namespaces"], 1, &["forbidden"])?;
    says(
        world,
        &["status", "nobody"],
        1,
        &["no ChainlinkNode nobody"],
    )?;
    Ok(())
}

/// A page that is drawn again, and a log that follows the lock, while the lock is moved.
async fn moves(world: &World) -> Result<()> {
    let mut page = Running::start(world, &["status", "node", "--watch"])?;
    let mut log = Running::start(world, &["logs", "node", "--follow", "--tail", "1"])?;
    let (page, log) = (page.lines()?, log.lines()?);
    until_line(&page, "Standbys")?;
    until_line(&log, "is active")?;

    let status = world.until_running("node", "2.18.0", 2).await?;
    let standby = pods_with_role(&status, "Standby");
    let standby = standby.first().context("nobody waits")?;
    says(
        world,
        &["switchover", "node", "--to", standby],
        0,
        &["Done"],
    )?;
    let active = world.active("node").await?;
    ensure!(active == *standby, "{active} is active");
    until_line(&page, "Switchover")?;
    until_line(&log, standby)?;
    until_line(&log, &format!("[{standby}]"))?;

    says(
        world,
        &["switchover", "node", "--to", "nowhere"],
        3,
        &["Refused"],
    )?;
    Ok(())
}

/// A change that waits for a person.
async fn approval(world: &World) -> Result<()> {
    world.until_running("node", "2.18.0", 2).await?;
    let hold = json!({"handover": {"approval": "Manual"}, "version": "2.19.0"});
    world.change("node", hold).await?;
    let waits = |status: &chainlink_operator::api::ChainlinkNodeStatus| {
        status.phase.as_deref() == Some("AwaitingApproval")
    };
    world
        .until_status("node", "it waits for approval", waits)
        .await?;
    let command = "kubectl chainlink approve node";
    says(world, &["why", "node"], 0, &["ApprovalRequired", command])?;
    says(
        world,
        &["approve", "node", "--revision", "node-other"],
        3,
        &["waits for approval"],
    )?;
    says(world, &["approve", "node"], 0, &["Approved", "2.19.0"])?;
    world.until_running("node", "2.19.0", 2).await?;
    says(world, &["approve", "node"], 3, &["NothingToApprove"])?;
    Ok(())
}

/// What takes the right to update is refused in words that say so.
fn not_theirs(world: &World) -> Result<()> {
    for verb in [
        ["pause", "node"].as_slice(),
        &["hibernate", "node", "--yes"],
    ] {
        says(
            world,
            verb,
            1,
            &["you may set annotations", "right to update"],
        )?;
    }
    says(world, &["resume", "node"], 0, &["it is not paused"])?;
    says(world, &["wake", "node"], 0, &["it does not hibernate"])?;
    says(
        world,
        &["ui", "node", "--port", "0"],
        1,
        &["pods/portforward"],
    )?;
    Ok(())
}

/// Asks the page of the node.
fn asked(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The port leads to the active, also to the next one.
async fn page(world: &World) -> Result<()> {
    let place = ["--namespace", world.namespace.as_str()];
    let role = [
        "create",
        "role",
        "ui",
        "--verb=get,create",
        "--resource=pods/portforward",
    ];
    let binding = [
        "create",
        "rolebinding",
        "ui",
        "--role=ui",
        "--group=on-call",
    ];
    for object in [role.as_slice(), &binding] {
        world
            .cluster
            .kubectl(&[place.as_slice(), object].concat())?;
    }
    let mut running = Running::start(world, &["ui", "node", "--port", "0"])?;
    let lines = running.lines()?;
    let first = until_line(&lines, "leads to the active")?;
    let address = first
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let address = address.context("it names no address")?;
    let answers = async || {
        let answer = asked(address)?;
        ensure!(answer.starts_with("HTTP/1.1"), "it answers {answer:?}");
        Ok(())
    };
    until("the active answers", PATIENCE, answers).await?;
    says(world, &["switchover", "node"], 0, &["Done"])?;
    let active = world.active("node").await?;
    until_line(&lines, &format!("{active} is active"))?;
    until("the next active answers", PATIENCE, answers).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn those_on_call_do_with_the_plugin_what_is_theirs() -> Result<()> {
    Box::pin(scenario("plugin", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 2)).await?;
        world.until_running("node", "2.18.0", 2).await?;
        bind(world).await?;
        looks(world)?;
        moves(world).await?;
        approval(world).await?;
        not_theirs(world)?;
        world.until_running("node", "2.19.0", 2).await?;
        page(world).await
    }))
    .await
}
