//! Operators that share a Lease: the one that holds it acts, and what another has sent before is void.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::fake_api::handover::DEEDS;
use crate::fake_api::meddler::{Call, Fate, Post};
use crate::fake_api::operator::{Candidate, LEASE, Operator};
use crate::fake_api::world::{World, two_replicas};

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
