//! The user's own configuration of a node, files or variables, read once and asked from then on.

use std::collections::BTreeMap;

use super::content::{FileSource, Value, digest};
use super::outcome::{ConfigMaps, Read, lookup, refused, sort};
use super::variables::{variables, variables_keep_https};
use crate::api::{Config, PodOptions};
use crate::domain::{Problem, Reason};
use crate::node::settings::{
    More, OperatorSettings, Settings, backup_off_by_files, backup_off_by_variables, check_https,
    check_last, check_lease_times, check_toml, serves_https, sets_lease_times, sets_tls,
};
use crate::node::{ConfigStyle, NodeVersion};

/// Name of the operator's own last file, for versions without `CL_CONFIG`.
const OPERATOR_FILE: &str = "zz-operator.toml";

/// The variable that names the home folder. The image's is on a file system that can't be written.
pub(super) const HOME: &str = "HOME";

/// The variable by which a node starts on the database of a newer one.
const SKIPS_VERSION_CHECK: &str = "CL_SKIP_APP_VERSION_CHECK";

/// What the user has written for the node, before the operator adds its own.
pub(super) struct UserConfig {
    pub(super) style: ConfigStyle,
    /// In the order in which the node reads them.
    pub(super) files: Vec<(String, FileSource)>,
    /// Of the files that stand in no Secret, by name.
    pub(super) texts: BTreeMap<String, String>,
    pub(super) env: Vec<(String, Value)>,
    /// Secrets whose keys are all variables.
    pub(super) env_secrets: Vec<String>,
}

impl UserConfig {
    pub(super) fn read(
        config: &Config,
        maps: &ConfigMaps,
        version: &NodeVersion,
        style: ConfigStyle,
        warnings: &mut Vec<String>,
    ) -> Read<Self> {
        let (files, texts) = files(config, maps, version, warnings)?;
        let (env, env_secrets) = variables(config, maps, version, style, warnings)?;
        Ok(Self {
            style,
            files,
            texts,
            env,
            env_secrets,
        })
    }

    /// Adds the operator's own settings behind all others, where the node takes them for the last word. Gives back what is to
    /// stand in `CL_CONFIG`, for versions that read it after every file.
    pub(super) fn end_with(
        &mut self,
        settings: &OperatorSettings,
        version: &NodeVersion,
    ) -> Option<String> {
        match self.style {
            ConfigStyle::Environment => {
                let ours = settings.environment(version).into_iter();
                let ours = ours.map(|(name, value)| (name.to_owned(), Value::Text(value)));
                self.env.extend(ours);
                None
            }
            ConfigStyle::Toml if version.reads_cl_config() => Some(settings.toml(version)),
            ConfigStyle::Toml => {
                let text = settings.toml(version);
                let source = FileSource::Pinned(digest(text.as_bytes(), 64));
                self.files.push((OPERATOR_FILE.to_owned(), source));
                self.texts.insert(OPERATOR_FILE.to_owned(), text);
                None
            }
        }
    }

    /// Tells what the user's configuration says, as far as it can be read.
    pub(super) fn said<T>(&self, tell: impl FnOnce(Settings<'_>) -> T) -> T {
        match self.style {
            ConfigStyle::Toml => {
                let texts: Vec<_> = self
                    .files
                    .iter()
                    .map(|(name, _)| self.texts.get(name).map(String::as_str))
                    .collect();
                tell(Settings::Files(&texts))
            }
            ConfigStyle::Environment => {
                let variables: Vec<_> = self
                    .env
                    .iter()
                    .map(|(name, value)| match value {
                        Value::Text(text) => (name.as_str(), Some(text.as_str())),
                        Value::Secret(_) | Value::Field(_) => (name.as_str(), None),
                    })
                    .collect();
                let more = if self.env_secrets.is_empty() {
                    More::No
                } else {
                    More::InSecrets
                };
                tell(Settings::Variables(&variables, more))
            }
        }
    }

    /// Why the node makes no dump of its database before it migrates it, as far as its configuration can be read.
    pub(super) fn backup_off(&self) -> Option<&'static str> {
        self.said(|settings| match settings {
            Settings::Files(texts) => backup_off_by_files(texts),
            Settings::Variables(variables, More::No) => backup_off_by_variables(variables),
            // What a whole Secret sets is not known.
            Settings::Variables(_, More::InSecrets) => None,
        })
    }

    /// What a person should know who switches the node's own check of its version off (measured on 2.29.0).
    pub(super) fn skips_version_check(&self) -> Option<String> {
        let set = self
            .env
            .iter()
            .rfind(|(name, _)| name == SKIPS_VERSION_CHECK);
        let skips = matches!(set, Some((_, Value::Text(value))) if value == "true");
        skips.then(|| {
            format!(
                "spec.config.env sets {SKIPS_VERSION_CHECK}=true: an upgrade makes no dump of the database before it migrates it, and an older node that is started by hand writes its version into a newer database; leave it out, or make a backup yourself before each upgrade"
            )
        })
    }

    /// Whether the user's own configuration sets the times of the lease, as far as it can be read.
    pub(super) fn sets_lease(&self) -> bool {
        self.texts.values().any(|text| sets_lease_times(text))
            || self
                .env
                .iter()
                .any(|(name, _)| name.starts_with("LEASE_LOCK_"))
    }

    /// Whether a certificate for HTTPS is named where it can be read.
    pub(super) fn serves_https(&self) -> bool {
        self.said(serves_https)
    }

    /// Refuses a certificate that can't be where it is named, or a port that the Service does not have.
    pub(super) fn https_fits(&self, pod: &PodOptions, warnings: &mut Vec<String>) -> Read<()> {
        let volumes = pod.volumes.iter();
        let mounts = volumes.filter_map(|volume| volume.mount_path.as_deref());
        let mounts: Vec<&str> = mounts.collect();
        let findings = self.said(|settings| check_https(settings, &mounts));
        sort(findings, None, warnings)
    }

    /// Whether the node would keep values in a home folder that can't be written.
    pub(super) fn needs_home(&self, version: &NodeVersion) -> bool {
        let set = self.env.iter().any(|(name, _)| name == HOME);
        self.style == ConfigStyle::Toml && version.keeps_values_at_home() && !set
    }

    /// Whether the templates before [`WITH_NAMED_HTTPS`](super::content::WITH_NAMED_HTTPS) keep port 6689.
    pub(super) fn keeps_https(&self, pod: &PodOptions) -> bool {
        match self.style {
            ConfigStyle::Toml => files_keep_https(&self.files, &self.texts, pod),
            ConfigStyle::Environment => variables_keep_https(&self.env, &self.env_secrets, pod),
        }
    }
}

type Files = (Vec<(String, FileSource)>, BTreeMap<String, String>);

fn files(
    config: &Config,
    maps: &ConfigMaps,
    version: &NodeVersion,
    warnings: &mut Vec<String>,
) -> Read<Files> {
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
