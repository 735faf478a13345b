//! The verbs that look, and those that ask.

use serde_json::{Value, json};

use super::manifests::{down, running, said, tell, waiting_for_approval, with_an_applied_release};
use super::run;
use super::server::{POLICY, Server};
use crate::End;

/// All that a patch changed.
fn only_annotations(body: &Value) -> bool {
    let fields = body.as_object().unwrap();
    let metadata = body["metadata"].as_object().unwrap();
    fields.len() == 1
        && metadata
            .keys()
            .all(|name| name == "annotations" || name == "uid")
}

#[tokio::test]
async fn the_page_says_who_works_who_waits_what_speaks_for_it_and_how_the_lock_moved_last() {
    let ran = run(
        Server::with([running("mainnet")]).client(),
        "status mainnet",
    )
    .await;
    assert_eq!(ran.end(), End::Done);
    for words in [
        "oracles/mainnet  Running",
        "mainnet-1 on machine-1, since 2026-03-04 10:00:00Z",
        "Standbys   1/1",
        "mainnet-2   Standby   2.29.0",
        "LockVerified    True",
        "the database says so",
        "mainnet-0 (2.28.0)   mainnet-1 (2.29.0)   Version   1.8s",
    ] {
        ran.says(words);
    }
    assert!(!ran.text.contains('\x1b'), "no colour but on a terminal");
}

#[tokio::test]
async fn the_moves_of_the_lock_come_the_last_one_first_with_who_asked_for_them() {
    let mut node = running("mainnet");
    let moved = |from: Value, to: &str, reason: &str, by: &str, at: &str| {
        json!({"from": from, "to": to, "revision": "mainnet-aaaa", "reason": reason, "askedBy": by,
            "startedAt": at, "finishedAt": at, "gap": "9.1s", "gapIsUpperBound": reason == "Failover"})
    };
    node["status"]["history"] = json!([
        moved(Value::Null, "one", "Start", "Spec", "2026-03-01T10:00:00Z"),
        moved(
            json!("one"),
            "two",
            "Failover",
            "Nobody",
            "2026-03-02T10:00:00Z"
        ),
        moved(
            json!("two"),
            "three",
            "Switchover",
            "Annotation",
            "2026-03-03T10:00:00Z"
        ),
    ]);
    let ran = run(Server::with([node]).client(), "status mainnet").await;
    let told = ran.text.split("Moves of the lock").nth(1).unwrap();
    let words = [
        "ASKED BY",
        "three",
        "Annotation",
        "Failover",
        "at most 9.1s",
        "Nobody",
        "nobody",
        "Start",
    ];
    let places: Vec<usize> = words.iter().map(|word| told.find(word).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?} in:\n{told}");
}

#[tokio::test]
async fn what_was_applied_is_what_is_wanted() {
    let server = Server::with([with_an_applied_release("mainnet")]);
    let ran = run(server.client(), "status mainnet").await;
    ran.says("Version    2.30.0\n");
    ran.says("Applied    2.30.0, in place of spec.version 2.29.0");
    let ran = run(server.client(), "fleet").await;
    ran.says("2.30.0");
    assert!(!ran.text.contains('→'), "{}", ran.text);

    let mut on_its_way = with_an_applied_release("mainnet");
    on_its_way["status"]["currentVersion"] = json!("2.29.0");
    let server = Server::with([on_its_way]);
    let ran = run(server.client(), "status mainnet").await;
    ran.says("2.29.0; 2.30.0 is wanted");
    let ran = run(server.client(), "fleet").await;
    ran.says("2.29.0 → 2.30.0");
}

#[tokio::test]
async fn scripts_get_the_resource_itself() {
    let server = Server::with([running("mainnet")]);
    let ran = run(server.client(), "status mainnet -o json").await;
    let read: Value = serde_json::from_str(&ran.text).unwrap();
    assert_eq!(read["status"]["active"], "mainnet-1");
    let ran = run(server.client(), "status mainnet -o yaml").await;
    let read: Value = serde_saphyr::from_str(&ran.text).unwrap();
    assert_eq!(read["status"]["active"], "mainnet-1");
}

