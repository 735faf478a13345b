//! Which of several operators acts: the one that holds a Lease of Kubernetes.
//!
//! The rules of safety rest on what is written into a resource and on the versions of what is deleted, and hold for any number
//! of operators. The Lease is for the rest: that the labels are moved by one of them alone, that a pod is not made by one who
//! was cut off, and that the next one is there within seconds. So its holder believes in it for less long than others do, and
//! only by a clock that nobody sets: the times that stand in the Lease are for people.
//!
//! Kubernetes' own clients renew, wait and take in this way (`client-go/tools/leaderelection`). There is no library of it here
//! that counts by a steady clock, and takes a Lease only in the version that it has watched.

mod candidate;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use candidate::{Candidate, Claim};

use crate::cluster::{Repeated, sentence};

/// How often a Lease is renewed, and how long it is good for.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How long others leave a Lease alone after they have seen it renewed.
    length: Duration,
    /// By so much sooner its holder ceases to believe in it: what it has just sent may be under way for as long.
    margin: Duration,
    /// Between two tries, of the holder and of the others.
    between: Duration,
    /// How long the API server may take for one try.
    answer: Duration,
}

const PACE: Pace = Pace {
    length: Duration::from_secs(10),
    margin: Duration::from_secs(2),
    between: Duration::from_secs(1),
    answer: Duration::from_secs(2),
};

/// How long the Lease may take to be given back by an operator that ends.
const GIVEN_BACK: Duration = Duration::from_secs(2);

/// The Lease that operators of one installation share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseAt {
    pub namespace: String,
    pub name: String,
    /// The pod of this operator: a process before this one in the same pod is surely gone.
    pub pod: String,
}

/// Whether this operator acts.
#[derive(Debug)]
pub struct Leadership {
    lease: Option<LeaseAt>,
    /// What it calls itself in the Lease.
    name: String,
    pace: Pace,
    tenure: watch::Sender<Tenure>,
}

#[derive(Clone, Copy, Debug)]
struct Tenure {
    /// How often it has begun to lead.
    term: u64,
    until: Until,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// It does not lead.
    Over,
    Then(Instant),
    /// It is the only one.
    Ever,
}

impl Until {
    fn is_to_come(self) -> bool {
        match self {
            Self::Over => false,
            Self::Then(until) => Instant::now() < until,
            Self::Ever => true,
        }
    }
}

impl Leadership {
    /// That of an operator that shares a Lease, and does not hold it yet; or of one that is alone.
    pub fn new(lease: Option<LeaseAt>) -> Self {
        Self::at(PACE, lease)
    }

    fn at(pace: Pace, lease: Option<LeaseAt>) -> Self {
        let until = match lease {
            Some(_) => Until::Over,
            None => Until::Ever,
        };
        let (tenure, _) = watch::channel(Tenure { term: 0, until });
        let pod = lease.as_ref().map_or("", |lease| &lease.pod);
        let name = candidate::name(pod, Timestamp::now());
        Self {
            lease,
            name,
            pace,
            tenure,
        }
    }

    /// Whether this operator acts now.
    pub fn leads(&self) -> bool {
        self.tenure.borrow().until.is_to_come()
    }

    /// What this operator calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How often this operator has begun to lead; 0 for one that is alone.
    pub fn term(&self) -> u64 {
        self.tenure.borrow().term
    }

    /// Waits until this operator does not lead.
    pub async fn lost(&self) {
        let mut tenure = self.tenure.subscribe();
        loop {
            let until = tenure.borrow_and_update().until;
            let over = async {
                match until {
                    Until::Over => {}
                    Until::Then(until) => sleep_until(until).await,
                    Until::Ever => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                // It fails only where nobody can lead any more: `self` is gone.
                _ = tenure.changed() => {}
            }
        }
    }

    /// Tries to lead, and to go on leading, for ever. Says each time it begins (`true`) and ceases to.
    pub async fn campaign(&self, client: &Client, mut changed: impl FnMut(bool)) {
        let Some(at) = &self.lease else {
            return std::future::pending().await;
        };
        let api: Api<Lease> = Api::namespaced(client.clone(), &at.namespace);
        let mut candidate = Candidate::new(&self.name, self.pace.length);
        let (mut led, mut known) = (false, self.term());
        let mut trouble = Repeated::default();
        loop {
            let next = Instant::now() + self.pace.between;
            let tried = timeout(
                self.pace.answer,
                self.try_once(&api, &at.name, &mut candidate),
            )
            .await;
            let next = match tried {
                Ok(Ok(free)) => free.map_or(next, |free| next.min(free)),
                Ok(Err(error)) => {
                    tell(&mut trouble, &sentence(&error));
                    next
                }
                Err(_) => {
                    tell(&mut trouble, "the API server does not answer in time");
                    next
                }
            };
            // A lead may have lapsed and come back within one try: what was given up meanwhile begins anew.
            let (leads, term) = (self.leads(), self.term());
            if leads != led || term != known {
                changed(leads);
                (led, known) = (leads, term);
            }
            sleep_until(next).await;
        }
    }

    /// One try. Says from when on the Lease is free, where somebody else has it.
    async fn try_once(
        &self,
        api: &Api<Lease>,
        name: &str,
        candidate: &mut Candidate,
    ) -> Result<Option<Instant>, kube::Error> {
        let there = api.get_opt(name).await?;
        let now = Instant::now();
        let claim = candidate.claim(there.as_ref(), now);
        if let Claim::Wait { free } = claim {
            self.holds(Until::Over);
            return Ok(Some(free));
        }
        let wanted = candidate.lease(name, there, claim, Timestamp::now());
        let parameters = PostParams::default();
        let sent = Instant::now();
        let written = if claim == Claim::Make {
            api.create(&parameters, &wanted).await
        } else {
            api.replace(name, &parameters, &wanted).await
        };
        match written {
            Ok(_) => {
                self.holds(Until::Then(sent + self.pace.length - self.pace.margin));
                Ok(None)
            }
            // Somebody else was faster: the next try shows who.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn holds(&self, until: Until) {
        self.tenure.send_modify(|tenure| {
            if until != Until::Over && !tenure.until.is_to_come() {
                tenure.term += 1;
            }
            tenure.until = until;
        });
    }

    /// Ceases to lead, and gives the Lease back, so that nobody has to wait for its end.
    pub async fn give_back(&self, client: &Client) {
        let Some(at) = &self.lease else { return };
        let led = self.leads();
        self.holds(Until::Over);
        if !led {
            return;
        }
        let api: Api<Lease> = Api::namespaced(client.clone(), &at.namespace);
        let given = async {
            let there = api.get_opt(&at.name).await?;
            if let Some(free) = there.and_then(|there| candidate::given_back(there, &self.name)) {
                api.replace(&at.name, &PostParams::default(), &free).await?;
            }
            Ok::<(), kube::Error>(())
        };
        match timeout(GIVEN_BACK, given).await {
            Ok(Ok(())) => tracing::info!("gave the Lease back: another operator leads from now on"),
            Ok(Err(error)) => {
                let said = sentence(&error);
                tracing::warn!(said, "the Lease could not be given back");
            }
            Err(_) => tracing::warn!("the Lease could not be given back in time"),
        }
    }
}

/// The same trouble each second is told where it is new, and rarely while it goes on.
fn tell(log: &mut Repeated, said: &str) {
    if let Some(times) = log.again(said, std::time::Instant::now()) {
        tracing::warn!(said, times, "the Lease of the operators can't be had");
    }
}

#[cfg(test)]
mod tests;
