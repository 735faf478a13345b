//! When the database is asked, and with what.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, ResourceExt};
use sha2::{Digest, Sha256};

use super::{Error, Pass};
use crate::api::{KeyRef, Verification};
use crate::observe::database::{Question, ask};
use crate::observe::{DatabaseWord, Holder, Observation, PodId, Silence, Verified};
use crate::plan::{Act, Census, Plan, Step, is_of_database};

/// Between two questions at rest.
const AT_REST: Duration = Duration::from_secs(60);
/// An answer that is older is asked for again right before a stop, for which it has to be fresh (rule S5).
const BEFORE_A_STOP: Duration = Duration::from_secs(1);
/// While several pods have taken a lock.
const IN_DOUBT: Duration = Duration::from_secs(5);
/// A database that did not answer is not asked again for so long: a stop does not wait twice.
const SILENT: Duration = Duration::from_secs(10);

/// Whether the operator may read the Secrets that hold the database URLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DatabaseAccess {
    /// It was installed without that right.
    #[default]
    No,
    Yes,
}

/// The last answer, and what it was the answer of.
pub(super) struct Asked {
    /// SHA-256 of the URL: another one may lead to another database.
    pub(super) url: Option<[u8; 32]>,
    word: DatabaseWord,
}

impl Pass<'_> {
    fn uid(&self) -> String {
        self.node.uid().unwrap_or_default()
    }

    fn may_ask(&self) -> bool {
        let wanted = self.node.spec.database.verification.unwrap_or_default();
        self.context.settings.database == DatabaseAccess::Yes && wanted != Verification::Never
    }

    /// What the spec asks for, and what the database said last.
    pub(super) fn verified(&self) -> Verified {
        let words = &self.context.words;
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        if self.node.spec.replicas == 0 {
            // It may be another one, or that of a backup, before anything starts again.
            words.remove(&self.uid());
        }
        let word = match self.context.settings.database {
            DatabaseAccess::Yes => words.get(&self.uid()).map(|asked| asked.word.clone()),
            DatabaseAccess::No => Some(DatabaseWord {
                at: Timestamp::MIN,
                said: Err(Silence::not_allowed()),
                held: BTreeSet::new(),
            }),
        };
        Verified {
            wanted: self.node.spec.database.verification.unwrap_or_default(),
            word,
        }
    }

    /// Asks where an answer is due: right before a stop of the active, and now and then at rest. Says whether
    /// it asked.
    pub(super) async fn ask_if_due(
        &self,
        seen: &Observation,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<bool, Error> {
        if self.is_due(seen, plan, now) {
            return Box::pin(self.ask_database()).await.map(|()| true);
        }
        Ok(false)
    }

    /// Asks again right before a stop, where the last answer is no longer fresh.
    pub(super) async fn ask_again(&self, now: Timestamp) -> Result<(), Error> {
        if self.may_ask() && self.is_old(now) {
            Box::pin(self.ask_database()).await?;
        }
        Ok(())
    }

    fn is_old(&self, now: Timestamp) -> bool {
        self.verified().word.is_none_or(|word| {
            let patience = if word.said.is_ok() {
                BEFORE_A_STOP
            } else {
                SILENT
            };
            age(&word, now) > patience
        })
    }

    /// Older than what a doubt can wait for.
    fn is_older(&self, now: Timestamp) -> bool {
        let word = self.verified().word;
        word.is_none_or(|word| age(&word, now) > IN_DOUBT)
    }

    fn is_due(&self, seen: &Observation, plan: &Plan, now: Timestamp) -> bool {
        if !self.may_ask() || seen.intent.replicas == 0 {
            return false;
        }
        let hands_over =
            |act: &Act| matches!(act, Act::Stop(permit) if permit.successor().is_some());
        let blocked = plan.situation.blocked.as_ref();
        // A version that the database is too new for would take the lock, and end.
        let first = seen.database.word.is_none()
            && plan
                .acts
                .iter()
                .any(|act| matches!(act, Act::Create { .. }));
        if first
            || plan.acts.iter().any(hands_over)
            || blocked.is_some_and(|blocked| is_of_database(&blocked.reason))
        {
            return self.is_old(now);
        }
        let census = Census::take(seen, &plan.memory, now);
        // Several have taken a lock: only the database can tell at once which of them has it now.
        let takers = seen.pods.iter().filter(|pod| census.holds(pod)).count();
        if takers > 1 {
            let sure = census.foreign.is_empty() && !census.order_unknown;
            return (!sure || !matches!(plan.situation.step, Step::Booting)) && self.is_older(now);
        }
        if !matches!(plan.situation.step, Step::Steady | Step::External) {
            return false;
        }
        let Some(word) = &seen.database.word else {
            return true;
        };
        let took = census.active.and_then(|active| active.took);
        age(word, now) >= AT_REST || took.is_some_and(|took| word.at <= took.at)
    }

    async fn ask_database(&self) -> Result<(), Error> {
        let at = Timestamp::now();
        let mut digest = None;
        let said = match self.question().await? {
            Ok((url, authority, pods)) => {
                digest = Some(Sha256::digest(&url).into());
                let namespace = self.node.namespace().unwrap_or_default();
                let question = Question {
                    url: &url,
                    authority: authority.as_deref(),
                    namespace: &namespace,
                    pods: &pods,
                };
                Box::pin(ask(&question)).await
            }
            Err(silence) => Err(silence),
        };
        if let Err(silence) = &said {
            tracing::debug!(node = %self.reference, reason = silence.reason, "the database could not be asked");
        }
        let words = &self.context.words;
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        let before = words.remove(&self.uid());
        // An answer that did not come takes nothing back.
        let digest = digest.or(before.as_ref().and_then(|before| before.url));
        let mut held = before
            .filter(|before| before.url == digest)
            .map(|before| before.word.held)
            .unwrap_or_default();
        if let Ok(says) = &said {
            for holder in [&says.lease, &says.advisory] {
                if let Holder::Pod(pod) = holder {
                    held.insert(pod.clone());
                }
            }
        }
        let word = DatabaseWord { at, said, held };
        words.insert(self.uid(), Asked { url: digest, word });
        Ok(())
    }

    /// The URL, the certificate authority and the addresses of the pods.
    async fn question(&self) -> Result<Result<Material, Silence>, Error> {
        let database = &self.node.spec.database;
        let Some(reference) = &database.url.secret_key_ref else {
            return Ok(Err(unreadable("spec.database.url names no Secret")));
        };
        let url = match self.secret_text(reference).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(silence) => return Ok(Err(silence)),
        };
        let authority = match &database.ca {
            None => None,
            Some(ca) => {
                let text = match (&ca.secret_key_ref, &ca.config_map_key_ref) {
                    (Some(reference), _) => self.secret_text(reference).await,
                    (None, Some(reference)) => self.config_map_text(reference).await,
                    (None, None) => Err(unreadable("spec.database.ca names nothing")),
                };
                match text {
                    Ok(text) => Some(text),
                    Err(silence) => return Ok(Err(silence)),
                }
            }
        };
        let pods = self.looker.addresses().await.map_err(|source| Error::Api {
            doing: "reading the addresses of the pods",
            source,
        })?;
        Ok(Ok((url, authority, pods)))
    }

    async fn secret_text(&self, reference: &KeyRef) -> Result<Vec<u8>, Silence> {
        let api: Api<Secret> = self.namespaced();
        let secret = api
            .get_opt(&reference.name)
            .await
            .map_err(|error| refused("Secret", reference, &error))?;
        secret
            .and_then(|secret| secret.data?.remove(&reference.key))
            .map(|bytes| bytes.0)
            .ok_or_else(|| missing("Secret", reference))
    }

    async fn config_map_text(&self, reference: &KeyRef) -> Result<Vec<u8>, Silence> {
        let api: Api<ConfigMap> = self.namespaced();
        let map = api
            .get_opt(&reference.name)
            .await
            .map_err(|error| refused("ConfigMap", reference, &error))?;
        map.and_then(|map| map.data?.remove(&reference.key))
            .map(String::into_bytes)
            .ok_or_else(|| missing("ConfigMap", reference))
    }

    fn namespaced<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(
            self.context.client.clone(),
            &self.node.namespace().unwrap_or_default(),
        )
    }
}

type Material = (String, Option<Vec<u8>>, BTreeMap<IpAddr, PodId>);

fn age(word: &DatabaseWord, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(word.at)).unwrap_or_default()
}

fn unreadable(message: impl Into<String>) -> Silence {
    Silence {
        reason: "ReferenceUnreadable",
        message: message.into(),
    }
}

fn missing(kind: &str, reference: &KeyRef) -> Silence {
    let KeyRef { name, key } = reference;
    unreadable(format!("there is no {kind} {name} with a key {key}"))
}

/// The API server's sentence is passed on only as far as it is known to say nothing of the content.
fn refused(kind: &str, reference: &KeyRef, error: &kube::Error) -> Silence {
    let name = &reference.name;
    match error {
        kube::Error::Api(status) if status.is_forbidden() => {
            unreadable(format!("the operator may not read the {kind} {name}"))
        }
        _ => unreadable(format!("the API server did not give the {kind} {name}")),
    }
}
