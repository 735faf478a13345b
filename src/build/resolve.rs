//! From a spec and the ConfigMaps it refers to, to the content of a revision, or to the reason why
//! there is none, in a sentence that says what to write instead.

use std::collections::BTreeSet;
use std::time::Duration;

use super::checks::{dumps, fits, lease_is_said_once, peers_fit, times};
use super::content::{
    Content, Resolved, Session, TEMPLATE, Value, WITH_COPIES, WITH_NAMED_HTTPS,
    WITH_TELEMETRYS_END, WITH_THE_LOCK_ID, WITH_THE_NODES_GRACE,
};
use super::mounted::{copies, digest_of, mounted_names};
use super::options::{pod_options, service_labels};
use super::outcome::{ConfigMaps, Read, refused};
use super::pod::GRACE_SECONDS;
use super::sidecars;
use super::user_config::{HOME, UserConfig};
use crate::api::{
    ChainlinkNodeSpec, Config, KeyRef, LockModeName, PodOptions, RevisionName, SecretValue,
    parse_duration,
};
use crate::domain::{Problem, Reason};
use crate::node::lock::{LEASE_DURATION, LEASE_REFRESH_INTERVAL};
use crate::node::settings::{
    AFTER_THE_GRACE, LeaseTimes, OperatorSettings, P2P_PORT, PeerAddress, ROOT_MOUNT, Settings,
    end_with_telemetry, grace_name, own_grace, tls_files, unreached_peers,
};
use crate::node::{ConfigStyle, LockMode, NodeVersion};

/// Of a lease. So long nobody works after an active has died.
const LONGEST_LEASE: Duration = Duration::from_secs(300);

/// Names of the ConfigMaps that a spec refers to.
pub fn referenced_config_maps(spec: &ChainlinkNodeSpec) -> BTreeSet<String> {
    let pod = spec.pod.as_ref();
    let mut of_pod = mounted_names(pod);
    let beside = pod.into_iter().flat_map(sidecars::beside);
    let beside = beside.flat_map(|(_, container)| &container.env);
    of_pod.extend(
        beside
            .filter_map(|variable| variable.value_from.as_ref()?.config_map_key_ref.as_ref())
            .map(|reference| reference.name.clone()),
    );
    let Some(config) = &spec.config else {
        return of_pod;
    };
    let files = config
        .files
        .iter()
        .filter_map(|file| file.config_map_key_ref.as_ref());
    let variables = config
        .env
        .iter()
        .filter_map(|variable| variable.value_from.as_ref()?.config_map_key_ref.as_ref());
    let whole = config
        .env_from
        .iter()
        .filter_map(|from| from.config_map_ref.as_ref());
    files
        .chain(variables)
        .map(|reference| reference.name.clone())
        .chain(whole.map(|reference| reference.name.clone()))
        .chain(of_pod)
        .collect()
}

/// A kept revision, and the template that it was made with.
#[derive(Clone, Copy, Debug)]
pub struct RevisionBefore<'a> {
    pub revision: &'a RevisionName,
    pub template: u32,
}

/// Makes the revision that a spec asks for, with the newest template.
pub fn resolve(node: &str, spec: &ChainlinkNodeSpec, maps: &ConfigMaps) -> Read<Resolved> {
    render(node, spec, maps, None, TEMPLATE)
}

/// Makes the revision that a spec asks for. Where the user has changed nothing since `before` was
/// wanted, it stays that revision, whatever templates have come since (rule S8).
pub fn resolve_after(
    before: Option<RevisionBefore<'_>>,
    node: &str,
    spec: &ChainlinkNodeSpec,
    maps: &ConfigMaps,
    secrets: Option<&str>,
) -> Read<Resolved> {
    newer_only_with_a_change(before, TEMPLATE, |template| {
        render(node, spec, maps, secrets, template)
    })
}

fn newer_only_with_a_change(
    before: Option<RevisionBefore<'_>>,
    newest: u32,
    render: impl Fn(u32) -> Read<Resolved>,
) -> Read<Resolved> {
    let unchanged = before
        .filter(|before| before.template < newest)
        .and_then(|before| {
            let same = |resolved: &Resolved| resolved.revision.name == *before.revision;
            render(before.template).ok().filter(same)
        });
    match unchanged {
        Some(resolved) => Ok(resolved),
        None => render(newest),
    }
}

