//! Moves of place: drained machines, switchovers, fail-backs, drills.

use anyhow::{Context, Result, ensure};
use chainlink_operator::api::{ChainlinkNodeStatus, RequestState};
use e2e::explain::explain;
use e2e::machine::{Cordoned, NODES};
use e2e::timeline::Timeline;
use e2e::world::{condition, pods_with_role};
use e2e::{Company, World, scenario};
use serde_json::json;

const SWITCHOVER: &str = "chainlink-operator.dev/switchover";
const SWITCHOVER_TO: &str = "chainlink-operator.dev/switchover-to";

fn machine_of(status: &ChainlinkNodeStatus, pod: &str) -> Option<String> {
    let mut pods = status.pods.iter();
    pods.find(|one| one.name == pod)?.machine.clone()
}

fn active_of(status: &ChainlinkNodeStatus) -> Result<(String, String)> {
    let active = status.active.clone().context("nobody is active")?;
    let machine = machine_of(status, &active).context("it runs nowhere")?;
    Ok((active, machine))
}

/// Every duty but the last ended on request and gave the lock back: nobody was killed.
async fn all_gave_the_lock_back(world: &World) -> Result<()> {
    let record = world.judged().await?;
    let ended = record.duties.len().saturating_sub(1);
    for duty in record.duties.iter().take(ended) {
        ensure!(
            duty.stopping.is_some() && duty.released.is_some(),
            "{} ended without giving the lock back",
            duty.pod
        );
    }
    Ok(())
}

/// One resource on the machines that are drained in turn.
struct Resident<'a> {
    world: &'a World,
    replicas: u32,
    handovers: usize,
}

impl Resident<'_> {
    async fn running(&self) -> Result<ChainlinkNodeStatus> {
        let replicas = usize::try_from(self.replicas)?;
        self.world.until_running("node", "2.18.0", replicas).await
    }

    /// After the drain of a machine on which the active was, or was not.
    async fn has_left(&mut self, machine: &str, before: &(String, String)) -> Result<()> {
        let status = self.running().await?;
        let mut pods = status.pods.iter();
        ensure!(
            pods.all(|pod| pod.machine.as_deref() != Some(machine)),
            "a pod is left on {machine}"
        );
        if before.1 == machine {
            self.handovers += 1;
            let reason = status.last_handover.map(|last| last.reason);
            ensure!(reason.as_deref() == Some("Maintenance"), "{reason:?}");
        } else {
            let after = active_of(&status)?;
            ensure!(*before == after, "the active was moved for nothing");
        }
        Ok(())
    }
}

