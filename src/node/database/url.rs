//! A database URL, read as the node reads it: with Go's `net/url` and pgx (`jackc/pgx/v4`, `v5`: `pgconn/config.go`).

use std::collections::BTreeMap;
use std::fmt;

use super::written::{Server, UnreadableUrl, Written};

/// A database URL. It is never shown: neither `Debug` nor any error has a part of it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// In order: the first that answers, and is of the wanted kind, is used.
    pub hosts: Vec<Host>,
    /// The same as newer versions of the node's driver read it, where that differs; empty where they refuse it.
    pub read_anew: Option<Vec<Host>>,
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
        let Written {
            user,
            password,
            servers,
            database,
            mut settings,
        } = Written::read(text)?;
        // Of what the URL leaves out, a service says the rest (pgx `parseServiceSettings`).
        if settings
            .take("service")
            .is_some_and(|name| !name.is_empty())
        {
            return Err(UnreadableUrl::Service);
        }
        // What stands in the query wins.
        let user = settings.take("user").or(user).unwrap_or_default();
        if user.is_empty() {
            return Err(UnreadableUrl::User);
        }
        let database = settings
            .take("dbname")
            .or_else(|| settings.take("database"))
            .unwrap_or(database);
        let authority = settings.take("sslrootcert").unwrap_or_default();
        let of_system = authority == "system";
        let names_authority = !authority.is_empty() && !of_system;
        let password = settings.take("password").or(password);
        let has_password = password.as_ref().is_some_and(|text| !text.is_empty());
        if !has_password
            && settings
                .take("passfile")
                .is_some_and(|path| !path.is_empty())
        {
            return Err(UnreadableUrl::PasswordFile);
        }
        let (hosts, read_anew) = hosts(servers, settings.take("host"), settings.take("port"))?;
        Ok(Self {
            hosts,
            read_anew,
            database: if database.is_empty() {
                user.clone()
            } else {
                database
            },
            user,
            password,
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
                None | Some("any" | "prefer-standby") => WhichServer::Any,
                Some(_) => return Err(UnreadableUrl::Which),
            },
            options: options(settings.take("options"), settings.take("search_path")),
        })
    }
}