/// What differs from template to template asks for its number here, and in [`super::pod`].
fn render(
    node: &str,
    spec: &ChainlinkNodeSpec,
    maps: &ConfigMaps,
    secrets: Option<&str>,
    template: u32,
) -> Read<Resolved> {
    let version = version(spec)?;
    let empty = Config::default();
    let config = spec.config.as_ref().unwrap_or(&empty);
    let style = style(&version, config)?;
    let lock = lock(spec, &version, style)?;
    let mut warnings = Vec::new();
    times(spec)?;
    service_labels(spec.service.as_ref())?;
    let mut pod = pod_options(spec.pod.as_ref(), &mut warnings)?;
    sidecars::fit(spec, &mut pod, maps)?;
    let mut user = UserConfig::read(config, maps, &version, style, &mut warnings)?;
    let template = with_telemetrys_end(&user, spec.pod.as_ref(), template, &mut warnings);
    let template = with_named_https(&user, &pod, &version, template);
    let named_https = template >= WITH_NAMED_HTTPS;
    let https = named_https && user.serves_https();
    if https {
        user.https_fits(&pod, &mut warnings)?;
    }
    let tls_files = https.then(|| user.said(tls_files)).flatten();
    let template = with_the_lock_id(style, lock, template);
    let (mounted, template) = copies(spec.pod.as_ref(), maps, template)?;
    let peers = peers(spec)?;
    match &peers {
        Some(peers) => peers_fit(peers, &user, &mut warnings)?,
        None => warnings.extend(user.said(unreached_peers)),
    }
    let backup_off = user.backup_off();
    warnings.extend(user.skips_version_check());
    let template = user.said(|settings| {
        dumps(settings, &pod, &mut warnings)?;
        with_the_nodes_grace(settings, spec.pod.as_ref(), &mut pod, template)
    })?;
    let lease = lease(spec, &version, lock)?;
    lease_is_said_once(lease, &user, &mut warnings)?;
    let settings = OperatorSettings {
        lock,
        lock_id: template >= WITH_THE_LOCK_ID,
        peers,
        lease,
        https_off: if named_https {
            !https
        } else {
            !user.keeps_https(&pod)
        },
    };
    if named_https && user.needs_home(&version) {
        let home = Value::Text(ROOT_MOUNT.to_owned());
        user.env.push((HOME.to_owned(), home));
    }
    let own = user.end_with(&settings, &version);
    fits(&user.texts)?;
    let content = Content {
        template,
        image: image(spec, &version),
        pull_policy: pull_policy(spec).to_owned(),
        pull_secrets: pull_secrets(spec),
        style: style.into(),
        lock,
        database_url: secret(&spec.database.url, "spec.database.url")?,
        files: user.files,
        settings: own,
        secrets_toml: optional(config.secrets_toml.as_ref(), "spec.config.secretsToml")?,
        env: user.env,
        env_secrets: user.env_secrets,
        keystore_password: secret(
            &spec.credentials.keystore_password,
            "spec.credentials.keystorePassword",
        )?,
        api_credentials: optional(
            spec.credentials.api_credentials.as_ref(),
            "spec.credentials.apiCredentials",
        )?,
        pod,
        restarted_at: spec.restarted_at.clone().filter(|text| !text.is_empty()),
        session: session(spec)?,
        p2p_port: settings.peers.as_ref().map(PeerAddress::port),
        lease_millis: lease.and_then(|lease| u64::try_from(lease.duration.as_millis()).ok()),
        secrets: secrets.map(str::to_owned),
        mounted_maps: mounted
            .iter()
            .map(|(name, map)| (name.clone(), digest_of(map)))
            .collect(),
        https,
        secrets_files: secrets_files(config, &version)?,
        tls_files,
        version,
    };
    let revision = content.revision(node).map_err(|error| Problem {
        reason: Reason::InvalidSpec,
        message: format!("the spec can't be written as JSON: {error}"),
        missing: false,
    })?;
    Ok(Resolved {
        revision,
        content,
        texts: user.texts,
        mounted: mounted.into_iter().map(|(_, map)| map).collect(),
        warnings,
        backup_off,
    })
}

