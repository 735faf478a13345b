//! Whether and when the database is asked, and where its answer is kept. What an answer is worth is for the planner to say.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::PoisonError;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, ResourceExt};
use sha2::{Digest, Sha256};

use super::scene::Pass;
use crate::api::{KeyRef, Verification};
use crate::controller::context::DatabaseAccess;
use crate::controller::error::Error;
use crate::controller::local::Asked;
use crate::domain::{Observation, PodId, Silence};
use crate::observe::database::{Question, Target, ask};
use crate::plan::{Plan, is_due, is_stale};

impl Pass<'_> {
    fn may_ask(&self) -> bool {
        let wanted = self.node.spec.database.verification.unwrap_or_default();
        self.context.settings.database == DatabaseAccess::Yes && wanted != Verification::Never
    }

    /// Asks where an answer is due: right before a stop of the active, and now and then. Says whether it asked.
    pub(super) async fn ask_if_due(
        &self,
        seen: &Observation,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<bool, Error> {
        if self.may_ask() && is_due(seen, plan, now) {
            return Box::pin(self.ask_database()).await.map(|()| true);
        }
        Ok(false)
    }

    /// Asks again right before a stop, where the last answer is no longer fresh.
    pub(super) async fn ask_again(&self, now: Timestamp) -> Result<(), Error> {
        if self.may_ask() && is_stale(&self.verified(), now) {
            Box::pin(self.ask_database()).await?;
        }
        Ok(())
    }

    async fn ask_database(&self) -> Result<(), Error> {
        let at = Timestamp::now();
        let (mut digest, mut leads_to) = (None, None);
        let said = match self.question().await? {
            Ok((url, authority, pods)) => {
                digest = Some(Sha256::digest(&url).into());
                let namespace = self.node.namespace().unwrap_or_default();
                let key = self.node.spec.database.url.secret_key_ref.clone();
                leads_to = Target::of(&url, &namespace).zip(key);
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
        let mut asked = Asked::after(before, digest, at, said);
        asked.leads_to = leads_to.or(asked.leads_to);
        words.insert(self.uid(), asked);
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
