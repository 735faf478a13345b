//! The walk through all states, breadth first, so that the shortest way to a broken rule is found.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::hash::BuildHasherDefault;
use std::time::Instant;

use super::cluster::{Budget, ROOM};
use super::event::{Event, Menu};
use super::names;
use super::other::Fence;
use super::properties::{self, Broken};
use super::state::{Prints, State, Thought};
use crate::plan::{Act, Rules};

/// Where a walk begins, and what may happen on it.
#[derive(Clone)]
pub struct Walk {
    pub name: &'static str,
    pub start: State,
    pub menu: Menu,
    pub surge: usize,
    pub rules: Rules,
    /// Whether each state is also followed to its end (L1).
    pub to_the_end: bool,
    /// How much may happen between the write of an intent and the second look.
    pub between: usize,
    /// Whether there is a second look.
    pub looks_again: bool,
    /// Where an operator does not mind that somebody else has written the resource.
    pub unfenced: Option<Fence>,
    /// States after which the walk gives up.
    pub limit: usize,
}

/// What was found.
pub struct Found {
    pub states: usize,
    pub steps: usize,
    pub broken: Option<(Broken, String)>,
    pub complete: bool,
}

struct Trail {
    from: usize,
    event: Event,
}

impl Walk {
    pub fn walk(&self) -> Found {
        let began = Instant::now();
        let start = self.start;
        let mut known = Prints::with_hasher(BuildHasherDefault::default());
        let mut good_ends = Prints::with_hasher(BuildHasherDefault::default());
        let mut judged = Prints::with_hasher(BuildHasherDefault::default());
        let mut trail: Vec<Trail> = vec![Trail {
            from: 0,
            event: Event::Operator,
        }];
        let mut next = VecDeque::from([(0, start)]);
        known.insert(start.fingerprint());
        let mut events = Vec::new();
        let mut steps = 0;
        let mut found = None;
        let mut complete = true;
        while let Some((place, state)) = next.pop_front() {
            if trail.len() >= self.limit {
                complete = false;
                break;
            }
            events.clear();
            state.cluster.events(&self.menu, &mut events);
            let thought = state.think(self.surge, self.rules);
            // What may still go wrong changes nothing in what is right now.
            let mut as_it_is = state;
            as_it_is.cluster.budget = Budget::default();
            let new = judged.insert(as_it_is.fingerprint());
            if new && let Err(broken) = properties::judge(&thought) {
                found = Some((broken, self.story(&trail, place, &start)));
                break;
            }
            let mut visit = |event: Event, after: State, trail: &mut Vec<Trail>| {
                steps += 1;
                if known.insert(after.fingerprint()) {
                    trail.push(Trail { from: place, event });
                    next.push_back((trail.len() - 1, after));
                }
            };
            let acts = thought.plan.acts.len();
            match thought.last() {
                None => visit(Event::Operator, State::done(&thought, acts), &mut trail),
                Some(last) => {
                    for (event, world, second) in self.seconds(&thought, last) {
                        if let Some(broken) = second.broken(last) {
                            let story = self.story(&trail, place, &start);
                            found = Some((broken, format!("{story}then {world}")));
                        }
                        visit(event, second.after, &mut trail);
                    }
                }
            }
            for call in state.calls_that_fail(&thought) {
                let after = state.after_a_failure(&thought, call);
                visit(Event::CallFails(call), after, &mut trail);
            }
            for (event, world, late) in self.late(&thought) {
                if let Some(broken) = late.broken {
                    let story = self.story(&trail, place, &start);
                    found = Some((broken, format!("{story}then {world}")));
                }
                visit(event, late.after, &mut trail);
            }
            for (event, before) in deaths(&state, &thought) {
                if let Err(broken) = self.restarts_calmly(&before) {
                    let story = self.story(&trail, place, &start);
                    found = Some((broken, format!("{story}then {event:?}")));
                }
                visit(event, before.restarted(), &mut trail);
            }
            for event in &events {
                visit(*event, state.after(*event), &mut trail);
            }
            if self.to_the_end && new {
                for returns in [true, false] {
                    if let Err((broken, way)) = self.end(&as_it_is, returns, &mut good_ends) {
                        let story = self.story(&trail, place, &start);
                        found = Some((broken, format!("{story}then, undisturbed:\n{way}")));
                    }
                }
            }
            if found.is_some() {
                break;
            }
        }
        let states = trail.len();
        println!(
            "{}: {states} states, {steps} steps, {:.1} s{}",
            self.name,
            began.elapsed().as_secs_f32(),
            if complete { "" } else { ", not all" }
        );
        Found {
            states,
            steps,
            broken: found,
            complete,
        }
    }

