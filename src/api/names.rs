//! Names that appear in the cluster: labels, annotations, pod conditions. They are part of the API:
//! changing one orphans what a running operator has made.

use std::collections::BTreeMap;

/// The API group, and the prefix of every label, annotation and condition of ours.
pub const GROUP: &str = "chainlink-operator.dev";

/// Label on everything that belongs to a `ChainlinkNode`: its name.
pub const NODE_LABEL: &str = "chainlink-operator.dev/node";
/// The same on all that belongs to a resource, by its customary name.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// Label on pods: the name of the revision that they are made from.
pub const REVISION_LABEL: &str = "chainlink-operator.dev/revision";
/// Label on pods, from creation on: what of its name follows that of the `ChainlinkNode`. By this and [`NODE_LABEL`] a Service
/// leads to one pod while the lock moves on purpose, so that a single write leads it from one to another.
pub const POD_LABEL: &str = "chainlink-operator.dev/pod";
/// Label on pods, from creation on: what the budgets select, and the Services at any other time.
pub const ROLE_LABEL: &str = "chainlink-operator.dev/role";
/// [`ROLE_LABEL`] of the pod that works, or that is about to.
pub const ROLE_ACTIVE: &str = "active";
/// [`ROLE_LABEL`] of every other pod.
pub const ROLE_STANDBY: &str = "standby";

/// Label on pods that only pull an image: the `ChainlinkNode` that it is for. They are no node's pods, and
/// do not carry [`NODE_LABEL`].
pub const PULL_LABEL: &str = "chainlink-operator.dev/pull";

/// Label on pods that only check a configuration: the `ChainlinkNode` that it is for. They are no node's pods, and
/// do not carry [`NODE_LABEL`].
pub const VALIDATION_LABEL: &str = "chainlink-operator.dev/validation";

/// Annotation on pods: the operator that has made an earlier one's stop of this pod void.
pub const LEADER_ANNOTATION: &str = "chainlink-operator.dev/leader";
/// Annotation on pods: the node version they were made for.
pub const VERSION_ANNOTATION: &str = "chainlink-operator.dev/version";
/// Annotation on pods: which lock they take, on which database Secret (`lease mainnet-database/url`).
pub const LOCK_ANNOTATION: &str = "chainlink-operator.dev/lock";

/// Annotation on a `ChainlinkNode`: any text; a new one asks for a switchover, once.
pub const SWITCHOVER_ANNOTATION: &str = "chainlink-operator.dev/switchover";
/// Annotation beside it: the pod or the machine that is to be active, or [`PREFERRED`].
pub const SWITCHOVER_TO_ANNOTATION: &str = "chainlink-operator.dev/switchover-to";
/// [`SWITCHOVER_TO_ANNOTATION`] for the machines of `spec.handover.preferred`.
pub const PREFERRED: &str = "preferred";
/// Annotation on a `ChainlinkNode` with `approval: Manual`: the revision that may be handed over to, or the version
/// that it is upgraded to.
pub const APPROVED_ANNOTATION: &str = "chainlink-operator.dev/approved";

/// Annotation on a `ChainlinkNode`: the revision that may be handed over to though the check of its configuration has said
/// nothing.
pub const UNCHECKED_ANNOTATION: &str = "chainlink-operator.dev/accept-unchecked";

/// Annotation on both budgets: the active for which they were counted last. Its change makes Kubernetes count again.
pub const BUDGET_ACTIVE_ANNOTATION: &str = "chainlink-operator.dev/counted-for-active";
/// Annotation on a `ChainlinkNode`: any text; a new one says that the database behind its Secret is the right one now, and
/// asks for one more pod after one that was met on another database (rule S9).
pub const CORRECTED_ANNOTATION: &str = "chainlink-operator.dev/database-corrected";
/// Annotation on a `ChainlinkNode`: the database was restored from a backup of this version (rule S6). The
/// same text never acts twice; only its first word is the version.
pub const RESTORED_ANNOTATION: &str = "chainlink-operator.dev/database-restored-to";

/// Annotation on a `ChainlinkNode`: the release that the operator applied (`spec.updates.policy: Apply`), as
/// `REPOSITORY:TAG@sha256:…`. The operator writes it, for a restored resource, whose status is dropped; or a person writes
/// [`NONE_APPLIED`].
pub const APPLIED_ANNOTATION: &str = "chainlink-operator.dev/applied-update";
/// [`APPLIED_ANNOTATION`] of a person who says that no release was applied, or that the one that was is not to count.
pub const NONE_APPLIED: &str = "none";

/// Readiness gate of our pods: True while the pod is active or waits for the lock.
pub const READY_CONDITION: &str = "chainlink-operator.dev/ready";
/// Pod condition: this container has said that it waits for the lock.
pub const WAITING_CONDITION: &str = "chainlink-operator.dev/waiting-for-lock";
/// Pod condition: this container has taken the lock.
pub const ACTIVE_CONDITION: &str = "chainlink-operator.dev/lock-taken";

/// The name of the node's container. Meshes inject others: it is always looked up by name.
pub const CONTAINER: &str = "node";

/// Annotation on pods: the names of the sidecars that the user asks for, with commas between them. A mesh injects others, which
/// nothing is asked of.
pub const SIDECARS_ANNOTATION: &str = "chainlink-operator.dev/sidecars";

/// What a container of a short pod is to run that is there for its image alone. No image has it: nothing runs.
pub const ONLY_PULLED: &str = "/only-pulled";

/// The name of the container of a short pod that tries what a start needs, beside the node's own check.
pub const TRIES_CONTAINER: &str = "tries";

/// The field manager of our server-side applies.
pub const FIELD_MANAGER: &str = "chainlink-operator";

/// `app.kubernetes.io/name` of node pods.
pub const APP_NAME: &str = "chainlink-node";
/// The [`POD_LABEL`] of a pod of this `ChainlinkNode`. The whole name of a pod may be too long for a label.
pub fn pod_label(node: &str, pod: &str) -> String {
    let own = pod
        .strip_prefix(node)
        .and_then(|rest| rest.strip_prefix('-'));
    own.unwrap_or(pod).to_owned()
}

/// Labels on everything that belongs to a `ChainlinkNode`.
pub fn labels(node: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), APP_NAME.to_owned()),
        (INSTANCE_LABEL.to_owned(), node.to_owned()),
        (
            "app.kubernetes.io/managed-by".to_owned(),
            "chainlink-operator".to_owned(),
        ),
        (NODE_LABEL.to_owned(), node.to_owned()),
    ])
}