#[tokio::test]
async fn a_node_that_is_not_there_is_told_with_its_namespace() {
    let ran = run(Server::default().client(), "status mainnet").await;
    let failure = ran.failure();
    assert!(
        failure.contains("no ChainlinkNode mainnet in namespace oracles"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_check_ends_with_3_where_a_person_is_needed_and_with_0_else() {
    for (node, end) in [(running("a"), End::Done), (down("a"), End::No)] {
        for line in ["status a --check", "why a --check", "fleet --check"] {
            let ran = run(Server::with([node.clone()]).client(), line).await;
            assert_eq!(ran.end(), end, "{line}");
        }
        let ran = run(Server::with([node]).client(), "status a").await;
        assert_eq!(ran.end(), End::Done, "nobody asked for a check");
    }
    assert_eq!([End::Done, End::No, End::NotYet].map(End::code), [0, 3, 4]);
}

#[tokio::test]
async fn the_fleet_has_the_worst_first_and_shows_what_it_can_not_read() {
    let mut broken = running("broken");
    broken["spec"]["replicas"] = json!("two");
    let mut elsewhere = running("elsewhere");
    elsewhere["metadata"]["namespace"] = json!("others");
    let mut single = running("single");
    tell(
        &mut single,
        said("Redundant", "False", "StandbyMissing", ""),
    );
    let all = [
        running("calm"),
        waiting_for_approval("waits"),
        single,
        down("worst"),
        broken,
        elsewhere,
    ];
    let server = Server::with(all);

    let ran = run(server.client(), "fleet").await;
    let names: Vec<&str> = ran
        .text
        .lines()
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(
        names,
        ["NAME", "worst", "broken", "single", "waits", "calm"]
    );
    ran.says("this program can't read it");

    let ran = run(server.client(), "fleet --all-namespaces").await;
    ran.says("others      elsewhere   Running");
}

#[tokio::test]
async fn why_says_what_is_waited_for_and_what_to_do() {
    let ran = run(
        Server::with([waiting_for_approval("mainnet")]).client(),
        "why mainnet",
    )
    .await;
    ran.says("ApprovalRequired");
    ran.says("kubectl chainlink approve mainnet --namespace oracles");

    let ran = run(Server::with([down("mainnet")]).client(), "why mainnet").await;
    ran.says("LockNotTaken");
    ran.says("pg_terminate_backend");
    assert_eq!(
        ran.text.matches("pg_terminate_backend").count(),
        1,
        "each reason once"
    );

    let ran = run(Server::with([running("mainnet")]).client(), "why mainnet").await;
    ran.says("nothing is waited for");
}

#[tokio::test]
async fn a_change_that_no_operator_has_looked_at_is_what_is_waited_for() {
    let mut node = running("mainnet");
    node["metadata"]["generation"] = json!(2);
    let ran = run(Server::with([node]).client(), "why mainnet").await;
    ran.says("has not looked at the last change");
    let mut node = running("mainnet");
    node.as_object_mut().unwrap().remove("status");
    let ran = run(Server::with([node]).client(), "why mainnet").await;
    ran.says("no operator has looked at this resource yet");
}

fn done(node: &mut Value) {
    let token = node["metadata"]["annotations"]["chainlink-operator.dev/switchover"].clone();
    let to = node["metadata"]["annotations"]["chainlink-operator.dev/switchover-to"].clone();
    let (state, message) = if to == "nowhere" {
        ("Refused", "no standby waits there")
    } else {
        ("Done", "mainnet-2 is active")
    };
    node["status"]["switchover"] = json!({"token": token, "state": state, "message": message,
        "since": "2026-03-04T10:00:00Z"});
}

#[tokio::test]
async fn a_switchover_is_waited_for_and_changes_annotations_alone() {
    let server = Server::with([running("mainnet")])
        .for_people_on_call()
        .operated_by(done);
    let ran = run(server.client(), "switchover mainnet --to mainnet-2").await;
    assert_eq!(ran.end(), End::Done);
    ran.says("Done: mainnet-2 is active");
    let ran = run(server.client(), "switchover mainnet --to nowhere").await;
    assert_eq!(ran.end(), End::No);
    ran.says("Refused: no standby waits there");
    // Where no place is named the one of before leads nowhere.
    let ran = run(server.client(), "switchover mainnet").await;
    assert_eq!(ran.end(), End::Done);
    let annotations = server.node("mainnet")["metadata"]["annotations"].clone();
    assert!(
        annotations["chainlink-operator.dev/switchover-to"].is_null(),
        "{annotations}"
    );

    let patches = server.patches();
    assert_eq!(patches.len(), 3);
    let tokens: std::collections::BTreeSet<String> = patches
        .iter()
        .map(|patch| {
            patch.body["metadata"]["annotations"]["chainlink-operator.dev/switchover"].to_string()
        })
        .collect();
    assert_eq!(tokens.len(), 3, "the same text never acts twice");
    for patch in patches {
        assert!(only_annotations(&patch.body), "{}", patch.body);
        assert!(
            patch.query.contains("fieldManager=kubectl-chainlink"),
            "{}",
            patch.query
        );
        assert_eq!(patch.body["metadata"]["uid"], "uid-1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_switchover_that_does_not_end_is_told_as_not_yet() {
    let ran = run(
        Server::with([running("mainnet")]).client(),
        "switchover mainnet --timeout 5",
    )
    .await;
    assert_eq!(ran.end(), End::NotYet);
    ran.says("kubectl chainlink why mainnet");
}

#[tokio::test]
async fn a_switchover_that_somebody_overwrites_is_not_waited_for() {
    let server = Server::with([running("mainnet")]).operated_by(|node| {
        node["metadata"]["annotations"]["chainlink-operator.dev/switchover"] = json!("another");
    });
    let failure = run(server.client(), "switchover mainnet").await.failure();
    assert!(
        failure.contains("somebody asked for another one"),
        "{failure}"
    );
}

#[tokio::test]
async fn the_revision_that_waits_is_approved_and_no_other() {
    let server = Server::with([waiting_for_approval("mainnet")]).for_people_on_call();
    let ran = run(server.client(), "approve mainnet --revision mainnet-aaaa").await;
    assert_eq!(ran.end(), End::No);
    assert!(server.patches().is_empty());

    let ran = run(server.client(), "approve mainnet").await;
    assert_eq!(ran.end(), End::Done);
    ran.says("Approved: revision mainnet-bbbb, version 2.30.0");
    let patches = server.patches();
    assert!(only_annotations(&patches[0].body), "{}", patches[0].body);
    let annotations = server.node("mainnet")["metadata"]["annotations"].clone();
    assert_eq!(
        annotations["chainlink-operator.dev/approved"],
        "mainnet-bbbb"
    );
}

#[tokio::test]
async fn nothing_is_approved_that_does_not_wait_or_was_not_looked_at() {
    let mut unseen = waiting_for_approval("mainnet");
    unseen["metadata"]["generation"] = json!(2);
    let mut calm = waiting_for_approval("mainnet");
    tell(
        &mut calm,
        said("ApprovalRequired", "False", "NothingToApprove", ""),
    );
    for node in [unseen, calm, running("mainnet")] {
        let server = Server::with([node]);
        let ran = run(server.client(), "approve mainnet").await;
        assert_eq!(ran.end(), End::No);
        assert!(server.patches().is_empty(), "{}", ran.text);
    }
}

#[tokio::test]
async fn a_pause_is_for_those_who_may_update_and_says_so() {
    let server = Server::with([running("mainnet")]).for_people_on_call();
    let failure = run(server.client(), "pause mainnet").await.failure();
    assert!(failure.contains(POLICY), "{failure}");

    let mut applied = running("mainnet");
    applied["metadata"]["labels"] = json!({"kustomize.toolkit.fluxcd.io/name": "oracles"});
    let server = Server::with([applied]);
    let ran = run(server.client(), "pause mainnet").await;
    ran.says("Flux applies this resource");
    assert_eq!(server.node("mainnet")["spec"]["paused"], true);
    run(server.client(), "resume mainnet").await.says("resumed");
    assert_eq!(server.node("mainnet")["spec"]["paused"], false);
}

#[tokio::test]
async fn what_hibernates_wakes_with_as_many_pods_and_only_where_it_was_meant() {
    let mut node = running("mainnet");
    node["spec"]["replicas"] = json!(3);
    let server = Server::with([node]);
    let failure = run(server.client(), "hibernate mainnet").await.failure();
    assert!(failure.contains("--yes"), "{failure}");
    assert!(server.patches().is_empty());

    run(server.client(), "hibernate mainnet --yes")
        .await
        .says("all 3 pods are being stopped");
    assert_eq!(server.node("mainnet")["spec"]["replicas"], 0);
    run(server.client(), "wake mainnet")
        .await
        .says("3 pods are being started");
    assert_eq!(server.node("mainnet")["spec"]["replicas"], 3);

    let mut unknown = running("mainnet");
    unknown["spec"]["replicas"] = json!(0);
    let server = Server::with([unknown]);
    let failure = run(server.client(), "wake mainnet").await.failure();
    assert!(failure.contains("--replicas"), "{failure}");
    run(server.client(), "wake mainnet --replicas 2")
        .await
        .says("2 pods");
}

#[tokio::test]
async fn logs_are_those_of_the_active_or_of_all_merged_by_time() {
    let server = Server::with([running("mainnet")])
        .log(
            "mainnet-1",
            "2026-03-04T10:00:01Z one\n2026-03-04T10:00:03Z three\n",
        )
        .log("mainnet-2", "2026-03-04T10:00:02Z two\n");
    let ran = run(server.client(), "logs mainnet").await;
    assert_eq!(ran.text, "[mainnet-1] one\n[mainnet-1] three\n");
    let ran = run(server.client(), "logs mainnet --of all --timestamps").await;
    assert_eq!(
        ran.text,
        "2026-03-04T10:00:01Z [mainnet-1] one\n2026-03-04T10:00:02Z [mainnet-2] two\n2026-03-04T10:00:03Z [mainnet-1] three\n"
    );
    let silent = Server::with([running("mainnet")]).log("mainnet-1", "2026-03-04T10:00:01Z one\n");
    let ran = run(silent.client(), "logs mainnet --of all").await;
    ran.says("[mainnet-1] one");
    ran.says("there is no log of mainnet-2: the container is waiting to start");
}

#[tokio::test]
async fn events_of_the_node_and_its_pods_come_by_time() {
    let event = |kind: &str, name: &str, time: &str, reason: &str| {
        json!({"metadata": {"name": reason, "namespace": "oracles"}, "type": "Normal", "reason": reason,
            "message": "it happened", "lastTimestamp": time,
            "involvedObject": {"kind": kind, "name": name, "namespace": "oracles"}})
    };
    let server = Server::with([running("mainnet")])
        .event(
            "a",
            event(
                "ChainlinkNode",
                "mainnet",
                "2026-03-04T10:00:02Z",
                "HandedOver",
            ),
        )
        .event(
            "b",
            event("Pod", "mainnet-1", "2026-03-04T10:00:01Z", "Pulled"),
        )
        .event(
            "c",
            event("Pod", "somebody-elses", "2026-03-04T10:00:01Z", "Killing"),
        );
    let ran = run(server.client(), "events mainnet").await;
    let reasons: Vec<&str> = ran
        .text
        .lines()
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(reasons, ["REASON", "Pulled", "HandedOver"]);
}

#[tokio::test]
async fn completion_is_there_for_shells_and_for_kubectl() {
    let ran = run(Server::default().client(), "completion bash").await;
    ran.says("complete -F");
    let ran = run(Server::default().client(), "completion bash --for-kubectl").await;
    ran.says("status fleet why switchover");
    ran.says(":4");
}

#[tokio::test]
async fn a_port_that_can_not_be_led_is_told_at_once_and_not_as_a_missing_crd() {
    let server = Server::with([running("mainnet")]);
    let ran = run(server.client(), "ui mainnet --port 0").await;
    let failure = ran.failure();
    assert!(failure.contains("leading a port to mainnet-1"), "{failure}");
    assert!(!failure.contains("CRD"), "{failure}");
}
