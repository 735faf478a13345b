//! What tests can ask for: where duty is collected, how long things take, and faults.
//!
//! Two sources: environment variables, and the table `simulator_settings(key text primary key, value text)` in the
//! node's own database, so that a test can switch a fault on without a change to the pod. The table wins, and is looked
//! at again every 200 ms.

use std::collections::HashMap;
use std::sync::RwLock;
use std::time::Duration;

use crate::config::parse_duration;

/// Variables and the settings they stand for.
const VARIABLES: [(&str, &str); 5] = [
    ("SIMULATOR_COLLECTOR", "collector"),
    ("SIMULATOR_BOOT", "boot"),
    ("SIMULATOR_SHUTDOWN", "shutdown"),
    ("SIMULATOR_MIGRATION", "migration"),
    ("SIMULATOR_BACKUP", "backup"),
];

pub(crate) struct Settings {
    version: String,
    pod: String,
    environment: HashMap<String, String>,
    table: RwLock<HashMap<String, String>>,
}

impl Settings {
    pub(crate) fn from_env(version: &str) -> Self {
        let mut environment = HashMap::new();
        for (variable, key) in VARIABLES {
            if let Ok(value) = std::env::var(variable) {
                environment.insert(key.to_owned(), value);
            }
        }
        environment.extend(parse_faults(
            &std::env::var("SIMULATOR_FAULTS").unwrap_or_default(),
        ));
        Self {
            version: version.to_owned(),
            pod: host_name(),
            environment,
            table: RwLock::default(),
        }
    }

    /// The container's host name, which is the pod's name.
    pub(crate) fn pod(&self) -> &str {
        &self.pod
    }

    /// Takes over the table's content: `name`, `name:selector`, `fault:name` or `fault:name:selector`. Rows whose
    /// selector names another version or pod are skipped; a row with a selector beats one without.
    pub(crate) fn replace_table(&self, rows: Vec<(String, String)>) {
        let mut chosen: HashMap<String, (bool, String)> = HashMap::new();
        for (key, value) in rows {
            let (name, selector) = split_key(&key);
            if selector.is_some_and(|selector| !self.is_meant(selector)) {
                continue;
            }
            let specific = selector.is_some();
            if chosen.get(name).is_none_or(|(old, _)| specific >= *old) {
                chosen.insert(name.to_owned(), (specific, value));
            }
        }
        if let Ok(mut table) = self.table.write() {
            *table = chosen
                .into_iter()
                .map(|(name, (_, value))| (name, value))
                .collect();
        }
    }

    fn is_meant(&self, selector: &str) -> bool {
        match selector.strip_suffix('*') {
            Some(prefix) => self.version.starts_with(prefix) || self.pod.starts_with(prefix),
            None => selector == self.version || selector == self.pod,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let from_table = self
            .table
            .read()
            .ok()
            .and_then(|table| table.get(name).cloned());
        from_table.or_else(|| self.environment.get(name).cloned())
    }

    /// The fault's parameter (empty if it has none) when the fault is on.
    pub(crate) fn fault(&self, name: &str) -> Option<String> {
        let value = self.get(&format!("fault:{name}"))?;
        (!matches!(value.as_str(), "off" | "false" | "no")).then_some(value)
    }

    /// A fault that lasts: its parameter as a duration, or `default` without one.
    pub(crate) fn fault_duration(&self, name: &str, default: Duration) -> Option<Duration> {
        self.fault(name)
            .map(|value| parse_duration(&value).unwrap_or(default))
    }

    pub(crate) fn duration(&self, name: &str, default: Duration) -> Duration {
        self.get(name)
            .and_then(|value| parse_duration(&value))
            .unwrap_or(default)
    }
}

/// Container runtimes set the variable; the kernel knows it in any case.
fn host_name() -> String {
    let from_kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    std::env::var("HOSTNAME").unwrap_or_else(|_| from_kernel().trim().to_owned())
}

fn parse_faults(text: &str) -> HashMap<String, String> {
    let faults = text
        .split(',')
        .map(str::trim)
        .filter(|fault| !fault.is_empty());
    faults
        .map(|fault| {
            let (name, value) = fault.split_once('=').unwrap_or((fault, ""));
            (format!("fault:{name}"), value.to_owned())
        })
        .collect()
}

/// The name (with its `fault:`) and the selector behind it.
fn split_key(key: &str) -> (&str, Option<&str>) {
    let name_start = if key.starts_with("fault:") {
        "fault:".len()
    } else {
        0
    };
    match key[name_start..].find(':') {
        Some(colon) => (
            &key[..name_start + colon],
            Some(&key[name_start + colon + 1..]),
        ),
        None => (key, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &str, rows: &[(&str, &str)]) -> Settings {
        let settings = Settings {
            version: "2.23.0".to_owned(),
            pod: "node-abc".to_owned(),
            environment: parse_faults(environment),
            table: RwLock::default(),
        };
        settings.replace_table(
            rows.iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        );
        settings
    }

    #[test]
    fn faults_come_from_the_environment() {
        let settings = settings("slow-boot=20s, ignore-sigterm", &[]);
        assert_eq!(
            settings.fault_duration("slow-boot", Duration::ZERO),
            Some(Duration::from_secs(20))
        );
        assert_eq!(settings.fault("ignore-sigterm"), Some(String::new()));
        assert_eq!(settings.fault("silent-log"), None);
    }

    #[test]
    fn the_table_wins_and_selects_by_version_or_pod() {
        let rows = [
            ("fault:ignore-sigterm", "off"),
            ("fault:slow-boot:2.23.0", "3s"),
            ("fault:slow-boot", "9s"),
            ("fault:crash-after-takeover:2.1.1", ""),
            ("boot:node-*", "50ms"),
            ("collector", "10.0.0.1:9000"),
        ];
        let settings = settings("ignore-sigterm", &rows);
        assert_eq!(settings.fault("ignore-sigterm"), None);
        assert_eq!(settings.fault("slow-boot"), Some("3s".to_owned()));
        assert_eq!(settings.fault("crash-after-takeover"), None);
        assert_eq!(
            settings.duration("boot", Duration::ZERO),
            Duration::from_millis(50)
        );
        assert_eq!(settings.get("collector").as_deref(), Some("10.0.0.1:9000"));
    }
}
