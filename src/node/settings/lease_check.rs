//! How long the lease lasts and how often it is refreshed: two values that only together are right or wrong.

use std::time::Duration;

use super::toml_check::{parse, values};
use super::{Finding, duration};
use crate::node::lock::{LEASE_DURATION, LEASE_REFRESH_INTERVAL};

const DURATION: &str = "LeaseDuration";
const INTERVAL: &str = "LeaseRefreshInterval";

/// A time as the node has it in the end.
#[derive(Clone, Copy, Debug)]
struct Time<'a> {
    is: Duration,
    /// The file that set it, by its place in the order and its name. `None` where it is the node's default.
    by: Option<(usize, &'a str)>,
}

/// Checks the lease times of the user's files together, in the order in which the node reads them: the last
/// file that sets a value wins (`core/config/toml/types.go`, `SetFrom`).
///
/// A file is its name and its text, or no text where it lies in a Secret. What such a file, or a malformed
/// value, may have set is not known, and nothing is said about it: the node itself refuses a wrong pair at
/// its start, before the lock.
#[must_use]
pub fn check_lease_times(files: &[(&str, Option<&str>)]) -> Option<Finding> {
    let lease = last(files, DURATION, LEASE_DURATION)?;
    let refresh = last(files, INTERVAL, LEASE_REFRESH_INTERVAL)?;
    let by = lease.by.max(refresh.by)?;
    let place = format!("spec.config.files ({})", by.1);
    if refresh.by == Some(by) {
        return lease_times(lease.is, refresh.is, &place, INTERVAL);
    }
    let too_short = refresh.is > lease.is / 2;
    too_short.then(|| {
        Finding::Refused(format!(
            "{place} makes the lease last {:?}, and it is refreshed every {:?}; the node refuses \
             more than half of it: write {:?} or more for {DURATION}",
            lease.is,
            refresh.is,
            refresh.is * 2
        ))
    })
}

/// Whether a file sets either of the two.
#[must_use]
pub fn sets_lease_times(text: &str) -> bool {
    parse(text).is_ok_and(|table| {
        let sets = |key: &&str| !values(&table, &["Database", "Lock", key]).is_empty();
        [DURATION, INTERVAL].iter().any(sets)
    })
}

/// How often a text of the operator's own has the lease refreshed, and tried for, where it says so.
#[must_use]
pub fn refresh_interval(text: &str) -> Option<Duration> {
    let table = parse(text).ok()?;
    let value = values(&table, &["Database", "Lock", INTERVAL]).pop()?;
    duration::parse(value.as_str()?)
}

/// The value of the last file that sets it; `None` where that can't be read.
fn last<'a>(files: &[(&'a str, Option<&str>)], key: &str, default: Duration) -> Option<Time<'a>> {
    for (place, (name, text)) in files.iter().enumerate().rev() {
        let table = parse((*text)?).ok()?;
        if let Some(value) = values(&table, &["Database", "Lock", key]).last() {
            return Some(Time {
                is: duration::parse(value.as_str()?)?,
                by: Some((place, name)),
            });
        }
    }
    Some(Time {
        is: default,
        by: None,
    })
}

/// The node exits with 1 when the refresh is above half the duration.
pub(super) fn lease_times(
    lease: Duration,
    refresh: Duration,
    place: &str,
    key: &str,
) -> Option<Finding> {
    (refresh > lease / 2).then(|| {
        Finding::Refused(format!(
            "{place} refreshes the lease every {refresh:?}, and it lasts {lease:?}; the node \
             refuses more than half of it: write {:?} or less for {key}",
            lease / 2
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)]) -> Option<String> {
        let files: Vec<_> = files
            .iter()
            .map(|(name, lines)| (*name, format!("[Database.Lock]\n{lines}")))
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (*name, Some(text.as_str())))
            .collect();
        check_lease_times(&files).map(|finding| finding.message().to_owned())
    }

    #[test]
    fn a_lease_that_is_refreshed_too_seldom_is_refused() {
        assert_eq!(
            check(&[("node.toml", "LeaseRefreshInterval = '6s'")]).as_deref(),
            Some(
                "spec.config.files (node.toml) refreshes the lease every 6s, and it lasts 10s; \
                 the node refuses more than half of it: write 5s or less for LeaseRefreshInterval"
            )
        );
        assert_eq!(check(&[("node.toml", "LeaseRefreshInterval = '5s'")]), None);
        assert_eq!(
            check(&[(
                "node.toml",
                "LeaseDuration = '20s'\nLeaseRefreshInterval = '6s'"
            )]),
            None
        );
    }

    #[test]
    fn a_lease_that_is_too_short_is_refused() {
        assert_eq!(
            check(&[("node.toml", "LeaseDuration = '1500ms'")]).as_deref(),
            Some(
                "spec.config.files (node.toml) makes the lease last 1.5s, and it is refreshed \
                 every 1s; the node refuses more than half of it: write 2s or more for \
                 LeaseDuration"
            )
        );
    }

    #[test]
    fn two_files_that_are_right_together_are_accepted_in_either_order() {
        let lease = ("lease.toml", "LeaseDuration = '20s'");
        let refresh = ("refresh.toml", "LeaseRefreshInterval = '6s'");

        assert_eq!(check(&[lease, refresh]), None);
        assert_eq!(check(&[refresh, lease]), None);
    }

    #[test]
    fn two_files_that_are_wrong_together_are_refused_by_the_name_of_the_later() {
        let lease = ("lease.toml", "LeaseDuration = '6s'");
        let refresh = ("refresh.toml", "LeaseRefreshInterval = '4s'");

        assert_eq!(
            check(&[lease, refresh]).as_deref(),
            Some(
                "spec.config.files (refresh.toml) refreshes the lease every 4s, and it lasts 6s; \
                 the node refuses more than half of it: write 3s or less for LeaseRefreshInterval"
            )
        );
        assert_eq!(
            check(&[refresh, lease]).as_deref(),
            Some(
                "spec.config.files (lease.toml) makes the lease last 6s, and it is refreshed \
                 every 4s; the node refuses more than half of it: write 8s or more for \
                 LeaseDuration"
            )
        );
    }

    #[test]
    fn a_later_file_wins() {
        let wrong = ("one.toml", "LeaseRefreshInterval = '6s'");
        let right = ("two.toml", "leaserefreshinterval = '2s'");

        assert_eq!(check(&[wrong, right]), None);
        assert!(check(&[right, wrong]).is_some_and(|said| said.contains("(one.toml)")));
    }

    #[test]
    fn nothing_is_said_of_values_that_a_later_secret_may_have_set() {
        let wrong = Some("[Database.Lock]\nLeaseRefreshInterval = '6s'");

        assert_eq!(
            check_lease_times(&[("node.toml", wrong), ("hidden.toml", None)]),
            None
        );
        assert_eq!(
            check_lease_times(&[("hidden.toml", None), ("node.toml", wrong)]),
            None
        );
        let both = Some("[Database.Lock]\nLeaseDuration = '10s'\nLeaseRefreshInterval = '6s'");
        assert!(check_lease_times(&[("hidden.toml", None), ("node.toml", both)]).is_some());
    }

    #[test]
    fn values_that_are_no_durations_are_left_to_the_node() {
        assert_eq!(check(&[("node.toml", "LeaseDuration = 'abc'")]), None);
        assert_eq!(check(&[("node.toml", "LeaseDuration = 1")]), None);
    }
}
