//! How long the node may take to stop, by its own word.

use std::time::Duration;

use super::said::{Said, Setting, Settings};
use super::{LONGEST_GRACE, duration};

const GRACE: Setting = Setting {
    path: &["ShutdownGracePeriod"],
    variable: "SHUTDOWN_GRACE_PERIOD",
};

/// Of TOML alone.
const TELEMETRY: Setting = Setting {
    path: &["Telemetry", "Enabled"],
    variable: "",
};

/// The node's own grace period where nothing is said (`v2.29.0:core/config/docs/core.toml`).
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// What a node with telemetry may take to send the rest, when it has given its lease back (inferred, not measured).
const FOR_TELEMETRY: Duration = Duration::from_secs(30);

/// Beyond its own grace period the node closes the database and gives the lease back, which may hang for 10 s
/// (measured on 2.18.0).
pub const AFTER_THE_GRACE: Duration = Duration::from_secs(15);

/// The node's own grace period, where the configuration can be read and sets it (`5s` by default:
/// `v2.29.0:core/config/docs/core.toml`, `v1.13.3:core/config/envvar/schema.go`).
///
/// A node that is killed before it has given its lease back leaves it for the whole of its duration.
#[must_use]
pub fn own_grace(settings: Settings<'_>) -> Option<Duration> {
    match GRACE.said(settings) {
        Said::This(text) => duration::parse(&text).map(|grace| grace.min(LONGEST_GRACE)),
        Said::Nothing | Said::Unknown => None,
    }
}

/// How long a node with telemetry may take from the signal to its end, where it is on by what can be read. Nothing but
/// telemetry is lost where it is killed before.
#[must_use]
pub fn end_with_telemetry(settings: Settings<'_>) -> Option<Duration> {
    let on = TELEMETRY.readable(settings) == Said::This("true".to_owned());
    let own = own_grace(settings).unwrap_or(DEFAULT_GRACE);
    on.then_some(own + AFTER_THE_GRACE + FOR_TELEMETRY)
}

/// What the node's grace period is called in this configuration.
#[must_use]
pub fn grace_name(settings: Settings<'_>) -> String {
    GRACE.name(settings)
}

#[cfg(test)]
mod tests {
    use super::super::More;
    use super::*;

    #[test]
    fn the_nodes_own_grace_is_read_in_either_style() {
        let of_files = |text| own_grace(Settings::Files(&[Some(text)]));
        assert_eq!(
            of_files("ShutdownGracePeriod = '40s'"),
            Some(Duration::from_secs(40))
        );
        assert_eq!(
            of_files("shutdowngraceperiod = '1m30s'"),
            Some(Duration::from_secs(90))
        );
        assert_eq!(of_files("ShutdownGracePeriod = 'soon'"), None);
        assert_eq!(of_files(""), None);
        let of_variable = |value| {
            own_grace(Settings::Variables(
                &[("SHUTDOWN_GRACE_PERIOD", value)],
                More::No,
            ))
        };
        assert_eq!(of_variable(Some("20s")), Some(Duration::from_secs(20)));
        assert_eq!(of_variable(None), None);
    }

    #[test]
    fn a_node_with_telemetry_may_take_longer() {
        let of = |files: &[Option<&str>]| {
            end_with_telemetry(Settings::Files(files)).map(|end| end.as_secs())
        };
        let on = Some("[Telemetry]\nEnabled = true");
        assert_eq!(of(&[on]), Some(50));
        assert_eq!(of(&[on, None]), Some(50), "of a Secret nothing is known");
        assert_eq!(of(&[Some("ShutdownGracePeriod = '20s'"), on]), Some(65));
        for off in ["", "Telemetry.Enabled = false", "[Tracing]\nEnabled = true"] {
            assert_eq!(of(&[Some(off)]), None, "{off}");
        }
        let variables = Settings::Variables(&[("TELEMETRY_ENABLED", Some("true"))], More::No);
        assert_eq!(end_with_telemetry(variables), None);
    }
}
