//! From a spec and the ConfigMaps it refers to, to the content of a revision, or to the reason why
//! there is none, in a sentence that says what to write instead.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::content::{
    Content, FileSource, Resolved, Session, TEMPLATE, Value, WITH_COPIES, WITH_THE_LOCK_ID,
    WITH_THE_NODES_GRACE, digest,
};
use super::mounted::{copies, digest_of, mounted_names};
use super::options::pod_options;
use super::outcome::{ConfigMaps, Outcome, lookup, refused, sort};
use super::pod::{GRACE_SECONDS, ROOT_SIZE};
use super::variables::{variables, variables_keep_https};
use crate::api::{
    ChainlinkNodeSpec, Config, KeyRef, LockModeName, PodOptions, SHORTEST_SILENCE, SecretValue,
    parse_duration,
};
use crate::domain::{Problem, Reason};
use crate::node::lock::{LEASE_DURATION, LEASE_REFRESH_INTERVAL};
use crate::node::settings::{
    AFTER_THE_GRACE, LeaseTimes, More, OperatorSettings, P2P_PORT, PeerAddress, Settings,
    backup_off_by_files, backup_off_by_variables, check_last, check_lease_times, check_toml,
    dump_folder, dump_must_fit, grace_name, own_grace, sets_lease_times, sets_tls,
};
use crate::node::{ConfigStyle, LockMode, NodeVersion};

const DEFAULT_REPOSITORY: &str = "smartcontract/chainlink";
/// Name of the operator's own last file, for versions without `CL_CONFIG`.
const OPERATOR_FILE: &str = "zz-operator.toml";

/// Seconds that a node may have from SIGTERM to SIGKILL.
const GRACE: RangeInclusive<i64> = 30..=3600;

/// Of a lease. So long nobody works after an active has died.
const LONGEST_LEASE: Duration = Duration::from_secs(300);

/// Names of the ConfigMaps that a spec refers to.
pub fn referenced_config_maps(spec: &ChainlinkNodeSpec) -> BTreeSet<String> {
    let mounted = mounted_names(spec.pod.as_ref());
    let Some(config) = &spec.config else {
        return mounted;
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
        .chain(mounted)
        .collect()
}

/// A kept revision, and the template that it was made with.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    pub revision: &'a str,
    pub template: u32,
}

/// Makes the revision that a spec asks for, with the newest template.
pub fn resolve(node: &str, spec: &ChainlinkNodeSpec, maps: &ConfigMaps) -> Outcome<Resolved> {
    render(node, spec, maps, None, TEMPLATE)
}

/// Makes the revision that a spec asks for. Where the user has changed nothing since `before` was
/// wanted, it stays that revision, whatever templates have come since (rule S8).
pub fn resolve_after(
    before: Option<Recorded<'_>>,
    node: &str,
    spec: &ChainlinkNodeSpec,
    maps: &ConfigMaps,
    secrets: Option<&str>,
) -> Outcome<Resolved> {
    newer_only_with_a_change(before, TEMPLATE, |template| {
        render(node, spec, maps, secrets, template)
    })
}

