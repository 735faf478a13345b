//! The life of a node, in the order of the real one: configuration, lock, boot, duty, end.

mod boot;
mod files;
mod poll;
mod stop;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cli::{Cli, StartFiles};
use crate::config::Config;
use crate::duty::{Kind, Recorder};
use crate::exit::Exit;
use crate::http;
use crate::lock::{Held, Taker};
use crate::log::{Logger, lines};
use crate::pg::{Database, DbError, QUERY_TIMEOUT, Session};
use crate::settings::Settings;
use crate::signals::{Signals, Stop};
use crate::version::NodeVersion;

/// From the lock to `Listening`, unless a test wants another (real nodes: 0.7 s to more than 10 s).
const BOOT: Duration = Duration::from_millis(700);

/// Of `urfave/cli`, as far as it matters to who reads a log.
const HELP: &str = "NAME:\n   chainlink node start - Run the Chainlink node\n\nUSAGE:\n   chainlink node start [command options] [arguments...]\n\nOPTIONS:\n   --api value, -a value       text file holding the API email and password, each on a line\n   --password value, -p value  text file holding the password for the node's account\n";

pub(crate) struct Node {
    config: Config,
    version: NodeVersion,
    settings: Arc<Settings>,
    log: Logger,
    database: Database,
    recorder: Rc<Recorder>,
    stop: Stop,
    app_id: String,
    password: String,
    /// The `-a` file.
    api: Option<String>,
    started: Instant,
}

pub(crate) async fn run(cli: &Cli, start: &StartFiles, version: &NodeVersion) -> Result<u8, Exit> {
    let started = Instant::now();
    let signals = Signals::catch(started)
        .map_err(|error| Exit::failed(format!("cannot handle signals: {error}")))?;
    let settings = Arc::new(Settings::from_env(&version.semver.to_string()));
    let config = Config::read(cli, version)?;
    let database = Database::parse(&config.database_url);
    let first_look = match &database {
        Ok(database) => poll::first_look(database, &settings).await,
        Err(_) => Ok(()),
    };
    let log = Logger::new(config.log_level, config.log_json, version, settings.clone());
    if settings.fault("crash-at-start").is_some() {
        return Err(Exit::failed("fault on request: crash-at-start"));
    }
    let password = files::password(start, &config)?;
    files::root_dir(&config, version)?;
    let locks_first = version.locks_before_starting();
    if !locks_first {
        config.validate(version, &password)?;
    }
    let database = database.map_err(|error| not_opened(&error))?;
    tokio::task::spawn_local(poll::keep_looking(database.clone(), settings.clone()));

    let app_id = uuid::Uuid::new_v4().to_string();
    let number = version.semver.to_string();
    let recorder = Rc::new(Recorder::new(&database, settings.clone(), &app_id, &number));
    let tells = version.tells_of_a_stop_while_it_waits();
    let stop = signals.listen(log.clone(), settings.clone(), tells);
    let node = Node {
        database: database.named(&format!("Chainlink {number} |App|{app_id}")),
        version: version.clone(),
        config,
        settings,
        log,
        recorder,
        stop,
        app_id,
        password,
        api: start.api.clone(),
        started,
    };
    node.live(locks_first, first_look).await
}

fn not_opened(error: &impl std::fmt::Display) -> Exit {
    Exit::failed(format!("opening db: failed to open db: {error}"))
}

impl Node {
    /// Where the first look found no database, the node ends where it would have: what it is to do is not known.
    async fn live(&self, locks_first: bool, first_look: Result<(), DbError>) -> Result<u8, Exit> {
        if !locks_first {
            self.announce();
        }
        first_look.map_err(|error| not_opened(&error))?;
        let session = self.open().await?;
        let held = match self.take_lock(session).await {
            Ok(held) => held,
            Err(exit) => {
                if let Some(took) = self.stop.since_request() {
                    self.log.graceful_shutdown_time(took);
                }
                return Err(exit);
            }
        };
        let booted = self.boot(locks_first).await;
        let server = match booted {
            Ok(server) => server,
            Err(exit) => {
                if !self.version.leaves_its_lock_at_a_failed_boot() {
                    held.release().await;
                }
                self.recorder.flush(false).await;
                return Err(exit);
            }
        };
        self.recorder.record(Kind::Listening);
        self.crash_from_here("crash-after-listening");
        tokio::select! {
            () = self.recorder.tick() => {}
            () = self.stop.requested() => {}
        }
        self.recorder.record(Kind::Stopping);
        drop(server);
        Ok(self.shut_down(held).await)
    }

    /// Where the hook of the command fails that opens the database, takes the lock and migrates, the command's help comes first.
    fn hook_failed(&self, exit: Exit) -> Exit {
        if self.version.helps_where_its_hook_fails() {
            println!("{HELP}");
        }
        exit
    }

    fn announce(&self) {
        self.stop.tell();
        for complaint in &self.config.complaints {
            self.log.log(&lines::complaint(complaint));
        }
        self.log.log(&lines::configuration(&self.config));
        self.log.log(&lines::starting(&self.version));
    }

    /// One try: a database that cannot be reached ends the node before the lock.
    async fn open(&self) -> Result<Session, Exit> {
        let session = tokio::select! {
            session = self.database.connect(QUERY_TIMEOUT) => session,
            () = self.stop.requested() => return Err(Exit::failed("opening db: stopped")),
        };
        let session = session.map_err(|error| self.hook_failed(not_opened(&error)))?;
        self.look_at_server(&session).await?;
        Ok(session)
    }

    /// The server's version is looked at where the database is opened, before the lock (`pg/connection.go`; read).
    async fn look_at_server(&self, session: &Session) -> Result<(), Exit> {
        let oldest = self.version.oldest_postgres();
        if std::env::var("SKIP_PG_VERSION_CHECK").is_ok_and(|value| value == "true") {
            return Ok(());
        }
        let runs = match self.settings.fault("postgres") {
            Some(pretended) => pretended.parse().unwrap_or(oldest),
            None => session
                .query(
                    "SELECT current_setting('server_version_num')::int / 10000",
                    &[],
                    Some(QUERY_TIMEOUT),
                )
                .await
                .ok()
                .and_then(|rows| u32::try_from(rows.first()?.get::<_, i32>(0)).ok())
                .unwrap_or(oldest),
        };
        if runs >= oldest {
            return Ok(());
        }
        let why = format!(
            "the minimum required Postgres server version is {oldest}, you are running: {runs}"
        );
        Err(self.hook_failed(not_opened(&why)))
    }

    async fn take_lock(&self, session: Session) -> Result<Held, Exit> {
        self.log.log(&lines::stat_reporter());
        self.log
            .log(&lines::locking_mode(self.config.lock_mode.as_str()));
        if self.settings.fault("never-wait").is_some() {
            self.stop.requested().await;
            return Err(Exit::failed("opening db: stopped"));
        }
        let mode = match self.settings.fault("ignore-lock") {
            Some(_) => crate::config::LockMode::None,
            None => self.config.lock_mode,
        };
        let taker = Taker {
            config: &self.config,
            database: &self.database,
            log: &self.log,
            recorder: &self.recorder,
            app_id: &self.app_id,
            logs_swallowed_errors: self.version.logs_swallowed_errors(),
            loses_the_release: self.version.loses_the_release_in_a_refresh(),
        };
        taker.take(mode, session, &self.stop).await
    }

    /// The real server, or none where the port is taken: the node works without.
    fn listen(&self) -> http::Server {
        self.log
            .log(&lines::listening(&self.version, self.config.http_port));
        http::serve(&self.config, &self.version, &self.settings, &self.log)
    }
}