/// Gives a node the time that it takes for itself, and says which template that is: what does not need the newer one
/// goes on under the older one's name (rule S8).
fn with_the_nodes_grace(
    settings: Settings<'_>,
    asked: Option<&PodOptions>,
    pod: &mut PodOptions,
    template: u32,
) -> Read<u32> {
    let needed = own_grace(settings)
        .map(|own| seconds(own + AFTER_THE_GRACE))
        .filter(|seconds| *seconds > GRACE_SECONDS);
    let end = end_with_telemetry(settings).filter(|_| template >= WITH_TELEMETRYS_END);
    // The default counts as asked for where it is written out.
    let asked = asked.and_then(|options| options.termination_grace_period_seconds);
    match (needed, asked) {
        (Some(needed), Some(given)) if given < needed => refused(
            Reason::InvalidSpec,
            format!(
                "spec.pod.terminationGracePeriodSeconds is {given}, and the node may take {} s for itself ({}) and 15 s more to give its lock back: write {needed} or more, or leave it out",
                needed - 15,
                grace_name(settings)
            ),
        ),
        (_, None) if end.is_some() => {
            pod.termination_grace_period_seconds = end.map(seconds);
            Ok(template)
        }
        (Some(needed), None) if template >= WITH_THE_NODES_GRACE => {
            pod.termination_grace_period_seconds = Some(needed);
            Ok(template)
        }
        _ if template == WITH_THE_NODES_GRACE => Ok(WITH_THE_NODES_GRACE - 1),
        _ => Ok(template),
    }
}

/// In whole ones.
fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)
}

/// Which template it is for a node that may take so long to end with its telemetry: one without, or whose time is given,
/// goes on under the older one's name (rule S8).
fn with_telemetrys_end(
    user: &UserConfig,
    asked: Option<&PodOptions>,
    template: u32,
    warnings: &mut Vec<String>,
) -> u32 {
    let asked = asked.and_then(|options| options.termination_grace_period_seconds);
    let end = user.said(end_with_telemetry).map(seconds);
    if let Some((given, needed)) = asked.zip(end).filter(|(given, needed)| given < needed) {
        warnings.push(format!(
            "spec.pod.terminationGracePeriodSeconds is {given}, and with Telemetry.Enabled a node may take {needed} s to end: killed sooner, it loses the rest of its telemetry (its lock it has given back by then); write {needed} or more, or leave it out"
        ));
    }
    if template == WITH_TELEMETRYS_END && (end.is_none() || asked.is_some()) {
        WITH_NAMED_HTTPS
    } else {
        template
    }
}

/// Which template it is for a node of this configuration: one that neither serves HTTPS, nor was left with an open port for
/// it, nor keeps values in its home folder goes on under the older one's name (rule S8).
fn with_named_https(
    user: &UserConfig,
    pod: &PodOptions,
    version: &NodeVersion,
    template: u32,
) -> u32 {
    let needed = user.serves_https() || user.keeps_https(pod) || user.needs_home(version);
    if template == WITH_NAMED_HTTPS && !needed {
        WITH_THE_LOCK_ID
    } else {
        template
    }
}

/// Which template it is for a node that takes its lock this way: one without the advisory lock goes on under the older
/// one's name (rule S8).
fn with_the_lock_id(style: ConfigStyle, lock: LockMode, template: u32) -> u32 {
    let needed = style == ConfigStyle::Environment && lock.uses_advisory();
    if template == WITH_THE_LOCK_ID && !needed {
        WITH_COPIES
    } else {
        template
    }
}

