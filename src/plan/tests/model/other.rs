//! A second operator: one that has looked and planned, and is frozen or cut off while the world and the first go on. Then what
//! it had planned reaches the API server after all (rule S4).

use std::fmt;
use std::hash::BuildHasherDefault;

use super::event::Event;
use super::mind::{self, Mind};
use super::names;
use super::properties::{self, Broken};
use super::state::{Prints, State, Thought};
use super::walk::Walk;
use super::{NEW, OLD, from_rest};
use crate::plan::{Act, Permit};

/// How much may happen before the acts of a frozen operator arrive.
const MEANWHILE: usize = 2;

/// What keeps the acts of a plan that is worth nothing any more from being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// The write of the status carries the version of the resource that was read.
    Write,
    /// Before a pod is made or stopped it is asked whether the resource is of the version that was written.
    Question,
}

/// Where a pass stands when its operator is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frozen {
    /// It has looked, and nothing else.
    AfterItsLook,
    /// Its labels are set and its intent is written.
    AfterItsIntent,
}

/// The world in which a frozen operator goes on.
pub struct Meanwhile {
    state: State,
    since: Frozen,
    /// What has happened since.
    way: Vec<Event>,
    /// Whether somebody else has written the resource: the spec, or the first operator its memory.
    written: bool,
}

impl fmt::Display for Meanwhile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "frozen {:?} {:?}", self.since, self.way)
    }
}

/// What its acts make of that world.
pub struct Late {
    pub after: State,
    pub broken: Option<Broken>,
}

fn is_role(act: &Act) -> bool {
    matches!(act, Act::Label { .. } | Act::Gate { .. })
}

impl Walk {
    /// What may come of a plan whose operator is frozen in the middle of its pass.
    pub fn late(&self, planned: &Thought) -> Vec<(Event, Meanwhile, Late)> {
        let idle = planned.plan.acts.is_empty() && planned.plan.memory == planned.memory;
        if idle || planned.cluster.budget.others == 0 {
            return Vec::new();
        }
        let mut worlds = self.meanwhile(planned, Frozen::AfterItsLook);
        worlds.extend(self.meanwhile(planned, Frozen::AfterItsIntent));
        let late = worlds.into_iter().enumerate().map(|(nth, world)| {
            let late = self.goes_on(planned, &world);
            (Event::Late(u16::try_from(nth).unwrap()), world, late)
        });
        late.collect()
    }

    /// The worlds that may come to be while an operator is frozen.
    fn meanwhile(&self, planned: &Thought, since: Frozen) -> Vec<Meanwhile> {
        let mut state = State::begun(planned, 0);
        state.mind = Mind::of(&planned.memory);
        state.cluster.budget.others -= 1;
        if since == Frozen::AfterItsIntent {
            let roles = planned.plan.acts.iter().filter(|act| is_role(act));
            roles.for_each(|act| state.obeys(act));
            state.remembers(planned);
        }
        let mut known = Prints::with_hasher(BuildHasherDefault::default());
        known.insert(state.fingerprint());
        let mut worlds = vec![Meanwhile {
            state,
            since,
            way: Vec::new(),
            written: false,
        }];
        let mut next = 0;
        while let Some(world) = worlds.get(next) {
            next += 1;
            if world.way.len() >= MEANWHILE {
                continue;
            }
            let (state, way, written) = (world.state, world.way.clone(), world.written);
            for (event, after, writes) in self.goes_on_without(&state) {
                if known.insert(after.fingerprint()) {
                    worlds.push(Meanwhile {
                        state: after,
                        since,
                        way: way.iter().copied().chain([event]).collect(),
                        written: written || writes,
                    });
                }
            }
        }
        worlds
    }

    /// One step of the world or of the first operator; and whether that writes the resource.
    fn goes_on_without(&self, state: &State) -> Vec<(Event, State, bool)> {
        let mut events = Vec::new();
        state.cluster.events(&self.menu, &mut events);
        let of_the_world = events.into_iter().filter(|event| !event.takes_time());
        let mut steps: Vec<(Event, State, bool)> = of_the_world
            .map(|event| {
                let mut after = *state;
                after.cluster.happens(event);
                let edits = matches!(event, Event::Wants(_) | Event::Scales(_));
                (event, after, edits)
            })
            .collect();
        let first = state.think(self.surge, self.rules);
        let writes = first.plan.memory != first.memory;
        let after = State::done_as_named(&first, first.plan.acts.len());
        steps.push((Event::Operator, after, writes));
        steps
    }

