//! What is wrong with a user's TOML, as far as the operator can tell without running it.

use toml::{Table, Value};

use super::{Finding, HTTP_PORT, ROOT_DIR};
use crate::node::version::NodeVersion;

/// Checks one of the user's readable TOML files, but for what another file may set otherwise
/// ([`check_last`](super::check_last), [`check_lease_times`](super::check_lease_times)). An error is malformed TOML,
/// with its line.
///
/// Keys are compared as the node's own decoder does it, without regard to case.
pub fn check_toml(text: &str, version: &NodeVersion) -> Result<Vec<Finding>, String> {
    let table = parse(text)?;
    let mut findings = Vec::new();
    secrets(&table, &mut findings);
    log(&table, &mut findings);
    lock(&table, &mut findings);
    web_server(&table, version, &mut findings);
    root_dir(&table, &mut findings);
    Ok(findings)
}

/// Whether the user configures a certificate for the web server.
#[must_use]
pub fn sets_tls(text: &str) -> bool {
    let Ok(table) = parse(text) else { return false };
    let named = |key| {
        values(&table, &["WebServer", "TLS", key])
            .iter()
            .any(|value| value.as_str().is_some_and(|path| !path.is_empty()))
    };
    named("CertPath") && named("KeyPath")
}

pub(super) fn parse(text: &str) -> Result<Table, String> {
    text.parse::<Table>().map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        format!("line {line}: {}", error.message())
    })
}

/// Every value at this path, whatever the case of its keys.
pub(super) fn values<'a>(table: &'a Table, path: &[&str]) -> Vec<&'a Value> {
    let Some((key, rest)) = path.split_first() else {
        return Vec::new();
    };
    table
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(key))
        .flat_map(|(_, value)| match value {
            Value::Table(inner) if !rest.is_empty() => values(inner, rest),
            _ if rest.is_empty() => vec![value],
            _ => Vec::new(),
        })
        .collect()
}

/// What stands in a readable file but is a secret. The node takes these from secrets files alone
/// (`core/config/docs/secrets.toml`).
fn secrets(table: &Table, findings: &mut Vec<Finding>) {
    let secrets: [(&[&str], &str); 5] = [
        (
            &["Database", "URL"],
            "name the Secret that holds it in spec.database.url",
        ),
        (
            &["Database", "BackupURL"],
            "put it into the Secret of spec.config.secretsToml",
        ),
        (
            &["Database", "Backup", "URL"],
            "put it into the Secret of spec.config.secretsToml",
        ),
        (
            &["Password", "Keystore"],
            "name the Secret that holds it in spec.credentials.keystorePassword",
        ),
        (
            &["Password", "VRF"],
            "put it into the Secret of spec.config.secretsToml",
        ),
    ];
    for (path, instead) in secrets {
        if !values(table, path).is_empty() {
            findings.push(Finding::Refused(format!(
                "spec.config.files sets {}, which is a secret: {instead}",
                path.join(".")
            )));
        }
    }
}

fn log(table: &Table, findings: &mut Vec<Finding>) {
    for size in values(table, &["Log", "File", "MaxSize"]) {
        let off = size.as_str().is_some_and(|size| {
            let number = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            number.trim().parse::<f64>() == Ok(0.0)
        }) || size.as_integer() == Some(0);
        if !off {
            findings.push(overridden("Log.File.MaxSize", size, "'0b' (no log file)"));
        }
    }
}

fn lock(table: &Table, findings: &mut Vec<Finding>) {
    for enabled in values(table, &["Database", "Lock", "Enabled"]) {
        if enabled.as_bool() != Some(true) {
            findings.push(overridden("Database.Lock.Enabled", enabled, "true"));
        }
    }
}

fn web_server(table: &Table, version: &NodeVersion, findings: &mut Vec<Finding>) {
    for port in values(table, &["WebServer", "HTTPPort"]) {
        if port.as_integer() != Some(i64::from(HTTP_PORT)) {
            findings.push(overridden(
                "WebServer.HTTPPort",
                port,
                &HTTP_PORT.to_string(),
            ));
        }
    }
    // The node takes no file with a key that it does not know, whatever a later one says.
    if !version.knows_listen_ip() && !values(table, &["WebServer", "ListenIP"]).is_empty() {
        findings.push(Finding::Refused(format!(
            "spec.config.files sets WebServer.ListenIP, which Chainlink {version} does not know: \
             leave it out"
        )));
    }
}

