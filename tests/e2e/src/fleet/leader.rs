//! A leader that ends while all resources are upgraded: by SIGKILL, so that the other operator waits for the end of its Lease.
//! The scripted lock has one holder at most: that both operators moved a resource shows as a second move of it.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::operator::Operator;
use super::resources::{Fleet, number};
use super::seen::{Resource, ensure_moved_once};

/// Where the operator runs that waits.
const OTHER_POD: &str = "operator-1";
/// The leader ends when one of so many has moved.
const MOVED: usize = 3;

impl Fleet {
    /// Returns the operator that leads from then on.
    pub(super) async fn leader(&mut self, first: Operator) -> Result<Operator> {
        let patience = self.settings.patience;
        let mut second = self.operator(OTHER_POD)?;
        second.until_it_waits(patience).await?;
        let (led, waited) = (first.cost().await?, second.cost().await?);
        ensure!(led.leads, "the first operator does not lead");
        let earlier = self.hollow.seen.all();
        let begun = Instant::now();
        let version = self.give_next_version().await?;
        let third = self.size.div_ceil(MOVED);
        self.until_so_many_are(third, &version, begun).await?;
        let last = first.cost().await?;
        drop(first);
        let killed = Instant::now();
        let moved = self.count_of(&version);
        let (not_yet, leads) = second.until_it_leads(patience).await?;
        self.until_all_are(&version, begun).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let (cost, seen) = (second.cost().await?, self.hollow.seen.all());
        self.note("leader", "time", "s", seconds);
        self.note("leader", "had moved at its end", "", number(moved));
        let after = |moment: Instant| moment.duration_since(killed).as_secs_f64();
        self.note("leader", "until the other leads", "s", after(leads));
        // What the first one did at the last is told late.
        let next = seen.values().filter_map(Resource::moved_at);
        if let Some(next) = next.filter(|moved| *moved > not_yet).min() {
            self.note("leader", "until the next move is over", "s", after(next));
        } else {
            println!("       all had moved before the other led: --cap makes it longer");
        }
        let gaps = seen.values().filter_map(Resource::gap);
        self.times("leader", "without an active", gaps);
        let requests = last.requests() - led.requests() + cost.requests() - waited.requests();
        let each = self.each(requests);
        self.note("leader", "requests of a handover", "", each);
        self.until_ready().await?;
        ensure_moved_once(&earlier, &self.hollow.seen.all())?;
        Ok(second)
    }
}
