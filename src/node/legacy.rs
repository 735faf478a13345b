//! The environment variables of Chainlink 1.
//!
//! A node that is configured by TOML refuses to start when one of them is present, whatever its
//! value. The names were read in `core/services/chainlink/legacy.env` (v2) and, for 1.11 to 1.13,
//! `core/services/chainlink/cfgtest/dump/empty-strings.env`; `legacy.txt` is the union
//! of both, of 1.11.0, 1.13.3, 2.1.1, 2.23.0 and 2.29.0.

/// One a line, sorted. The simulated node refuses the same ones.
const LEGACY_VARIABLES: &str = include_str!("legacy.txt");

/// Whether this is an environment variable of Chainlink 1, which a node configured by TOML refuses
/// by its mere presence (`DATABASE_URL`, `LOG_LEVEL`, `CHAINLINK_PORT`, …).
#[must_use]
pub fn is_legacy_variable(name: &str) -> bool {
    LEGACY_VARIABLES.lines().any(|known| known == name)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_list_is_sorted_and_without_doubles() {
        let names: Vec<_> = LEGACY_VARIABLES.lines().collect();
        assert!(names.is_sorted_by(|one, next| one < next));
    }

    /// Names that 1.11.0 does not refuse yet.
    const LATER_THAN_1_11: [&str; 17] = [
        "BLOCK_HISTORY_ESTIMATOR_CHECK_INCLUSION_BLOCKS",
        "BLOCK_HISTORY_ESTIMATOR_CHECK_INCLUSION_PERCENTILE",
        "BRIDGE_CACHE_TTL",
        "ETH_LOG_KEEP_BLOCKS_DEPTH",
        "ETH_MAX_GAS_PRICE_WEI",
        "ETH_MIN_GAS_PRICE_WEI",
        "EVM_GAS_TIP_CAP_DEFAULT",
        "EVM_GAS_TIP_CAP_MINIMUM",
        "JOB_PIPELINE_MAX_SUCCESSFUL_RUNS",
        "NODE_SELECTION_MODE",
        "NODE_SYNC_THRESHOLD",
        "OCR2_AUTOMATION_GAS_LIMIT",
        "OCR2_CAPTURE_EA_TELEMETRY",
        "OCR_CAPTURE_EA_TELEMETRY",
        "PROMETHEUS_AUTH_TOKEN",
        "STARKNET_ENABLED",
        "STARKNET_NODES",
    ];
    /// Names that only 1.x refuses.
    const OF_1: [&str; 2] = [
        "KEEPER_CHECK_UPKEEP_GAS_PRICE_FEATURE_ENABLED",
        "KEEPER_TURN_FLAG_ENABLED",
    ];

    #[test]
    fn it_is_the_union_of_what_the_releases_refuse() {
        let of_2_29 = [
            &OF_1[..],
            &["EXPLORER_ACCESS_KEY", "EXPLORER_SECRET", "EXPLORER_URL"],
        ]
        .concat();
        // Of the release's own list, the names sorted, one a line.
        for (release, without, sha256) in [
            (
                "1.11.0",
                &LATER_THAN_1_11[..],
                "309ce1591821bda98b8e10d9c19666095eb5754255f9dc280cc47292c025fd44",
            ),
            (
                "2.1.1",
                &OF_1[..],
                "29fe7c350c9b62a4d82ceb8c8276c257ddb37a1d646af9e186663bc0388474f9",
            ),
            (
                "2.23.0 and 2.29.0",
                &of_2_29[..],
                "00b15d9f82cb5f43d0b9143f6345c61601ce78cf52a10ab9d0f2ed9348514459",
            ),
        ] {
            let names = LEGACY_VARIABLES.lines();
            let list: String = names
                .filter(|name| !without.contains(name))
                .flat_map(|name| [name, "\n"])
                .collect();
            let digest = Sha256::digest(list);
            let digest: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digest.concat(), sha256, "{release}");
        }
    }

    #[test]
    fn names_of_version_1_are_legacy() {
        for name in [
            "DATABASE_URL",
            "ETH_URL",
            "LOG_LEVEL",
            "CHAINLINK_PORT",
            "ROOT",
            "JSON_CONSOLE",
            "DATABASE_LOCKING_MODE",
            "FEATURE_OFFCHAIN_REPORTING",
            "P2PV2_LISTEN_ADDRESSES",
            "ETH_MIN_GAS_PRICE_WEI",
            "KEEPER_TURN_FLAG_ENABLED",
        ] {
            assert!(is_legacy_variable(name), "{name}");
        }
    }

    #[test]
    fn names_of_version_2_and_of_others_are_not() {
        for name in [
            "CL_CONFIG",
            "CL_DATABASE_URL",
            "HTTPS_PROXY",
            "HOME",
            "PGPASSWORD",
            "root",
            "",
            "CHAINLINK_PORT_6688_TCP",
            "DATABASE",
        ] {
            assert!(!is_legacy_variable(name), "{name}");
        }
    }
}
