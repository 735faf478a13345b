//! v1's variables, which TOML configuration refuses by their mere presence (an empty value too). The names are exact:
//! `CHAINLINK_PORT` is one, whoever set it (Kubernetes does, for a Service named `chainlink`), `CHAINLINK_SERVICE_HOST`
//! is none.

use std::collections::BTreeMap;

/// A stem and its endings; `-` is the stem itself.
const NAMES: [(&str, &str); 24] = [
    (
        "",
        "ROOT REAPER_EXPIRATION CHAIN_TYPE INSECURE_FAST_SCRYPT \
         SHUTDOWN_GRACE_PERIOD MIGRATE_DATABASE TRIGGER_FALLBACK_DB_POLL_INTERVAL \
         JSON_CONSOLE ALLOW_ORIGINS SECURE_COOKIES SESSION_TIMEOUT \
         HTTP_SERVER_WRITE_TIMEOUT FLAGS_CONTRACT_ADDRESS LINK_CONTRACT_ADDRESS \
         OPERATOR_FACTORY_ADDRESS MIN_INCOMING_CONFIRMATIONS \
         MINIMUM_CONTRACT_PAYMENT_LINK_JUELS GAS_ESTIMATOR_MODE \
         BALANCE_MONITOR_ENABLED PROMETHEUS_AUTH_TOKEN",
    ),
    (
        "DATABASE_",
        "URL LOCKING_MODE BACKUP_DIR BACKUP_FREQUENCY BACKUP_MODE \
         BACKUP_ON_VERSION_UPGRADE BACKUP_URL LISTENER_MAX_RECONNECT_DURATION \
         LISTENER_MIN_RECONNECT_INTERVAL DEFAULT_IDLE_IN_TX_SESSION_TIMEOUT \
         DEFAULT_LOCK_TIMEOUT DEFAULT_QUERY_TIMEOUT",
    ),
    ("ADVISORY_LOCK_", "CHECK_INTERVAL ID"),
    ("LEASE_LOCK_", "DURATION REFRESH_INTERVAL"),
    ("ORM_MAX_", "IDLE_CONNS OPEN_CONNS"),
    ("CHAINLINK_", "DEV PORT TLS_HOST TLS_PORT TLS_REDIRECT"),
    ("TLS_", "CERT_PATH KEY_PATH"),
    (
        "LOG_",
        "LEVEL SQL FILE_DIR FILE_MAX_SIZE FILE_MAX_AGE FILE_MAX_BACKUPS UNIX_TS",
    ),
    ("AUTHENTICATED_RATE_LIMIT", "- _PERIOD"),
    ("UNAUTHENTICATED_RATE_LIMIT", "- _PERIOD"),
    ("BRIDGE_", "CACHE_TTL RESPONSE_URL"),
    ("MFA_", "RPID RPORIGIN"),
    (
        "FEATURE_",
        "FEEDS_MANAGER UI_CSA_KEYS LOG_POLLER EXTERNAL_INITIATORS \
         OFFCHAIN_REPORTING OFFCHAIN_REPORTING2",
    ),
    ("EXPLORER_", "ACCESS_KEY SECRET URL"),
    (
        "AUDIT_LOGGER_",
        "ENABLED FORWARD_TO_URL HEADERS JSON_WRAPPER_KEY",
    ),
    (
        "EVM_",
        "ENABLED RPC_ENABLED NODES EIP1559_DYNAMIC_FEES GAS_FEE_CAP_DEFAULT \
         GAS_TIP_CAP_DEFAULT GAS_TIP_CAP_MINIMUM",
    ),
    (
        "ETH_",
        "URL HTTP_URL SECONDARY_URL SECONDARY_URLS CHAIN_ID FINALITY_DEPTH \
         GAS_LIMIT_DEFAULT GAS_PRICE_DEFAULT GAS_BUMP_PERCENT GAS_BUMP_THRESHOLD \
         GAS_BUMP_WEI MAX_GAS_PRICE_WEI MAX_IN_FLIGHT_TRANSACTIONS \
         MAX_QUEUED_TRANSACTIONS NONCE_AUTO_SYNC USE_FORWARDERS",
    ),
    ("SOLANA_", "ENABLED NODES"),
    ("STARKNET_", "ENABLED NODES"),
    (
        "NODE_",
        "NO_NEW_HEADS_THRESHOLD POLL_FAILURE_THRESHOLD POLL_INTERVAL \
         SELECTION_MODE SYNC_THRESHOLD",
    ),
    (
        "JOB_PIPELINE_",
        "MAX_RUN_DURATION MAX_SUCCESSFUL_RUNS REAPER_INTERVAL REAPER_THRESHOLD \
         RESULT_WRITE_QUEUE_DEPTH",
    ),
    ("DEFAULT_HTTP_", "LIMIT TIMEOUT"),
    (
        "P2P_",
        "NETWORKING_STACK ANNOUNCE_IP ANNOUNCE_PORT BOOTSTRAP_PEERS LISTEN_IP \
         LISTEN_PORT PEER_ID",
    ),
    (
        "P2PV2_",
        "ANNOUNCE_ADDRESSES BOOTSTRAPPERS DELTA_DIAL DELTA_RECONCILE \
         LISTEN_ADDRESSES",
    ),
];

pub(super) fn errors(environment: &BTreeMap<String, String>) -> Vec<String> {
    let names = NAMES.iter().flat_map(|(stem, endings)| {
        let endings = endings.split_whitespace();
        endings.map(move |ending| format!("{stem}{}", ending.trim_matches('-')))
    });
    names
        .filter(|name| environment.contains_key(name))
        .map(|name| {
            format!("invalid environment: environment variable {name} must not be set: unsupported with config v2")
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
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("CHAINLINK_PORT must not be set"));
    }
}
