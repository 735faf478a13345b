//! What is wrong with a user's environment variables, by value. Which names are not theirs to set
//! is the matter of [`reserved_variable`](super::reserved_variable).

use super::{Finding, duration, lease_check::lease_times, shows_waiting_line};
use crate::node::lock::{LEASE_DURATION, LEASE_REFRESH_INTERVAL};
use crate::node::version::{ConfigStyle, NodeVersion};

const LEASE_LOCK_DURATION: &str = "LEASE_LOCK_DURATION";
const LEASE_LOCK_REFRESH_INTERVAL: &str = "LEASE_LOCK_REFRESH_INTERVAL";

/// Checks the value of one variable.
#[must_use]
pub fn check_environment_value(
    name: &str,
    value: &str,
    version: &NodeVersion,
    style: ConfigStyle,
) -> Vec<Finding> {
    // With TOML a variable of version 1 is refused by its name.
    if style == ConfigStyle::Toml {
        return Vec::new();
    }
    match name {
        "LOG_LEVEL" if !shows_waiting_line(value) => vec![Finding::Refused(format!(
            "spec.config.env sets LOG_LEVEL={value}, which hides the line by which a standby \
             reports that it waits: write info or debug"
        ))],
        // The node logs an error, falls back to the default and runs (measured on 1.11.0).
        LEASE_LOCK_DURATION | LEASE_LOCK_REFRESH_INTERVAL
            if version.knows_locking_mode() && duration::parse(value).is_none() =>
        {
            vec![Finding::Refused(format!(
                "spec.config.env sets {name}={value}, which is not a duration: write a number \
                 with its unit, such as 10s"
            ))]
        }
        _ => Vec::new(),
    }
}

/// Checks all variables: each by itself, and what only shows in two of them.
#[must_use]
pub fn check_environment(
    variables: &[(&str, &str)],
    version: &NodeVersion,
    style: ConfigStyle,
) -> Vec<Finding> {
    let mut findings: Vec<_> = variables
        .iter()
        .flat_map(|(name, value)| check_environment_value(name, value, version, style))
        .collect();
    let time = |wanted| {
        let (_, value) = variables.iter().rfind(|(name, _)| *name == wanted)?;
        duration::parse(value)
    };
    if style == ConfigStyle::Environment && version.knows_locking_mode() {
        findings.extend(lease_times(
            time(LEASE_LOCK_DURATION).unwrap_or(LEASE_DURATION),
            time(LEASE_LOCK_REFRESH_INTERVAL).unwrap_or(LEASE_REFRESH_INTERVAL),
            "spec.config.env",
            LEASE_LOCK_REFRESH_INTERVAL,
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::Finding::Refused;
    use super::*;

    fn check(variables: &[(&str, &str)]) -> Vec<Finding> {
        check_environment(
            variables,
            &"1.13.3".parse().unwrap(),
            ConfigStyle::Environment,
        )
    }

    #[test]
    fn a_log_level_that_hides_the_waiting_line_is_refused() {
        assert_eq!(
            check(&[("LOG_LEVEL", "warn")]),
            [Refused(
                "spec.config.env sets LOG_LEVEL=warn, which hides the line by which a standby \
                 reports that it waits: write info or debug"
                    .to_owned()
            )]
        );
        assert_eq!(check(&[("LOG_LEVEL", "debug"), ("LOG_SQL", "true")]), []);
    }

    #[test]
    fn an_unreadable_lease_is_refused_as_the_node_would_use_another() {
        assert_eq!(
            check(&[("LEASE_LOCK_DURATION", "abc")]),
            [Refused(
                "spec.config.env sets LEASE_LOCK_DURATION=abc, which is not a duration: write a \
                 number with its unit, such as 10s"
                    .to_owned()
            )]
        );
    }

    #[test]
    fn a_lease_that_is_refreshed_too_seldom_is_refused() {
        let refresh = ("LEASE_LOCK_REFRESH_INTERVAL", "6s");

        assert_eq!(check(&[refresh]).len(), 1);
        assert_eq!(check(&[refresh, ("LEASE_LOCK_DURATION", "20s")]), []);
    }

    #[test]
    fn values_are_not_judged_where_the_name_is_refused_anyway() {
        let findings = check_environment_value(
            "LOG_LEVEL",
            "warn",
            &"2.29.0".parse().unwrap(),
            ConfigStyle::Toml,
        );

        assert_eq!(findings, []);
    }
}
