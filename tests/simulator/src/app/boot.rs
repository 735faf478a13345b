//! From the lock to `Listening`.

use std::time::Duration;

use super::{BOOT, Node};
use crate::database::{self, Keys, Progress, Wishes};
use crate::exit::Exit;
use crate::http::{self, Server};
use crate::log::{Logger, lines, v2_29};
use crate::pg::{QUERY_TIMEOUT, Session};
use crate::version::Generation;

impl Node {
    /// Interrupted by a request to stop, it ends with the error of the step it was in.
    pub(super) async fn boot(&self, locks_first: bool) -> Result<Server, Exit> {
        let progress = Progress::default();
        tokio::select! {
            booted = self.boot_steps(locks_first, &progress) => booted,
            () = self.stop.requested() => {
                if self.version.has_startup_health_report() && progress.current().is_some() {
                    self.log.log(&lines::report_done());
                }
                if let Some(took) = self.stop.since_request() {
                    self.log.graceful_shutdown_time(took);
                }
                let before = self.version.before_the_database_was_prepared();
                Err(Exit::failed(match progress.current() {
                    // Measured on 2.18.
                    Some(number) => format!(
                        "{before}: initializeORM#Migrate: partial migration error \
                         (type:sql,version:{number}): timeout: context canceled; sql: transaction has already been \
                         committed or rolled back"
                    ),
                    None => "error starting app: aborting start: context canceled".to_owned(),
                }))
            }
        }
    }

    async fn boot_steps(&self, locks_first: bool, progress: &Progress) -> Result<Server, Exit> {
        self.crash_from_here("crash-after-takeover");
        let boot = self.settings.duration("boot", BOOT);
        let temporary = self.version.has_startup_health_report();
        let server = if temporary {
            self.log.log(&lines::report_starting());
            http::temporary(self.config.http_port).await
        } else {
            None
        };
        let prepared = self.prepare_database(boot / 7, progress).await;
        drop(server);
        if temporary {
            self.log.log(&lines::report_done());
        }
        let session = prepared.map_err(|why| {
            let before = self.version.before_the_database_was_prepared();
            self.hook_failed(Exit::failed(format!("{before}: {why}")))
        })?;
        if locks_first {
            self.announce();
            self.config.validate(&self.version, &self.password)?;
        }
        let slow = self
            .settings
            .fault_duration("slow-boot", Duration::from_secs(20))
            .unwrap_or_default();
        self.unlock(&session, boot * 4 / 7 + slow).await?;
        super::files::session_secret(&self.config.root_path())?;
        self.start_services();
        tokio::time::sleep(boot / 7).await;
        self.log
            .log(&lines::booted(self.started.elapsed(), &self.app_id));
        Ok(self.listen())
    }

