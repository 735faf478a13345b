//! Taking passwords and keys out of what is shown to people.
//!
//! Postgres drivers and `chainlink node db migrate` print the database URL with its password; RPC errors
//! quote URLs that hold the provider's API key; a mistake in a TOML file prints the lines around it.

use super::quoted::start_of_quote;

/// What stands in place of a secret.
const HIDDEN: &str = "xxxxx";

/// Names whose value is a secret, in `key=value`; of a longer name the end is enough.
const SECRET_NAMES: [&str; 45] = [
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
    "private-key",
    "secret-key",
    "access-key",
    "encryptionkey",
    "encryption_key",
    "signingkey",
    "signing_key",
    "authkey",
    "auth_key",
    "auth-key",
    "masterkey",
    "master_key",
    "passcode",
    "authorization",
    "bearer",
    "cookie",
    // Of the node's own secrets: that of LDAP, and that of threshold decryption.
    "userpass",
    "keyshare",
    // In sentences.
    "access key",
    "api key",
    "private key",
    "secret key",
    "encryption key",
    "signing key",
    "seed phrase",
];

/// Names like these that are the end of harmless words, too (`bypass`): only those that begin a word count.
const SECRET_WORDS: [&str; 4] = ["pass", "pw", "jwt", "pass_phrase"];

/// The name of many harmless values (`duplicate key: …`): only what stands in quotation marks behind it counts, and what
/// stands in the query of an address.
const KEY: &str = "key";

/// What Go says of a URL whose password it takes for a port (`net/url`, `parseHost`).
const INVALID_PORT: &str = "invalid port \"";

/// The text with no more of its URLs than scheme, host and port, without the values of `password=`
/// and the like in whatever quotation, and without lines of a quoted file.
#[must_use]
pub fn redact(text: &str) -> String {
    // First over all lines: a value in three quotation marks may have several.
    let text = hide_values(text);
    let lines: Vec<String> = text.split('\n').map(redact_line).collect();
    lines.join("\n")
}

fn redact_line(line: &str) -> String {
    let (line, quote) = match start_of_quote(line) {
        Some(start) => (&line[..start], HIDDEN),
        None => (line, ""),
    };
    let mut clean = hide_userinfo(&hide_ports(&hide_in_urls(line)));
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

/// `user:password@host` without a scheme before it.
fn hide_userinfo(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    for (colon, _) in text.match_indices(':') {
        if colon < from {
            continue;
        }
        if let Some((start, end)) = userinfo_around(text, from, colon) {
            clean.push_str(&text[from..start]);
            clean.push_str(HIDDEN);
            from = end;
        }
    }
    clean.push_str(&text[from..]);
    clean
}

/// Where user and password around this colon start and end.
fn userinfo_around(text: &str, from: usize, colon: usize) -> Option<(usize, usize)> {
    let of_a_user = |c: char| c.is_ascii_alphanumeric() || "._~%+-".contains(c);
    let user = text[from..colon].trim_end_matches(of_a_user);
    let start = from + user.len();
    let behind = &text[colon + 1..];
    let words = &behind[..end_of_word(behind)];
    let at = words.rfind('@')?;
    let host = &words[at + 1..];
    // `chainlink:2.29.0@sha256:…` is an image.
    let is_host = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
    let is_digest = host.starts_with("sha256:");
    let has_both = start < colon && at > 0 && !words.starts_with('/');
    (has_both && is_host && !is_digest).then_some((start, colon + 1 + at))
}

/// Where a word ends that may have quotation marks in it.
fn end_of_word(text: &str) -> usize {
    let ends = |(at, c): (usize, char)| {
        let ends = match c {
            '"' | '\'' | '`' => is_end(&text[at + 1..]),
            '<' | '>' => true,
            c => c.is_whitespace(),
        };
        ends.then_some(at)
    };
    text.char_indices().find_map(ends).unwrap_or(text.len())
}

/// Userinfo, path and query of every URL: RPC providers have their keys in any of the three.
fn hide_in_urls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = end_of_quotes(before, after).unwrap_or_else(|| end_of_bare_url(after));
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
    let escapes = escapes_before(&before[..before.len() - mark.len_utf8()]);
    matches!(mark, '"' | '\'' | '`')
        .then(|| closing_like(after, mark, escapes))
        .flatten()
}

