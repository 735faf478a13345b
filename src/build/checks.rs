//! What a spec may not say, or not together: each check refuses it in a sentence that says what to write instead.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::content::Value;
use super::outcome::{Read, refused, sort};
use super::user_config::UserConfig;
use super::volumes::ROOT_SIZE;
use crate::api::{
    ChainlinkNodeSpec, LONGEST_SILENCE, PodOptions, SHORTEST_SILENCE, parse_duration,
};
use crate::domain::Reason;
use crate::node::ConfigStyle;
use crate::node::settings::{LeaseTimes, PeerAddress, Settings, dump_folder, dump_must_fit};

/// Seconds that a node may have from SIGTERM to SIGKILL.
const GRACE: RangeInclusive<i64> = 30..=3600;

/// Every time that the spec names: what can't be read would be left out without a word.
pub(super) fn times(spec: &ChainlinkNodeSpec) -> Read<()> {
    let handover = spec.handover.clone().unwrap_or_default();
    let failover = spec.failover.clone().unwrap_or_default();
    let steady = handover
        .preferred
        .and_then(|preferred| preferred.steady_for);
    let may_be_none = [
        ("handover.settle", handover.settle),
        ("handover.standbyTimeout", handover.standby_timeout),
        ("handover.preferred.steadyFor", steady),
    ];
    for (field, text) in may_be_none {
        time(field, text.as_deref())?;
    }
    let after = failover.unresponsive_after.as_deref();
    let silence = time("failover.unresponsiveAfter", after)?;
    let wrong = match silence {
        Some(silence) if silence < SHORTEST_SILENCE => {
            Some("is too short, as an answer can be late: write 10s or more")
        }
        Some(silence) if silence > LONGEST_SILENCE => Some(
            "is too long, as a refusal is a standby's sign of life for an hour after the last answer of a node: write 45m or less",
        ),
        _ => None,
    };
    if let Some(wrong) = wrong {
        let written = after.unwrap_or_default();
        return refused(
            Reason::InvalidSpec,
            format!("spec.failover.unresponsiveAfter: {written:?} {wrong}"),
        );
    }
    for (number, window) in handover.windows.iter().enumerate() {
        let field = format!("handover.windows[{number}].duration");
        if time(&field, Some(&window.duration))?.is_some_and(|open| open.is_zero()) {
            return refused(
                Reason::InvalidSpec,
                format!(
                    "spec.{field} is 0: such a window never opens; write how long it stays open, such as 2h"
                ),
            );
        }
    }
    let pod = spec.pod.as_ref();
    match pod.and_then(|pod| pod.termination_grace_period_seconds) {
        Some(seconds) if !GRACE.contains(&seconds) => refused(
            Reason::InvalidSpec,
            format!(
                "spec.pod.terminationGracePeriodSeconds is {seconds}: write {} to {}; a node that is killed sooner may not have given the lock back",
                GRACE.start(),
                GRACE.end()
            ),
        ),
        _ => Ok(()),
    }
}

fn time(field: &str, text: Option<&str>) -> Read<Option<Duration>> {
    match text.map(parse_duration).transpose() {
        Ok(time) => Ok(time),
        Err(error) => refused(Reason::InvalidSpec, format!("spec.{field}: {error}")),
    }
}

/// Refuses what the user's own configuration says otherwise about peers.
pub(super) fn peers_fit(
    peers: &PeerAddress,
    user: &UserConfig,
    warnings: &mut Vec<String>,
) -> Read<()> {
    for (file, text) in &user.texts {
        // Without the number that keeps the order.
        let file = file.split_once('-').map_or(file.as_str(), |(_, name)| name);
        sort(peers.check_toml(text), Some(file), warnings)?;
    }
    if user.style == ConfigStyle::Toml {
        return Ok(());
    }
    for (name, _) in &user.env {
        if let Some(instead) = peers.reserved_variable(name) {
            return refused(
                Reason::InvalidConfiguration,
                format!(
                    "spec.config: {name} can't be set beside spec.service.p2p: leave it out, {instead}"
                ),
            );
        }
    }
    let stack = user
        .env
        .iter()
        .find(|(name, _)| name == "P2P_NETWORKING_STACK");
    let known = match stack {
        Some((_, Value::Text(text))) => peers.stack_warning(Some(text)),
        // It may stand in a Secret, which can't be read, or in a pod that is not made yet.
        Some((_, Value::Secret(_) | Value::Field(_))) => None,
        None if !user.env_secrets.is_empty() => None,
        None => peers.stack_warning(None),
    };
    warnings.extend(known);
    Ok(())
}

/// The operator's word is the node's last: the user's own would be overridden without a trace.
pub(super) fn lease_is_said_once(
    lease: Option<LeaseTimes>,
    user: &UserConfig,
    warnings: &mut Vec<String>,
) -> Read<()> {
    match (user.sets_lease(), lease) {
        (false, _) => Ok(()),
        (true, Some(_)) => refused(
            Reason::InvalidSpec,
            "spec.database.lock and spec.config both set the times of the lease: set them in spec.database.lock only",
        ),
        (true, None) => {
            warnings.push("spec.config sets the times of the lease, and the operator counts with the node's default of 10 s: set spec.database.lock.leaseDuration instead".to_owned());
            Ok(())
        }
    }
}

/// What the node dumps has to be written somewhere, and has to fit.
pub(super) fn dumps(
    settings: Settings<'_>,
    pod: &PodOptions,
    warnings: &mut Vec<String>,
) -> Read<()> {
    let security = pod.security.as_ref();
    if security.and_then(|security| security.read_only_root_filesystem) != Some(false) {
        sort(dump_folder(settings), None, warnings)?;
    }
    if pod.storage.is_none() {
        sort(dump_must_fit(settings, ROOT_SIZE), None, warnings)?;
    }
    Ok(())
}

/// An object of Kubernetes holds 1 MiB, and nothing is gained by finding out while pods are made.
pub(super) fn fits(texts: &BTreeMap<String, String>) -> Read<()> {
    const MOST: usize = 1024 * 1024;
    let size: usize = texts
        .iter()
        .map(|(name, text)| name.len() + text.len())
        .sum();
    if size > MOST {
        return refused(
            Reason::InvalidConfiguration,
            format!(
                "spec.config.files: the texts that are not in Secrets have {size} bytes together, and a ConfigMap of the operator's holds {MOST}: put the largest into a Secret, as secretKeyRef"
            ),
        );
    }
    Ok(())
}
