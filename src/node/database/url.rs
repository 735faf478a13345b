//! A database URL, read as the node reads it: with Go's `net/url` and pgx (`jackc/pgx/v4`, `v5`: `pgconn/config.go`).

use std::fmt;

/// A database URL. It is never shown: neither `Debug` nor any error has a part of it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// In order: the first that answers, and is of the wanted kind, is used.
    pub hosts: Vec<Host>,
    pub user: String,
    pub password: Option<String>,
    pub database: String,
    pub tls: TlsMode,
    /// Whether it names a file with a certificate authority: a path in the node's pod.
    pub names_authority: bool,
    /// Whether it names a client certificate: a path in the node's pod.
    pub names_client_certificate: bool,
    pub which: WhichServer,
    /// `options` for the server, `search_path` among them.
    pub options: Option<String>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub port: u16,
}

/// `sslmode`, as pgx means it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    Disable,
    /// With or without; nothing is verified. `allow` and `prefer` differ in what is tried first.
    Either,
    /// Encrypted; the server is not verified.
    Require,
    /// The certificate is verified, the name in it is not. Also `require` with a certificate authority.
    VerifyAuthority,
    VerifyFull,
}

/// `target_session_attrs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichServer {
    Any,
    /// Also `primary`.
    Writable,
    /// Also `standby`. No node can take a lock there.
    ReadOnly,
}

/// Why a database URL can't be read. It says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableUrl {
    #[error("it does not begin with postgresql:// or postgres://")]
    Scheme,
    #[error("it names no user")]
    User,
    #[error("it names no host")]
    Host,
    #[error("its port is not a number")]
    Port,
    #[error("a part of it is not percent-encoded text")]
    Encoding,
    #[error("its sslmode is none that the node knows")]
    TlsMode,
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("DatabaseUrl(hidden)")
    }
}

impl TlsMode {
    /// Whether the server's certificate is verified. With `allow` and `prefer` it never is, also where the URL has an
    /// `sslrootcert` (pgx `pgconn/config.go`, `configTLS`: `InsecureSkipVerify`).
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyAuthority | Self::VerifyFull)
    }
}

impl DatabaseUrl {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, UnreadableUrl> {
        let text = text.trim_end();
        let rest = text
            .strip_prefix("postgresql://")
            .or_else(|| text.strip_prefix("postgres://"))
            .ok_or(UnreadableUrl::Scheme)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (account, servers) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match account.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password, false)?)),
            None => (account, None),
        };
        let mut settings = Settings::read(query)?;
        // What stands in the query wins.
        let user = settings
            .take("user")
            .map_or_else(|| decoded(user, false), Ok)?;
        if user.is_empty() {
            return Err(UnreadableUrl::User);
        }
        let database = settings
            .take("dbname")
            .or_else(|| settings.take("database"))
            .map_or_else(|| decoded(path, false), Ok)?;
        let authority = settings.take("sslrootcert").unwrap_or_default();
        let of_system = authority == "system";
        let names_authority = !authority.is_empty() && !of_system;
        Ok(Self {
            hosts: hosts(servers, settings.take("host"), settings.take("port"))?,
            database: if database.is_empty() {
                user.clone()
            } else {
                database
            },
            user,
            password: settings.take("password").or(password),
            tls: match tls_mode(settings.take("sslmode").as_deref(), names_authority)? {
                // Whatever `sslmode` says (pgx v5 `pgconn/config.go`, `configTLS`, as libpq).
                _ if of_system => TlsMode::VerifyFull,
                mode => mode,
            },
            names_authority,
            names_client_certificate: settings.take("sslcert").is_some(),
            which: match settings.take("target_session_attrs").as_deref() {
                Some("read-write" | "primary") => WhichServer::Writable,
                Some("read-only" | "standby") => WhichServer::ReadOnly,
                _ => WhichServer::Any,
            },
            options: options(settings.take("options"), settings.take("search_path")),
        })
    }
}

fn hosts(
    servers: &str,
    names: Option<String>,
    ports: Option<String>,
) -> Result<Vec<Host>, UnreadableUrl> {
    let number = |text: &str| match text {
        "" => Ok(5432),
        text => text.parse::<u16>().map_err(|_| UnreadableUrl::Port),
    };
    let mut hosts = Vec::new();
    for server in servers.split(',').filter(|server| !server.is_empty()) {
        let (name, port) = match server.strip_prefix('[') {
            Some(inner) => {
                let (name, after) = inner.split_once(']').ok_or(UnreadableUrl::Host)?;
                (name, after.strip_prefix(':').unwrap_or_default())
            }
            None => server.rsplit_once(':').unwrap_or((server, "")),
        };
        hosts.push(Host {
            name: decoded(name, false)?,
            port: number(port)?,
        });
    }
    if let Some(names) = names {
        hosts = names
            .split(',')
            .map(|name| Host {
                name: name.to_owned(),
                port: 5432,
            })
            .collect();
    }
    if let Some(ports) = ports {
        let ports: Vec<&str> = ports.split(',').collect();
        for (index, host) in hosts.iter_mut().enumerate() {
            if let Some(port) = ports.get(index).or_else(|| ports.last()) {
                host.port = number(port)?;
            }
        }
    }
    if hosts.is_empty() || hosts.iter().any(|host| host.name.is_empty()) {
        return Err(UnreadableUrl::Host);
    }
    Ok(hosts)
}