fn version(spec: &ChainlinkNodeSpec) -> Read<NodeVersion> {
    let version: NodeVersion = match spec.version.parse() {
        Ok(version) => version,
        Err(error) => return refused(Reason::InvalidVersion, format!("spec.version: {error}")),
    };
    let tag = spec.image.as_ref().and_then(|image| image.tag.as_deref());
    match tag.and_then(NodeVersion::named_by) {
        Some(tagged) if !version.fits_tag(&tagged) => refused(
            Reason::InvalidVersion,
            format!(
                "spec.image.tag names version {tagged} and spec.version says {version}: change both together, or leave image.tag out"
            ),
        ),
        _ => Ok(version),
    }
}

fn image(spec: &ChainlinkNodeSpec, version: &NodeVersion) -> String {
    let image = spec.image.clone().unwrap_or_default();
    let repository = image.repository();
    match (&image.digest, &image.tag) {
        (Some(digest), _) => format!("{repository}@{digest}"),
        (None, Some(tag)) => format!("{repository}:{tag}"),
        (None, None) => format!("{repository}:{version}"),
    }
}

fn pull_policy(spec: &ChainlinkNodeSpec) -> &'static str {
    let image = spec.image.as_ref();
    image
        .and_then(|image| image.pull_policy)
        .map_or("IfNotPresent", crate::api::PullPolicy::as_str)
}

fn pull_secrets(spec: &ChainlinkNodeSpec) -> Vec<String> {
    let image = spec.image.iter();
    let secrets = image.flat_map(|image| &image.pull_secrets);
    secrets.map(|secret| secret.name.clone()).collect()
}

/// TOML where there are files; the environment for a 1.x node without any.
fn style(version: &NodeVersion, config: &Config) -> Read<ConfigStyle> {
    let secrets = config.secrets_toml.is_some() || !config.secrets_files.is_empty();
    let toml = !config.files.is_empty() || secrets;
    match (
        toml,
        version.supports_toml(),
        version.supports_environment(),
    ) {
        (true, false, _) => refused(
            Reason::InvalidConfiguration,
            format!(
                "version {version} does not read TOML (1.11 and later do): write its settings as variables in spec.config.env or a Secret in spec.config.envFrom, and leave spec.config.files out"
            ),
        ),
        (true, true, _) | (false, _, false) => Ok(ConfigStyle::Toml),
        (false, _, true) => Ok(ConfigStyle::Environment),
    }
}

fn lock(spec: &ChainlinkNodeSpec, version: &NodeVersion, style: ConfigStyle) -> Read<LockMode> {
    let Some(wanted) = spec.database.lock.as_ref().and_then(|lock| lock.mode) else {
        return Ok(version.default_lock(style));
    };
    let mode = match wanted {
        LockModeName::Lease => LockMode::Lease,
        LockModeName::Dual => LockMode::Dual,
        LockModeName::AdvisoryLock => LockMode::Advisory,
    };
    let known = version.lock_modes(style);
    if known.contains(&mode) {
        return Ok(mode);
    }
    let names: Vec<_> = known.iter().map(|mode| mode.env_value()).collect();
    refused(
        Reason::InvalidLockMode,
        format!(
            "version {version}, configured this way, knows the lock modes {} and not {}: set spec.database.lock.mode to one of them, or leave it out",
            names.join(", "),
            mode.env_value()
        ),
    )
}

/// How the pods of a spec take the database; `None` where the spec can't be turned into pods.
pub fn lock_mode(spec: &ChainlinkNodeSpec) -> Option<LockMode> {
    let version = version(spec).ok()?;
    let config = spec.config.clone().unwrap_or_default();
    let style = style(&version, &config).ok()?;
    lock(spec, &version, style).ok()
}

