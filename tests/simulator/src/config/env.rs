//! v1's environment variables.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Config, Level, LockMode, duration};
use crate::version::NodeVersion;

pub(super) fn read(
    environment: &BTreeMap<String, String>,
    version: &NodeVersion,
) -> Result<Config, String> {
    let defaults = Config::default();
    let mut complaints = Vec::new();
    let get = |name: &str| {
        environment
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    };
    // Measured on 1.11 and 1.13: an unreadable value costs an ERROR line and falls back to the default.
    let mut or_complain = |name: &str, default: Duration| match get(name)
        .map(|text| (text, duration::parse(text)))
    {
        None => default,
        Some((_, Some(read))) => read,
        Some((text, None)) => {
            let fallback = duration::print(default);
            complaints.push(format!(
                "Invalid value provided for {name}, falling back to default. value={text} default={fallback} \
                 error=time: invalid duration \"{text}\""
            ));
            default
        }
    };
    let lease_duration = or_complain("LEASE_LOCK_DURATION", defaults.lease_duration);
    let lease_refresh = or_complain("LEASE_LOCK_REFRESH_INTERVAL", defaults.lease_refresh);
    let advisory_check = or_complain("ADVISORY_LOCK_CHECK_INTERVAL", defaults.advisory_check);
    let shutdown_grace = or_complain("SHUTDOWN_GRACE_PERIOD", defaults.shutdown_grace);

    let mode = get("DATABASE_LOCKING_MODE").unwrap_or_else(|| version.default_locking_mode());
    let lock_mode = match mode {
        "dual" => LockMode::Dual,
        "lease" => LockMode::Lease,
        "advisorylock" => LockMode::Advisory,
        "none" => LockMode::None,
        other => {
            return Err(format!(
                "unrecognised value for DATABASE_LOCKING_MODE: {other}"
            ));
        }
    };
    let database_url = get("DATABASE_URL").unwrap_or_default().to_owned();
    if database_url.is_empty() {
        return Err("DATABASE_URL must be set".to_owned());
    }
    if lock_mode.uses_lease() && lease_refresh > lease_duration / 2 {
        return Err(format!(
            "LEASE_LOCK_REFRESH_INTERVAL must be less than or equal to half of LEASE_LOCK_DURATION (got \
             LEASE_LOCK_REFRESH_INTERVAL={}, LEASE_LOCK_DURATION={})",
            duration::print(lease_refresh),
            duration::print(lease_duration)
        ));
    }
    let port = |name: &str, default: u16| match get(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("invalid value for {name}: {text:?} is not a port")),
    };
    let on = |name: &str| matches!(get(name), Some("true" | "1" | "t" | "T" | "TRUE" | "True"));
    let off = |name: &str| {
        matches!(
            get(name),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False")
        )
    };
    Ok(Config {
        root_dir: get("ROOT").unwrap_or(&defaults.root_dir).to_owned(),
        log_level: get("LOG_LEVEL")
            .and_then(Level::parse)
            .unwrap_or(Level::Info),
        log_json: on("JSON_CONSOLE"),
        http_port: port("CHAINLINK_PORT", defaults.http_port)?,
        https_port: port("CHAINLINK_TLS_PORT", defaults.https_port)?,
        certificate: get("TLS_CERT_PATH")
            .zip(get("TLS_KEY_PATH"))
            .map(|(certificate, key)| (certificate.to_owned(), key.to_owned())),
        advisory_id: get("ADVISORY_LOCK_ID")
            .and_then(|id| id.parse().ok())
            .unwrap_or(defaults.advisory_id),
        backup_on_upgrade: match get("DATABASE_BACKUP_MODE") {
            Some("lite" | "full") => Some(!off("DATABASE_BACKUP_ON_VERSION_UPGRADE")),
            _ => None,
        },
        migrate: !off("MIGRATE_DATABASE"),
        evm_off_by_env: off("EVM_ENABLED"),
        prometheus_token: get("PROMETHEUS_AUTH_TOKEN").map(str::to_owned),
        from_toml: false,
        input: String::new(),
        database_url,
        lock_mode,
        lease_duration,
        lease_refresh,
        advisory_check,
        shutdown_grace,
        complaints,
        ..defaults
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_pairs(version: &str, pairs: &[(&str, &str)]) -> Result<Config, String> {
        let mut environment: BTreeMap<String, String> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        environment.insert("DATABASE_URL".to_owned(), "postgresql://u:p@h/d".to_owned());
        read(&environment, &NodeVersion::parse(version).unwrap())
    }

    #[test]
    fn the_default_mode_depends_on_the_version() {
        assert_eq!(
            read_pairs("1.2.1", &[]).unwrap().lock_mode,
            LockMode::Advisory
        );
        assert_eq!(read_pairs("1.11.0", &[]).unwrap().lock_mode, LockMode::Dual);
    }

    #[test]
    fn an_unreadable_duration_falls_back_and_a_wrong_one_ends_the_node() {
        let config = read_pairs("1.13.3", &[("LEASE_LOCK_DURATION", "abc")]).unwrap();
        assert_eq!(
            (config.lease_duration, config.complaints.len()),
            (Duration::from_secs(10), 1)
        );
        assert!(read_pairs("1.13.3", &[("LEASE_LOCK_REFRESH_INTERVAL", "6s")]).is_err());
    }

    #[test]
    fn an_injected_port_is_no_port() {
        assert!(read_pairs("1.11.0", &[("CHAINLINK_PORT", "tcp://10.0.0.1:6688")]).is_err());
    }
}