    /// S8: what the operator that starts there would do.
    fn restarts_calmly(&self, before: &State) -> Result<(), Broken> {
        let thought = before.think(self.surge, self.rules);
        let anew = before.looked(&thought).restarted();
        properties::restart_is_calm(&thought, &anew.think(self.surge, self.rules))
    }

    /// The state in which the start comes to rest.
    pub fn rest(mut self) -> Self {
        let mut state = self.start;
        let (mut events, mut way) = (Vec::new(), String::new());
        for _ in 0..60 {
            let before = state;
            self.round(&mut state, true, &mut events, &mut way);
            if state == before && !self.time_passes(&mut state, 0, &mut events) {
                break;
            }
        }
        self.start = state;
        self
    }

    /// Follows a state with all that goes on by itself, and the operator, until nothing changes.
    fn end(&self, from: &State, returns: bool, good: &mut Prints) -> Result<(), (Broken, String)> {
        let mut state = *from;
        let (mut passed, mut waited) = (Vec::new(), Vec::new());
        let mut way = String::new();
        let mut events = Vec::new();
        loop {
            // The two kinds of end share no states where a pod can't be seen.
            let print =
                state.fingerprint() ^ u64::from(returns).wrapping_mul(0x5851_F42D_4C95_7F2D);
            if good.contains(&print) {
                break;
            }
            if passed.contains(&print) {
                // Where a moment changes only what soon is as it was, a longer time passes.
                let waits = waited.iter().filter(|known| **known == print).count();
                waited.push(print);
                if waits > 2 || !self.time_passes(&mut state, waits, &mut events) {
                    self.circle(&state, returns)
                        .map_err(|broken| (broken, way))?;
                    break;
                }
                continue;
            }
            passed.push(print);
            self.round(&mut state, returns, &mut events, &mut way);
        }
        good.extend(passed);
        Ok(())
    }

    /// Where nothing new happens any more, but pods may crash again and again: nothing is made or stopped,
    /// and somewhere on the way it is told what is wrong.
    fn circle(&self, from: &State, returns: bool) -> Result<(), Broken> {
        let (mut events, mut way) = (Vec::new(), String::new());
        let mut state = *from;
        let mut before = Vec::new();
        while !before.contains(&state.fingerprint()) {
            before.push(state.fingerprint());
            self.round(&mut state, returns, &mut events, &mut way);
        }
        let from = state;
        let mut verdict = Ok(());
        let (mut told, mut acts, mut goes_on) = (false, false, false);
        loop {
            let thought = state.think(self.surge, self.rules);
            acts |= !thought.plan.acts.is_empty();
            let makes_or_stops = |act: &Act| match act {
                Act::Create { revision, .. } => {
                    !state.cluster.policy.refuses(names::kind_of(revision))
                }
                act => matches!(act, Act::Stop(_)),
            };
            if thought.plan.acts.iter().any(makes_or_stops) {
                return Err(Broken {
                    rule: "L1",
                    how: "it never ends".to_owned(),
                });
            }
            match properties::end_is_right(&thought, self.surge) {
                Ok(()) => told = true,
                broken => verdict = broken,
            }
            goes_on |= self.round(&mut state, returns, &mut events, &mut way);
            if state == from {
                if acts && !goes_on {
                    return Err(Broken {
                        rule: "L2",
                        how: "acts that change nothing".to_owned(),
                    });
                }
                return if told { Ok(()) } else { verdict };
            }
        }
    }

