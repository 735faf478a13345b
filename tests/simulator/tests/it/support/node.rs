//! A running simulator: its configuration, its log, its end.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::postgres::Database;
use super::{eventually, free_port, signal};

/// How to start a node; change what the test is about.
#[derive(Clone)]
pub struct Setup {
    pub version: String,
    pub url: String,
    pub port: u16,
    /// v1's way; TOML otherwise.
    pub by_env: bool,
    /// TOML behind the usual, or v1's variables.
    pub toml: String,
    pub env: BTreeMap<String, String>,
    pub json: bool,
    pub level: &'static str,
    pub lease: &'static str,
    pub refresh: &'static str,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Setup {
    /// Five times as fast as a real node: the lease lasts 2 s and is refreshed every 200 ms.
    pub fn new(version: &str, database: &Database) -> Self {
        Self {
            version: version.to_owned(),
            url: database.url(),
            port: free_port(),
            by_env: version.starts_with("1."),
            toml: String::new(),
            env: BTreeMap::from([("SIMULATOR_BOOT".to_owned(), "140ms".to_owned())]),
            json: false,
            level: "info",
            lease: "2s",
            refresh: "200ms",
        }
    }

    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn again(&self) -> Self {
        Self {
            port: free_port(),
            ..self.clone()
        }
    }

    pub fn start(&self) -> Node {
        let folder = self.prepare();
        let mut command = self.command(&folder);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stderr, sink) = (child.stderr.take().unwrap(), lines.clone());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                sink.lock().unwrap().push(line);
            }
        });
        Node {
            child,
            lines,
            reader: Some(reader),
            folder,
            port: self.port,
            end: None,
        }
    }

    /// Runs to the end: exit code, stdout, stderr.
    pub fn run(&self, replace: &[&str]) -> (Option<i32>, String, String) {
        let folder = self.prepare();
        let mut command = self.command(&folder);
        if !replace.is_empty() {
            command = self.bare(&folder);
            command.args(replace);
        }
        let output = command.output().unwrap();
        let _ = fs::remove_dir_all(&folder);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn prepare(&self) -> PathBuf {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("simulator-node-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write("password", "ThisIsAKeystorePassword\n");
        write("short", "TooShort\n");
        write("api-short", "user@example.com\nTooShort\n");
        write("api-one-line", "user@example.com");
        write("api", "user@example.com\nThisIsAnApiPassword\n");
        write("secrets.toml", &format!("[Database]\nURL='{}'\n", self.url));
        write(
            "config.toml",
            &format!(
                "RootDir='{}/root'\n[Log]\nLevel='{}'\nJSONConsole={}\n[Log.File]\nMaxSize='0b'\n[WebServer]\n\
                 HTTPPort={}\n[WebServer.TLS]\nHTTPSPort=0\n",
                folder.display(),
                self.level,
                self.json,
                self.port
            ),
        );
        let lock = format!(
            "[Database.Lock]\nLeaseDuration='{}'\nLeaseRefreshInterval='{}'\n",
            self.lease, self.refresh
        );
        write("lock.toml", &lock);
        write("more.toml", &self.toml);
        folder
    }

    /// Nothing of this test's own environment reaches the node.
    fn bare(&self, folder: &PathBuf) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chainlink-simulator"));
        command.env_clear().current_dir(folder);
        command
            .env("HOME", folder)
            .env("HOSTNAME", format!("node-{}", self.port));
        command
            .env("SIMULATOR_VERSION", &self.version)
            .envs(&self.env);
        command
    }

    fn command(&self, folder: &PathBuf) -> Command {
        let mut command = self.bare(folder);
        if self.by_env {
            let root = folder.join("root").display().to_string();
            command
                .args(["local", "n", "-p", "password", "-a", "api"])
                .envs([
                    ("DATABASE_URL", self.url.as_str()),
                    ("ROOT", &root),
                    ("CHAINLINK_PORT", &self.port.to_string()),
                    ("CHAINLINK_TLS_PORT", "0"),
                    ("EVM_ENABLED", "false"),
                    ("LOG_LEVEL", self.level),
                    ("JSON_CONSOLE", &self.json.to_string()),
                    ("LEASE_LOCK_DURATION", self.lease),
                    ("LEASE_LOCK_REFRESH_INTERVAL", self.refresh),
                    ("ADVISORY_LOCK_CHECK_INTERVAL", self.refresh),
                ]);
            command.envs(&self.env);
        } else {
            command.args([
                "node",
                "-c",
                "config.toml",
                "-c",
                "lock.toml",
                "-c",
                "more.toml",
                "-s",
                "secrets.toml",
            ]);
            command.args(["start", "-p", "password", "-a", "api"]);
        }
        command
    }
}

pub struct Node {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    folder: PathBuf,
    pub port: u16,
    end: Option<ExitStatus>,
}

impl Node {
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn has(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    /// Waits for a line of its log.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        let mut seen = Vec::new();
        let start = std::time::Instant::now();
        while !seen.iter().any(|line: &String| line.contains(text)) {
            assert!(
                start.elapsed().as_secs() < 40,
                "never said {text:?}:\n{}",
                seen.join("\n")
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
            seen = self.lines();
        }
        self
    }

    /// Waits for the waiting line of a try.
    #[track_caller]
    pub fn waits(&self, tries: u32) -> &Self {
        let console = format!("tryCount={tries} ");
        let json = format!("\"tryCount\":{tries}}}");
        eventually(&format!("try {tries}"), || {
            (self.has(&console) || self.has(&json)).then_some(())
        });
        self
    }

    #[track_caller]
    pub fn listens(&self) -> &Self {
        self.says("Listening and serving HTTP");
        eventually("an answer", || super::probe::get(self.port, "/health"));
        self
    }

    pub fn signal(&self, name: &str) -> &Self {
        signal(self.child.id(), name);
        self
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end; the exit code as the transcripts have it (-9 for SIGKILL).
    #[track_caller]
    pub fn exits(&mut self) -> i32 {
        let status = eventually("the end of the node", || self.child.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.end = Some(status);
        let by_signal = std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or_default();
        status.code().unwrap_or(-by_signal)
    }

    /// The exit code, if it ends within this time.
    pub fn try_exits(&mut self, patience: std::time::Duration) -> Option<i32> {
        let until = std::time::Instant::now() + patience;
        while self.is_running() {
            if std::time::Instant::now() > until {
                return None;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Some(self.exits())
    }

    pub fn last_line(&self) -> String {
        self.lines().last().cloned().unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- log of the node on {}:\n{}",
                self.port,
                self.lines().join("\n")
            );
        }
        if self.end.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
