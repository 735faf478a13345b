//! What is wrong with a configuration that reads well.

use std::collections::BTreeMap;

use super::{Config, LockMode, duration, error_list, legacy};
use crate::password;
use crate::version::NodeVersion;

pub(super) fn errors(
    config: &Config,
    version: &NodeVersion,
    environment: &BTreeMap<String, String>,
) -> Vec<String> {
    if !config.from_toml {
        return Vec::new();
    }
    let (mut errors, mut secrets) = (Vec::new(), Vec::new());
    if config.lock_mode == LockMode::Lease && config.lease_refresh > config.lease_duration / 2 {
        errors.push(format!(
            "Database.Lock.LeaseRefreshInterval: invalid value ({}): must be less than or equal to half of \
             LeaseDuration ({})",
            duration::print(config.lease_refresh),
            duration::print(config.lease_duration)
        ));
    }
    if config.database_url.is_empty() {
        secrets.push("Database.URL: empty: must be provided and non-empty".to_owned());
    } else if config.simple_passwords {
        secrets.push("Database.AllowSimplePasswords: invalid value (true): insecure configs are not allowed on secure builds".to_owned());
    } else if !database_password_is_long(&config.database_url) {
        let faults = password::FAULTS.replace('\n', "\n\t");
        let rules = password::RULES.replace('\n', "\n\t");
        secrets.push(format!(
            "Database.URL: invalid value (*****): missing or insufficiently complex password: {faults}. Database should be \
             secured by a password matching the following complexity requirements: {rules}"
        ));
    }
    if config
        .keystore_password
        .as_deref()
        .unwrap_or_default()
        .is_empty()
        && !version.is_v1()
    {
        secrets.push("Password.Keystore: empty: must be provided and non-empty".to_owned());
    }
    [
        ("invalid environment", legacy::errors(environment)),
        ("invalid configuration", errors),
        ("invalid secrets", secrets),
    ]
    .into_iter()
    .filter(|(_, errors)| !errors.is_empty())
    .map(|(what, errors)| format!("{what}: {}", error_list(&errors)))
    .collect()
}

/// Sixteen characters, unless the URL contains `_test` (read and measured).
fn database_password_is_long(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let credentials = authority
        .rsplit_once('@')
        .map_or("", |(credentials, _)| credentials);
    let password = credentials
        .split_once(':')
        .map_or("", |(_, password)| password);
    url.contains("_test") || password.chars().count() >= 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_database_passwords_block_the_boot() {
        assert!(database_password_is_long(
            "postgresql://u:ThisIsALongPassword@h:5432/d?sslmode=disable"
        ));
        assert!(database_password_is_long(
            "postgresql://u:short@h:5432/d_test"
        ));
        assert!(!database_password_is_long("postgresql://u:short@h:5432/d"));
        assert!(!database_password_is_long("postgresql://h:5432/d"));
    }
}
