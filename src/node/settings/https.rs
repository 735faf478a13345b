//! Whether the node serves HTTPS: where its configuration really names a certificate and a key. Without one it opens the port
//! all the same, and logs a critical error every 15 s.

use serde::{Deserialize, Serialize};

use super::said::{Said, Setting, Settings};
use super::{Finding, HTTPS_PORT, ROOT_MOUNT};

const CERTIFICATE: Setting = Setting {
    path: &["WebServer", "TLS", "CertPath"],
    variable: "TLS_CERT_PATH",
};
const KEY: Setting = Setting {
    path: &["WebServer", "TLS", "KeyPath"],
    variable: "TLS_KEY_PATH",
};
const PORT: Setting = Setting {
    path: &["WebServer", "TLS", "HTTPSPort"],
    variable: "CHAINLINK_TLS_PORT",
};

/// Folders that hold nothing of the user's: volumes of the operator's are mounted over what an image may have there.
const HIDDEN: [&str; 3] = [ROOT_MOUNT, "/tmp", "/etc/chainlink"];

/// Whether HTTPS is served, by what can be read. What a Secret may name besides is not counted: for a certificate that
/// is not there the port would be open without one.
#[must_use]
pub fn serves_https(settings: Settings<'_>) -> bool {
    let named = |setting: Setting| !matches!(setting.readable(settings), Said::Nothing);
    let off = matches!(PORT.readable(settings), Said::This(port) if port == "0");
    named(CERTIFICATE) && named(KEY) && !off
}

/// Where certificate and key are. An empty path is one that is not certain: a Secret may name another file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsFiles {
    pub certificate: String,
    pub key: String,
}

/// Where the node looks for certificate and key, as far as it serves HTTPS and no Secret may say otherwise.
#[must_use]
pub fn tls_files(settings: Settings<'_>) -> Option<TlsFiles> {
    let certain = |setting: Setting| match setting.said(settings) {
        Said::This(path) => path,
        Said::Nothing | Said::Unknown => String::new(),
    };
    let files = TlsFiles {
        certificate: certain(CERTIFICATE),
        key: certain(KEY),
    };
    (serves_https(settings) && files != TlsFiles::default()).then_some(files)
}

/// What can't be served: a certificate where no file can be, or on a port that the Service does not have. `mounts` are the
/// places of the user's volumes.
#[must_use]
pub fn check_https(settings: Settings<'_>, mounts: &[&str]) -> Vec<Finding> {
    if !serves_https(settings) {
        return Vec::new();
    }
    let field = match settings {
        Settings::Files(_) => "spec.config.files",
        Settings::Variables(..) => "spec.config.env",
    };
    let mut findings = Vec::new();
    for setting in [CERTIFICATE, KEY] {
        let Said::This(path) = setting.readable(settings) else {
            continue;
        };
        let (Some(folders), name) = (folders(&path), setting.name(settings)) else {
            continue;
        };
        let below = |folder: &str| folders.starts_with(&self::folders(folder).unwrap_or_default());
        let hidden = HIDDEN.iter().find(|hidden| below(hidden));
        let mounted = mounts.iter().any(|mount| below(mount));
        match hidden {
            _ if mounted => {}
            Some(hidden) => findings.push(Finding::Refused(format!(
                "{field} sets {name} = '{path}', and no file can be there: {hidden} is a volume of the operator's in the \
                 pod. Mount the Secret of the certificate by spec.pod.volumes elsewhere, such as mountPath: \
                 /certificates, and name the file there"
            ))),
            None => findings.push(Finding::Overridden(format!(
                "{field} sets {name} = '{path}', and no volume of spec.pod.volumes is mounted there: unless the image has \
                 that file, HTTPS is not served"
            ))),
        }
    }
    if let Said::This(port) = PORT.readable(settings)
        && port != HTTPS_PORT.to_string()
    {
        findings.push(Finding::Refused(format!(
            "{field} sets {} = {port}: leave it out, HTTPS is on port {HTTPS_PORT}, to which the Service leads",
            PORT.name(settings)
        )));
    }
    findings
}

/// The folders of an absolute path, from the root. A relative one is the image's.
fn folders(path: &str) -> Option<Vec<&str>> {
    let mut folders = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                folders.pop();
            }
            part => folders.push(part),
        }
    }
    Some(folders)
}

#[cfg(test)]
mod tests {
    use super::super::said::More;
    use super::*;

    fn files(text: &str) -> [Option<&str>; 2] {
        [Some(text), None]
    }

    const NAMED: &str =
        "[WebServer.TLS]\nCertPath = '/certificates/tls.crt'\nKeyPath = '/certificates/tls.key'\n";

    #[test]
    fn https_is_served_where_certificate_and_key_are_named_and_its_port_is_not_off() {
        let serves = |text: &str| serves_https(Settings::Files(&files(text)));
        assert!(serves(NAMED));
        assert!(serves(&format!("{NAMED}HTTPSPort = 6689")));
        for text in [
            "",
            "[WebServer.TLS]\nCertPath = '/certificates/tls.crt'",
            "[WebServer.TLS]\nCertPath = ''\nKeyPath = ''",
            &format!("{NAMED}HTTPSPort = 0"),
        ] {
            assert!(!serves(text), "{text}");
        }
        let path = ("TLS_CERT_PATH", Some("/certificates/tls.crt"));
        let variables =
            |all: &[(&str, Option<&str>)]| serves_https(Settings::Variables(all, More::InSecrets));
        assert!(variables(&[path, ("TLS_KEY_PATH", None)]));
        assert!(!variables(&[path, ("TLS_KEY_PATH", Some(""))]));
        assert!(!variables(&[path]));
        assert!(!variables(&[]));
    }

    #[test]
    fn a_certificate_where_no_file_can_be_is_refused() {
        let check = |folder: &str, mounts: &[&str]| {
            let text = NAMED.replace("/certificates", folder);
            check_https(Settings::Files(&files(&text)), mounts)
        };
        for hidden in [
            "/chainlink/tls",
            "//chainlink/./x",
            "/certs/../tmp",
            "/etc/chainlink",
        ] {
            let found = check(hidden, &["/certificates"]);
            assert_eq!(found.len(), 2, "{hidden}");
            for finding in found {
                assert!(finding.is_refusal());
                assert!(
                    finding.message().contains("mountPath: /certificates"),
                    "{hidden}"
                );
            }
        }
        assert_eq!(check("/tmp/tls", &["/tmp/tls"]), []);
        assert_eq!(check("/certificates", &["/certificates/"]), []);
        assert_eq!(check("tls", &[]), [], "in the image's own folder");
        let found = check("/certificates", &["/certs"]);
        assert_eq!(found.len(), 2);
        assert!(
            !found.iter().any(Finding::is_refusal),
            "the image may have it"
        );
        assert_eq!(check("/chainlink-tls", &["/chainlink-tls"]), []);
    }

    #[test]
    fn a_port_that_the_service_does_not_have_is_refused() {
        let text = format!("{NAMED}HTTPSPort = 8443");
        let found = check_https(Settings::Files(&files(&text)), &["/certificates"]);
        assert_eq!(found.len(), 1);
        assert!(found[0].is_refusal() && found[0].message().contains("leave it out"));
    }
}
