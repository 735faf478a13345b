//! One question to the database: one connection, two round trips, read only, nothing kept open.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::timeout;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, SimpleQueryMessage, SimpleQueryRow};

use super::tls::{Tls, Untrusted};
use crate::api::Migrated;
use crate::domain::{Beginnings, Holder, PodId, Reason, Says, Silence};
use crate::node::database::{
    LEASE_QUERY, SCHEMA_QUERY, SERVER_QUERY, SESSIONS_QUERY, SessionOf, VERSION_QUERY,
    advisory_query, is_kept_by_sessions, is_named_as_node, is_of_app, major_version, names_an_app,
    session_of, takes_no_connections,
};
use crate::node::{DatabaseUrl, Host, TlsMode, WhichServer};
use crate::observe::witness::ContainerKey;

/// The longest that a question may take: the stop of an active waits for it.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Of that, for one server of several.
const CONNECT: Duration = Duration::from_millis(1000);

/// Where a database URL leads to: two with a server and the database in common lead to one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    servers: BTreeSet<(String, u16)>,
    database: String,
}

impl Target {
    /// Where this URL leads to, for pods in this namespace. `None` where it can't be read, or leads to the pod itself.
    pub fn of(url: &str, namespace: &str) -> Option<Self> {
        let url = DatabaseUrl::parse(url).ok()?;
        if url.hosts.iter().any(is_local) {
            return None;
        }
        let server = |host: &Host| (whole_name(&host.name, namespace), host.port);
        let anew = url.read_anew.iter().flatten();
        Some(Self {
            servers: url.hosts.iter().chain(anew).map(server).collect(),
            database: url.database.clone(),
        })
    }

    /// Whether both lead to one database, as far as names tell.
    pub fn is_that_of(&self, other: &Self) -> bool {
        self.database == other.database && !self.servers.is_disjoint(&other.servers)
    }
}

/// A Service has several names: the shortest that is good for every namespace.
fn whole_name(name: &str, namespace: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let seen = seen_from_here(&name, namespace);
    let service = seen.strip_suffix(".svc.cluster.local");
    let service = service.or_else(|| seen.strip_suffix(".svc"));
    service.unwrap_or(&seen).to_owned()
}

/// What is asked, and of whom.
pub struct Question<'a> {
    /// The value of the Secret.
    pub url: &'a str,
    /// PEM text of `spec.database.ca`.
    pub authority: Option<&'a [u8]>,
    /// Where the pods are: a host without a dot is a Service of theirs.
    pub namespace: &'a str,
    pub pods: &'a Known,
}

/// By what a session is known to be that of a pod of the resource.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The pods by the `client_id` that their logs name: it goes through poolers and translations of addresses.
    pub clients: BTreeMap<String, PodId>,
    pub addresses: BTreeMap<IpAddr, PodId>,
    /// The running containers of pods that are known by an address alone, which no other pod has.
    pub unnamed: BTreeMap<PodId, ContainerKey>,
}

impl Known {
    /// The pod that has a session: by its id first, and by its address only where nothing else is known of the two.
    fn owner(&self, session: &Session) -> Option<&PodId> {
        let mut clients = self.clients.iter();
        let by_id = clients.find(|(client, _)| is_of_app(&session.name, client));
        let by_address = || {
            let pod = self.addresses.get(&session.address?)?;
            let identified = self.clients.values().any(|known| known == pod);
            (!identified || !names_an_app(&session.name)).then_some(pod)
        };
        by_id.map(|(_, pod)| pod).or_else(by_address)
    }

    /// The container that holds the lease by its address, and the `client_id` in the lease: a node that takes the lock at once
    /// logs its id only when it has booted (measured on 2.18.0), and may end before. It ran when the pods were listed, which was
    /// before the database was asked.
    pub fn names<'a>(&'a self, says: &'a Says) -> Option<(&'a ContainerKey, &'a str)> {
        let Holder::Pod(pod) = &says.lease else {
            return None;
        };
        let container = self.unnamed.get(pod)?;
        let client = says.lease_client.as_deref()?;
        says.leaseholder_has_a_session
            .then_some((container, client))
    }
}