    /// After a delay from here on the process ends as if it had run into a panic.
    pub(super) fn crash_from_here(&self, fault: &'static str) {
        if let Some(delay) = self.settings.fault_duration(fault, Duration::ZERO) {
            let log = self.log.clone();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                panic_on_request(&log, fault);
            });
        }
    }

    /// It is the number that counts, so that the end is the same however slow the machine is.
    fn crash_at_migration(&self, reached: u32) {
        let fault = "crash-at-migration";
        let number = self
            .settings
            .fault(fault)
            .and_then(|text| text.parse().ok());
        if number.is_some_and(|number: u32| reached >= number) {
            panic_on_request(&self.log, fault);
        }
    }

    /// Version guard, backup, migrations, version note: what the temporary server covers.
    async fn prepare_database(
        &self,
        pause: Duration,
        progress: &Progress,
    ) -> Result<Session, String> {
        // The pool's next connection: the lock keeps its own.
        let session = self
            .database
            .connect(QUERY_TIMEOUT)
            .await
            .map_err(|error| error.to_string())?;
        let skip = self.version.may_skip_version_check()
            && std::env::var("CL_SKIP_APP_VERSION_CHECK").is_ok_and(|value| value == "true");
        let before = match database::check_version(&session, &self.version).await {
            Err(_) if skip => None,
            checked => checked?,
        };
        let upgrade = before.is_some_and(|before| before < self.version.semver);
        if upgrade && self.config.backup_on_upgrade == Some(true) {
            self.back_up().await?;
        }
        tokio::time::sleep(pause).await;
        if self.config.migrate {
            let extra = self.settings.duration("migration", Duration::ZERO);
            let extra = extra
                + self
                    .settings
                    .fault_duration("slow-migration", Duration::from_secs(20))
                    .unwrap_or_default();
            let wishes = Wishes {
                extra,
                reached: &|number| self.crash_at_migration(number),
            };
            database::migrate(&session, &self.version, &self.log, &wishes, progress)
                .await
                .map_err(|error| format!("initializeORM#Migrate: {error}"))?;
        }
        database::note_version(&session, &self.version)
            .await
            .map_err(|error| format!("UpsertNodeVersion: {error}"))?;
        Ok(session)
    }

    async fn back_up(&self) -> Result<(), String> {
        let server = if self.version.has_backup_health_report() {
            http::temporary(self.config.http_port).await
        } else {
            None
        };
        self.log
            .log(&lines::backup("Upgrade backup: starting pg_dump"));
        if self.settings.fault("backup-fails").is_some() {
            return Err("initializeORM#RunBackup: pg_dump failed: exec: \"pg_dump\": executable file not found in $PATH"
                .to_owned());
        }
        tokio::time::sleep(self.settings.duration("backup", Duration::from_millis(300))).await;
        self.log.log(&lines::backup("Upgrade backup: completed"));
        drop(server);
        Ok(())
    }

    fn tell_what_is_off(&self) {
        self.log.log(&lines::nurse_disabled());
        if self.config.backup_on_upgrade.is_none() {
            self.log
                .log(&lines::backups_disabled(self.config.from_toml));
        }
    }

    async fn unlock(&self, session: &Session, pause: Duration) -> Result<(), Exit> {
        let newest = self.version.generation() == Generation::V2_29;
        if !newest {
            self.tell_what_is_off();
        }
        let keys = database::keys(session, &self.password).await;
        let keys = keys.map_err(|why| {
            Exit::failed(if self.version.unlocks_in_the_factory() {
                format!("fatal error instantiating application: {why}")
            } else {
                why
            })
        })?;
        if newest {
            self.tell_keys_as_2_29(&keys, pause).await;
        } else {
            self.tell_keys(&keys, pause).await;
        }
        let credentials = self
            .api
            .as_deref()
            .map(super::files::credentials)
            .transpose();
        let credentials = credentials.map_err(Exit::failed)?;
        let user = database::user(session, credentials.as_ref())
            .await
            .map_err(Exit::failed)?;
        // 1.11 says it at the first boot too, and twice at later ones.
        let first_generation = self.version.generation() == Generation::V1_11;
        let times = usize::from(!user.created) + usize::from(first_generation);
        for _ in 0..times {
            self.log.log(&lines::assumed_api_user(&user.email));
        }
        self.log.log(&lines::api_exposed(&user.email));
        Ok(())
    }

    async fn tell_keys(&self, keys: &Keys, pause: Duration) {
        if keys.created {
            self.log.log(&lines::created_p2p_key(&keys.p2p));
        }
        tokio::time::sleep(pause).await;
        if keys.created {
            self.log.log(&lines::created_csa_key(&keys.csa));
        } else {
            self.log.log(&lines::unlocked_csa_key(&keys.csa));
            self.log.log(&lines::unlocked_p2p_key(&keys.p2p));
        }
    }

    /// One key before the application, the others in it.
    async fn tell_keys_as_2_29(&self, keys: &Keys, pause: Duration) {
        if keys.created {
            self.log.log(&v2_29::created_key("CSA", &keys.csa));
        }
        tokio::time::sleep(pause / 2).await;
        for line in v2_29::billing() {
            self.log.log(&line);
        }
        self.tell_what_is_off();
        if keys.created {
            self.log.log(&v2_29::created_key("P2P", &keys.p2p));
            self.log.log(&v2_29::created_key("Workflow", &keys.csa));
        }
        tokio::time::sleep(pause / 2).await;
    }

    fn start_services(&self) {
        let generation = self.version.generation();
        match generation {
            Generation::V1_11 => {}
            Generation::V1_13 => self.log.log(&lines::no_feeds_error()),
            _ => self.log.log(&lines::no_feeds()),
        }
        if self.config.evm_off_by_env || generation == Generation::V2_1 {
            self.log.log(&lines::evm_disabled());
        }
        match generation {
            Generation::V1_11 => {}
            Generation::V2_18 => lines::services_started()
                .iter()
                .for_each(|line| self.log.log(line)),
            Generation::V2_29 => v2_29::services_started()
                .iter()
                .for_each(|line| self.log.log(line)),
            _ => self.log.log(&lines::runs_pruned()),
        }
    }
}

/// As a panic ends the real one: nothing is released.
fn panic_on_request(log: &Logger, fault: &str) -> ! {
    log.plain(&format!("panic: fault on request: {fault}"));
    std::process::exit(2)
}
