//! The port on which peers reach the node, where the operator is asked for a Service for it.

use toml::{Table, Value};

use super::said::Settings;
use super::toml_check::{parse, values};
use super::{Finding, HTTP_PORT, HTTPS_PORT};

/// The port by convention; the node itself has no default (`core/config/docs/core.toml`, `[P2P.V2]`).
pub const P2P_PORT: u16 = 6690;

const LISTEN: &str = "P2PV2_LISTEN_ADDRESSES";
const ANNOUNCE: &str = "P2PV2_ANNOUNCE_ADDRESSES";
const STACK: &str = "P2P_NETWORKING_STACK";

/// Where the node listens for its peers, and what it tells them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    port: u16,
    announce: Option<String>,
}

impl PeerAddress {
    /// An error is a sentence about what can't work.
    pub fn new(port: u16, announce: Option<String>) -> Result<Self, String> {
        if port < 1024 || port == HTTP_PORT || port == HTTPS_PORT {
            return Err(format!(
                "{port} is not free for peers (ports below 1024 are not for the node's user, {HTTP_PORT} and \
                 {HTTPS_PORT} are its own): leave it out for {P2P_PORT}"
            ));
        }
        if let Some(address) = announce.as_deref()
            && !is_dialable(address)
        {
            return Err(format!(
                "{address:?} is not what peers can dial: write host:port, such as 203.0.113.7:{P2P_PORT} or \
                 node.example.com:{P2P_PORT}"
            ));
        }
        Ok(Self { port, announce })
    }

    /// The port that the node listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn listen(&self) -> String {
        format!("0.0.0.0:{}", self.port)
    }

    /// As a part of the operator's TOML. All three keys are known since TOML is.
    pub(super) fn toml(&self) -> String {
        let announce = self
            .announce
            .as_deref()
            .map_or_else(String::new, |address| {
                format!("AnnounceAddresses = ['{address}']\n")
            });
        format!(
            "\n[P2P.V2]\nEnabled = true\nListenAddresses = ['{}']\n{announce}",
            self.listen()
        )
    }

    /// As variables of a node of version 1 (`v1.13.3:core/config/envvar/schema.go`). Which of the two
    /// networking stacks it uses is left to the user: a node may need both for a while.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let announce = self
            .announce
            .iter()
            .map(|address| (ANNOUNCE, address.clone()));
        [(LISTEN, self.listen())]
            .into_iter()
            .chain(announce)
            .collect()
    }

    /// Why a user may not set this variable beside, and what to write instead.
    #[must_use]
    pub fn reserved_variable(&self, name: &str) -> Option<&'static str> {
        match name {
            LISTEN => Some("spec.service.p2p.port sets it"),
            ANNOUNCE if self.announce.is_some() => Some("spec.service.p2p.announceAddress sets it"),
            _ => None,
        }
    }

    /// What a person should know whose variables leave the second networking stack off: it is, by
    /// default, and nobody listens on the port then.
    #[must_use]
    pub fn stack_warning(&self, stack: Option<&str>) -> Option<String> {
        let uses_it = stack.is_some_and(|stack| matches!(stack, "V2" | "V1V2"));
        (!uses_it).then(|| {
            format!(
                "spec.service.p2p leads to port {} and the node listens on it only with {STACK}=V2 or V1V2: set it \
                 in spec.config.env",
                self.port
            )
        })
    }

    /// What in a user's TOML says otherwise. Text that is not TOML is found elsewhere.
    #[must_use]
    pub fn check_toml(&self, text: &str) -> Vec<Finding> {
        let Ok(table) = parse(text) else {
            return Vec::new();
        };
        let mut findings = Vec::new();
        let mut differs = |key, fits: &dyn Fn(&Value) -> bool, instead: &str| {
            for value in at(&table, key).into_iter().filter(|value| !fits(value)) {
                findings.push(Finding::Refused(format!(
                    "spec.config.files sets P2P.V2.{key} = {value}, and spec.service.p2p says otherwise: leave it \
                     out{instead}"
                )));
            }
        };
        differs(
            "Enabled",
            &|value| value.as_bool() == Some(true),
            ", or spec.service.p2p",
        );
        let listen = self.listen();
        differs(
            "ListenAddresses",
            &|value| is_only(value, &listen),
            ", or set spec.service.p2p.port",
        );
        if let Some(address) = &self.announce {
            differs(
                "AnnounceAddresses",
                &|value| is_only(value, address),
                ", or set spec.service.p2p.announceAddress",
            );
        }
        findings
    }
}