/// Asks. Takes no longer than one and a half seconds.
pub async fn ask(question: &Question<'_>) -> Result<Says, Silence> {
    ask_server(&leads_elsewhere(question)?, question).await
}

/// The URL of a question, where it leads to a server that others than the pod itself can reach.
pub(super) fn leads_elsewhere(question: &Question<'_>) -> Result<DatabaseUrl, Silence> {
    let url = DatabaseUrl::parse(question.url).map_err(|why| {
        Silence::new(
            Reason::UrlUnreadable,
            format!("the database URL can't be read: {why}"),
        )
    })?;
    if url.hosts.iter().any(is_local) {
        return Err(Silence::new(
            Reason::LocalAddress,
            "the database URL leads to the pod itself (a proxy beside the node): it can't be asked from elsewhere",
        ));
    }
    if url.read_anew.is_some() {
        return Err(Silence::new(
            Reason::UrlUnreadable,
            "the database URL has ports for some of its hosts only, and versions of the node differ in which port the others get: write one for each",
        ));
    }
    Ok(url)
}

/// Asks the server of a URL that was read, wherever that is.
pub async fn ask_server(url: &DatabaseUrl, question: &Question<'_>) -> Result<Says, Silence> {
    let (config, tls) = way_to(url, question)?;
    in_time(url, converse(config, tls, question.pods)).await
}

/// How the server of a URL is reached, and trusted.
pub(super) fn way_to(url: &DatabaseUrl, question: &Question<'_>) -> Result<(Config, Tls), Silence> {
    if url.tls.verifies() && url.names_authority && question.authority.is_none() {
        return Err(Silence::new(
            Reason::AuthorityMissing,
            "the database URL names a certificate authority by a path in the node's pod: name its Secret or ConfigMap in spec.database.ca, too",
        ));
    }
    let tls = Tls::new(
        url.tls,
        question.authority,
        own_names(url, question.namespace),
    )
    .map_err(|why: Untrusted| Silence::new(Reason::AuthorityMissing, why.to_string()))?;
    Ok((config(url, question.namespace), tls))
}

