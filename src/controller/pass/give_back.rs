//! The lease of a node that has ended is given back for it (rule S10): after a second look like that before a stop, and by one
//! statement that checks in the database what the database knows of it. No intent is written for it: done twice, the second
//! finds nothing to give back. What the database refuses is told, and tried again ever later.

use std::iter;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::log;
use super::record::{ANSWER, Stands};
use super::scene::Pass;
use super::tried::Failed;
use crate::act::Recorded;
use crate::controller::error::{Doing, Error};
use crate::domain::{GivenBack, Silence};
use crate::node::database::Lease;
use crate::observe::database::{Question, give_back, question};
use crate::plan::{Return, confirm_return};
use crate::report::lease_given_back;

/// What is said where the API server, or this operator, is so slow that what was seen is old before the statement can be sent.
const LATE: &str = "what permits it was older than 2 s before the database could be asked to";

/// Whose session is in the way may be gone in a moment, and nobody works until then. No try writes an intent.
const SOON: SignedDuration = SignedDuration::from_millis(500);

impl Pass<'_> {
    /// Looks again, plans again, and gives the lease back only if both say the same.
    pub(super) async fn give_back(
        &self,
        planned: &Return,
        recorded: &Recorded<'_>,
    ) -> Result<(), Error> {
        self.ask_again(Timestamp::now()).await?;
        // Nobody is asked for it: the kubelet of who waits would take half a second, in which nobody works.
        let again = self.look_again(iter::empty(), false, recorded).await?;
        let confirmed = match confirm_return(planned, &again.look()) {
            Ok(confirmed) => confirmed,
            Err(why) => {
                let pod = &planned.pod().name;
                log::line!(info, &self.reference, pod, %why, "does not give back a lease now");
                return Ok(());
            }
        };
        let good_for = confirmed.good_for();
        // The spec may have been changed, or the resource scaled to nothing, at any time before.
        match self.stands(recorded, good_for.min(ANSWER)).await? {
            Stands::Yes => {}
            Stands::No => return Ok(()),
            Stands::NotSaid => {
                self.not_given_back(planned, LATE, false);
                return Ok(());
            }
        }
        let lease = confirmed.given_back().lease();
        match self.release(lease, again.at, good_for).await? {
            None => self.not_given_back(planned, LATE, false),
            Some(Ok(GivenBack::Yes)) => self.was_given_back(planned).await,
            // Somebody has it, or it has run out: the next answer shows who.
            Some(Ok(GivenBack::NotHeld | GivenBack::Overtaken)) => {}
            Some(Ok(GivenBack::ServerChanged)) => self.not_given_back(
                planned,
                "its server was started since it showed a session of that node, which says nothing of whether it has ended",
                true,
            ),
            Some(Ok(GivenBack::SessionLeft)) => self.not_given_back(
                planned,
                "it shows a session that is, or may be, that node's: one without a name may be any client's",
                true,
            ),
            Some(Err(silence)) => self.not_given_back(planned, &silence.message, false),
        }
        Ok(())
    }

    /// What the database made of it. `None` where what permits it is old by then, or this operator does not lead any more:
    /// it was not asked to.
    async fn release(
        &self,
        lease: &Lease,
        looked: Instant,
        good_for: Duration,
    ) -> Result<Option<Result<GivenBack, Silence>>, Error> {
        let question = question(self.client, self.node, &self.looker).await;
        let (url, authority, pods) = match question.doing("reading the addresses of the pods")? {
            Ok(material) => material,
            Err(silence) => return Ok(Some(Err(silence))),
        };
        let namespace = self.node.namespace().unwrap_or_default();
        let question = Question {
            url: &url,
            authority: authority.as_deref(),
            namespace: &namespace,
            pods: &pods,
        };
        if looked.elapsed() > good_for || !self.context.leadership.leads() {
            return Ok(None);
        }
        Ok(Some(Box::pin(give_back(&question, lease)).await))
    }

    async fn was_given_back(&self, done: &Return) {
        let pod = &done.pod().name;
        log::line!(
            info,
            &self.reference,
            pod,
            "gave back the lease of a node that has ended"
        );
        self.know(|known| {
            let client = done.lease().client();
            known.ended.given_back(client, Timestamp::now());
            known.refused_return = None;
        });
        self.context.metrics.gave_back();
        let told = [lease_given_back(done)];
        self.context.tell(self.client, self.node, told).await;
    }

    fn not_given_back(&self, planned: &Return, said: &str, refused: bool) {
        let pod = &planned.pod().name;
        let failed = Failed {
            pod: planned.lease().client().to_owned(),
            said: format!(
                "the lease of {pod}, which has ended, could not be given back in the database: {said}. It is tried again by itself, and the lease runs out by itself"
            ),
            refused,
            perhaps: false,
            first: SOON,
        };
        self.know(|known| {
            log::again!(&mut known.lines, &self.reference, said, pod; "a lease could not be given back");
            let before = known.refused_return.take();
            let before = before.filter(|before| before.pod == failed.pod);
            known.refused_return = Some(failed.after(before, Timestamp::now()));
        });
    }
}
