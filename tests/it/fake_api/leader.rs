//! Operators that share a Lease: the one that holds it acts, and what another has sent before is void.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use serde_json::{Value, json};

use crate::fake_api::handover::{DEEDS, with_the_service_in_its_place};
use crate::fake_api::meddler::{Call, Fate, Post};
use crate::fake_api::operator::{Candidate, LEASE, Operator};
use crate::fake_api::world::{World, two_replicas};

/// Scenarios that run at the same time: most of their time is waiting.
const AT_ONCE: usize = 12;

fn holder(world: &World, holder: &Value) {
    world.with(|all| {
        all.store.change("leases", LEASE, |lease| {
            lease["spec"]["holderIdentity"] = holder.clone();
        });
    });
}

/// Somebody else has the Lease now; once this one knows, it is free for all others.
async fn loses(world: &World, candidate: &Candidate) {
    holder(world, &json!("somebody-else_1"));
    candidate.leads(false).await;
    candidate.gives_up();
    holder(world, &Value::Null);
}

fn held(verb: &'static str, kind: &'static str) -> impl Fn(&Call) -> Fate + Send + Sync + 'static {
    move |call| {
        if call.is(verb, kind) && !call.name.contains("-validate-") {
            Fate::Hold
        } else {
            Fate::Pass
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_waits_to_lead_asks_for_nothing_until_it_does() {
    let world = World::new(&two_replicas());
    let (_, first) = Operator::that_shares(&world, "one", Post::faithful());
    first.leads(true).await;
    let (mut waits, second) = Operator::that_shares(&world, "two", Post::faithful());
    waits.pass().await;
    assert_eq!(waits.post.calls(), 0);

    loses(&world, &first).await;
    second.leads(true).await;
    waits.rest().await;
    assert_eq!(world.with(|all| all.store.all("pods").len()), 2);
}

/// What the API server has taken and not yet done when the lead is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_delete_that_a_leader_of_before_has_sent_is_void_once_another_leads() {
    let world = World::new(&two_replicas());
    let post = Post::new(held("delete", "pods"));
    let (mut operator, first) = Operator::that_shares(&world, "one", post.clone());
    first.leads(true).await;
    operator.rest().await;
    world.upgrade("2.29.0");
    let passes = tokio::spawn(async move { operator.pass_until_released().await });
    post.holds().await;

    loses(&world, &first).await;
    let next = Post::new(held("delete", "pods"));
    let (mut operator, second) = Operator::that_shares(&world, "two", next.clone());
    second.leads(true).await;
    let follows = tokio::spawn(async move {
        operator.pass_until_released().await;
        operator
    });
    next.holds().await;
    post.release();
    passes.await.unwrap();
    post.all_is_done().await;
    let pods = world.with(|all| all.store.all("pods"));
    let stopped = |pod: &Arc<Value>| pod["metadata"]["deletionTimestamp"].is_string();
    assert!(!pods.values().any(stopped), "{}", world.describe());

    next.release();
    follows.await.unwrap().rest().await;
    let mut deeds = world.deeds();
    deeds.retain(|deed| *deed != format!("make leases {LEASE}"));
    assert_eq!(deeds, DEEDS, "{}", world.describe());
    assert_eq!(world.wrongs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_loses_the_lead_in_a_pass_asks_for_nothing_more() {
    for (verb, kind) in [
        ("get", "chainlinknodes"),
        ("list", "pods"),
        ("replace", "chainlinknodes"),
    ] {
        let world = World::new(&two_replicas());
        let post = Post::new(held(verb, kind));
        let (mut operator, candidate) = Operator::that_shares(&world, "one", post.clone());
        candidate.leads(true).await;
        let passes = tokio::spawn(async move { operator.pass_until_released().await });
        post.holds().await;
        loses(&world, &candidate).await;
        let calls = post.calls();
        post.release();
        passes.await.unwrap();
        assert_eq!(post.calls(), calls, "{verb} {kind}");
    }
}

/// When a write of a leader that is cut off arrives after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    /// The next leader has looked once.
    Amid,
    /// The next leader has brought everything to its end.
    AtLast,
}

/// What a call that arrives late may add to the deeds: nothing can call back a creation that is on its way, but what it
/// makes goes again. Files without their revision are no pod's, and stay until the resource goes.
fn goes_again(late: &[String]) -> bool {
    match late {
        [] => true,
        [made] => made.starts_with("make files of "),
        [made, removed] => {
            let what = made.strip_prefix("make ");
            let what = what.map(|what| what.trim_end_matches(" (2.28.0)"));
            what == removed.strip_prefix("remove ")
        }
        _ => false,
    }
}

/// The leader is cut off on the way of its `n`th write, the next one leads, and then the write arrives. Says whether
/// there was such a write.
async fn cut_off_at(n: usize, late: Late) -> bool {
    let world = World::new(&two_replicas());
    let post = Post::new(move |call| match call.write {
        Some(write) if write == n => Fate::Hold,
        _ => Fate::Pass,
    });
    let (mut operator, first) = Operator::that_shares(&world, "one", Arc::clone(&post));
    first.leads(true).await;
    let reached = {
        let upgrades = async {
            for version in ["2.28.0", "2.29.0"] {
                world.upgrade(version);
                operator.rest().await;
            }
        };
        tokio::select! {
            () = upgrades => false,
            () = post.is_holding() => true,
        }
    };
    if !reached {
        return false;
    }
    loses(&world, &first).await;

    let (mut next, second) = Operator::that_shares(&world, "two", Post::faithful());
    second.leads(true).await;
    next.pass().await;
    if late == Late::Amid {
        post.release();
        post.all_is_done().await;
    }
    next.rest().await;
    world.upgrade("2.29.0");
    next.rest().await;
    post.release();
    post.all_is_done().await;
    operator.pass().await;
    next.rest().await;

    let how = format!("{late:?} at write {n}\n{}", world.describe());
    let mut deeds = world.deeds();
    deeds.retain(|deed| *deed != format!("make leases {LEASE}"));
    let mut deeds = with_the_service_in_its_place(deeds);
    if late == Late::AtLast {
        let more = deeds.split_off(DEEDS.len().min(deeds.len()));
        assert!(goes_again(&more), "{more:?}\n{how}");
    }
    assert_eq!(deeds, DEEDS, "{how}");
    assert_eq!(world.wrongs(), [""; 0], "{how}");
    let pods = world.with(|all| all.store.all("pods"));
    let checks = pods.keys().filter(|name| name.contains("-validate-"));
    assert_eq!(checks.count(), 0, "{how}");
    assert_eq!(
        world.roles(),
        [
            "pod 3: Active 2.29.0, leads the Service",
            "pod 4: Standby 2.29.0"
        ],
        "{how}"
    );
    true
}

async fn cut_off_at_each_write(late: Late) {
    let runs = stream::iter(1..).map(|n| tokio::spawn(cut_off_at(n, late)));
    let reached = runs
        .buffered(AT_ONCE)
        .take_while(|run| std::future::ready(*run.as_ref().expect("a run failed, see above")));
    let writes = reached.count().await;
    assert!(writes > 30, "only {writes} writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_cut_off_at_any_write_of_a_handover_changes_nothing_in_what_the_next_does() {
    cut_off_at_each_write(Late::Amid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_of_a_deposed_leader_that_arrives_at_last_changes_nothing() {
    cut_off_at_each_write(Late::AtLast).await;
}