/// The end of a conversation with the server, or why it has none.
pub(super) async fn in_time<T>(
    url: &DatabaseUrl,
    conversation: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Silence> {
    match timeout(PATIENCE, conversation).await {
        Ok(end) => end.map_err(|error| silence(&error, url)),
        Err(_) => Err(Silence::new(
            Reason::Unreachable,
            format!(
                "the database did not answer the operator within {} s: a NetworkPolicy may keep it away",
                PATIENCE.as_secs_f32()
            ),
        )),
    }
}

fn is_local(host: &Host) -> bool {
    let loopback = |address: IpAddr| {
        let address = address.to_canonical();
        // Linux takes the address of nobody for its own.
        address.is_loopback() || address.is_unspecified()
    };
    let name = host.name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || host.name.starts_with(['/', '@'])
        || host.name.parse().is_ok_and(loopback)
}

/// A host without a dot is looked up in the namespace of the pods, as they do.
fn seen_from_here(name: &str, namespace: &str) -> String {
    if name.contains(['.', ':']) {
        name.to_owned()
    } else {
        format!("{name}.{namespace}.svc")
    }
}

/// The hosts of a URL by the names that they are looked up by: those that were appended to, and only those. Where the
/// URL has both names of one Service, the longer is verified.
fn own_names(url: &DatabaseUrl, namespace: &str) -> BTreeMap<String, String> {
    let written = |name: &str| url.hosts.iter().any(|host| host.name == name);
    url.hosts
        .iter()
        .map(|host| (seen_from_here(&host.name, namespace), host.name.clone()))
        .filter(|(seen, own)| seen != own && !written(seen))
        .collect()
}

fn config(url: &DatabaseUrl, namespace: &str) -> Config {
    let mut config = Config::new();
    for host in &url.hosts {
        config.host(seen_from_here(&host.name, namespace));
        config.port(host.port);
    }
    config
        .user(&url.user)
        .dbname(&url.database)
        .application_name("chainlink-operator")
        .connect_timeout(CONNECT)
        .ssl_mode(match url.tls {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Either => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyAuthority | TlsMode::VerifyFull => SslMode::Require,
        })
        .target_session_attrs(match url.which {
            WhichServer::Any => TargetSessionAttrs::Any,
            WhichServer::Writable => TargetSessionAttrs::ReadWrite,
            WhichServer::ReadOnly => TargetSessionAttrs::ReadOnly,
        });
    if let Some(password) = &url.password {
        config.password(password);
    }
    if let Some(options) = &url.options {
        config.options(options);
    }
    config
}

/// Aborts the task that drives the connection: with it the socket is closed.
pub(super) struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection, for as long as its driver is kept.
pub(super) async fn connect(
    config: Config,
    tls: Tls,
) -> Result<(Client, Driver), tokio_postgres::Error> {
    let (client, connection) = config.connect(tls).await?;
    let driver = Driver(tokio::spawn(async move {
        // Its end shows in the client.
        let _ = connection.await;
    }));
    Ok((client, driver))
}

async fn converse(config: Config, tls: Tls, pods: &Known) -> Result<Says, tokio_postgres::Error> {
    let (client, _driver) = connect(config, tls).await?;
    let begin = "BEGIN READ ONLY; SET LOCAL statement_timeout = 1000; SET LOCAL lock_timeout = 500";
    let server = rows(&client, &format!("{begin}; {SERVER_QUERY}")).await?;
    let flag = |column: usize| {
        server
            .first()
            .and_then(|row| row.get(column))
            .is_some_and(|value| value == "t")
    };
    let (table, may_read) = (flag(2), flag(3));
    let sent = Instant::now();
    let sessions: Vec<Session> = rows(&client, SESSIONS_QUERY)
        .await?
        .iter()
        .map(Session::read)
        .collect();
    // The server has told the ages in the middle of the round trip, as far as can be known.
    let told = sent + sent.elapsed() / 2;
    let held = rows(&client, &advisory_query()).await?;
    let leases = if may_read {
        rows(&client, LEASE_QUERY).await?
    } else {
        Vec::new()
    };
    let versions = if flag(6) {
        rows(&client, VERSION_QUERY).await?
    } else {
        Vec::new()
    };
    let migrations = if flag(7) {
        rows(&client, SCHEMA_QUERY).await?
    } else {
        Vec::new()
    };
    // The transaction goes with the connection.
    let of_advisory = held.first().and_then(|row| row.get(0));
    let advisory = of_advisory.map_or(Holder::Nobody, |pid| {
        holder(&sessions, pods, |session| session.pid == pid)
    });
    let advisory_session = sessions
        .iter()
        .find(|session| Some(session.pid.as_str()) == of_advisory);
    let lease = match leases.first() {
        Some(row) if row.get(1) == Some("t") => {
            let id = row.get(0).unwrap_or_default();
            pods.clients.get(id).map_or_else(
                || holder(&sessions, pods, |session| is_of_app(&session.name, id)),
                |pod| Holder::Pod(pod.clone()),
            )
        }
        None if table && !may_read => Holder::Unseen,
        Some(_) | None => Holder::Nobody,
    };
    let lease_client = leases.first().and_then(|row| row.get(0));
    let is_its = |session: &Session| lease_client.is_some_and(|id| is_of_app(&session.name, id));
    Ok(Says {
        read_only: match (flag(0), flag(1)) {
            (true, _) => Some("it is in recovery, as a replica is"),
            (false, true) => Some("default_transaction_read_only is on"),
            (false, false) => None,
        },
        missing_right: if table && !(may_read && flag(4)) {
            Some("to read and write the table lease_lock")
        } else if table || flag(5) {
            None
        } else {
            Some("to create tables in the schema, where that of the lease is not there yet")
        },
        may_not_create: table && !flag(5),
        lease,
        advisory,
        lease_client: lease_client.map(str::to_owned),
        leaseholder_has_a_session: sessions.iter().any(is_its),
        advisory_session: advisory_session.map(|session| session.name.clone()),
        // A node built by hand calls itself "unset".
        version: versions.first().and_then(|row| row.get(0)?.parse().ok()),
        schema: migrations.first().and_then(migrated),
        postgres: server.first().and_then(|row| major_version(row.get(8)?)),
        server_start: server.first().and_then(|row| row.get(9)?.parse().ok()),
        sessions: by_pod(&sessions, pods),
        identified: pods.clients.values().cloned().collect(),
        asked_ago: asked_ago(&sessions, pods, told.elapsed()),
        begun: Beginnings {
            clock: server.first().and_then(|row| microseconds(row.get(11)?)),
            read_only_is_kept: flag(1) && is_kept(server.first()),
            of: begun(&sessions, pods),
        },
        nodes_elsewhere: nodes_elsewhere(&sessions, pods),
    })
}

/// Whether the sessions that begin now keep for ever that they may not write, where they may not.
fn is_kept(server: Option<&SimpleQueryRow>) -> bool {
    let source = server.and_then(|row| row.get(10));
    source.is_some_and(is_kept_by_sessions)
}

fn microseconds(text: &str) -> Option<Timestamp> {
    Timestamp::from_microsecond(text.parse().ok()?).ok()
}

fn migrated(row: &SimpleQueryRow) -> Option<Migrated> {
    let number = |column: usize| row.get(column)?.parse().ok();
    Some(Migrated {
        highest: number(0)?,
        applied: number(1)?,
        columns: number(2)?,
    })
}

fn nodes_elsewhere(sessions: &[Session], pods: &Known) -> usize {
    let elsewhere =
        |session: &&Session| is_named_as_node(&session.name) && pods.owner(session).is_none();
    sessions.iter().filter(elsewhere).count()
}

/// Of several sessions of one pod the one that is most like a node's counts.
fn by_pod(sessions: &[Session], pods: &Known) -> BTreeMap<PodId, SessionOf> {
    let mut found = BTreeMap::new();
    for session in sessions {
        let Some(pod) = pods.owner(session) else {
            continue;
        };
        let of = session_of(&session.name);
        let best = found.entry(pod.clone()).or_insert(of);
        *best = of.max(*best);
    }
    found
}

/// How long ago the node of a pod asked last, where one session alone is its: of two, each may be the one that waits for the
/// lock. They were told so long ago.
fn asked_ago(sessions: &[Session], pods: &Known, told_ago: Duration) -> BTreeMap<PodId, Duration> {
    let mut found: BTreeMap<PodId, Option<Duration>> = BTreeMap::new();
    let nodes = sessions
        .iter()
        .filter(|session| session_of(&session.name) == SessionOf::Node);
    for session in nodes {
        if let Some(pod) = pods.owner(session) {
            let ago = session.asked_ago.map(|ago| ago + told_ago);
            let only = found.entry(pod.clone()).and_modify(|ago| *ago = None);
            only.or_insert(ago);
        }
    }
    found
        .into_iter()
        .filter_map(|(pod, ago)| Some((pod, ago?)))
        .collect()
}

/// When the sessions of each pod's node began.
fn begun(sessions: &[Session], pods: &Known) -> BTreeMap<PodId, BTreeSet<Timestamp>> {
    let mut found = BTreeMap::<PodId, BTreeSet<Timestamp>>::new();
    let nodes = sessions
        .iter()
        .filter(|session| session_of(&session.name) != SessionOf::Stranger);
    for session in nodes {
        if let (Some(pod), Some(begun)) = (pods.owner(session), session.begun) {
            found.entry(pod.clone()).or_default().insert(begun);
        }
    }
    found
}

pub(super) async fn rows(
    client: &Client,
    sql: &str,
) -> Result<Vec<SimpleQueryRow>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .collect())
}