/// The variables of a pod that pgx takes for what the URL leaves out (`parseEnvSettings`), and what they are called there.
const VARIABLES: [(&str, &str); 11] = [
    ("PGHOST", "host"),
    ("PGPORT", "port"),
    ("PGDATABASE", "database"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGSERVICE", "service"),
    ("PGPASSFILE", "passfile"),
];

/// Whether pgx takes a variable of that name for a part of the URL.
pub fn completes_url(name: &str) -> bool {
    VARIABLES.iter().any(|(known, _)| *known == name)
}

/// The URL with what its pod's variables add to it. One that can't be read stays as it is.
pub fn completed(url: &str, variables: &BTreeMap<String, String>) -> String {
    let Ok(written) = Written::read(url) else {
        return url.to_owned();
    };
    let given = |setting: &str| {
        written.settings.has(setting)
            || match setting {
                "host" => written.servers.iter().any(|server| server.name.is_some()),
                "port" => written.servers.iter().any(|server| server.port.is_some()),
                "database" => !written.database.is_empty() || written.settings.has("dbname"),
                "user" => written.user.is_some(),
                "password" => written.password.is_some(),
                _ => false,
            }
    };
    let missing: Vec<(&str, &str)> = VARIABLES
        .iter()
        .filter(|(_, setting)| !given(setting))
        .filter_map(|(name, setting)| Some((*setting, variables.get(*name)?.as_str())))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    if missing.is_empty() {
        return url.to_owned();
    }
    let bare = url.split('#').next().unwrap_or_default();
    let mark = if bare.contains('?') { '&' } else { '?' };
    let added = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(missing)
        .finish();
    format!("{bare}{mark}{added}")
}

/// What pgx takes where no port is named.
const PORT: u16 = 5432;

/// The servers in order; and where they are others to versions of pgx after August 2026, those. Since then a host without a
/// port gets the default one (jackc/pgx issue 2625), and ports that are neither one nor one for each host are refused.
/// Before, the ports of all hosts made a list of their own, and a host beyond its end got the first of it.
fn hosts(
    servers: Vec<Server>,
    names: Option<String>,
    ports: Option<String>,
) -> Result<(Vec<Host>, Option<Vec<Host>>), UnreadableUrl> {
    let listed = |list: String| list.split(',').map(str::to_owned).collect::<Vec<_>>();
    let of_each: Vec<Option<String>> = match ports {
        Some(ports) => listed(ports).into_iter().map(Some).collect(),
        None => servers.iter().map(|server| server.port.clone()).collect(),
    };
    let unnamed = names.is_none() && servers.iter().any(|server| server.name.is_none());
    let names: Vec<String> = match names {
        Some(names) => listed(names),
        None => servers
            .into_iter()
            .filter_map(|server| server.name)
            .collect(),
    };
    if names.is_empty() || names.iter().any(String::is_empty) {
        return Err(UnreadableUrl::Host);
    }
    let number = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(UnreadableUrl::Port),
    };
    let given = of_each.iter().flatten().map(|port| number(port));
    let given = given.collect::<Result<Vec<u16>, _>>()?;
    let before = |index: usize| given.get(index).or(given.first()).copied().unwrap_or(PORT);
    let hosts = |port: &dyn Fn(usize) -> u16| -> Vec<Host> {
        let each = names.iter().cloned().enumerate();
        let hosts = each.map(|(index, name)| Host {
            name,
            port: port(index),
        });
        hosts.collect()
    };
    let listed = hosts(&before);
    // Which port belongs to which host is not clear then.
    if unnamed {
        return Ok((listed, None));
    }
    let now = |of: &Option<String>| {
        of.as_deref()
            .and_then(|port| number(port).ok())
            .unwrap_or(PORT)
    };
    let anew = match of_each.as_slice() {
        [] => hosts(&|_| PORT),
        [one] => hosts(&|_| now(one)),
        each if each.len() == names.len() => hosts(&|index| each.get(index).map_or(PORT, now)),
        _ => Vec::new(),
    };
    let differs = anew != listed;
    Ok((listed, differs.then_some(anew)))
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
                host("fd00::1", 6432),
                host("db-c", 6432)
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

    #[derive(serde::Deserialize)]
    struct Vector {
        url: String,
        pgx: Vec<(String, String)>,
    }

    #[test]
    fn hosts_and_ports_are_paired_as_pgx_pairs_them() {
        let text = include_str!("../../../tests/fixtures/database-urls/hosts.json");
        let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
        assert!(vectors.len() >= 9);
        for Vector { url, pgx } in vectors {
            let wanted: Vec<Host> = pgx
                .iter()
                .map(|(name, port)| host(name, port.parse().unwrap()))
                .collect();
            assert_eq!(read(&url).hosts, wanted, "{url}");
        }
    }

    #[test]
    fn ports_that_versions_of_pgx_pair_otherwise_are_known_as_such() {
        let anew = |servers: &str| read(&format!("postgres://cl@{servers}/node")).read_anew;
        assert_eq!(
            anew("a,b:5433"),
            Some(vec![host("a", 5432), host("b", 5433)])
        );
        assert_eq!(
            anew("a:1,b,c:3"),
            Some(vec![host("a", 1), host("b", 5432), host("c", 3)])
        );
        for clear in ["a,b", "a:5433,b:5433", "a:1,b:2", "a,b:5432", "a:5433"] {
            assert_eq!(anew(clear), None, "{clear}");
        }
        let by_query =
            |query: &str| read(&format!("postgres://cl@a,b:5433/node?{query}")).read_anew;
        for clear in ["host=a,b&port=1,2", "host=a,b,c&port=1"] {
            assert_eq!(by_query(clear), None, "{clear}");
        }
        for refused in ["host=a,b,c&port=1,2", "host=a&port=1,2", "host=a,b,c"] {
            assert_eq!(by_query(refused), Some(Vec::new()), "{refused}");
        }
        let of_one = read("postgres://cl@a:6432/node?host=b,c");
        assert_eq!(of_one.hosts, [host("b", 6432), host("c", 6432)]);
        assert_eq!(of_one.read_anew, None);
    }

    #[test]
    fn a_raw_special_character_is_told_in_words() {
        let text = include_str!("../../../tests/fixtures/database-urls/raw-characters.txt");
        let urls = text.lines().filter(|line| !line.starts_with('#'));
        assert!(urls.clone().count() > 8);
        for url in urls {
            let error = DatabaseUrl::parse(url).unwrap_err();
            assert_eq!(error, UnreadableUrl::Encoding, "{url}");
            let sentence = error.to_string();
            assert!(
                sentence.contains("percent-encode what is special in user and password"),
                "{sentence}"
            );
        }
    }

    #[test]
    fn what_go_takes_in_a_password_is_read_as_it_stands() {
        let url = read(
            "postgresql://step-ca:Lgrd%7DoKjF287_nUn6,=s%3C%3AO%7C@master-primary.persistence.svc:5432/stepca",
        );
        assert_eq!(url.password.as_deref(), Some("Lgrd}oKjF287_nUn6,=s<:O|"));
        assert_eq!(
            read("postgres://cl:a@b:c+d@db/x").password.as_deref(),
            Some("a@b:c+d")
        );
        let by_query = read("postgres://db/x?user=cl@server&password=a+b%2Bc");
        assert_eq!(by_query.user, "cl@server");
        assert_eq!(by_query.password.as_deref(), Some("a b+c"));
    }

    #[test]
    fn a_line_break_is_told_as_the_node_does_not_start_with_it() {
        for url in [
            "postgres://cl:pw@db/node\n",
            "postgres://cl:p\tw@db/node",
            "\npostgres://cl@db",
        ] {
            let error = DatabaseUrl::parse(url).unwrap_err();
            assert_eq!(error, UnreadableUrl::ControlCharacter, "{url:?}");
        }
    }

    #[test]
    fn what_go_refuses_or_drops_is_refused() {
        let error = |url: &str| DatabaseUrl::parse(url).unwrap_err();
        for url in [
            "postgres://cl@%2Fcloudsql%2Fp/node",
            "postgres://cl@a:b:1/node",
            "postgres://cl@[fd00::1/node",
            "postgres://cl@a b/node",
            "postgres://cl@db/node?host=a,,b",
        ] {
            assert_eq!(error(url), UnreadableUrl::Host, "{url}");
        }
        for url in ["db:0", "db:65536", "db:5432x"] {
            assert_eq!(
                error(&format!("postgres://cl@{url}/node")),
                UnreadableUrl::Port,
                "{url}"
            );
        }
        for query in ["sslmode=require;user=x", "password=a%zzb"] {
            let url = format!("postgres://cl@db/node?{query}");
            assert_eq!(error(&url), UnreadableUrl::Query, "{url}");
        }
        assert_eq!(
            error("postgres://cl@db/node?target_session_attrs=master"),
            UnreadableUrl::Which
        );
    }

    #[test]
    fn variables_of_the_pod_stand_for_what_the_url_leaves_out() {
        let variables = [
            ("PGHOST", "other"),
            ("PGPORT", "6432"),
            ("PGUSER", "someone"),
            ("PGPASSWORD", "p&w ?#"),
            ("PGDATABASE", "else"),
            ("PGSSLMODE", "require"),
            ("PGTARGETSESSIONATTRS", "read-write"),
            ("PGOPTIONS", "-c search_path=x"),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let url = read(&completed("postgres://", &variables));
        assert_eq!(url.hosts, [host("other", 6432)]);
        assert_eq!(
            (url.user.as_str(), url.database.as_str()),
            ("someone", "else")
        );
        assert_eq!(url.password.as_deref(), Some("p&w ?#"));
        assert_eq!(
            (url.tls, url.which),
            (TlsMode::Require, WhichServer::Writable)
        );
        assert_eq!(url.options, None);

        let whole = "postgres://cl:pw@db:1/node?sslmode=disable&target_session_attrs=any#x";
        assert_eq!(completed(whole, &variables), whole);
        let part = read(&completed(
            "postgres://cl@a,b/node?sslmode=disable#x",
            &variables,
        ));
        assert_eq!(part.hosts, [host("a", 6432), host("b", 6432)]);
        assert_eq!((part.user.as_str(), part.tls), ("cl", TlsMode::Disable));
        assert_eq!(part.password.as_deref(), Some("p&w ?#"));
        assert_eq!(completed("nonsense", &variables), "nonsense");
    }

    #[test]
    fn what_stands_in_a_file_of_the_pod_is_told_with_what_to_write_instead() {
        let error = |url: &str| DatabaseUrl::parse(url).unwrap_err();
        for url in [
            "postgres://?service=node",
            "postgres://cl:pw@db/node?service=node&servicefile=/x",
        ] {
            assert_eq!(error(url), UnreadableUrl::Service, "{url}");
        }
        let with = |name: &str| [(name.to_owned(), "/a/file".to_owned())].into();
        let by_variable = completed("postgres://cl@db/node", &with("PGSERVICE"));
        assert_eq!(error(&by_variable), UnreadableUrl::Service);
        let by_variable = completed("postgres://cl@db/node", &with("PGPASSFILE"));
        assert_eq!(error(&by_variable), UnreadableUrl::PasswordFile);
        let url = "postgres://cl@db/node?passfile=/a/file";
        assert_eq!(error(url), UnreadableUrl::PasswordFile);
        // pgx looks into the file only where no password is given.
        for given in [
            "postgres://cl:pw@db/node?passfile=/a/file",
            "postgres://cl@db/node?passfile=/a/file&password=pw",
        ] {
            assert_eq!(read(given).password.as_deref(), Some("pw"), "{given}");
        }
        assert_eq!(
            read("postgres://cl@db/node?service=&passfile=").password,
            None
        );
    }

    #[test]
    fn an_address_with_a_zone_is_told_with_what_to_write_instead() {
        for host in [
            "[fe80::1%25eth0]",
            "[fe80::1%25eth0]:5432",
            "db,[fe80::1%25eth0]:5432",
        ] {
            let url = format!("postgres://cl:pw@{host}/node");
            let error = DatabaseUrl::parse(&url).unwrap_err();
            assert_eq!(error, UnreadableUrl::Zone, "{host}");
        }
        // Go wants the percent sign of a zone encoded.
        let error = DatabaseUrl::parse("postgres://cl@[fe80::1%eth0]:5432/node").unwrap_err();
        assert_eq!(error, UnreadableUrl::Host);
    }

    #[test]
    fn a_scheme_in_capital_letters_is_the_same_one() {
        let url = read("Postgres://cl:pw@db/node");
        assert_eq!(url.hosts, [host("db", 5432)]);
        for other in ["postgresql:cl@db", "xpostgres://cl@db", "cl@postgres://db"] {
            let error = DatabaseUrl::parse(other).unwrap_err();
            assert_eq!(error, UnreadableUrl::Scheme, "{other}");
        }
    }

    #[test]
    fn what_is_left_out_is_what_pgx_takes_for_it() {
        let url = read("postgres://cl@db");
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