async fn drained_in_turn(worlds: &[&World]) -> Result<()> {
    let mut residents = Vec::new();
    for (world, replicas) in worlds.iter().zip(1..) {
        world.apply(&world.node("node", "2.18.0", replicas)).await?;
        residents.push(Resident {
            world,
            replicas,
            handovers: 0,
        });
    }
    for machine in NODES {
        let mut before = Vec::new();
        for resident in &residents {
            before.push(active_of(&resident.running().await?)?);
        }
        for world in worlds {
            world.timeline.act(&format!("draining {machine}"));
        }
        let drained = Cordoned::drain(&worlds[0].cluster, machine)?;
        for (resident, before) in residents.iter_mut().zip(&before) {
            resident.has_left(machine, before).await?;
        }
        drop(drained);
    }
    for resident in &residents {
        let replicas = resident.replicas;
        let gaps = resident.world.gaps().await?.len();
        ensure!(
            resident.handovers > 0,
            "with {replicas} no machine had the active"
        );
        ensure!(
            gaps == resident.handovers,
            "with {replicas}: {gaps} gaps, {} handovers",
            resident.handovers
        );
        all_gave_the_lock_back(resident.world).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn each_machine_is_drained_in_turn_with_one_two_and_three_replicas() -> Result<()> {
    scenario("drained", Company::Alone, async |world| {
        let another = async |name: &str| {
            let namespace = format!("{}-{name}", world.namespace);
            let world = World::new(&world.cluster, &namespace, Timeline::new(false)).await?;
            world.with_secrets().await
        };
        let (two, three) = (another("two").await?, another("three").await?);
        let outcome = drained_in_turn(&[world, &two, &three]).await;
        if let Err(error) = &outcome {
            let others = [&two, &three].map(|world| explain(world, error));
            eprintln!("{}", others.concat());
        }
        two.remove().await?;
        three.remove().await?;
        outcome
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_drain_waits_for_the_active_where_nothing_else_has_room() -> Result<()> {
    scenario("drain-no-room", Company::Alone, async |world| {
        world.apply(&world.node("node", "2.18.0", 1)).await?;
        let status = world.until_running("node", "2.18.0", 1).await?;
        let (active, machine) = active_of(&status)?;
        // It may run on this machine only.
        let mut bound = world.node("node", "2.18.0", 1);
        bound["spec"]["pod"] = json!({"nodeSelector": {"kubernetes.io/hostname": machine}});
        world.apply(&bound).await?;
        let (active, _) = active_of(
            &world
                .until_status("node", "it is bound to its machine", |status| {
                    status.handover.is_none()
                        && status.active.as_ref().is_some_and(|now| *now != active)
                        && status.pods.len() == 1
                })
                .await?,
        )?;
        // Not by kubectl, which would take the pods of other scenarios along.
        let evict = || {
            let path = format!(
                "/api/v1/namespaces/{}/pods/{active}/eviction",
                world.namespace
            );
            let eviction = json!({
                "apiVersion": "policy/v1", "kind": "Eviction",
                "metadata": {"name": active, "namespace": world.namespace},
            });
            let request = http::Request::post(path)
                .header("Content-Type", "application/json")
                .body(eviction.to_string().into_bytes());
            async {
                let answer = world.client.request_text(request?).await;
                anyhow::Ok(answer.err().map(|error| error.to_string()))
            }
        };
        e2e::until(
            "the budget of the active counts it",
            e2e::world::PATIENCE,
            async || {
                let budget = world.cluster.kubectl(&[
                    "get",
                    "pdb",
                    "--namespace",
                    &world.namespace,
                    "node-active",
                    "--output",
                    "jsonpath={.status.currentHealthy}/{.status.disruptionsAllowed}",
                ])?;
                ensure!(budget == "1/0", "{budget}");
                Ok(())
            },
        )
        .await?;
        let cordoned = Cordoned::cordon(&world.cluster, &[&machine])?;
        let audit = world.audit()?;
        let status = world
            .until_status("node", "it says what is missing", |status| {
                let mut told = status.conditions.iter();
                told.any(|one| {
                    one.reason == "Unschedulable" && one.message.contains("nodes are available")
                })
            })
            .await?;
        ensure!(
            condition(&status, "Available") == Some(true),
            "the active works on"
        );
        let refused = evict().await?.context("the active was evicted")?;
        ensure!(refused.contains("disruption budget"), "{refused}");
        ensure!(world.active("node").await? == active, "the active changed");
        drop(cordoned);
        world.until_running("node", "2.18.0", 1).await?;
        ensure!(world.active("node").await? == active, "the active changed");
        let stops = audit.stops(&world.namespace)?;
        ensure!(
            !stops.contains(&active),
            "the active was stopped: {stops:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_machine_is_left_with_the_version_that_works_while_another_waits_for_approval()
-> Result<()> {
    scenario("drain-held", Company::Alone, async |world| {
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["handover"] = json!({"settle": "1s", "approval": "Manual"});
        world.apply(&node).await?;
        world.until_running("node", "2.18.0", 2).await?;
        world.change("node", json!({"version": "2.19.0"})).await?;
        let held = |status: &ChainlinkNodeStatus| {
            condition(status, "ApprovalRequired") == Some(true) && status.pods.len() == 2
        };
        let status = world
            .until_status("node", "it waits for approval", held)
            .await?;
        let (active, machine) = active_of(&status)?;
        let cordoned = Cordoned::cordon(&world.cluster, &[&machine])?;
        let status = world
            .until_status("node", "the machine is left", |status| {
                let mut pods = status.pods.iter();
                held(status)
                    && status.active.as_ref().is_some_and(|now| *now != active)
                    && pods_with_role(status, "Standby").len() == 1
                    && pods.all(|pod| pod.machine.as_deref() != Some(&machine))
            })
            .await?;
        let mut pods = status.pods.iter();
        ensure!(
            pods.all(|pod| pod.version.as_deref() == Some("2.18.0")),
            "it was upgraded unasked: {}",
            e2e::world::brief(&status)
        );
        let reason = status.last_handover.map(|last| last.reason);
        ensure!(reason.as_deref() == Some("Maintenance"), "{reason:?}");
        drop(cordoned);
        Ok(())
    })
    .await
}

async fn asked(world: &World, token: &str) -> Result<ChainlinkNodeStatus> {
    let ended = |status: &ChainlinkNodeStatus| {
        let asked = status.switchover.as_ref();
        asked.is_some_and(|asked| asked.token == token && asked.ended.is_some())
    };
    world
        .until_status("node", &format!("the switchover {token} has ended"), ended)
        .await
}

fn state(status: &ChainlinkNodeStatus) -> (Option<RequestState>, String) {
    let asked = status.switchover.clone();
    let message = asked.as_ref().and_then(|asked| asked.message.clone());
    (asked.map(|asked| asked.state), message.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_switchover_goes_forth_to_a_named_pod_and_back_and_acts_once() -> Result<()> {
    Box::pin(scenario("switchover", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 1)).await?;
        world.until_running("node", "2.18.0", 1).await?;
        world.annotate("node", SWITCHOVER, "nobody").await?;
        let status = asked(world, "nobody").await?;
        ensure!(
            state(&status).0 == Some(RequestState::Refused),
            "{:?}",
            state(&status)
        );
        world.change("node", json!({"replicas": 3})).await?;
        let status = world.until_running("node", "2.18.0", 3).await?;
        let (first, first_machine) = active_of(&status)?;
        let target = e2e::world::pods_with_role(&status, "Standby")
            .pop()
            .context("a standby")?;
        world.annotate("node", SWITCHOVER_TO, &target).await?;
        world.annotate("node", SWITCHOVER, "forth").await?;
        let status = asked(world, "forth").await?;
        ensure!(
            state(&status).0 == Some(RequestState::Done),
            "{:?}",
            state(&status)
        );
        let status = world.until_running("node", "2.18.0", 3).await?;
        ensure!(
            status.active.as_ref() == Some(&target),
            "{target} is not active"
        );
        world.until_service_leads_to("node", &target).await?;
        let last = status.last_handover.context("it was a handover")?;
        ensure!(last.reason == "Switchover", "{}", last.reason);
        // Back to the machine where it was: another pod is there now.
        world
            .annotate("node", SWITCHOVER_TO, &first_machine)
            .await?;
        world.annotate("node", SWITCHOVER, "back").await?;
        let status = asked(world, "back").await?;
        let (there, machine) = active_of(&world.until_running("node", "2.18.0", 3).await?)?;
        if state(&status).0 == Some(RequestState::Done) {
            ensure!(
                machine == first_machine && there != first,
                "{there} on {machine}"
            );
        } else {
            // Kubernetes may have placed the new pods elsewhere.
            let (state, message) = state(&status);
            ensure!(state == Some(RequestState::Refused), "{state:?}");
            ensure!(message.contains(&first_machine), "{message}");
        }
        // The same token again, as a GitOps tool applies it.
        let gaps = world.gaps().await?.len();
        world.annotate("node", SWITCHOVER, "back").await?;
        world.change("node", json!({"replicas": 2})).await?;
        world.until_running("node", "2.18.0", 2).await?;
        ensure!(world.gaps().await?.len() == gaps, "it acted twice");
        all_gave_the_lock_back(world).await
    }))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn the_active_goes_back_to_its_preferred_machine_by_itself() -> Result<()> {
    scenario("failback", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 3)).await?;
        let status = world.until_running("node", "2.18.0", 3).await?;
        let (active, machine) = active_of(&status)?;
        let mut others = status.pods.iter().filter_map(|pod| pod.machine.clone());
        let home = others
            .find(|other| *other != machine)
            .context("all pods are on one machine")?;
        world
            .change(
                "node",
                json!({"handover": {"preferred": {
                    "nodeSelector": {"kubernetes.io/hostname": home},
                    "failback": "Automatic", "steadyFor": "5s",
                }}}),
            )
            .await?;
        let status = world
            .until_status("node", "the active is at home", |status| {
                active_of(status).is_ok_and(|(_, machine)| machine == home)
                    && e2e::world::condition(status, "Preferred") == Some(true)
            })
            .await?;
        ensure!(status.active.as_ref() != Some(&active), "{active} moved");
        let status = world.until_running("node", "2.18.0", 3).await?;
        let reason = status.last_handover.map(|last| last.reason);
        ensure!(reason.as_deref() == Some("Failback"), "{reason:?}");
        ensure!(world.gaps().await?.len() == 1, "more than one gap");
        all_gave_the_lock_back(world).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_drill_hands_over_at_its_time_where_a_standby_waits() -> Result<()> {
    scenario("drill", Company::Welcome, async |world| {
        let mut node = world.node("node", "2.18.0", 1);
        node["spec"]["drill"] = json!({"schedule": "* * * * *", "timeZone": "Europe/Berlin"});
        world.apply(&node).await?;
        let status = world
            .until_status("node", "a drill was skipped", |status| {
                let drill = status.drill.as_ref();
                drill.is_some_and(|drill| drill.state == RequestState::Refused)
            })
            .await?;
        let skipped = status.drill.and_then(|drill| drill.message);
        let told = skipped.as_deref().unwrap_or_default();
        ensure!(told.contains("a drill needs a standby"), "{told}");
        ensure!(world.gaps().await?.is_empty(), "it was done all the same");
        world.change("node", json!({"replicas": 2})).await?;
        let status = world
            .until_status("node", "a drill was done", |status| {
                let drill = status.drill.as_ref();
                drill.is_some_and(|drill| drill.state == RequestState::Done)
            })
            .await?;
        world.change("node", json!({"drill": null})).await?;
        let done = status.drill.and_then(|drill| drill.message);
        world.until_running("node", "2.18.0", 2).await?;
        ensure!(!world.gaps().await?.is_empty(), "no handover: {done:?}");
        all_gave_the_lock_back(world).await
    })
    .await
}