fn tls_mode(mode: Option<&str>, names_authority: bool) -> Result<TlsMode, UnreadableUrl> {
    Ok(match mode {
        Some("disable") => TlsMode::Disable,
        None | Some("" | "allow" | "prefer") => TlsMode::Either,
        Some("require") if names_authority => TlsMode::VerifyAuthority,
        Some("require") => TlsMode::Require,
        Some("verify-ca") => TlsMode::VerifyAuthority,
        Some("verify-full") => TlsMode::VerifyFull,
        Some(_) => return Err(UnreadableUrl::TlsMode),
    })
}

/// Other settings of a session change nothing in what the operator asks.
fn options(options: Option<String>, search_path: Option<String>) -> Option<String> {
    let path = search_path.map(|path| {
        let escaped = path.replace('\\', "\\\\").replace(' ', "\\ ");
        format!("-c search_path={escaped}")
    });
    let all: Vec<String> = options.into_iter().chain(path).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

struct Settings(Vec<(String, String)>);

impl Settings {
    fn read(query: &str) -> Result<Self, UnreadableUrl> {
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decoded(key, true)?, decoded(value, true)?))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The first of that name, as Go's `url.Values` has it.
    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }
}

/// Percent-encoded text; in a query a plus is a blank.
fn decoded(text: &str, in_query: bool) -> Result<String, UnreadableUrl> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let value = high.zip(low).map(|(high, low)| high * 16 + low);
                value
                    .and_then(|value| u8::try_from(value).ok())
                    .ok_or(UnreadableUrl::Encoding)?
            }
            b'+' if in_query => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| UnreadableUrl::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host {
            name: name.to_owned(),
            port,
        }
    }

    fn read(text: &str) -> DatabaseUrl {
        DatabaseUrl::parse(text).unwrap()
    }

    #[test]
    fn all_parts_of_a_url_are_read_as_the_node_reads_them() {
        let url = read(
            "postgresql://cl%40x:p%2Fw%3A1@db-a:6432,[fd00::1],db-c/node?sslmode=verify-full&sslrootcert=/ca.pem&search_path=a%20b&target_session_attrs=read-write",
        );
        assert_eq!(
            url.hosts,
            [
                host("db-a", 6432),
                host("fd00::1", 5432),
                host("db-c", 5432)
            ]
        );
        assert_eq!(url.user, "cl@x");
        assert_eq!(url.password.as_deref(), Some("p/w:1"));
        assert_eq!(url.database, "node");
        assert_eq!(url.tls, TlsMode::VerifyFull);
        assert!(url.names_authority);
        assert_eq!(url.which, WhichServer::Writable);
        assert_eq!(url.options.as_deref(), Some("-c search_path=a\\ b"));
    }

    #[test]
    fn what_is_left_out_is_what_pgx_takes_for_it() {
        let url = read("postgres://cl@db\n");
        assert_eq!(url.hosts, [host("db", 5432)]);
        assert_eq!((url.database.as_str(), url.password), ("cl", None));
        assert_eq!((url.tls, url.which), (TlsMode::Either, WhichServer::Any));
    }

    #[test]
    fn the_query_wins_over_what_stands_before_it() {
        let url = read("postgres://a:b@db:1/c?user=u&password=p%26w&host=x,y&port=7&dbname=d");
        assert_eq!(url.hosts, [host("x", 7), host("y", 7)]);
        assert_eq!((url.user.as_str(), url.database.as_str()), ("u", "d"));
        assert_eq!(url.password.as_deref(), Some("p&w"));
    }

    #[test]
    fn sslmode_means_what_it_means_to_pgx() {
        let mode = |query: &str| read(&format!("postgres://a@db/c?{query}")).tls;
        assert_eq!(mode("sslmode=disable"), TlsMode::Disable);
        assert_eq!(mode("sslmode=allow"), TlsMode::Either);
        assert_eq!(mode("sslmode=prefer"), TlsMode::Either);
        assert_eq!(mode("sslmode=require"), TlsMode::Require);
        assert_eq!(
            mode("sslmode=require&sslrootcert=/ca.pem"),
            TlsMode::VerifyAuthority,
            "with a certificate authority it verifies, too"
        );
        assert_eq!(mode("sslmode=verify-ca"), TlsMode::VerifyAuthority);
        assert_eq!(mode("sslmode=verify-full"), TlsMode::VerifyFull);
        assert_eq!(mode("sslrootcert=system"), TlsMode::VerifyFull);
        for never in ["", "&sslmode=allow", "&sslmode=prefer"] {
            let url = format!("sslrootcert=/ca.pem{never}");
            assert_eq!(mode(&url), TlsMode::Either, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_without_a_word_of_it() {
        let errors = [
            "mysql://user:geheim@db/x",
            "postgres://:geheim@db/x",
            "postgres://user:geheim@/x",
            "postgres://user:geheim@db:port/x",
            "postgres://user:%zz-geheim@db/x",
            "postgres://user:geheim@db/x?sslmode=geheim",
        ]
        .map(|text| DatabaseUrl::parse(text).unwrap_err());
        assert_eq!(
            errors,
            [
                UnreadableUrl::Scheme,
                UnreadableUrl::User,
                UnreadableUrl::Host,
                UnreadableUrl::Port,
                UnreadableUrl::Encoding,
                UnreadableUrl::TlsMode,
            ]
        );
        for error in errors {
            assert!(!error.to_string().contains("geheim"));
        }
    }

    #[test]
    fn a_url_is_never_shown() {
        let shown = format!("{:?}", read("postgres://someone:geheim@host/chain"));
        for part in ["someone", "geheim", "host", "chain"] {
            assert!(!shown.contains(part), "{shown}");
        }
    }
}