/// The times of the lease, where the spec sets one of them.
fn lease(
    spec: &ChainlinkNodeSpec,
    version: &NodeVersion,
    mode: LockMode,
) -> Read<Option<LeaseTimes>> {
    let Some(lock) = spec.database.lock.as_ref() else {
        return Ok(None);
    };
    if lock.lease_duration.is_none() && lock.refresh_interval.is_none() {
        return Ok(None);
    }
    let read = |text: Option<&String>, field: &str, default| match text {
        None => Ok(default),
        Some(text) => parse_duration(text).or_else(|error| {
            refused(
                Reason::InvalidSpec,
                format!("spec.database.lock.{field}: {error}"),
            )
        }),
    };
    let duration = read(
        lock.lease_duration.as_ref(),
        "leaseDuration",
        LEASE_DURATION,
    )?;
    let refresh = read(
        lock.refresh_interval.as_ref(),
        "refreshInterval",
        LEASE_REFRESH_INTERVAL,
    )?;
    if !mode.uses_lease() {
        return refused(
            Reason::InvalidSpec,
            format!(
                "spec.database.lock.leaseDuration and refreshInterval are for a lease, and version {version} configured this way locks by {mode}: leave them out"
            ),
        );
    }
    if refresh.is_zero() || refresh > duration / 2 {
        return refused(
            Reason::InvalidSpec,
            format!(
                "spec.database.lock refreshes the lease every {refresh:?}, and it lasts {duration:?}; the node refuses more than half of it: write 1s to {:?} for refreshInterval",
                duration / 2
            ),
        );
    }
    if duration > LONGEST_LEASE {
        return refused(
            Reason::InvalidSpec,
            format!(
                "spec.database.lock.leaseDuration is {duration:?}: for so long nobody would work after the death of an active; write {LONGEST_LEASE:?} or less"
            ),
        );
    }
    Ok(Some(LeaseTimes { duration, refresh }))
}

fn secret(value: &SecretValue, field: &str) -> Read<KeyRef> {
    match (&value.secret_key_ref, &value.value) {
        (Some(reference), None) => Ok(reference.clone()),
        _ => refused(
            Reason::InvalidSpec,
            format!(
                "{field}: name a Secret and its key, as secretKeyRef: {{name: …, key: …}}; values are never written into the resource"
            ),
        ),
    }
}

fn optional(value: Option<&SecretValue>, field: &str) -> Read<Option<KeyRef>> {
    value.map(|value| secret(value, field)).transpose()
}

/// The number keeps the order visible in the pod, and names apart.
fn secrets_files(config: &Config, version: &NodeVersion) -> Read<Vec<(String, KeyRef)>> {
    let all = config.secrets_files.len() + usize::from(config.secrets_toml.is_some());
    if all > 1 && !version.reads_several_secrets_files() {
        return refused(
            Reason::InvalidConfiguration,
            format!(
                "spec.config.secretsFiles: version {version} reads one secrets file (2.4.0 and later read several): put all of them into one key of a Secret"
            ),
        );
    }
    let files = config.secrets_files.iter().enumerate();
    files
        .map(|(index, file)| {
            let field = format!("spec.config.secretsFiles ({})", file.name);
            match &file.secret_key_ref {
                Some(reference) => Ok((format!("{index:02}-{}", file.name), reference.clone())),
                None => refused(
                    Reason::InvalidSpec,
                    format!(
                        "{field}: name a Secret and its key, as secretKeyRef: {{name: …, key: …}}"
                    ),
                ),
            }
        })
        .collect()
}

fn session(spec: &ChainlinkNodeSpec) -> Read<Option<Session>> {
    let Some(session) = &spec.credentials.session_secret else {
        return Ok(None);
    };
    match (session.generate.unwrap_or(false), &session.secret_key_ref) {
        (true, None) => Ok(Some(Session::Generated)),
        (false, Some(reference)) => Ok(Some(Session::Given(reference.clone()))),
        _ => refused(
            Reason::InvalidSpec,
            "spec.credentials.sessionSecret: give exactly one of generate: true and secretKeyRef",
        ),
    }
}

fn peers(spec: &ChainlinkNodeSpec) -> Read<Option<PeerAddress>> {
    let Some(p2p) = spec
        .service
        .as_ref()
        .and_then(|service| service.p2p.as_ref())
    else {
        return Ok(None);
    };
    let port = p2p.port.unwrap_or_else(|| i32::from(P2P_PORT));
    // What is no port at all is refused as 0 is.
    let port = u16::try_from(port).unwrap_or_default();
    match PeerAddress::new(port, p2p.announce_address.clone()) {
        Ok(peers) => Ok(Some(peers)),
        Err(error) => refused(Reason::InvalidSpec, format!("spec.service.p2p: {error}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