fn newer_only_with_a_change(
    before: Option<Recorded<'_>>,
    newest: u32,
    render: impl Fn(u32) -> Outcome<Resolved>,
) -> Outcome<Resolved> {
    let unchanged = before
        .filter(|before| before.template < newest)
        .and_then(|before| {
            let same = |resolved: &Resolved| resolved.revision.name == before.revision;
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
) -> Outcome<Resolved> {
    let version = version(spec)?;
    let empty = Config::default();
    let config = spec.config.as_ref().unwrap_or(&empty);
    let style = style(&version, config)?;
    let lock = lock(spec, &version, style)?;
    let mut warnings = Vec::new();
    times(spec)?;
    let mut pod = pod_options(spec.pod.as_ref(), &mut warnings)?;
    let template = with_the_lock_id(style, lock, template);
    let (mounted, template) = copies(spec.pod.as_ref(), maps, template)?;
    let peers = peers(spec)?;
    let (mut files, mut texts) = files(config, maps, &version, &mut warnings)?;
    let (mut env, env_secrets) = variables(config, maps, &version, style, &mut warnings)?;
    if let Some(peers) = &peers {
        peers_fit(peers, style, &texts, &env, &env_secrets, &mut warnings)?;
    }
    let backup_off = backup_off(style, &files, &texts, &env, &env_secrets);
    let template = said(style, &files, &texts, &env, &env_secrets, |settings| {
        dumps(settings, &pod, &mut warnings)?;
        with_the_nodes_grace(settings, spec.pod.as_ref(), &mut pod, template)
    })?;
    let lease = lease(spec, &version, lock)?;
    lease_is_said_once(lease, &texts, &env, &mut warnings)?;
    let settings = OperatorSettings {
        lock,
        lock_id: template >= WITH_THE_LOCK_ID,
        peers,
        lease,
        https_off: !match style {
            ConfigStyle::Toml => files_keep_https(&files, &texts, &pod),
            ConfigStyle::Environment => variables_keep_https(&env, &env_secrets, &pod),
        },
    };
    let own = match style {
        ConfigStyle::Environment => {
            let ours = settings.environment(&version).into_iter();
            env.extend(ours.map(|(name, value)| (name.to_owned(), Value::Text(value))));
            None
        }
        ConfigStyle::Toml if version.reads_cl_config() => Some(settings.toml(&version)),
        ConfigStyle::Toml => {
            let text = settings.toml(&version);
            let source = FileSource::Pinned(digest(text.as_bytes(), 64));
            files.push((OPERATOR_FILE.to_owned(), source));
            texts.insert(OPERATOR_FILE.to_owned(), text);
            None
        }
    };
    fits(&texts)?;
    let content = Content {
        template,
        image: image(spec, &version),
        pull_policy: pull_policy(spec).to_owned(),
        pull_secrets: spec
            .image
            .iter()
            .flat_map(|image| &image.pull_secrets)
            .map(|secret| secret.name.clone())
            .collect(),
        style: style.into(),
        lock,
        database_url: secret(&spec.database.url, "spec.database.url")?,
        files,
        settings: own,
        secrets_toml: optional(config.secrets_toml.as_ref(), "spec.config.secretsToml")?,
        env,
        env_secrets,
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
        texts,
        mounted: mounted.into_iter().map(|(_, map)| map).collect(),
        warnings,
        backup_off,
    })
}

/// Tells what the user's configuration says, as far as it can be read.
fn said<T>(
    style: ConfigStyle,
    files: &[(String, FileSource)],
    texts: &BTreeMap<String, String>,
    env: &[(String, Value)],
    env_secrets: &[String],
    tell: impl FnOnce(Settings<'_>) -> T,
) -> T {
    match style {
        ConfigStyle::Toml => {
            let texts: Vec<_> = files
                .iter()
                .map(|(name, _)| texts.get(name).map(String::as_str))
                .collect();
            tell(Settings::Files(&texts))
        }
        ConfigStyle::Environment => {
            let variables: Vec<_> = env
                .iter()
                .map(|(name, value)| match value {
                    Value::Text(text) => (name.as_str(), Some(text.as_str())),
                    Value::Secret(_) => (name.as_str(), None),
                })
                .collect();
            let more = match env_secrets {
                [] => More::No,
                _ => More::InSecrets,
            };
            tell(Settings::Variables(&variables, more))
        }
    }
}

/// What the node dumps has to be written somewhere, and has to fit.
fn dumps(settings: Settings<'_>, pod: &PodOptions, warnings: &mut Vec<String>) -> Outcome<()> {
    let security = pod.security.as_ref();
    if security.and_then(|security| security.read_only_root_filesystem) != Some(false) {
        sort(dump_folder(settings), None, warnings)?;
    }
    if pod.storage.is_none() {
        sort(dump_must_fit(settings, ROOT_SIZE), None, warnings)?;
    }
    Ok(())
}

/// Gives a node the time that it takes for itself, and says which template that is: what does not need the newer one
/// goes on under the older one's name (rule S8).
fn with_the_nodes_grace(
    settings: Settings<'_>,
    asked: Option<&PodOptions>,
    pod: &mut PodOptions,
    template: u32,
) -> Outcome<u32> {
    let needed = own_grace(settings)
        .map(|own| (own + AFTER_THE_GRACE).as_millis().div_ceil(1000))
        .and_then(|seconds| i64::try_from(seconds).ok())
        .filter(|seconds| *seconds > GRACE_SECONDS);
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
        (Some(needed), None) if template >= WITH_THE_NODES_GRACE => {
            pod.termination_grace_period_seconds = Some(needed);
            Ok(template)
        }
        _ if template == WITH_THE_NODES_GRACE => Ok(WITH_THE_NODES_GRACE - 1),
        _ => Ok(template),
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

/// Why the node makes no dump of its database before it migrates it, as far as its configuration can be read.
fn backup_off(
    style: ConfigStyle,
    files: &[(String, FileSource)],
    texts: &BTreeMap<String, String>,
    env: &[(String, Value)],
    env_secrets: &[String],
) -> Option<&'static str> {
    match style {
        ConfigStyle::Toml => {
            let texts: Vec<_> = files
                .iter()
                .map(|(name, _)| texts.get(name).map(String::as_str))
                .collect();
            backup_off_by_files(&texts)
        }
        // What a whole Secret sets is not known.
        ConfigStyle::Environment if !env_secrets.is_empty() => None,
        ConfigStyle::Environment => {
            let variables: Vec<_> = env
                .iter()
                .map(|(name, value)| {
                    let text = match value {
                        Value::Text(text) => Some(text.as_str()),
                        Value::Secret(_) => None,
                    };
                    (name.as_str(), text)
                })
                .collect();
            backup_off_by_variables(&variables)
        }
    }
}

fn version(spec: &ChainlinkNodeSpec) -> Outcome<NodeVersion> {
    let version: NodeVersion = match spec.version.parse() {
        Ok(version) => version,
        Err(error) => return refused(Reason::InvalidVersion, format!("spec.version: {error}")),
    };
    let tag = spec.image.as_ref().and_then(|image| image.tag.as_deref());
    match tag.and_then(NodeVersion::parse_tag) {
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
    let repository = image.repository.as_deref().unwrap_or(DEFAULT_REPOSITORY);
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

/// TOML where there are files; the environment for a 1.x node without any.
fn style(version: &NodeVersion, config: &Config) -> Outcome<ConfigStyle> {
    let toml = !config.files.is_empty() || config.secrets_toml.is_some();
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

fn lock(spec: &ChainlinkNodeSpec, version: &NodeVersion, style: ConfigStyle) -> Outcome<LockMode> {
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
) -> Outcome<Option<LeaseTimes>> {
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

/// The operator's word is the node's last: the user's own would be overridden without a trace.
fn lease_is_said_once(
    lease: Option<LeaseTimes>,
    texts: &BTreeMap<String, String>,
    env: &[(String, Value)],
    warnings: &mut Vec<String>,
) -> Outcome<()> {
    match (sets_lease(texts, env), lease) {
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

/// Whether the user's own configuration sets the times of the lease, as far as it can be read.
fn sets_lease(texts: &BTreeMap<String, String>, env: &[(String, Value)]) -> bool {
    texts.values().any(|text| sets_lease_times(text))
        || env.iter().any(|(name, _)| name.starts_with("LEASE_LOCK_"))
}

fn secret(value: &SecretValue, field: &str) -> Outcome<KeyRef> {
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

fn optional(value: Option<&SecretValue>, field: &str) -> Outcome<Option<KeyRef>> {
    value.map(|value| secret(value, field)).transpose()
}

type Files = (Vec<(String, FileSource)>, BTreeMap<String, String>);

fn files(
    config: &Config,
    maps: &ConfigMaps,
    version: &NodeVersion,
    warnings: &mut Vec<String>,
) -> Outcome<Files> {
    let mut files = Vec::new();
    let mut texts = BTreeMap::new();
    for (index, file) in config.files.iter().enumerate() {
        // The number keeps the order visible in the pod, and names apart from the operator's.
        let name = format!("{index:02}-{}", file.name);
        let text = match (&file.inline, &file.config_map_key_ref, &file.secret_key_ref) {
            (Some(text), None, None) => text.clone(),
            (None, Some(reference), None) => lookup(
                maps,
                reference,
                &format!("spec.config.files ({})", file.name),
            )?,
            (None, None, Some(reference)) => {
                files.push((name, FileSource::Secret(reference.clone())));
                continue;
            }
            _ => {
                return refused(
                    Reason::InvalidSpec,
                    format!(
                        "spec.config.files ({}): give the text in exactly one way: inline, configMapKeyRef or secretKeyRef",
                        file.name
                    ),
                );
            }
        };
        let findings = check_toml(&text, version).map_err(|error| Problem {
            reason: Reason::InvalidConfiguration,
            message: format!("spec.config.files ({}) is not TOML: {error}", file.name),
            missing: false,
        })?;
        sort(findings, Some(&file.name), warnings)?;
        files.push((
            name.clone(),
            FileSource::Pinned(digest(text.as_bytes(), 64)),
        ));
        texts.insert(name, text);
    }
    let readable: Vec<_> = config
        .files
        .iter()
        .zip(&files)
        .map(|(file, (name, _))| (file.name.as_str(), texts.get(name).map(String::as_str)))
        .collect();
    sort(check_last(&readable), None, warnings)?;
    sort(check_lease_times(&readable), None, warnings)?;
    Ok((files, texts))
}

/// Port 6689 is switched off, unless the user has a certificate for it. The text of a Secret can't
/// be read: there may be one, if there is a volume that it could lie in.
fn files_keep_https(
    files: &[(String, FileSource)],
    texts: &BTreeMap<String, String>,
    pod: &PodOptions,
) -> bool {
    let hidden = files
        .iter()
        .any(|(_, source)| matches!(source, FileSource::Secret(_)));
    (hidden && !pod.volumes.is_empty()) || texts.values().any(|text| sets_tls(text))
}

/// An object of Kubernetes holds 1 MiB, and nothing is gained by finding out while pods are made.
fn fits(texts: &BTreeMap<String, String>) -> Outcome<()> {
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

fn session(spec: &ChainlinkNodeSpec) -> Outcome<Option<Session>> {
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

fn peers(spec: &ChainlinkNodeSpec) -> Outcome<Option<PeerAddress>> {
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

/// Refuses what the user's own configuration says otherwise about peers.
fn peers_fit(
    peers: &PeerAddress,
    style: ConfigStyle,
    texts: &BTreeMap<String, String>,
    env: &[(String, Value)],
    env_secrets: &[String],
    warnings: &mut Vec<String>,
) -> Outcome<()> {
    for (file, text) in texts {
        // Without the number that keeps the order.
        let file = file.split_once('-').map_or(file.as_str(), |(_, name)| name);
        sort(peers.check_toml(text), Some(file), warnings)?;
    }
    if style == ConfigStyle::Toml {
        return Ok(());
    }
    for (name, _) in env {
        if let Some(instead) = peers.reserved_variable(name) {
            return refused(
                Reason::InvalidConfiguration,
                format!(
                    "spec.config: {name} can't be set beside spec.service.p2p: leave it out, {instead}"
                ),
            );
        }
    }
    let stack = env.iter().find(|(name, _)| name == "P2P_NETWORKING_STACK");
    let known = match stack {
        Some((_, Value::Text(text))) => peers.stack_warning(Some(text)),
        // It may stand in a Secret, which can't be read.
        Some((_, Value::Secret(_))) => None,
        None if !env_secrets.is_empty() => None,
        None => peers.stack_warning(None),
    };
    warnings.extend(known);
    Ok(())
}

/// Every time that the spec names: what can't be read would be left out without a word.
fn times(spec: &ChainlinkNodeSpec) -> Outcome<()> {
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
    if time("failover.unresponsiveAfter", after)?.is_some_and(|after| after < SHORTEST_SILENCE) {
        return refused(
            Reason::InvalidSpec,
            format!(
                "spec.failover.unresponsiveAfter: {:?} is too short, as an answer can be late: write 10s or more",
                after.unwrap_or_default()
            ),
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

fn time(field: &str, text: Option<&str>) -> Outcome<Option<Duration>> {
    match text.map(parse_duration).transpose() {
        Ok(time) => Ok(time),
        Err(error) => refused(Reason::InvalidSpec, format!("spec.{field}: {error}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
