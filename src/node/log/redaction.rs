//! Taking passwords and keys out of what is shown to people.
//!
//! Postgres drivers and `chainlink node db migrate` print the database URL with its password; RPC errors
//! quote URLs that hold the provider's API key; a mistake in a TOML file prints the lines around it.

use super::quoted::start_of_quote;

/// What stands in place of a secret.
const HIDDEN: &str = "xxxxx";

/// Names whose value is a secret, in `key=value`; of a longer name the end is enough.
const SECRET_NAMES: [&str; 22] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "token",
    "secret",
    "keystore",
    "vrf",
    "credential",
    "credentials",
    "mnemonic",
    "accesskey",
    "access_key",
    "apikey",
    "api_key",
    "api-key",
    "secretkey",
    "secret_key",
    "privatekey",
    "private_key",
    "encryptionkey",
    "authorization",
];

/// What Go says of a URL whose password it takes for a port (`net/url`, `parseHost`).
const INVALID_PORT: &str = "invalid port \"";

/// The text with no more of its URLs than scheme, host and port, without the values of `password=`
/// and the like, and without lines of a quoted file.
#[must_use]
pub fn redact(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(redact_line).collect();
    lines.join("\n")
}

fn redact_line(line: &str) -> String {
    let (line, quote) = match start_of_quote(line) {
        Some(start) => (&line[..start], HIDDEN),
        None => (line, ""),
    };
    let mut clean = hide_values(&hide_ports(&hide_in_urls(line)));
    clean.push_str(quote);
    clean
}

/// `invalid port ":hunter2" after host`.
fn hide_ports(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(INVALID_PORT) {
        let (before, after) = rest.split_at(at + INVALID_PORT.len());
        clean.push_str(before);
        clean.push_str(HIDDEN);
        rest = &after[closing(after, '"').unwrap_or(after.len())..];
    }
    clean.push_str(rest);
    clean
}

/// Where a quoted text ends; Go writes a quotation mark in it as `\"`.
fn closing(text: &str, mark: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == mark => return Some(at),
            _ => {}
        }
    }
    None
}

/// Userinfo, path and query of every URL: RPC providers have their keys in any of the three.
fn hide_in_urls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = end_of_quotes(before, after).unwrap_or_else(|| {
            after
                .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>'))
                .unwrap_or(after.len())
        });
        // The sentence goes on behind the URL.
        let url = after[..end].trim_end_matches([':', ',', ';', '.', ')', ']', '}']);
        clean.push_str(&host_of(url));
        rest = &after[url.len()..];
    }
    clean.push_str(rest);
    clean
}

/// Where a URL ends that stands in quotation marks, as Go's own errors have it: what can't be read may hold a space.
fn end_of_quotes(before: &str, after: &str) -> Option<usize> {
    let scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let before = before.trim_end_matches("://").trim_end_matches(scheme);
    let mark = before.chars().next_back()?;
    matches!(mark, '"' | '\'' | '`')
        .then(|| closing(after, mark))
        .flatten()
}

/// A password may hold `@`, `/`, `?` and `:` unescaped; where it is not clear where it ends, more is
/// hidden rather than less.
fn host_of(url: &str) -> String {
    let authority = &url[..end_of_authority(url)];
    let has_userinfo = authority.contains('@')
        // Not a port, so the rest of it is a password.
        || authority
            .split_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_err());
    let userinfo = url.rfind('@').filter(|_| has_userinfo);
    let host = &url[userinfo.map_or(0, |at| at + 1)..];
    let (host, path) = host.split_at(end_of_authority(host));
    let userinfo = userinfo.map(|_| format!("{HIDDEN}@")).unwrap_or_default();
    match path {
        "" | "/" => format!("{userinfo}{host}{path}"),
        _ => format!("{userinfo}{host}/{HIDDEN}"),
    }
}

fn end_of_authority(url: &str) -> usize {
    url.find(['/', '?', '#']).unwrap_or(url.len())
}

/// `password=secret`, `password = 'se cret'`, `"password":"secret"`; the name may be part of a
/// longer one (`PGPASSWORD`).
fn hide_values(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    while let Some((start, end)) = next_value(text, &lower, from) {
        clean.push_str(&text[from..start]);
        clean.push_str(HIDDEN);
        from = end;
    }
    clean.push_str(&text[from..]);
    clean
}

/// Where the next secret value starts and ends.
fn next_value(text: &str, lower: &str, mut from: usize) -> Option<(usize, usize)> {
    loop {
        let start = SECRET_NAMES
            .iter()
            .filter_map(|name| lower[from..].find(name))
            .min()?
            + from;
        // `secret` of `secretkey` is followed by no value, and `secretkey` may be.
        let mut named = SECRET_NAMES
            .iter()
            .filter(|name| lower[start..].starts_with(**name));
        if let Some(span) = named.find_map(|name| value_after(text, start + name.len())) {
            return Some(span);
        }
        from = start + 1;
    }
}

