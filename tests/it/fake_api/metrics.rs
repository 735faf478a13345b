//! What an operator's passes leave to be scraped.

use crate::fake_api::meddler::{Call, Fate};
use crate::fake_api::operator::Operator;
use crate::fake_api::refusals::stalled;
use crate::fake_api::world::{World, two_replicas};

/// The value of the first series that begins so.
fn value(page: &str, series: &str) -> Option<f64> {
    let mut lines = page.lines();
    let line = lines.find(|line| line.starts_with(series))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_at_rest_was_looked_at_and_a_failover_is_counted_with_its_gap() {
    let world = World::new(&two_replicas());
    let mut operator = Operator::start(&world);
    operator.rest().await;
    let page = operator.metrics();
    let looked = value(&page, "chainlinknode_looked_timestamp_seconds{");
    assert!(looked.is_some(), "{page}");
    let passes = value(&page, "chainlink_operator_reconcile_seconds_count");
    assert!(passes.is_some_and(|passes| passes > 0.0), "{page}");
    assert_eq!(value(&page, "chainlinknode_failovers_total{"), Some(0.0));

    world.with(|all| all.kill("pod 1"));
    operator.rest().await;
    let page = operator.metrics();
    assert_eq!(value(&page, "chainlinknode_failovers_total{"), Some(1.0));
    let moves = r#"chainlink_operator_lock_moves_total{reason="Failover"}"#;
    assert_eq!(value(&page, moves), Some(1.0));
    let gaps = r#"chainlink_operator_gap_seconds_count{planned="false"}"#;
    assert_eq!(value(&page, gaps), Some(1.0), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_is_refused_is_told_as_such_and_is_no_good_one() {
    let world = World::new(&two_replicas());
    Operator::start(&world).rest().await;
    let mut operator = Operator::meddled(&world, |call: &Call| {
        if call.is("list", "pods") {
            Fate::Refuse(403)
        } else {
            Fate::Pass
        }
    });
    operator
        .drive_in_vain("it is told", |world| stalled(world) == "LookRefused")
        .await;
    let page = operator.metrics();
    assert!(
        page.contains(r#"condition="Stalled",status="True",reason="LookRefused"} 1"#),
        "{page}"
    );
    let looked = value(&page, "chainlinknode_looked_timestamp_seconds{");
    assert_eq!(looked, None, "{page}");
    let errors = value(&page, "chainlink_operator_reconcile_seconds_count");
    assert!(errors.is_some_and(|errors| errors > 0.0), "{page}");
}