    /// The frozen operator goes on, and knows of nothing that has happened.
    fn goes_on(&self, planned: &Thought, world: &Meanwhile) -> Late {
        let mut state = world.state;
        let (mut in_place, mut may_act) = (true, true);
        let holds = |fence| world.written && self.unfenced != Some(fence);
        match world.since {
            Frozen::AfterItsLook => {
                in_place = state.sets_roles_late(planned);
                if holds(Fence::Write) {
                    return Late::without_a_stop(state, None);
                }
                state.remembers(planned);
            }
            Frozen::AfterItsIntent => may_act = !holds(Fence::Question),
        }
        let mut broken = None;
        for act in planned.plan.acts.iter().filter(|act| !is_role(act)) {
            match act {
                Act::Create { .. } if !may_act => {}
                Act::Create { revision, .. } => {
                    // What the world alone has done since is known to nobody: that is no fault of the operator's.
                    let judged =
                        properties::creation_is_right(&state.cluster, names::kind_of(revision))
                            .and_then(|()| properties::room_is_kept(&state.cluster, self.surge));
                    broken = broken.or(judged.err().filter(|_| world.written));
                    state.obeys(act);
                }
                Act::Tidy { pod } if !state.is_as_in(planned, names::number(&pod.name)) => {}
                Act::Stop(permit) => {
                    let late = self.stops_late(planned, permit, &state, in_place && may_act);
                    return Late {
                        broken: broken.or(late.broken),
                        ..late
                    };
                }
                act => state.obeys(act),
            }
        }
        Late::without_a_stop(state, broken)
    }

    /// The second look is one at the world as it is now, with the memory that this operator has written.
    fn stops_late(&self, planned: &Thought, permit: &Permit, state: &State, may: bool) -> Late {
        let mut as_written = *state;
        as_written.remembers(planned);
        let (second, said) = as_written.confirms(planned, permit);
        let mut after = state.looked(&second);
        let stops = may && said.is_ok();
        if stops {
            after.stop(permit);
        }
        let broken = properties::stop_is_permitted(&second, permit).err();
        Late::without_a_stop(after, broken.filter(|_| stops))
    }
}

impl Late {
    fn without_a_stop(mut after: State, broken: Option<Broken>) -> Self {
        after.simplify();
        Self { after, broken }
    }
}

impl State {
    /// The memory of a plan is written.
    fn remembers(&mut self, planned: &Thought) {
        self.mind = Mind::of(&planned.plan.memory);
        mind::remember_ends(&mut self.cluster, &planned.plan.memory);
    }

    /// Whether a pod is of the version that it was planned for.
    fn is_as_in(&self, planned: &Thought, no: u8) -> bool {
        self.cluster.pod(no) == planned.cluster.pod(no)
    }

    /// Labels carry the version of their pod; none is given where another could not be taken. Gates carry its uid alone.
    fn sets_roles_late(&mut self, planned: &Thought) -> bool {
        let mut in_place = true;
        for act in planned.plan.acts.iter().filter(|act| is_role(act)) {
            if let Act::Label { pod, active } = act {
                if *active && !in_place {
                    continue;
                }
                let no = names::number(&pod.name);
                if self.cluster.pod(no).is_some() && !self.is_as_in(planned, no) {
                    in_place = false;
                    continue;
                }
            }
            self.obeys(act);
        }
        in_place
    }
}

#[test]
fn a_second_operator_whose_acts_come_late_keeps_every_rule() {
    for replicas in 1..=2 {
        from_rest("second operator", replicas)
            .edits(1, &[NEW])
            .others(1)
            .holds();
    }
    from_rest("second operator, two edits", 1)
        .edits(2, &[OLD, NEW])
        .others(1)
        .holds();
}

fn broken_without(fence: Fence) -> Option<&'static str> {
    let mut walk = from_rest("not fenced", 1).edits(1, &[NEW]).others(1);
    walk.to_the_end = false;
    walk.unfenced = Some(fence);
    walk.walk().broken.map(|(broken, _)| broken.rule)
}

#[test]
fn without_the_version_in_the_write_of_the_status_a_pod_too_many_is_made() {
    assert_eq!(broken_without(Fence::Write), Some("room"));
}

#[test]
fn without_the_question_before_its_acts_a_pod_too_many_is_made() {
    assert_eq!(broken_without(Fence::Question), Some("room"));
}