/// Where a URL ends that stands in no quotation marks. A quotation mark in it, or a blank in its password, is no end.
fn end_of_bare_url(after: &str) -> usize {
    let end_from = |from: usize| from + end_of_word(&after[from..]);
    let end = end_from(0);
    let authority = &after[..end.min(end_of_authority(after))];
    let is_port = |text: &str| text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit());
    let is_cut = !authority.contains('@')
        && authority
            .split_once(':')
            .is_some_and(|(_, port)| !is_port(port));
    let line = after.split("://").next().unwrap_or_default();
    match line.get(end..).and_then(|rest| rest.find('@')) {
        Some(at) if is_cut => end_from(end + at),
        _ => end,
    }
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
fn next_value(text: &str, lower: &str, from: usize) -> Option<(usize, usize)> {
    let mut starts = lower[from..].char_indices().map(|(at, _)| from + at);
    starts.find_map(|start| {
        // `secret` of `secretkey` is followed by no value, and `secretkey` may be.
        let mut named = SECRET_NAMES
            .iter()
            .filter(|name| lower[start..].starts_with(**name));
        named
            .find_map(|name| value_after(text, start + name.len()))
            .or_else(|| value_of_a_word(text, lower, start))
            .or_else(|| value_of_a_key(text, lower, start))
    })
}

fn value_of_a_word(text: &str, lower: &str, start: usize) -> Option<(usize, usize)> {
    let mut named = SECRET_WORDS
        .iter()
        .filter(|name| lower[start..].starts_with(**name));
    let before = text[..start].chars().next_back();
    let hump =
        text[start..].starts_with(char::is_uppercase) && before.is_some_and(char::is_lowercase);
    let begins = hump || !before.is_some_and(char::is_alphanumeric);
    named
        .find_map(|name| value_after(text, start + name.len()))
        .filter(|_| begins)
}

fn value_of_a_key(text: &str, lower: &str, start: usize) -> Option<(usize, usize)> {
    lower[start..].strip_prefix(KEY)?;
    let (value, end) = value_after(text, start + KEY.len())?;
    let before = text[..start].chars().next_back();
    let alone = before.is_none_or(|c| !c.is_alphanumeric() && !"_-.".contains(c));
    let in_query = matches!(before, Some('?' | '&'));
    let quoted = text[..value].ends_with(['"', '\'', '`']);
    // The sentence goes on behind the address.
    let bare = text[value..end].trim_end_matches(['.', ':']);
    let end = if quoted { end } else { value + bare.len() };
    (in_query || (alone && quoted)).then_some((value, end))
}

/// Words that follow `password:` in sentences of the node's own, and are no value.
const PROSE: [&str; 38] = [
    "a",
    "an",
    "at",
    "be",
    "can",
    "cannot",
    "context",
    "could",
    "does",
    "empty",
    "eof",
    "error",
    "expected",
    "failed",
    "fault",
    "faults",
    "file",
    "has",
    "incorrect",
    "insufficiently",
    "invalid",
    "is",
    "it",
    "length",
    "missing",
    "must",
    "no",
    "not",
    "open",
    "password",
    "read",
    "stat",
    "stopped",
    "the",
    "too",
    "unable",
    "wrong",
    "xxxxx",
];

/// Where the value behind a name starts and ends: `password=x`, `"password": "x"`, `password: x`, `--password x`,
/// `Authorization: Bearer x`.
fn value_after(text: &str, name_end: usize) -> Option<(usize, usize)> {
    let after = &text[name_end..];
    let bare = after.trim_start_matches('\\');
    let quoted_name = bare.strip_prefix(['"', '\'', '`']);
    let after = quoted_name.unwrap_or(after);
    let blank = |c: char| c.is_whitespace() && c != '\n';
    let unspaced = after.trim_start_matches(blank);
    let (value, by_colon) = if let Some(value) = unspaced.strip_prefix(":=") {
        (value, false)
    } else if let Some(value) = unspaced.strip_prefix('=') {
        (value.strip_prefix('>').unwrap_or(value), false)
    } else if let Some(value) = unspaced.strip_prefix(':') {
        (value, true)
    } else if unspaced.len() < after.len() && takes_the_next_word(&text[..name_end]) {
        (unspaced, false)
    } else {
        return None;
    };
    let spaced = value.starts_with(blank);
    let value = value.trim_start_matches(blank);
    let start = text.len() - value.len();
    let escapes = value.len() - value.trim_start_matches('\\').len();
    let inner = &value[escapes..];
    let mark = inner.chars().next();
    let Some(mark) = mark.filter(|c| matches!(c, '"' | '\'' | '`')) else {
        let end = if (by_colon && spaced) || is_header(&text[..name_end]) {
            end_of_clause(value, &text[..name_end])?
        } else {
            end_of_bare_value(value)
        };
        return (end > 0).then_some((start, start + end));
    };
    let triple = mark.to_string().repeat(3);
    if let Some(inner) = inner.strip_prefix(&triple) {
        let end = inner.find(&triple).unwrap_or(inner.len());
        let start = start + escapes + 3;
        return (end > 0).then_some((start, start + end));
    }
    let start = start + escapes + 1;
    let line = inner[1..].split('\n').next().unwrap_or_default();
    let end = closing_value(line, mark, escapes);
    (end > 0).then_some((start, start + end))
}