    /// Everything that can go on does so once; then the operator acts. Whether anything did go on.
    fn round(
        &self,
        state: &mut State,
        returns: bool,
        events: &mut Vec<Event>,
        way: &mut String,
    ) -> bool {
        let mut goes_on = false;
        state.cluster.deaf = false;
        if returns {
            for no in 1..=state.cluster.pods().len() {
                let no = u8::try_from(no).unwrap();
                if state.cluster.pod(no).is_some_and(|pod| !pod.seen()) {
                    *state = state.after(Event::SeenAgain(no));
                    goes_on = true;
                    break;
                }
            }
            events.clear();
            state.cluster.checks_seen_again(events);
            state.cluster.database_recovers(events);
            if let Some(event) = events.first() {
                *state = state.after(*event);
                goes_on = true;
            }
        }
        events.clear();
        state.cluster.checks_progress(events);
        if let Some(event) = events.first() {
            *state = state.after(*event);
            goes_on = true;
        }
        for no in (1..=ROOM).rev() {
            events.clear();
            state.cluster.progress(events);
            let no = u8::try_from(no).unwrap();
            if let Some(event) = events.iter().rfind(|event| event.pod() == Some(no)) {
                *state = state.after(*event);
                goes_on = true;
            }
        }
        let thought = state.think(self.surge, self.rules);
        *state = State::done(&thought, thought.plan.acts.len());
        let _ = writeln!(way, "  {:?} {}", thought.plan.progress, state.cluster);
        goes_on
    }

    /// Whether the passing of time changes anything, but for the shortest spells.
    fn time_passes(&self, state: &mut State, but: usize, events: &mut Vec<Event>) -> bool {
        let before = *state;
        events.clear();
        state.cluster.progress(events);
        let mut times = vec![Event::Seconds, Event::HalfMinute];
        if state.cluster.only_loops(events) || state.cluster.is_quiet(events) {
            times.push(Event::TenMinutes);
        }
        times.into_iter().skip(but).any(|event| {
            *state = state.after(event);
            *state != before
        })
    }

    /// The way to a state, in words.
    fn story(&self, trail: &[Trail], place: usize, start: &State) -> String {
        let mut places = Vec::new();
        let mut at = place;
        while at != 0 {
            places.push(at);
            at = trail[at].from;
        }
        let mut state = *start;
        let mut story = String::new();
        for at in places.into_iter().rev() {
            let event = trail[at].event;
            let thought = state.think(self.surge, self.rules);
            match event {
                Event::Operator => {
                    let _ = writeln!(story, "operator: {:?}", thought.plan.acts);
                    state = State::done(&thought, thought.plan.acts.len());
                }
                Event::OperatorAfter(nth) => {
                    let world = &self.worlds(&thought)[usize::from(nth)];
                    let second = self.second(&thought, thought.last().unwrap(), world);
                    let done = if second.done { "done" } else { "not done" };
                    let acts = &thought.plan.acts;
                    let _ = writeln!(
                        story,
                        "operator: {acts:?}, and before the last {world}: {done}"
                    );
                    state = second.after;
                }
                Event::OperatorDies(done) => {
                    let _ = writeln!(
                        story,
                        "operator dies after {done} of {:?}",
                        thought.plan.acts
                    );
                    state = State::done(&thought, usize::from(done)).restarted();
                }
                Event::CallFails(call) => {
                    let _ = writeln!(story, "{call:?} fails in {:?}", thought.plan.acts);
                    state = state.after_a_failure(&thought, call);
                }
                Event::Late(nth) => {
                    let (_, world, late) = &self.late(&thought)[usize::from(nth)];
                    let acts = &thought.plan.acts;
                    let _ = writeln!(story, "a second operator, {world}: {acts:?}");
                    state = late.after;
                }
                Event::OperatorRestarts => {
                    let _ = writeln!(story, "operator restarts");
                    state = state.restarted();
                }
                event => {
                    let _ = writeln!(story, "{event:?}");
                    state = state.after(event);
                }
            }
            let _ = writeln!(story, "    {}", state.cluster);
        }
        let thought = state.think(self.surge, self.rules);
        let _ = writeln!(story, "memory: {:?}", state.mind);
        let _ = writeln!(
            story,
            "plan: {:?}\n{:?}",
            thought.plan.acts, thought.plan.progress
        );
        story
    }
}

/// The states in which the operator may die: after so many of its acts, or before it has looked.
fn deaths(state: &State, thought: &Thought) -> Vec<(Event, State)> {
    if state.cluster.budget.crashes == 0 {
        return Vec::new();
    }
    let dead = (0..=thought.plan.acts.len()).map(|done| {
        let event = Event::OperatorDies(u8::try_from(done).unwrap());
        (event, State::done(thought, done))
    });
    dead.chain([(Event::OperatorRestarts, *state)]).collect()
}
