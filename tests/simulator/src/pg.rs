//! One connection to `PostgreSQL`, failing in the order in which Go's `database/sql` fails: a broken connection first says
//! `driver: bad connection`, from then on `sql: connection is already closed`. The lock's behaviour hangs on that.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row};

/// `DATABASE_DEFAULT_QUERY_TIMEOUT`, also the time that a dial may take.
pub(crate) const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// Measured on 2.18: releasing a lease whose table is locked fails after 10 s with SQLSTATE 55P03.
const LOCK_TIMEOUT: &str = "10s";

#[derive(Debug)]
pub(crate) enum DbError {
    /// The server's answer, with its SQLSTATE.
    Sql(String),
    Timeout,
    /// The connection broke under this call.
    Bad,
    /// It was broken before: `sql.ErrConnDone`.
    Done,
    /// No connection could be made.
    Dial(String),
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(text) | Self::Dial(text) => f.write_str(text),
            Self::Timeout => f.write_str("timeout: context deadline exceeded"),
            Self::Bad => f.write_str("driver: bad connection"),
            Self::Done => f.write_str("sql: connection is already closed"),
        }
    }
}

/// Where and as whom to connect.
#[derive(Clone)]
pub(crate) struct Database {
    config: tokio_postgres::Config,
    description: String,
}

impl Database {
    /// TLS is not spoken: `sslmode` and other parameters are dropped.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let bare = url.split_once('?').map_or(url, |(bare, _)| bare);
        let mut config: tokio_postgres::Config = bare
            .parse()
            .map_err(|error| format!("cannot parse the database URL: {error}"))?;
        config.connect_timeout(QUERY_TIMEOUT);
        let host = match config.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
            Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let description = format!(
            "failed to connect to `host={host} user={} database={}`",
            config.get_user().unwrap_or_default(),
            config.get_dbname().unwrap_or_default()
        );
        Ok(Self {
            config,
            description,
        })
    }

    /// `application_name` is what tells who holds a lock; Postgres cuts it at 63 bytes.
    pub(crate) fn named(&self, application_name: &str) -> Self {
        let mut named = self.clone();
        named.config.application_name(application_name);
        named
    }

    pub(crate) async fn connect(&self, timeout: Duration) -> Result<Session, DbError> {
        let mut config = self.config.clone();
        config.options(format!("-c lock_timeout={LOCK_TIMEOUT} -c timezone=UTC"));
        let dial = tokio::time::timeout(timeout, config.connect(NoTls)).await;
        let failed = |why: String| DbError::Dial(format!("{}: {why}", self.description));
        match dial {
            Err(_) => Err(failed(
                "dial error (timeout: context deadline exceeded)".to_owned(),
            )),
            Ok(Err(error)) => Err(failed(match error.as_db_error() {
                Some(answer) => {
                    format!(
                        "server error (FATAL: {} (SQLSTATE {}))",
                        answer.message(),
                        answer.code().code()
                    )
                }
                None => format!("dial error ({})", chain(&error)),
            })),
            Ok(Ok((client, connection))) => {
                let task = tokio::spawn(async move {
                    // Its end shows in the client; the error itself is not needed.
                    let _ = connection.await;
                });
                Ok(Session {
                    client,
                    task,
                    state: Cell::new(State::Good),
                })
            }
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), chain)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// A call timed out; the next one says that the connection is bad.
    Abandoned,
    Done,
}

pub(crate) struct Session {
    client: Client,
    task: JoinHandle<()>,
    state: Cell<State>,
}

impl Drop for Session {
    /// Closes the socket even if bytes are stuck in it.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    pub(crate) async fn execute(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        timeout: Option<Duration>,
    ) -> Result<u64, DbError> {
        self.guarded(self.client.execute(sql, parameters), timeout)
            .await
    }

    pub(crate) async fn query(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        timeout: Option<Duration>,
    ) -> Result<Vec<Row>, DbError> {
        self.guarded(self.client.query(sql, parameters), timeout)
            .await
    }

    pub(crate) async fn batch(&self, sql: &str, timeout: Option<Duration>) -> Result<(), DbError> {
        self.guarded(self.client.batch_execute(sql), timeout).await
    }

    async fn guarded<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
        timeout: Option<Duration>,
    ) -> Result<T, DbError> {
        match self.state.get() {
            State::Good => {}
            State::Abandoned => {
                self.state.set(State::Done);
                return Err(DbError::Bad);
            }
            State::Done => return Err(DbError::Done),
        }
        let answer = match timeout {
            Some(timeout) => tokio::time::timeout(timeout, call).await,
            None => Ok(call.await),
        };
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(match error.as_db_error() {
                // Class 57P: the server ends the connection (restart, pg_terminate_backend).
                Some(answer) if !answer.code().code().starts_with("57P") => DbError::Sql(format!(
                    "ERROR: {} (SQLSTATE {})",
                    answer.message(),
                    answer.code().code()
                )),
                _ => {
                    self.state.set(State::Done);
                    DbError::Bad
                }
            }),
            Err(_) => {
                self.state.set(State::Abandoned);
                Err(DbError::Timeout)
            }
        }
    }
}