/// What a person should know whose node listens for peers without a Service that leads to it.
#[must_use]
pub fn unreached_peers(settings: Settings<'_>) -> Option<String> {
    let addresses = match settings {
        Settings::Files(texts) => in_files(texts),
        Settings::Variables(variables, _) => {
            let named = [ANNOUNCE, "P2P_ANNOUNCE_IP", LISTEN, "P2P_LISTEN_PORT"].into_iter();
            let mut said = named.filter_map(|name| {
                let (_, value) = variables.iter().rfind(|(known, _)| *known == name)?;
                value.filter(|value| !value.is_empty()).map(str::to_owned)
            });
            said.next()
        }
    }?;
    Some(format!(
        "spec.config has peers dial {addresses}, and no Service of this resource leads there: set spec.service.p2p, or make \
         a Service of your own that selects the active pod"
    ))
}

/// The addresses that peers are told, or that the node listens on, by the last readable file that names them; of the older
/// networking stack those of 1.13 (`v1.13.3:core/config/v2/types.go`, `P2PV1`).
fn in_files(texts: &[Option<&str>]) -> Option<String> {
    let tables: Vec<Table> = texts
        .iter()
        .flatten()
        .filter_map(|text| parse(text).ok())
        .collect();
    let last = |key: &str| tables.iter().rev().find_map(|table| at(table, key).pop());
    let newer = if last("Enabled").and_then(Value::as_bool) == Some(false) {
        None
    } else {
        ["AnnounceAddresses", "ListenAddresses"]
            .into_iter()
            .filter_map(|key| last(key)?.as_array())
            .map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>())
            .find(|all| !all.is_empty())
            .map(|all| all.join(", "))
    };
    let older = |key: &str| {
        let mut all = tables.iter().rev();
        all.find_map(|table| values(table, &["P2P", "V1", key]).pop())
    };
    newer.or_else(|| {
        older("Enabled").and_then(Value::as_bool).filter(|on| *on)?;
        let ip = older("AnnounceIP").and_then(Value::as_str)?;
        let port = older("AnnouncePort").or_else(|| older("ListenPort"));
        Some(port.map_or_else(|| ip.to_owned(), |port| format!("{ip}:{port}")))
    })
}

fn at<'a>(table: &'a Table, key: &str) -> Vec<&'a Value> {
    values(table, &["P2P", "V2", key])
}

fn is_only(value: &Value, wanted: &str) -> bool {
    value.as_array().is_some_and(
        |all| matches!(all.as_slice(), [Value::String(only)] if only.as_str() == wanted),
    )
}