/// Where a value ends whose quotation mark may stand twice in it, or be glued to more: `'it''s'`, `'it'\''s'`.
fn closing_value(line: &str, mark: char, escapes: usize) -> usize {
    let mut from = 0;
    while let Some(at) = closing_like(&line[from..], mark, escapes) {
        let at = from + at;
        let behind = &line[at + escapes + 1..];
        if is_end(behind) {
            return at;
        }
        from = at + escapes + 1;
    }
    line.len()
}

/// Whether the name that ends here is that of a flag on a command line, or of a scheme of `Authorization`.
fn takes_the_next_word(text: &str) -> bool {
    let word = text.split(char::is_whitespace).next_back();
    word.is_some_and(|word| word.starts_with('-') || word.to_ascii_lowercase().ends_with("bearer"))
}

/// Whether the name that ends here is that of the header with a scheme before its secret.
fn is_header(text: &str) -> bool {
    text.to_ascii_lowercase().ends_with("authorization")
}

/// Where a value ends that stands bare behind `=`, or right behind a colon.
fn end_of_bare_value(value: &str) -> usize {
    let ends = |(at, c): (usize, char)| {
        let behind = &value[at + c.len_utf8()..];
        let ends = match c {
            ',' | ';' | '&' => is_end(behind) || begins_with_a_name(behind),
            '"' | '\'' | '`' | ')' | ']' | '}' => is_end(behind),
            c => c.is_whitespace(),
        };
        ends.then_some(at)
    };
    value.char_indices().find_map(ends).unwrap_or(value.len())
}

/// Where the value behind a colon and a blank ends; nothing where a sentence goes on there.
fn end_of_clause(value: &str, name: &str) -> Option<usize> {
    let line = value.split('\n').next().unwrap_or_default();
    let first = line.split_whitespace().next().unwrap_or_default();
    let first = first.trim_end_matches([':', ',', '.', ';']);
    let first = first.to_ascii_lowercase();
    if !is_header(name) && PROSE.contains(&first.as_str()) {
        return None;
    }
    let ends = |(at, c): (usize, char)| {
        let behind = &line[at + c.len_utf8()..];
        let ends = match c {
            ',' | ';' => is_end(behind) || begins_with_a_name(behind),
            '"' | '\'' | '`' | ')' | ']' | '}' => is_end(behind),
            _ => false,
        };
        ends.then_some(at)
    };
    Some(line.char_indices().find_map(ends).unwrap_or(line.len()))
}

/// Whether nothing of a value can follow: the end, a blank, what closes something, or another name.
fn is_end(behind: &str) -> bool {
    let closing = [')', ']', '}', ',', ';', ':', '.', '"', '`', '\\', '&'];
    let rest = behind.trim_start_matches(closing);
    let ends = rest.chars().next().is_none_or(char::is_whitespace);
    let another = behind.trim_start_matches([')', ']', '}', '"', '\\']);
    let another = another.strip_prefix([',', ';', '&']);
    ends || another.is_some_and(begins_with_a_name)
}

/// `user=`, `"user":`.
fn begins_with_a_name(text: &str) -> bool {
    let marks = ['"', '\'', '\\', '{', ' '];
    let text = text.trim_start_matches(marks);
    let rest = text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    rest.len() < text.len() && rest.trim_start_matches(marks).starts_with(['=', ':'])
}

fn escapes_before(text: &str) -> usize {
    text.len() - text.trim_end_matches('\\').len()
}

