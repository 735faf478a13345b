//! What goes wrong with pods and their machines.

use super::cluster::Cluster;
use super::event::{Event, Menu};
use super::lease::End;
use super::pod::{Does, NEVER, Pod, Sight};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Crash,
    /// The same, before the API server is told of it.
    Untold,
    LoseDatabase,
    Kill,
    Fail,
    Lose,
    Die,
    CutOff,
    Secret,
    /// The database falls silent, takes no writes any more, or names a holder that there is not.
    Database,
    /// Not a fault, but as rare: its machine is to be emptied.
    Cordon,
    /// The pod that checks a configuration is evicted, lost with its machine, or its container is killed.
    Check,
    /// The API server makes no pod of the wanted revision.
    Refuse,
}

impl Cluster {
    /// Everything that can go wrong now.
    pub fn faults(&self, menu: &Menu, into: &mut Vec<Event>) {
        let has = |fault| menu.faults.contains(&fault);
        for pod in self.pods() {
            let no = pod.no;
            let runs = Pod::runs(pod.does);
            let mut push = |fault, when: bool, event| {
                if when && has(fault) {
                    into.push(event);
                }
            };
            push(
                Fault::Crash,
                runs && pod.does != Does::Boot,
                Event::Crashes(no),
            );
            let told = pod.is_told() && !pod.deleted && pod.does != Does::Boot;
            push(Fault::Untold, runs && told, Event::CrashesUntold(no));
            push(
                Fault::LoseDatabase,
                pod.does == Does::Wait,
                Event::LosesDatabase(no),
            );
            push(Fault::Kill, pod.seen() && !pod.deleted, Event::IsKilled(no));
            push(
                Fault::Fail,
                pod.seen() && !pod.deleted && pod.does != Does::Ended,
                Event::Fails(no),
            );
            let there = pod.seen() && pod.does != Does::Ended;
            push(Fault::Lose, there, Event::IsLost(no));
            push(Fault::Die, there, Event::MachineDies(no));
            push(Fault::CutOff, pod.does == Does::Serve, Event::IsCutOff(no));
            let placed = there && !pod.leaving && pod.does != Does::NotStarted;
            push(Fault::Cordon, placed, Event::IsCordoned(no));
        }
        if has(Fault::Secret) && !self.secret_changed {
            into.push(Event::SecretChanges);
        }
        if has(Fault::Refuse)
            && let Some(kind) = self.wanted.filter(|kind| !self.policy.refuses(*kind))
        {
            into.push(Event::Refuses(kind));
        }
        self.database_faults(menu, into);
        if has(Fault::Check) {
            self.checks_faults(into);
        }
    }

    /// What a fault makes of the world.
    pub fn goes_wrong(&mut self, event: Event) {
        match event {
            Event::Crashes(no) => {
                self.spend();
                self.note_deception(no);
                self.goes_down(no, Does::Down);
            }
            Event::CrashesUntold(no) => {
                self.spend();
                self.note_deception(no);
                self.change(no, |pod| {
                    pod.shown = pod.does;
                    pod.untold = true;
                });
                self.goes_down(no, Does::Down);
            }
            Event::LosesDatabase(no) => {
                self.spend();
                self.goes_down(no, Does::DownByDatabase);
            }
            Event::IsKilled(no) => {
                self.spend();
                self.change(no, |pod| pod.deleted = true);
            }
            Event::Fails(no) => {
                self.spend();
                self.note_deception(no);
                self.leaves_its_lease(no, End::Untold);
                self.change(no, |pod| {
                    pod.does = Does::Ended;
                    pod.gate = false;
                });
            }
            Event::IsLost(no) => {
                self.spend();
                self.lose(no);
            }
            Event::MachineDies(no) => {
                self.spend();
                self.note_deception(no);
                self.note_fall(no);
                self.leaves_its_lease(no, End::Untold);
                self.lose(no);
                self.change(no, |pod| {
                    pod.does = Does::Dead;
                    pod.changed = true;
                });
            }
            Event::IsCutOff(no) => {
                self.spend();
                self.leaves_its_lease(no, End::NotYet);
                self.change(no, |pod| pod.does = Does::Zombie);
            }
            Event::IsCordoned(no) => {
                self.spend();
                self.change(no, |pod| pod.leaving = true);
            }
            Event::SecretChanges => {
                self.spend();
                self.secret_changed = true;
            }
            Event::Refuses(kind) => {
                self.spend();
                self.policy.begins_to_refuse(kind);
            }
            _ => self.check_happens(event),
        }
    }

    pub fn spend(&mut self) {
        self.budget.faults -= 1;
    }

    pub fn note_deception(&mut self, no: u8) {
        let unknown = self
            .pod(no)
            .is_some_and(|pod| pod.holds() && !pod.elsewhere);
        let cut_off = self.pods().iter().any(|pod| pod.does == Does::Zombie);
        self.deceived |= unknown && cut_off;
    }

    fn lose(&mut self, no: u8) {
        let known = self.ranks();
        self.change(no, |pod| {
            pod.shown = pod.status();
            pod.untold = false;
            pod.sight = Sight::Dim;
            pod.contact = if Pod::runs(pod.does) { known } else { NEVER };
        });
    }
}
