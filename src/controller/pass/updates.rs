//! Whether a newer release is there: what the registry said last is looked up, and a task asks it anew where that is due. A
//! pass never waits for a registry.

use jiff::Timestamp;
use kube::ResourceExt;

use super::scene::Pass;
use crate::api::ChainlinkNodeStatus;
use crate::controller::context::DatabaseAccess;
use crate::domain::{Applied, Reason, Releases};
use crate::observe::registry::{PullSecrets, Repository, Source};
use crate::report::Wish;

/// Tags that the registry names and then does not have.
const MOST_GONE: usize = 4;

impl Pass<'_> {
    /// What is known of newer releases, where the spec asks for them.
    pub(super) fn releases(&self, old: &ChainlinkNodeStatus, now: Timestamp) -> Option<Releases> {
        let every = self.node.spec.updates.as_ref()?.interval();
        let invalid = |message| Some(Releases::Unknown(Reason::UpdatesInvalid, message));
        let applied = Applied::of(self.node);
        let wish = match Wish::read(&self.node.spec) {
            Ok(wish) => wish.beyond(applied.release()),
            Err(message) => return invalid(message),
        };
        let Some(source) = self.source() else {
            return invalid("spec.image.repository is none that a registry could have: write it as in `docker pull`, without tag and digest".to_owned());
        };
        let registries = &self.context.registries;
        let tags = match registries.tags(&source, every, &self.reference) {
            None => return Some(Releases::NotYet),
            Some(Err(trouble)) => {
                return Some(Releases::Unknown(
                    trouble.reason,
                    self.denied(trouble.message),
                ));
            }
            Some(Ok(tags)) => tags,
        };
        let before = old.update.as_ref();
        let mut gone = Vec::new();
        loop {
            let Some(candidate) = wish.choose(&tags, &gone, before, now) else {
                return Some(Releases::Known(None));
            };
            match registries.digest(&source, &candidate.tag, every, &self.reference) {
                None => return Some(Releases::NotYet),
                Some(Ok(digest)) => {
                    let update = wish.with_digest(candidate, digest, before, now);
                    return Some(Releases::Known(Some(Box::new(update))));
                }
                Some(Err(trouble)) if trouble.missing && gone.len() < MOST_GONE => {
                    gone.push(candidate.tag);
                }
                Some(Err(trouble)) => {
                    return Some(Releases::Unknown(
                        trouble.reason,
                        self.denied(trouble.message),
                    ));
                }
            }
        }
    }

    /// The image, and the Secrets by which the operator may ask for it.
    fn source(&self) -> Option<Source> {
        let image = self.node.spec.image.clone().unwrap_or_default();
        let repository = Repository::read(image.repository())?;
        let names = image.pull_secrets.into_iter().map(|secret| secret.name);
        let secrets = PullSecrets {
            namespace: self.node.namespace().unwrap_or_default(),
            names: names.collect(),
        };
        let may = self.context.settings.database == DatabaseAccess::Yes;
        Some(Source {
            repository,
            secrets: (may && !secrets.names.is_empty()).then_some(secrets),
        })
    }

    /// A registry that asks for credentials, and an operator that may not read them.
    fn denied(&self, message: String) -> String {
        let image = self.node.spec.image.as_ref();
        let has_some = image.is_some_and(|image| !image.pull_secrets.is_empty());
        if has_some && self.context.settings.database == DatabaseAccess::No {
            format!(
                "{message}. The operator was installed without the right to read Secrets, and asks without credentials: set databaseVerification.enabled in the values of its chart"
            )
        } else {
            message
        }
    }
}