fn value_after(text: &str, name_end: usize) -> Option<(usize, usize)> {
    let after = &text[name_end..];
    let value = match after.strip_prefix('"') {
        Some(after) => after.trim_start().strip_prefix([':', '=']),
        None => after.trim_start().strip_prefix('='),
    }?
    .trim_start();
    let start = text.len() - value.len();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let (start, value) = match quote {
        Some(_) => (start + 1, &value[1..]),
        None => (start, value),
    };
    let end = value
        .find(|c: char| match quote {
            Some(quote) => c == quote,
            None => c.is_whitespace() || matches!(c, '&' | ',' | ';' | '"' | '\'' | '`' | ')'),
        })
        .unwrap_or(value.len());
    (end > 0).then_some((start, start + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_hidden_and_the_host_stays() {
        for (text, shown) in [
            (
                "dial postgresql://chainlink:hunter2@db.example:5432/cl?sslmode=require failed",
                "dial postgresql://xxxxx@db.example:5432/xxxxx failed",
            ),
            ("postgres://u:p@ss:w@host/db", "postgres://xxxxx@host/xxxxx"),
            ("postgres://u:p/w@host/db", "postgres://xxxxx@host/xxxxx"),
            ("postgres://u:p?w#x@host/db", "postgres://xxxxx@host/xxxxx"),
            ("'postgres://u:hunter2@host'", "'postgres://xxxxx@host'"),
            ("wss://key@rpc.example/eth", "wss://xxxxx@rpc.example/xxxxx"),
            ("a://u:1@x b://u:2@y", "a://xxxxx@x b://xxxxx@y"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn keys_in_the_paths_and_queries_of_rpc_urls_are_hidden() {
        for (text, shown) in [
            (
                "Post \"https://eth-mainnet.g.alchemy.com/v2/KEY\": EOF",
                "Post \"https://eth-mainnet.g.alchemy.com/xxxxx\": EOF",
            ),
            (
                "dial wss://mainnet.infura.io/ws/v3/KEY: bad handshake",
                "dial wss://mainnet.infura.io/xxxxx: bad handshake",
            ),
            (
                "(https://xyz.quiknode.pro/KEY/), https://rpc.example:8545?key=KEY.",
                "(https://xyz.quiknode.pro/xxxxx), https://rpc.example:8545/xxxxx.",
            ),
            (
                "https://host:6688/a@KEY and http://host/x?mail=a@KEY",
                "https://host:6688/xxxxx and http://host/xxxxx",
            ),
            (
                r#"{"url":"wss://rpc.example/KEY","ok":false}"#,
                r#"{"url":"wss://rpc.example/xxxxx","ok":false}"#,
            ),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn values_of_secret_names_are_hidden() {
        for (text, shown) in [
            (
                "host=db user=cl password=hunter2 dbname=cl",
                "host=db user=cl password=xxxxx dbname=cl",
            ),
            ("Password = 'hunt er2'", "Password = 'xxxxx'"),
            ("PGPASSWORD=hunter2", "PGPASSWORD=xxxxx"),
            (
                "postgres://h/db?user=u&password=hunter2&sslmode=disable",
                "postgres://h/xxxxx",
            ),
            (
                r#"{"user":"u","password":"hunter2"}"#,
                r#"{"user":"u","password":"xxxxx"}"#,
            ),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn a_url_that_go_can_not_read_is_hidden_to_its_quotation_mark() {
        for (text, shown) in [
            (
                r#"parse "postgresql://u:hun ter2@db/cl": net/url: invalid userinfo"#,
                r#"parse "postgresql://xxxxx@db/xxxxx": net/url: invalid userinfo"#,
            ),
            (
                r#"parse "postgresql://u:hunt\"er2@db/cl": invalid port ":hunt\"er2" after host"#,
                r#"parse "postgresql://xxxxx@db/xxxxx": invalid port "xxxxx" after host"#,
            ),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn lines_of_a_quoted_file_are_hidden() {
        for (text, shown) in [
            ("4| Keystore = 'hunter2'", "xxxxx"),
            (" 4| hunter2 of a text of several lines", " xxxxx"),
            (
                "secrets TOML: 1| [Database]\n2| Some = 'hunter2'\n | ~~~~ missing field",
                "secrets TOML: xxxxx\nxxxxx\nxxxxx",
            ),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn the_names_of_the_nodes_own_secrets_are_known() {
        for name in [
            "Keystore",
            "VRF",
            "AccessKey",
            "APIKey",
            "api_key",
            "Secret",
            "AuthToken",
            "SecretKey",
            "Passphrase",
            "Credentials",
        ] {
            let shown = redact(&format!("{name} = 'hunter2 and more'"));
            assert_eq!(shown, format!("{name} = 'xxxxx'"));
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for text in [
            "",
            "opening db: failed to take initial lease on database: stopped",
            "failed to connect to `host=db user=cl database=cl`: dial error",
            "FATAL: password authentication failed for user \"cl\" (SQLSTATE 28P01)",
            "https://host:6688 and http://host/",
            "missing or insufficiently complex password: at least 16 characters",
            "späße password=",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