fn root_dir(table: &Table, findings: &mut Vec<Finding>) {
    for folder in values(table, &["RootDir"]) {
        if folder.as_str() != Some(ROOT_DIR) {
            findings.push(overridden("RootDir", folder, &format!("'{ROOT_DIR}'")));
        }
    }
}

fn overridden(key: &str, value: &Value, ours: &str) -> Finding {
    Finding::Overridden(format!(
        "spec.config.files sets {key} = {value}; the operator sets {ours}"
    ))
}

#[cfg(test)]
mod tests {
    use super::Finding::{Overridden, Refused};
    use super::*;

    fn check(text: &str) -> Vec<Finding> {
        check_toml(text, &"2.29.0".parse().unwrap()).unwrap()
    }

    #[test]
    fn an_ordinary_configuration_has_no_findings() {
        let text = "
            [Log]
            Level = 'info'
            JSONConsole = true
            [WebServer]
            AllowOrigins = '*'
            SessionTimeout = '1h'
            ListenIP = '0.0.0.0'
            [Database]
            MaxOpenConns = 50
            [Database.Backup]
            Mode = 'lite'
            [[EVM]]
            ChainID = '1'
            [[EVM.Nodes]]
            Name = 'primary'
            WSURL = 'wss://eth.example'
        ";

        assert_eq!(check(text), []);
        assert_eq!(check(""), []);
    }

    #[test]
    fn what_the_operator_sets_itself_is_overridden() {
        let text = "
            RootDir = '/data'
            [Log.File]
            MaxSize = '5gb'
            [Database.Lock]
            Enabled = false
            [WebServer]
            HTTPPort = 7000
        ";

        assert_eq!(
            check(text),
            [
                "spec.config.files sets Log.File.MaxSize = \"5gb\"; the operator sets '0b' (no log \
                 file)",
                "spec.config.files sets Database.Lock.Enabled = false; the operator sets true",
                "spec.config.files sets WebServer.HTTPPort = 7000; the operator sets 6688",
                "spec.config.files sets RootDir = \"/data\"; the operator sets '/chainlink/root'",
            ]
            .map(|message| Overridden(message.to_owned()))
        );
    }

    #[test]
    fn the_same_value_as_the_operators_is_no_finding() {
        let text = "
            RootDir = '/chainlink/root'
            [Log.File]
            MaxSize = '0'
            [Database.Lock]
            Enabled = true
            [WebServer]
            HTTPPort = 6688
        ";

        assert_eq!(check(text), []);
    }

    #[test]
    fn a_secret_in_a_readable_file_is_refused_without_repeating_it() {
        let findings = check(
            "[Database]\nURL = 'postgres://u:hunter2@db/cl'\n[Password]\nKeystore = 'hunter2'",
        );

        assert_eq!(
            findings,
            [
                "spec.config.files sets Database.URL, which is a secret: name the Secret that \
                 holds it in spec.database.url",
                "spec.config.files sets Password.Keystore, which is a secret: name the Secret that \
                 holds it in spec.credentials.keystorePassword",
            ]
            .map(|message| Refused(message.to_owned()))
        );
    }

    #[test]
    fn a_key_that_the_version_does_not_know_is_refused() {
        assert_eq!(
            check_toml("[WebServer]\nListenIP = '::'", &"2.1.1".parse().unwrap()),
            Ok(vec![Refused(
                "spec.config.files sets WebServer.ListenIP, which Chainlink 2.1.1 does not know: \
                 leave it out"
                    .to_owned()
            )])
        );
    }

    #[test]
    fn malformed_toml_is_an_error_with_its_line() {
        let error = check_toml(
            "[Log]\nLevel = 'info'\nJSONConsole = \n",
            &"2.29.0".parse().unwrap(),
        )
        .unwrap_err();

        assert!(error.starts_with("line 3: "), "{error}");
    }

    #[test]
    fn tls_is_set_by_certificate_and_key() {
        assert!(sets_tls(
            "[WebServer.TLS]\nCertPath = '/tls/tls.crt'\nKeyPath = '/tls/tls.key'"
        ));
        assert!(!sets_tls("[WebServer.TLS]\nCertPath = ''\nKeyPath = ''"));
        assert!(!sets_tls("[WebServer.TLS]\nHTTPSPort = 6689"));
        assert!(!sets_tls("not toml"));
        assert!(!sets_tls(""));
    }
}