/// `host:port` as Go's `net.Dial` takes it. The name of an interface that listens everywhere is no
/// address for others.
fn is_dialable(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    let bare = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        }
    };
    is_port && bare && !matches!(host, "0.0.0.0" | "[::]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced(address: &str) -> PeerAddress {
        PeerAddress::new(P2P_PORT, Some(address.to_owned())).unwrap()
    }

    #[test]
    fn an_address_that_nobody_can_dial_is_refused() {
        for address in [
            "203.0.113.7:6690",
            "node.example.com:443",
            "[2001:db8::1]:6690",
        ] {
            assert!(
                PeerAddress::new(P2P_PORT, Some(address.to_owned())).is_ok(),
                "{address}"
            );
        }
        for address in [
            "",
            "203.0.113.7",
            ":6690",
            "0.0.0.0:6690",
            "[::]:6690",
            "2001:db8::1:6690",
            "host:0",
            "host:99999",
            "it's:1",
        ] {
            let sentence = PeerAddress::new(P2P_PORT, Some(address.to_owned())).unwrap_err();
            assert!(sentence.contains("write host:port"), "{sentence}");
        }
    }

    #[test]
    fn a_port_that_the_node_can_not_have_is_refused() {
        for port in [0, 443, 6688, 6689] {
            let sentence = PeerAddress::new(port, None).unwrap_err();
            assert!(sentence.contains("leave it out for 6690"), "{sentence}");
        }
        assert_eq!(
            PeerAddress::new(7000, None).map(|peer| peer.port()),
            Ok(7000)
        );
    }

    #[test]
    fn what_the_users_toml_says_otherwise_is_refused() {
        let text = "[P2P.V2]\nEnabled = false\nListenAddresses = ['0.0.0.0:7000']\nAnnounceAddresses = ['a:1', 'b:1']";

        let findings = announced("203.0.113.7:6690").check_toml(text);

        let keys: Vec<_> = findings
            .iter()
            .filter_map(|finding| finding.message().split(' ').nth(2))
            .collect();
        assert_eq!(
            keys,
            [
                "P2P.V2.Enabled",
                "P2P.V2.ListenAddresses",
                "P2P.V2.AnnounceAddresses"
            ]
        );
        assert!(findings.iter().all(Finding::is_refusal));
    }

    #[test]
    fn what_the_users_toml_says_too_is_no_finding() {
        let text = "[P2P.V2]\nEnabled = true\nListenAddresses = ['0.0.0.0:6690']\nAnnounceAddresses = ['a:1']\nDeltaDial = '5s'";

        assert_eq!(announced("a:1").check_toml(text), []);
        assert_eq!(
            PeerAddress::new(P2P_PORT, None).unwrap().check_toml(text),
            []
        );
    }

    #[test]
    fn variables_beside_it_are_reserved_as_far_as_it_sets_them() {
        let silent = PeerAddress::new(P2P_PORT, None).unwrap();

        assert!(silent.reserved_variable(LISTEN).is_some());
        assert!(silent.reserved_variable(ANNOUNCE).is_none());
        assert!(announced("a:1").reserved_variable(ANNOUNCE).is_some());
        assert!(announced("a:1").reserved_variable(STACK).is_none());
    }

    #[test]
    fn peers_without_a_service_are_told_the_address_that_they_dial() {
        let told = |texts: &[Option<&str>]| unreached_peers(Settings::Files(texts));
        let listens = "[P2P.V2]\nEnabled = true\nListenAddresses = ['0.0.0.0:7990']\n";
        let announces = format!("{listens}AnnounceAddresses = ['203.0.113.7:7990']");
        let sentence = told(&[Some(&announces), None]).unwrap();
        assert!(sentence.contains("203.0.113.7:7990") && sentence.contains("spec.service.p2p"));
        assert!(told(&[Some(listens)]).unwrap().contains("0.0.0.0:7990"));
        for silent in [
            "",
            "[P2P.V2]\nEnabled = true",
            "[P2P.V2]\nListenAddresses = []",
        ] {
            assert_eq!(told(&[Some(silent)]), None, "{silent}");
        }
        let off = "[P2P.V2]\nEnabled = false";
        assert_eq!(told(&[Some(&announces), Some(off)]), None);

        let older = "[P2P.V1]\nEnabled = true\nAnnounceIP = '203.0.113.7'\nListenPort = 7990";
        assert!(
            told(&[Some(older)])
                .unwrap()
                .contains("dial 203.0.113.7:7990")
        );
        assert_eq!(told(&[Some("[P2P.V1]\nAnnounceIP = '203.0.113.7'")]), None);

        let more = super::super::More::No;
        for (name, value) in [
            ("P2PV2_LISTEN_ADDRESSES", "0.0.0.0:7990"),
            ("P2P_ANNOUNCE_IP", "203.0.113.7"),
            ("P2P_LISTEN_PORT", "7990"),
        ] {
            let variables = [(name, Some(value))];
            let sentence = unreached_peers(Settings::Variables(&variables, more));
            assert!(sentence.unwrap().contains(value), "{name}");
        }
        assert_eq!(unreached_peers(Settings::Variables(&[], more)), None);
    }

    #[test]
    fn a_stack_that_does_not_listen_is_warned_of() {
        let peer = announced("a:1");

        assert!(peer.stack_warning(None).is_some());
        assert!(peer.stack_warning(Some("V1")).is_some());
        assert_eq!(peer.stack_warning(Some("V1V2")), None);
    }
}