struct Session {
    pid: String,
    address: Option<IpAddr>,
    name: String,
    /// How long ago its last query began.
    asked_ago: Option<Duration>,
    /// When it began, by the server's clock.
    begun: Option<Timestamp>,
}

impl Session {
    fn read(row: &SimpleQueryRow) -> Self {
        let text = |column: usize| row.get(column).unwrap_or_default();
        Self {
            pid: text(0).to_owned(),
            address: text(1)
                .parse()
                .ok()
                .map(|address: IpAddr| address.to_canonical()),
            name: text(2).to_owned(),
            // Less than nothing: the server's clock was set back since.
            asked_ago: text(3).parse().ok().map(Duration::from_micros),
            begun: microseconds(text(4)),
        }
    }
}

fn holder(sessions: &[Session], pods: &Known, is: impl Fn(&Session) -> bool) -> Holder {
    let its = || sessions.iter().filter(|session| is(session));
    let pod = its().find_map(|session| pods.owner(session));
    match (pod, its().find_map(|session| session.address)) {
        (Some(pod), _) => Holder::Pod(pod.clone()),
        (None, Some(address)) => Holder::Elsewhere(address),
        (None, None) => Holder::Unseen,
    }
}

/// Why there was no answer. The server's own sentences are not passed on: they name users and databases, and a proxy
/// may say anything.
fn silence(error: &tokio_postgres::Error, url: &DatabaseUrl) -> Silence {
    if let Some(answer) = error.as_db_error() {
        let code = answer.code();
        return if code.code().starts_with("28") && url.names_client_certificate {
            Silence::new(
                Reason::LoginRefused,
                "the database URL names a client certificate, and the operator has none to show",
            )
        } else if code.code().starts_with("28") || *code == SqlState::INVALID_CATALOG_NAME {
            Silence::new(
                Reason::LoginRefused,
                format!(
                    "the database refuses the operator's login (SQLSTATE {})",
                    code.code()
                ),
            )
        } else if takes_no_connections(code.code(), answer.message()) {
            Silence::new(
                Reason::Unreachable,
                format!(
                    "the database takes no connections now (SQLSTATE {})",
                    code.code()
                ),
            )
        } else {
            Silence::new(
                Reason::QueryRefused,
                format!(
                    "the database refuses what the operator asks (SQLSTATE {})",
                    code.code()
                ),
            )
        };
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(why) = tls_error(inner) {
            return Silence::new(
                Reason::TlsFailed,
                format!("no TLS connection to the database as its sslmode asks: {why}"),
            );
        }
        cause = inner.source();
    }
    let text = error.to_string();
    if text.contains("TLS") {
        return Silence::new(
            Reason::TlsFailed,
            "no TLS connection to the database as its sslmode asks: the server offers none",
        );
    }
    Silence::new(
        Reason::Unreachable,
        "the database can't be reached from the operator's pod: a NetworkPolicy may keep it away",
    )
}

