//! TOML: files in the order given, `CL_CONFIG` last, secrets apart.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::{Table, Value};

use super::{Config, Level, LockMode, duration};
use crate::cli::Cli;
use crate::version::NodeVersion;

/// Top-level keys of the real schema (any version); what is in them is mostly left unread.
const TOP_LEVEL: [&str; 48] = [
    "AppID",
    "Aptos",
    "AuditLogger",
    "AutoPprof",
    "Billing",
    "BridgeStatusReporter",
    "CCV",
    "CRE",
    "Capabilities",
    "Cosmos",
    "Database",
    "Dev",
    "EVM",
    "ExplorerURL",
    "Feature",
    "FluxMonitor",
    "Insecure",
    "InsecureFastScrypt",
    "InsecurePPROFHeap",
    "JobDistributor",
    "JobPipeline",
    "Keeper",
    "LOOPP",
    "Log",
    "Mercury",
    "OCR",
    "OCR2",
    "P2P",
    "Pyroscope",
    "RootDir",
    "Sentry",
    "Sharding",
    "ShutdownGracePeriod",
    "Solana",
    "Starknet",
    "Stellar",
    "Sui",
    "TON",
    "Telemetry",
    "TelemetryIngress",
    "Terra",
    "Threshold",
    "Tracing",
    "Tron",
    "WebServer",
    "Workflows",
    "Prometheus",
    "Password",
];
const LOCK_KEYS: [&str; 3] = ["Enabled", "LeaseDuration", "LeaseRefreshInterval"];

pub(super) fn read(
    cli: &Cli,
    environment: &BTreeMap<String, String>,
    version: &NodeVersion,
) -> Result<Config, String> {
    let (tables, secrets, input) = texts(cli, environment, version)?;
    let defaults = Config::default();
    let from = |path: &'static str| Key {
        tables: &tables,
        path,
    };
    let secret = |path: &'static str| Key {
        tables: &secrets,
        path,
    };
    let enabled = from("Database.Lock.Enabled").boolean()?.unwrap_or(true);
    let backup_mode = from("Database.Backup.Mode")
        .string()?
        .unwrap_or_else(|| "none".to_owned());
    let level = from("Log.Level")
        .string()?
        .unwrap_or_else(|| "info".to_owned());
    from("Log.File.MaxSize").string()?;
    Ok(Config {
        root_dir: from("RootDir").string()?.unwrap_or(defaults.root_dir),
        database_url: match environment.get("CL_DATABASE_URL") {
            Some(url) => url.clone(),
            None => secret("Database.URL").string()?.unwrap_or_default(),
        },
        keystore_password: match environment.get("CL_PASSWORD_KEYSTORE") {
            Some(password) => Some(password.clone()),
            None => secret("Password.Keystore").string()?,
        },
        log_level: Level::parse(&level).ok_or_else(|| {
            format!("failed to decode config TOML: Log.Level: unrecognized level: {level:?}")
        })?,
        log_json: from("Log.JSONConsole").boolean()?.unwrap_or(false),
        http_port: from("WebServer.HTTPPort")
            .port()?
            .unwrap_or(defaults.http_port),
        https_port: from("WebServer.TLS.HTTPSPort")
            .port()?
            .unwrap_or(defaults.https_port),
        certificate: from("WebServer.TLS.CertPath")
            .string()?
            .zip(from("WebServer.TLS.KeyPath").string()?),
        lock_mode: if enabled {
            LockMode::Lease
        } else {
            LockMode::None
        },
        lease_duration: from("Database.Lock.LeaseDuration")
            .duration()?
            .unwrap_or(defaults.lease_duration),
        lease_refresh: from("Database.Lock.LeaseRefreshInterval")
            .duration()?
            .unwrap_or(defaults.lease_refresh),
        backup_on_upgrade: match backup_mode.as_str() {
            "none" => None,
            "lite" | "full" => Some(
                from("Database.Backup.OnVersionUpgrade")
                    .boolean()?
                    .unwrap_or(true),
            ),
            other => {
                return Err(format!(
                    "failed to decode config TOML: Database.Backup.Mode: invalid mode: {other}"
                ));
            }
        },
        migrate: from("Database.MigrateOnStartup").boolean()?.unwrap_or(true),
        shutdown_grace: from("ShutdownGracePeriod")
            .duration()?
            .unwrap_or(defaults.shutdown_grace),
        prometheus_token: match environment.get("CL_PROMETHEUS_AUTH_TOKEN") {
            Some(token) => Some(token.clone()),
            None => secret("Prometheus.AuthToken").string()?,
        },
        simple_passwords: secret("Database.AllowSimplePasswords")
            .boolean()?
            .unwrap_or(false),
        input,
        ..Config::default()
    })
}

/// The merged tables of files and `CL_CONFIG`, those of the secrets, and the former as text.
fn texts(
    cli: &Cli,
    environment: &BTreeMap<String, String>,
    version: &NodeVersion,
) -> Result<(Table, Table, String), String> {
    let mut tables = Table::new();
    let mut input = String::new();
    for path in &cli.config {
        let text = read_file(path, "config")?;
        let table = parse(&text, "config")
            .map_err(|error| version.with_the_file(&format!("file: {path}"), error))?;
        merge(&mut tables, table);
        input.push_str(&text);
    }
    if let Some(text) = environment
        .get("CL_CONFIG")
        .filter(|_| version.knows_cl_config())
    {
        let table = parse(text, "config")
            .map_err(|error| version.with_the_file("env var \"CL_CONFIG\"", error))?;
        merge(&mut tables, table);
        input.push_str(text);
    }
    let mut secrets = Table::new();
    for path in &cli.secrets {
        merge(
            &mut secrets,
            parse(&read_file(path, "secrets")?, "secrets")?,
        );
    }
    Ok((tables, secrets, input))
}

