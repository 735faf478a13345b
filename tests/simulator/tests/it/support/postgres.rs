//! A `PostgreSQL` of the test's own, in a temporary folder, gone when the test is (also when it is killed: the server's
//! parent is a shell that waits for our end of its standard input).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::{eventually, free_port, signal};

/// Sixteen characters, or a node with TOML refuses it.
const PASSWORD: &str = "ThisIsALongPassword123";

pub struct Postgres {
    folder: PathBuf,
    port: u16,
    server: Option<Child>,
}

/// A database in it, for one test.
pub struct Database {
    pub postgres: Arc<Postgres>,
    pub name: String,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Postgres {
    /// The server that tests share which leave it alone; it ends with the last of them.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let postgres = Arc::new(Self::own());
            *shared = Arc::downgrade(&postgres);
            postgres
        })
    }

    pub fn own() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("simulator-pg-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let init = as_server_user("initdb")
            .args([
                "-D",
                &folder.join("data").display().to_string(),
                "-U",
                "postgres",
                "-A",
                "trust",
                "--no-sync",
            ])
            .output()
            .unwrap();
        assert!(
            init.status.success(),
            "{}",
            String::from_utf8_lossy(&init.stderr)
        );
        let mut postgres = Self {
            folder,
            port: free_port(),
            server: None,
        };
        postgres.start();
        postgres
    }

    pub fn start(&mut self) {
        let script = format!(
            "{} -D {folder}/data -p {} -k {folder} -h 127.0.0.1 -F -c max_connections=200 >>{folder}/log 2>&1 & \
             echo $! >{folder}/pid; cat >/dev/null; kill -QUIT $(cat {folder}/pid); wait",
            binary("postgres").display(),
            self.port,
            folder = self.folder.display()
        );
        let server = command_as_server_user("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        self.server = Some(server);
        eventually("the server answers", || {
            self.try_sql("postgres", "SELECT 1")
        });
    }

    /// As an administrator's restart: sessions are ended, nothing is lost.
    pub fn stop(&mut self) {
        let pid = fs::read_to_string(self.folder.join("pid")).unwrap();
        signal(pid.trim().parse().unwrap(), "INT");
        eventually("the server is gone", || {
            (!self.folder.join("data/postmaster.pid").exists()).then_some(())
        });
        self.end_shell();
    }

    fn end_shell(&mut self) {
        if let Some(mut shell) = self.server.take() {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql).output().unwrap();
        assert!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn try_sql(&self, database: &str, sql: &str) -> Option<String> {
        let output = self.psql(database, sql).output().unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// A command that runs `sql`; spawn it to keep a session open.
    pub fn psql(&self, database: &str, sql: &str) -> Command {
        let mut psql = Command::new(binary("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-p",
            &self.port.to_string(),
        ])
        .args(["-d", database, "-c", sql]);
        psql
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end_shell();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Database {
    pub fn create(postgres: Arc<Postgres>) -> Self {
        let name = format!("node_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        postgres.sql("postgres", &format!("CREATE DATABASE {name}"));
        Self { postgres, name }
    }

    pub fn shared() -> Self {
        Self::create(Postgres::shared())
    }

    pub fn url(&self) -> String {
        self.url_through(self.postgres.port())
    }

    /// With a proxy between.
    pub fn url_through(&self, port: u16) -> String {
        format!(
            "postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/{}?sslmode=disable",
            self.name
        )
    }

    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.postgres.sql(&self.name, sql)
    }

    /// Begins to lock the table of the lease: nobody can refresh it or give it back.
    pub fn lock_the_lease(&self) -> LockedLease<'_> {
        let lock = "BEGIN; LOCK TABLE lease_lock; SELECT pg_sleep(60)";
        let mut session = self.postgres.psql(&self.name, lock);
        LockedLease {
            database: self,
            session: session.stdout(Stdio::null()).spawn().unwrap(),
        }
    }

    /// A setting of the simulator.
    pub fn set(&self, key: &str, value: &str) {
        self.sql(&format!(
            "CREATE TABLE IF NOT EXISTS simulator_settings (key text PRIMARY KEY, value text);
             INSERT INTO simulator_settings VALUES ('{key}', '{value}')
             ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value"
        ));
    }
}

/// A session that locks the table of the lease.
pub struct LockedLease<'a> {
    database: &'a Database,
    session: Child,
}

impl LockedLease<'_> {
    /// Waits until it has the lock.
    pub fn is_held(&self) {
        let held = "SELECT 1 FROM pg_locks WHERE relation = 'lease_lock'::regclass AND mode = 'AccessExclusiveLock' AND granted";
        eventually("the table is locked", || {
            (self.database.sql(held) == "1").then_some(())
        });
    }

    pub fn end(mut self) {
        self.database.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE query LIKE 'BEGIN; LOCK%' AND datname = current_database()",
        );
        self.session.wait().unwrap();
    }
}

/// The server refuses to run as root.
fn as_server_user(name: &str) -> Command {
    command_as_server_user(binary(name))
}

fn command_as_server_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let me = fs::metadata("/proc/self")
        .map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata))
        .unwrap();
    if me == 0 {
        let line = passwd
            .lines()
            .find(|line| line.starts_with("postgres:"))
            .expect("a user named postgres");
        let ids: Vec<u32> = line
            .split(':')
            .skip(2)
            .take(2)
            .map(|id| id.parse().unwrap())
            .collect();
        command.uid(ids[0]).gid(ids[1]);
    }
    command
}

fn binary(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    versions.sort();
    let found = versions
        .iter()
        .rev()
        .map(|version| version.join("bin").join(name))
        .find(|path| path.exists());
    found.unwrap_or_else(|| Path::new(name).to_path_buf())
}
