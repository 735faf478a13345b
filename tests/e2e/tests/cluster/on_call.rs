//! The chart's role for people on call: annotations, and nothing else.

use anyhow::{Result, bail, ensure};
use e2e::world::PATIENCE;
use e2e::{Company, World, scenario, until};

/// What somebody of the group that the role is bound to does with the resource, as `kubectl`.
fn on_call(world: &World, arguments: &[&str]) -> Result<String> {
    let somebody = ["--as", "somebody", "--as-group", "on-call"];
    let mut all = vec!["--namespace", world.namespace.as_str()];
    all.extend(somebody);
    all.extend(arguments);
    world.cluster.kubectl(&all)
}

/// What the API server says where it refuses that.
fn refusal(world: &World, arguments: &[&str]) -> Result<String> {
    match on_call(world, arguments) {
        Ok(_) => bail!("it was accepted: {}", arguments.join(" ")),
        Err(error) => Ok(format!("{error:#}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn those_on_call_annotate_a_node_and_change_nothing_else() -> Result<()> {
    scenario("on-call", Company::Welcome, async |world| {
        world.apply(&world.node("node", "2.18.0", 0)).await?;
        world.cluster.kubectl(&[
            "--namespace",
            &world.namespace,
            "create",
            "rolebinding",
            "on-call",
            "--group=on-call",
            "--clusterrole=chainlink-operator-on-call",
        ])?;
        let version = r#"{"spec":{"version":"2.19.0"}}"#;
        let change = ["patch", "cln", "node", "--type=merge", "--patch", version];
        // The API server learns of a policy, and of a right, some seconds after it was given.
        until(
            "the right and its limit are in force",
            PATIENCE,
            async || {
                let rehearsed = [change.as_slice(), &["--dry-run=server"]].concat();
                let said = refusal(world, &rehearsed)?;
                ensure!(said.contains("you may set annotations"), "it says: {said}");
                Ok(())
            },
        )
        .await?;

        for annotation in [
            "chainlink-operator.dev/switchover=tonight",
            "chainlink-operator.dev/approved=node-0123456789",
            "chainlink-operator.dev/approved-",
        ] {
            on_call(world, &["annotate", "cln", "node", annotation])?;
        }
        let finalizer = r#"{"metadata":{"finalizers":["example.com/mine"]}}"#;
        for (arguments, words) in [
            (change.as_slice(), "you may set annotations"),
            (
                &["label", "cln", "node", "mine=yes"],
                "you may set annotations",
            ),
            (
                &["patch", "cln", "node", "--type=merge", "--patch", finalizer],
                "you may set annotations",
            ),
            (
                &[
                    "annotate",
                    "cln",
                    "node",
                    "chainlink-operator.dev/database-restored-to=2.17.0",
                ],
                "are set by those who may update",
            ),
            (
                &[
                    "annotate",
                    "cln",
                    "node",
                    "chainlink-operator.dev/allow-deletion=true",
                ],
                "are set by those who may update",
            ),
            (&["scale", "cln", "node", "--replicas=1"], "cannot patch"),
            (&["delete", "cln", "node"], "cannot delete"),
        ] {
            let said = refusal(world, arguments)?;
            ensure!(said.contains(words), "{}: {said}", arguments.join(" "));
        }
        // Nobody else is limited.
        world
            .change("node", serde_json::json!({"version": "2.19.0"}))
            .await
    })
    .await
}
