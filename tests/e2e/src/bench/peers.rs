//! The ways to run a node that are compared. Each says how it begins, how its planned move is made, and when it is at rest again;
//! a crash is the same for all of them: SIGKILL for the process that works.

mod deployment;
mod hand;
mod limit;
mod operator;
mod plain;
mod stateful;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use super::record::Kind;
use crate::duty::Duty;
use crate::install::Absent;
use crate::world::PATIENCE;
use crate::{World, install, until};
use deployment::Strategy;

/// How long is looked on until a move that has no end passes for one.
pub const WATCHED: Duration = Duration::from_secs(60);

/// A way to run a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// Two containers, and a person who ends the first by `docker kill`.
    Hand,
    /// The same, by `docker stop`.
    HandStop,
    /// A Deployment with Recreate, its image on the machine already.
    Recreate,
    /// The same, with an image that has to be pulled.
    RecreatePulled,
    /// A Deployment with `RollingUpdate` and a readiness probe.
    Rolling,
    /// A `StatefulSet` of two.
    Stateful,
    /// This operator.
    Operator,
    /// The same, with an image that has to be pulled.
    OperatorPulled,
    /// This operator's node, moved to its standby long after that began to wait.
    Switchover,
    /// Two containers, and SIGTERM just before the second's next try.
    Limit,
    /// This operator's nodes, while it runs nowhere.
    Away,
}

impl Peer {
    /// As options, file and tables name it.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// As a reader knows it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Hand => "by hand, docker kill",
            Self::HandStop => "by hand, docker stop",
            Self::Recreate => "Deployment, Recreate",
            Self::RecreatePulled => "Deployment, Recreate, image pulled",
            Self::Rolling => "Deployment, RollingUpdate",
            Self::Stateful => "StatefulSet of two, no probe",
            Self::Operator => "this operator",
            Self::OperatorPulled => "this operator, image pulled",
            Self::Switchover => "this operator, switchover",
            Self::Limit => "the limit: two pods, no operator",
            Self::Away => "this operator, away",
        }
    }

    /// What is measured of it. A person's crash is that of the limit: two containers, and nobody there.
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Hand
            | Self::HandStop
            | Self::RecreatePulled
            | Self::OperatorPulled
            | Self::Switchover => &[Kind::Planned],
            Self::Away => &[Kind::Crash],
            _ => &[Kind::Planned, Kind::Crash],
        }
    }

    /// Whether its planned move comes to an end.
    pub fn ends(self) -> bool {
        self != Self::Rolling
    }

    /// Whether its planned move is one to another version.
    pub fn upgrades(self) -> bool {
        self != Self::Switchover
    }

    /// Whether each new version has to be pulled first.
    pub fn pulls(self) -> bool {
        matches!(self, Self::RecreatePulled | Self::OperatorPulled)
    }

    /// How long it is left alone before a move.
    pub fn rest(self) -> Duration {
        match self {
            // More than ten tries of who waits.
            Self::Switchover => Duration::from_secs(15),
            _ => Duration::from_secs(2),
        }
    }

    /// Whether its Service leads to a pod that only waits, too.
    pub fn leads_to_standbys(self) -> bool {
        self == Self::Stateful
    }

    /// Makes it, and waits until it works and has what redundancy it can have.
    pub async fn begin(self, world: &World, version: &str) -> Result<()> {
        match self {
            Self::Hand | Self::HandStop | Self::Limit => hand::first(world, version).await?,
            Self::Operator | Self::OperatorPulled | Self::Switchover | Self::Away => {
                operator::apply(world, version).await?;
            }
            Self::Recreate | Self::RecreatePulled | Self::Rolling | Self::Stateful => {
                plain::surroundings(world).await?;
                self.planned(world, version).await?;
            }
        }
        self.rested(world, version).await
    }

    /// Asks for another version, or a move, and does what a person would have to do for it.
    pub async fn planned(self, world: &World, version: &str) -> Result<()> {
        match self {
            Self::Hand => hand::replace(world, version, "KILL").await,
            Self::HandStop => hand::replace(world, version, "TERM").await,
            Self::Recreate | Self::RecreatePulled => {
                deployment::apply(world, version, Strategy::Recreate).await
            }
            Self::Rolling => deployment::apply(world, version, Strategy::RollingUpdate).await,
            Self::Stateful => stateful::apply(world, version).await,
            Self::Operator | Self::OperatorPulled | Self::Away => {
                operator::apply(world, version).await
            }
            Self::Switchover => operator::switchover(world).await,
            Self::Limit => limit::replace(world, version).await,
        }
    }

    /// [`Peer::planned`], with a configuration that the node refuses.
    pub async fn misconfigured(self, world: &World, version: &str) -> Result<()> {
        match self {
            Self::Operator | Self::Away => operator::misconfigured(world, version).await,
            _ => {
                plain::configure(world, plain::REFUSED).await?;
                self.planned(world, version).await
            }
        }
    }

    /// What has to be there, or away, before a crash.
    pub async fn before_crash<'a>(
        self,
        world: &'a World,
        version: &str,
    ) -> Result<Option<Absent<'a>>> {
        match self {
            Self::Limit => hand::second(world, version).await.map(|_| None),
            Self::Away => Ok(Some(Absent::now(&world.cluster)?)),
            _ => Ok(None),
        }
    }

    /// Waits until this version works with all that stands by it, and nothing is left of what was there before.
    pub async fn rested(self, world: &World, version: &str) -> Result<()> {
        match self {
            Self::Hand | Self::HandStop | Self::Limit => hand::rested(world, version).await,
            Self::Recreate | Self::RecreatePulled | Self::Rolling => {
                deployment::rested(world, version).await
            }
            Self::Stateful => stateful::rested(world, version).await,
            Self::Operator | Self::OperatorPulled | Self::Switchover => {
                operator::rested(world, version).await
            }
            Self::Away => {
                install::until_all_ready(&world.client).await?;
                operator::rested(world, version).await
            }
        }
    }

    /// Makes its pods anew where no planned move does: a container that is killed again is started later each time.
    pub async fn renew(self, world: &World, version: &str) -> Result<()> {
        match self {
            Self::Rolling => deployment::renew(world, version).await,
            Self::Away => operator::renew(world, version).await,
            _ => Ok(()),
        }
    }
}

/// Who works, by the record of duty.
pub async fn at_work(world: &World) -> Result<Duty> {
    let record = world.judged().await?;
    let mut duties = record.duties.into_iter().rev();
    let last = duties.find(|duty| duty.listening.is_some());
    last.context("nobody has worked yet")
}

/// Waits until this version works.
pub async fn until_works(world: &World, version: &str, limit: Duration) -> Result<()> {
    until(&format!("{version} works"), limit, async || {
        let active = at_work(world).await?;
        ensure!(active.version == version, "{} does", active.version);
        Ok(())
    })
    .await
}

/// Waits until a pod works that is none of these.
async fn until_another_works(world: &World, old: &[String]) -> Result<()> {
    until("another pod works", PATIENCE, async || {
        let active = at_work(world).await?.pod;
        ensure!(!old.contains(&active), "{active} worked last");
        Ok(())
    })
    .await
}
