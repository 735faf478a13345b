//! A pod is made by the name that its intent reserves, and only while the plan for it stands. What the API server does not
//! make is noted for the planner.

use std::time::Instant;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;

use super::log;
use super::record::{ANSWER, Stands};
use super::scene::Pass;
use super::tried::{FIRST, Failed, counts};
use crate::act::{Actor, Kept, Outcome, Recorded, session_secret};
use crate::api::{ChainlinkNode, RevisionName};
use crate::build::{Content, Session};
use crate::cluster::{RepeatedLines, refusal, sentence};
use crate::controller::error::Error;
use crate::domain::{Place, Refused, Revision};

/// What came of making a pod.
enum Created {
    Yes,
    /// The plan for it does not stand any more, or its name is somebody else's: nothing was made.
    No,
    /// It would be refused again, as far as can be told.
    Refused(String),
    /// The API server failed, and may have made it.
    Perhaps(String),
    /// The API server is too slow for it.
    TooSlow,
}

impl From<kube::Error> for Created {
    fn from(error: kube::Error) -> Self {
        refusal(&error).map_or_else(|| Self::Perhaps(sentence(&error)), Self::Refused)
    }
}

impl From<Result<Outcome, kube::Error>> for Created {
    fn from(made: Result<Outcome, kube::Error>) -> Self {
        match made {
            Ok(Outcome::Done) => Self::Yes,
            Ok(Outcome::Refused(said)) => Self::Refused(said),
            Ok(Outcome::Late) => Self::TooSlow,
            Ok(Outcome::Overtaken | Outcome::Taken) => Self::No,
            Err(error) => error.into(),
        }
    }
}

impl Created {
    /// What the planner is to know of it, after what it knew before.
    fn noted(
        self,
        lines: &mut RepeatedLines,
        of: &ObjectRef<ChainlinkNode>,
        pod: &str,
        before: Option<Refused>,
    ) -> Option<Refused> {
        let (said, refused, perhaps) = match self {
            Self::Yes => return None,
            Self::No => return before,
            Self::Refused(said) => {
                let said = format!("the API server refuses to make a pod: {said}");
                (said, true, false)
            }
            Self::Perhaps(said) => {
                let said = format!("the operator keeps failing to make a pod: {said}");
                (said, false, true)
            }
            Self::TooSlow => {
                let said = format!(
                    "the operator keeps failing to make a pod: the API server takes longer than {} s to say whether that is still planned",
                    ANSWER.as_secs()
                );
                (said, false, false)
            }
        };
        log::again!(lines, of, &said, pod; "a pod could not be made");
        let failed = Failed {
            pod: pod.to_owned(),
            said,
            refused,
            perhaps,
            first: FIRST,
        };
        Some(failed.after(before, Timestamp::now()))
    }
}

impl Pass<'_> {
    pub(super) async fn create(
        &self,
        actor: &Actor<'_>,
        recorded: &Recorded<'_>,
        (pod, of, place): (&str, &RevisionName, &Place),
    ) -> Result<(), Error> {
        let known = self.kept.revisions.get(of);
        let Some((revision, content)) = known.zip(self.kept.contents.get(of)) else {
            return Ok(());
        };
        let created = match self.lacks(revision, content).await {
            Ok(None) => {
                let made = (pod, revision, content, place);
                self.create_in_time(actor, recorded, made).await?
            }
            Ok(Some(lacks)) => Created::Refused(lacks),
            Err(error) => error.into(),
        };
        self.note_creation(pod, of, created);
        Ok(())
    }

    /// What the pod needs and can't have.
    async fn lacks(
        &self,
        revision: &Revision,
        content: &Content,
    ) -> Result<Option<String>, kube::Error> {
        if let Ok(resolved) = &self.resolved
            && resolved.revision.name == revision.name
            && let Kept::NotOurs(message) = self.store.keep_files(resolved).await?
        {
            return Ok(Some(message));
        }
        if content.session == Some(Session::Generated)
            && let Some(message) = session_secret(self.client, self.node).await?
            && !self.has_session_secret()
        {
            return Ok(Some(format!(
                "its session secret has to be there first, and {message} (grant the operator create on secrets: sessionSecrets.generate=true of its chart; or name a Secret of yours in spec.credentials.sessionSecret.secretKeyRef)"
            )));
        }
        Ok(None)
    }

    /// An operator that was frozen since it wrote the intent makes nothing: another one may have planned otherwise since,
    /// which the version of the resource tells, and what that told is worth something for a moment only.
    async fn create_in_time(
        &self,
        actor: &Actor<'_>,
        recorded: &Recorded<'_>,
        (pod, revision, content, place): (&str, &Revision, &Content, &Place),
    ) -> Result<Created, Error> {
        let until = Instant::now() + ANSWER;
        match self.stands(recorded, ANSWER).await? {
            Stands::Yes => {}
            Stands::No => return Ok(Created::No),
            Stands::NotSaid => return Ok(Created::TooSlow),
        }
        let made = actor.create(pod, revision, content, place, until).await;
        if let Ok(Outcome::Taken) = &made {
            log::line!(
                warn,
                &self.reference,
                pod,
                "a pod of another owner has this name"
            );
            self.know(|known| known.taken = Some(pod.to_owned()));
        }
        Ok(made.into())
    }

    fn note_creation(&self, pod: &str, of: &RevisionName, created: Created) {
        self.know(|known| {
            let (lines, all) = (&mut known.lines, &mut known.refused_creations);
            all.retain(|revision, _| self.kept.revisions.contains_key(revision));
            let before = all.remove(of);
            all.extend(
                created
                    .noted(lines, &self.reference, pod, before)
                    .map(|refused| (of.clone(), refused)),
            );
        });
    }

    /// What came of making a pod that is no node.
    pub(super) fn note_oneshot(&self, pod: &str, made: Result<Outcome, kube::Error>) {
        self.know(|known| {
            let (lines, all) = (&mut known.lines, &mut known.refused_oneshots);
            let before = all.remove(pod);
            let now = Timestamp::now();
            all.retain(|_, refused| counts(refused, now));
            let refused = Created::from(made).noted(lines, &self.reference, pod, before);
            all.extend(refused.map(|refused| (pod.to_owned(), refused)));
        });
    }

    /// Whether the session secret was made before: a revision that worked has it. An operator whose right to make
    /// Secrets was taken away still replaces a lost pod.
    fn has_session_secret(&self) -> bool {
        let status = self.node.status.as_ref();
        let worked = status.and_then(|status| status.operator.last_worked.as_ref());
        let content = worked.and_then(|name| self.kept.contents.get(name));
        content.is_some_and(|content| content.session == Some(Session::Generated))
    }
}