fn read_file(path: &str, kind: &str) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read {kind} file: {path}: open {path}: {error}"))
}

fn parse(text: &str, kind: &str) -> Result<Table, String> {
    let failed = |why: &str| format!("failed to decode {kind} TOML: {why}");
    let table = text
        .parse::<Table>()
        .map_err(|error| failed(&format!("toml: {}", error.message())))?;
    match strange_key(&table) {
        Some(key) => Err(failed(&quoted(text, &key))),
        None => Ok(table),
    }
}

/// As go-toml shows a key that it has no place for (`StrictMissingError.String()`): marked, with up to three lines of the
/// document on either side.
fn quoted(text: &str, key: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let name = key.rsplit('.').next().unwrap_or(key);
    let (at, column, table) = lines
        .iter()
        .enumerate()
        .find_map(|(at, line)| {
            let column = line.find(name)?;
            let before = line[..column].trim();
            matches!(before, "" | "[" | "[[").then_some((at, column, !before.is_empty()))
        })
        .unwrap_or_default();
    let last = (at + 3).min(lines.len().saturating_sub(1));
    let width = (last + 1).to_string().len();
    let mut shown = Vec::new();
    for (number, line) in lines
        .iter()
        .enumerate()
        .take(last + 1)
        .skip(at.saturating_sub(3))
    {
        shown.push(
            format!("{:>width$}| {line}", number + 1)
                .trim_end()
                .to_owned(),
        );
        if number == at {
            let what = if table {
                "missing table"
            } else {
                "missing field"
            };
            let mark = "~".repeat(name.len());
            shown.push(format!("{:width$}| {:column$}{mark} {what}", "", ""));
        }
    }
    shown.join("\n")
}

/// Later tables override earlier ones key by key; lists (of chains) are joined.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) if old.iter().all(Value::is_table) => {
                old.extend(new);
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// The real decoder is strict. Only the top level and the lock's own table are known here.
fn strange_key(tables: &Table) -> Option<String> {
    let lock = tables
        .get("Database")
        .and_then(|database| database.get("Lock"))
        .and_then(Value::as_table);
    tables
        .keys()
        .find(|key| !TOP_LEVEL.contains(&key.as_str()))
        .cloned()
        .or_else(|| {
            let key = lock?
                .keys()
                .find(|key| !LOCK_KEYS.contains(&key.as_str()))?;
            Some(format!("Database.Lock.{key}"))
        })
}

/// One key with the type it must have.
struct Key<'a> {
    tables: &'a Table,
    path: &'static str,
}

impl Key<'_> {
    fn value(&self) -> Result<Option<&Value>, String> {
        let mut names = self.path.split('.');
        let mut value = names.next().and_then(|name| self.tables.get(name));
        for name in names {
            value = match value {
                None => None,
                Some(Value::Table(table)) => table.get(name),
                Some(_) => return Err(self.mistyped("table")),
            };
        }
        Ok(value)
    }

    fn mistyped(&self, wanted: &str) -> String {
        format!(
            "failed to decode config TOML: toml: {}: must be a {wanted}",
            self.path
        )
    }

    fn string(&self) -> Result<Option<String>, String> {
        self.value()?
            .map(|v| {
                v.as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| self.mistyped("string"))
            })
            .transpose()
    }

    fn boolean(&self) -> Result<Option<bool>, String> {
        self.value()?
            .map(|v| v.as_bool().ok_or_else(|| self.mistyped("boolean")))
            .transpose()
    }

    fn port(&self) -> Result<Option<u16>, String> {
        self.value()?
            .map(|v| {
                v.as_integer()
                    .and_then(|port| port.try_into().ok())
                    .ok_or_else(|| self.mistyped("port"))
            })
            .transpose()
    }

    fn duration(&self) -> Result<Option<Duration>, String> {
        self.string()?
            .map(|text| duration::parse(&text).ok_or_else(|| self.mistyped("duration")))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn later_files_override_key_by_key() {
        let mut all = table("RootDir='/a'\n[Database.Lock]\nEnabled=true\nLeaseDuration='10s'");
        merge(&mut all, table("[Database.Lock]\nEnabled=false"));
        assert_eq!(
            all,
            table("RootDir='/a'\n[Database.Lock]\nEnabled=false\nLeaseDuration='10s'")
        );
    }

    #[test]
    fn strange_keys_and_wrong_types_are_errors() {
        assert_eq!(
            parse("RootDir = '/a'\n\n[Foo]\na=1", "config").unwrap_err(),
            "failed to decode config TOML: 1| RootDir = '/a'\n2|\n3| [Foo]\n |  ~~~ missing table\n4| a=1"
        );
        assert_eq!(
            parse("[Database.Lock]\nEnable=true", "secrets").unwrap_err(),
            "failed to decode secrets TOML: 1| [Database.Lock]\n2| Enable=true\n | ~~~~~~ missing field"
        );
        let tables = table("[WebServer]\nHTTPPort='6688'");
        assert!(
            Key {
                tables: &tables,
                path: "WebServer.HTTPPort"
            }
            .port()
            .is_err()
        );
    }
}