/// Where a text ends that began with a quotation mark behind so many backslashes.
fn closing_like(text: &str, mark: char, escapes: usize) -> Option<usize> {
    if escapes == 0 {
        return closing(text, mark);
    }
    let mut marks = text.match_indices(mark);
    let (at, _) = marks.find(|(at, _)| escapes_before(&text[..*at]) == escapes)?;
    Some(at - escapes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way in which a secret is written in what nodes, drivers and files print.
    #[test]
    fn no_canary_gets_through_in_any_quotation() {
        const CANARY: &str = "c4n4ry";
        let names = [
            "password",
            "PGPASSWORD",
            "secret",
            "token",
            "X-Api-Key",
            "Keystore",
            "ReadOnlyUserPass",
            "ThresholdKeyShare",
            "invalid API key",
            "private key",
            "pass",
            "dbPass",
            "DB_PASS",
            "signing_key",
        ];
        let separators = ["=", " = ", ":", ": ", " : ", ":=", " => "];
        let values = [
            "V",
            "'V'",
            "\"V\"",
            "`V`",
            "\\\"V\\\"",
            "\\\\\\\"V\\\\\\\"",
            "'''V'''",
            "\"\"\"V\"\"\"",
            "'it''sV'",
            "'it''s V'",
            "\"a\"\"V\"",
            "'a'\\''V'",
            "\"a\\\"V\"",
            "\"it's V\"",
            "'''it's\nV'''",
            "\"\"\"\nV\n\"\"\"",
            "a,V",
            "a;V",
            "a'V",
            "a&V",
            "a)V",
            "'a,V'",
            "'V",
            "\"V",
        ];
        let around = [
            "N",
            "failed: N",
            "(N)",
            "{N}",
            "{N, user: x}",
            "{\"user\":\"u\",N}",
            "x N y",
            "N\nnext",
        ];
        let quoted_names = ["n", "\"n\"", "'n'", "\\\"n\\\""];
        let mut tried = 0;
        for name in names {
            for quoted in quoted_names {
                for separator in separators {
                    for value in values {
                        for place in around {
                            let value = value.replace('V', CANARY);
                            let said = format!("{}{separator}{value}", quoted.replace('n', name));
                            let text = place.replace('N', &said);
                            let shown = redact(&text);
                            assert!(!shown.contains(CANARY), "{text:?} is shown as {shown:?}");
                            tried += 1;
                        }
                    }
                }
            }
        }
        assert!(tried > 10_000);
    }

    #[test]
    fn no_canary_gets_through_in_headers_flags_and_urls() {
        const CANARY: &str = "c4n4ry";
        for text in [
            "Authorization: Bearer V",
            "Authorization: Basic V, then",
            "Set-Cookie: clsession=V; Path=/",
            "authorization=Bearer V",
            "{\"Authorization\": \"Bearer V\"}",
            "-H 'Authorization: Bearer V' https://rpc.example",
            "Header map[Authorization:[Bearer V]]",
            "chainlink --password V --other",
            "sent Bearer V to rpc",
            "password: correct horse V staple",
            "dial postgres://u:V@db/x",
            "dial 'postgres://u:V@db/x'",
            "dial \"postgres://u:V@db/x\"",
            "dial `postgres://u:V@db/x`",
            "{\\\"url\\\":\\\"postgres://u:V@db/x\\\"}",
            "dial postgres://u:it's-V@db/x failed",
            "dial postgres://u:a\"V@db/x failed",
            "dial postgres://u:a V@db/x failed",
            "URL = '''postgres://u:V@db/x'''",
            "<postgres://u:V@db/x>",
            "wss://rpc.example/V, https://u:V@h/V?key=V#V",
            "chainlink --pass V --other",
            "Key = 'V'",
            "{\"key\":\"V\"}",
            "Key = \"\"\"\nV\n\"\"\"",
            "rpc.example/eth?key=V",
            "eth?chain=1&key=V&x=y",
            "dial u:V@db:5432/x",
            "dial \"u:V@db\" failed",
            "{\"url\":\"u:V@db\",\"x\":1}",
            "url=u:V@[fd00::1]:5432",
            "u:p@V@db, then",
            "u:it's-V@db",
            "parse \"//u:V@db/x\"",
            "(u:V@10.0.0.7)",
        ] {
            let shown = redact(&text.replace('V', CANARY));
            assert!(!shown.contains(CANARY), "{text} is shown as {shown}");
        }
    }

    #[test]
    fn what_the_node_says_of_a_password_stays() {
        for text in [
            "error authenticating keystore: unable to decrypt encrypted key ring: could not decrypt",
            "error authenticating keystore: Faults: password is less than 16 characters long",
            "invalid secrets: Password.Keystore: empty: must be provided and non-empty",
            "initializing api credentials: open /etc/chainlink/credentials/api: no such file",
        ] {
            assert_eq!(redact(text), text);
        }
    }

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
            "did not pass the check, bypass=true, compass: north, passed=3, passes: 3",
            "duplicate key value violates unique constraint \"keys\"; Key (id)=(5) already exists",
            "unknown key: RootDirectory, key=EVM.Nodes, csa_key='12ab', publicKey=\"12ab\"",
            "public.ecr.aws/chainlink/chainlink:2.30.0@sha256:0123 and localhost:5000/chainlink:2@sha256:01",
            "DefaultBootstrappers = ['12D3KooWabc@peer.example.com:6690']",
            "github.com/jackc/pgx/v4@v4.18.1/conn.go:47: read unix @->/tmp/plugin2: read",
            "API exposed for user operator@example.com, at 12:00:01",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
