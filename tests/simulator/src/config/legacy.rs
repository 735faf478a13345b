//! v1's variables, which TOML configuration refuses by their mere presence (an empty value too). The names are exact:
//! `CHAINLINK_PORT` is one, whoever set it (Kubernetes does, for a Service named `chainlink`), `CHAINLINK_SERVICE_HOST`
//! is none.

use std::collections::BTreeMap;

/// The operator's own list, which is compared with the releases there: the facts are the same for both.
const NAMES: &str = include_str!("../../../../src/node/legacy.txt");

pub(super) fn errors(environment: &BTreeMap<String, String>) -> Vec<String> {
    NAMES
        .lines()
        .filter(|name| environment.contains_key(*name))
        .map(|name| {
            format!("environment variable {name} must not be set: unsupported with config v2")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_is_enough_and_names_are_exact() {
        let environment = [
            ("CHAINLINK_PORT", ""),
            ("CHAINLINK_SERVICE_HOST", "10.0.0.1"),
            ("AUTHENTICATED_RATE_LIMIT", "1"),
            ("PATH", "/bin"),
        ];
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let found = errors(&environment);
        let refused = |name| {
            format!("environment variable {name} must not be set: unsupported with config v2")
        };
        assert_eq!(
            found,
            [
                refused("AUTHENTICATED_RATE_LIMIT"),
                refused("CHAINLINK_PORT")
            ]
        );
    }
}