/// What rustls says of a handshake, with no name in it.
fn tls_error(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let inner = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .or_else(|| error.downcast_ref::<rustls::Error>())?;
    Some(match inner {
        // A bad signature: an authority of the same name, renewed.
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature,
        ) => "the certificate is not of a trusted authority (spec.database.ca)".to_owned(),
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::NotValidForName
            | rustls::CertificateError::NotValidForNameContext { .. },
        ) => "the certificate is not for the host in the URL".to_owned(),
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. },
        ) => "the certificate has expired".to_owned(),
        _ => "the handshake failed".to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_dot_is_looked_up_where_the_pods_are() {
        let names = ["postgres", "postgres.db", "10.0.0.7", "fd00::7"];
        assert_eq!(
            names.map(|name| seen_from_here(name, "chainlink")),
            [
                "postgres.chainlink.svc",
                "postgres.db",
                "10.0.0.7",
                "fd00::7"
            ]
        );
    }

    #[test]
    fn only_what_was_appended_is_no_part_of_the_name_to_verify() {
        let names = |hosts: &str| {
            let url = format!("postgres://cl@{hosts}/node");
            own_names(&DatabaseUrl::parse(&url).unwrap(), "chainlink")
        };
        let appended = ("postgres.chainlink.svc".to_owned(), "postgres".to_owned());
        assert_eq!(names("postgres,10.0.0.7"), [appended].into());
        assert_eq!(names("postgres.chainlink.svc"), [].into());
        assert_eq!(names("postgres.chainlink.svc,postgres"), [].into());
    }

    #[test]
    fn two_urls_lead_to_one_database_where_they_have_a_server_and_its_name_in_common() {
        let one = |one: &str, other: &str| {
            let target = |(url, namespace): (&str, &str)| {
                Target::of(&format!("postgres://{url}"), namespace).unwrap()
            };
            let read = |text: &'static str| match text.split_once(" in ") {
                Some((url, namespace)) => (url, namespace),
                None => (text, "chain"),
            };
            let (one, other) = (one.to_owned().leak(), other.to_owned().leak());
            target(read(one)).is_that_of(&target(read(other)))
        };
        for other in [
            "other:word@db:5432/node?sslmode=disable",
            "cl@DB.chain/node",
            "cl@db.chain.svc/node in elsewhere",
            "cl@db.chain.svc.cluster.local./node in elsewhere",
            "cl@replica,db/node",
        ] {
            assert!(one("cl@db/node", other), "{other}");
        }
        for other in [
            "cl@db/node in elsewhere",
            "cl@db:5433/node",
            "cl@db/other",
            "cl@dc/node",
        ] {
            assert!(!one("cl@db/node", other), "{other}");
        }
        assert_eq!(Target::of("postgres://cl@localhost/node", "chain"), None);
        assert_eq!(Target::of("nonsense", "chain"), None);
        // Versions of the node differ in the second host's port.
        assert!(one("cl@a:7,b/node", "cl@b/node"));
        assert!(one("cl@a:7,b/node", "cl@b:7/node"));
    }

    #[test]
    fn the_lease_names_the_container_that_holds_it_by_an_address_of_its_own() {
        let pod = |name: &str| PodId {
            name: name.to_owned(),
            uid: name.to_owned(),
        };
        let container = ContainerKey {
            pod_uid: "a".to_owned(),
            container_id: "c".to_owned(),
        };
        let pods = Known {
            unnamed: [(pod("a"), container.clone())].into(),
            ..Known::default()
        };
        let said = |change: fn(&mut Says)| {
            let mut says = Says {
                lease: Holder::Pod(PodId {
                    name: "a".to_owned(),
                    uid: "a".to_owned(),
                }),
                lease_client: Some("5f0cd4de".to_owned()),
                leaseholder_has_a_session: true,
                ..Says::quiet()
            };
            change(&mut says);
            says
        };
        assert_eq!(pods.names(&said(|_| {})), Some((&container, "5f0cd4de")));
        let not: [fn(&mut Says); 4] = [
            |says| says.lease = Holder::Nobody,
            |says| says.lease_client = None,
            |says| says.leaseholder_has_a_session = false,
            |says| {
                says.lease = Holder::Pod(PodId {
                    name: "b".to_owned(),
                    uid: "b".to_owned(),
                });
            },
        ];
        for not in not {
            assert_eq!(pods.names(&said(not)), None);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_told_without_a_word_of_the_url() {
        let pods = Known::default();
        let authority: &[u8] = b"nonsense";
        let cases: [(&str, Option<&[u8]>, &str); 12] = [
            ("redis://someone:geheim@db/x", None, "UrlUnreadable"),
            ("postgres://someone:gehe#im@db/x", None, "UrlUnreadable"),
            ("postgres://someone:geheim@db/x\n", None, "UrlUnreadable"),
            ("postgres://someone:geheim@a,b:7/x", None, "UrlUnreadable"),
            (
                "postgres://someone:geheim@localhost/x",
                None,
                "LocalAddress",
            ),
            ("postgres://someone:geheim@[::1]/x", None, "LocalAddress"),
            (
                "postgres://someone:geheim@LocalHost./x",
                None,
                "LocalAddress",
            ),
            ("postgres://someone:geheim@0.0.0.0/x", None, "LocalAddress"),
            (
                "postgres://someone:geheim@[::ffff:127.0.0.1]/x",
                None,
                "LocalAddress",
            ),
            (
                "postgres://someone:geheim@10.0.0.1/x?sslmode=verify-full&sslrootcert=/geheim",
                None,
                "AuthorityMissing",
            ),
            (
                "postgres://someone:geheim@10.0.0.1/x?sslmode=verify-ca",
                Some(authority),
                "AuthorityMissing",
            ),
            // An address for documentation only: nobody is there.
            ("postgres://someone:geheim@192.0.2.1/x", None, "Unreachable"),
        ];
        for (url, authority, reason) in cases {
            let question = Question {
                url,
                authority,
                namespace: "chainlink",
                pods: &pods,
            };
            let silence = ask(&question).await.unwrap_err();
            assert_eq!(silence.reason.as_str(), reason, "{}", silence.message);
            assert!(!silence.message.contains("geheim"));
            assert!(!silence.message.contains("someone"));
        }
    }
}
