//! A database URL as it is written, taken apart as Go's `net/url` does it (`url.go`: `parse`, `parseAuthority`, `parseHost`,
//! `validUserinfo`) and as pgx takes over the parts (`pgconn/config.go`, `parseURLSettings`). What they mean is told by
//! [`DatabaseUrl`](super::DatabaseUrl).

use std::borrow::Cow;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;

/// Why a database URL can't be read. It says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableUrl {
    #[error(
        "it has a line break or another control character in it, with which the node does not start: write the Secret without it (printf instead of echo, and no file with a line break at its end)"
    )]
    ControlCharacter,
    #[error("it does not begin with postgresql:// or postgres://")]
    Scheme,
    #[error("it names no user")]
    User,
    #[error("it names no host, or one that the node can't read")]
    Host,
    #[error("its port is not a number")]
    Port,
    #[error(
        "percent-encode what is special in user and password: %40 for @, %3A for :, %2F for /, %3F for ?, %23 for #, %25 for %, %20 for a blank, and so on"
    )]
    Encoding,
    #[error(
        "what stands behind its question mark can't be read: percent-encode what is special there"
    )]
    Query,
    #[error("its sslmode is none that the node knows")]
    TlsMode,
    #[error(
        "its target_session_attrs is none that the node knows: any, read-write, read-only, primary, standby and prefer-standby are"
    )]
    Which,
    #[error(
        "it or PGSERVICE names a service, which stands in a file of the node's pod: write host, port, user, password and database into the URL itself"
    )]
    Service,
    #[error(
        "its password stands in a file of the node's pod (passfile, PGPASSFILE): write it into the URL, percent-encoded"
    )]
    PasswordFile,
    #[error(
        "its host is an address with a zone, which means another network in each pod: write a name, or an address without a zone"
    )]
    Zone,
}

/// What may stand in user and password beside letters and digits; all else has to be percent-encoded.
const IN_USERINFO: &str = "-._:~!$&'()*+,;=%@";
/// What may stand in a host's name beside letters, digits and what is no ASCII.
const IN_HOST: &str = "-._~!$&'()*+;=:[]<>\"";

/// What Go takes, in an address of IPv6, for the beginning of a zone.
const ZONE: &str = "%25";

/// The parts of a URL, decoded.
pub(super) struct Written {
    /// `None` where no `@` is in it: then a variable of the pod may name one.
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) servers: Vec<Server>,
    /// Empty where it names none.
    pub(super) database: String,
    pub(super) settings: Settings,
}

/// One server as it stands before the first slash.
pub(super) struct Server {
    /// `None` in `:5432`.
    pub(super) name: Option<String>,
    pub(super) port: Option<String>,
}

impl Written {
    pub(super) fn read(text: &str) -> Result<Self, UnreadableUrl> {
        if text.contains(|c: char| c.is_ascii_control()) {
            return Err(UnreadableUrl::ControlCharacter);
        }
        // Go writes it in small letters before pgx sees it.
        let (scheme, rest) = text.split_once("://").ok_or(UnreadableUrl::Scheme)?;
        if !["postgres", "postgresql"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(UnreadableUrl::Scheme);
        }
        let bare = rest.split('#').next().unwrap_or_default();
        let (bare, query) = bare.split_once('?').unwrap_or((bare, ""));
        let (authority, path) = bare.split_once('/').unwrap_or((bare, ""));
        // A raw `/`, `?` or `#` in the password ends the authority: what is left of it looks like a host and a port.
        let cut = rest[authority.len()..].contains('@') && !authority.contains('@');
        match Self::of_parts(authority, path, query) {
            Err(_) if cut => Err(UnreadableUrl::Encoding),
            Ok(written) if cut && !written.settings.has("user") => Err(UnreadableUrl::Encoding),
            read => read,
        }
    }

    fn of_parts(authority: &str, path: &str, query: &str) -> Result<Self, UnreadableUrl> {
        let (account, servers) = match authority.rsplit_once('@') {
            Some((account, servers)) => (Some(account), servers),
            None => (None, authority),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || IN_USERINFO.contains(c);
        if !account.is_none_or(|account| account.chars().all(allowed)) {
            return Err(UnreadableUrl::Encoding);
        }
        let (user, password) = match account {
            None => (None, None),
            Some(account) => match account.split_once(':') {
                Some((user, password)) => (Some(decoded(user)?), Some(decoded(password)?)),
                None => (Some(decoded(account)?), None),
            },
        };
        let servers = servers.split(',').filter(|server| !server.is_empty());
        Ok(Self {
            user,
            password,
            servers: servers.map(Server::read).collect::<Result<_, _>>()?,
            database: decoded(path.trim_start_matches('/'))?,
            settings: Settings::read(query)?,
        })
    }
}

impl Server {
    fn read(text: &str) -> Result<Self, UnreadableUrl> {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let bare = bare.unwrap_or(text);
        if bare.parse::<IpAddr>().is_ok() || !text.contains(':') {
            return Ok(Self {
                name: Some(host(bare)?),
                port: None,
            });
        }
        let (name, port) = match text.strip_prefix('[') {
            Some(inner) => {
                let (name, after) = inner.split_once(']').ok_or(UnreadableUrl::Host)?;
                if name.contains(ZONE) {
                    return Err(UnreadableUrl::Zone);
                }
                let port = after.strip_prefix(':').ok_or(UnreadableUrl::Host)?;
                (name, port)
            }
            None => text.rsplit_once(':').ok_or(UnreadableUrl::Host)?,
        };
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(UnreadableUrl::Port);
        }
        if !text.starts_with('[') && name.contains(':') {
            return Err(UnreadableUrl::Host);
        }
        Ok(Self {
            name: (!name.is_empty()).then(|| host(name)).transpose()?,
            port: (!port.is_empty()).then(|| port.to_owned()),
        })
    }
}

/// A host's name. Go refuses percent-encoded ASCII in it, so that a socket's folder can stand in the query only.
fn host(name: &str) -> Result<String, UnreadableUrl> {
    let allowed = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || IN_HOST.contains(c);
    if name.chars().all(allowed) {
        Ok(name.to_owned())
    } else {
        Err(UnreadableUrl::Host)
    }
}

fn decoded(text: &str) -> Result<String, UnreadableUrl> {
    if !is_escaped(text) {
        return Err(UnreadableUrl::Encoding);
    }
    let decoded: Cow<'_, str> = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| UnreadableUrl::Encoding)?;
    Ok(decoded.into_owned())
}

/// Whether two hexadecimal digits stand behind every percent sign. Go refuses what the decoders of the Web leave as it is.
fn is_escaped(text: &str) -> bool {
    let digits = |rest: &str| {
        let mut digits = rest.chars().take(2);
        digits.next().is_some_and(|c| c.is_ascii_hexdigit())
            && digits.next().is_some_and(|c| c.is_ascii_hexdigit())
    };
    text.split('%').skip(1).all(digits)
}

/// What stands behind the question mark.
pub(super) struct Settings(Vec<(String, String)>);

impl Settings {
    /// Go leaves out, without a word, a pair that it can't read or that has a semicolon: here that is an error, as the node
    /// would run without what was meant.
    fn read(query: &str) -> Result<Self, UnreadableUrl> {
        if query.contains(';') || !is_escaped(query) {
            return Err(UnreadableUrl::Query);
        }
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        Ok(Self(pairs.collect()))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    /// The first of that name, as Go's `url.Values` has it.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }
}
