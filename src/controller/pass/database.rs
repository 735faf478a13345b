//! Whether and when the database is asked, and where its answer is kept. What an answer is worth is for the planner to say.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::log;
use super::scene::Pass;
use crate::api::Verification;
use crate::controller::context::DatabaseAccess;
use crate::controller::error::{Doing, Error};
use crate::controller::local::LastAnswer;
use crate::domain::Observation;
use crate::mutex::lock;
use crate::observe::Moment;
use crate::observe::database::{Question, Target, ask, question};
use crate::plan::{Plan, is_due, is_stale};

/// By so much more than a stop permits an answer counts as older that was asked for by what is remembered.
const OF_MEMORY: Duration = Duration::from_secs(2);

impl Pass<'_> {
    fn may_ask(&self) -> bool {
        let wanted = self.node.spec.database.verification.unwrap_or_default();
        self.context.settings.database == DatabaseAccess::Yes && wanted != Verification::Never
    }

    /// Whether an answer is due: right before a stop of the active, and now and then.
    pub(super) fn is_to_ask(&self, seen: &Observation, plan: &Plan, now: Timestamp) -> bool {
        self.may_ask() && is_due(seen, plan, now)
    }

    /// Asks again right before a stop, where the last answer is no longer fresh.
    pub(super) async fn ask_again(&self, now: Timestamp) -> Result<(), Error> {
        if self.may_ask() && is_stale(&self.database(), now) {
            Box::pin(self.ask_database()).await?;
        }
        Ok(())
    }

    /// Asks again when the pods that wait have tried the lock last, however young the last answer is.
    pub(super) async fn ask_for_tries(&self) -> Result<(), Error> {
        if self.may_ask() {
            Box::pin(self.ask_database()).await?;
        }
        Ok(())
    }

    /// Asks now, and keeps the answer.
    pub(super) async fn ask_database(&self) -> Result<(), Error> {
        // Where the pods' addresses came from memory, the answer is as old as to permit nothing.
        let at = match self.read_at {
            Some(_) => Moment::now().before(OF_MEMORY),
            None => Moment::now(),
        };
        let (mut digest, mut leads_to) = (None, None);
        let question = question(self.client, self.node, &self.looker).await;
        let said = match question.doing("reading the addresses of the pods")? {
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
                let said = Box::pin(ask(&question)).await;
                // Where the pods came from memory, another container may have run when the database was asked.
                if let (Ok(says), None) = (&said, self.read_at) {
                    self.looker.hear(&pods, says);
                }
                said
            }
            Err(silence) => Err(silence),
        };
        if let Err(silence) = &said {
            log::line!(debug, &self.reference, reason = %silence.reason, "the database could not be asked");
        }
        let mut answers = lock(&self.context.answers);
        let before = answers.remove(&self.uid());
        let status = self.node.status.as_ref();
        let noted = status.map_or(&[][..], |status| &status.operator.read_only_spells);
        let mut last = LastAnswer::after(before, noted, digest, at, said);
        last.leads_to = leads_to.or(last.leads_to);
        answers.insert(self.uid(), last);
        Ok(())
    }
}
