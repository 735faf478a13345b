//! What may happen to a call on its way, and whose turn it is among several operators.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

/// One call of an operator, but for those that read logs: they come from its witnesses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which call of this operator it is, from 1.
    pub number: usize,
    /// Which write of this operator it is, from 1.
    pub write: Option<usize>,
    pub verb: &'static str,
    pub kind: String,
    pub name: String,
    pub status: bool,
    /// The image of a node that is to be made.
    pub image: Option<String>,
    /// The CPU that each container of a pod that is to be made requests.
    pub cpu: Vec<Option<String>>,
}

impl Call {
    pub fn is(&self, verb: &str, kind: &str) -> bool {
        self.verb == verb && self.kind == kind
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Pass,
    /// The operator dies; the call never arrives.
    DieBefore,
    /// The call is carried out; the operator dies before it hears of it.
    DieAfter,
    /// Refused with this code.
    Refuse(u16),
    /// Carried out, and answered with this code.
    Lose(u16),
    /// Carried out, and the connection breaks in the middle of the answer.
    Cut,
    /// A LIST is answered from one change ago.
    Earlier,
    /// Waits for [`Post::release`].
    Hold,
}

pub type Meddler = Box<dyn Fn(&Call) -> Fate + Send + Sync>;

/// The way of one operator's calls to the API server.
pub struct Post {
    /// Which of several operators.
    operator: usize,
    calls: AtomicUsize,
    writes: AtomicUsize,
    meddler: Meddler,
    turns: Option<Arc<Turns>>,
    dead: watch::Sender<bool>,
    held: watch::Sender<Held>,
    on_their_way: watch::Sender<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    No,
    Yes,
    Released,
}

impl Post {
    pub fn new(meddler: impl Fn(&Call) -> Fate + Send + Sync + 'static) -> Arc<Self> {
        Self::in_turns(0, None, meddler)
    }

    pub fn faithful() -> Arc<Self> {
        Self::new(|_| Fate::Pass)
    }

    pub fn in_turns(
        operator: usize,
        turns: Option<Arc<Turns>>,
        meddler: impl Fn(&Call) -> Fate + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            operator,
            calls: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            meddler: Box::new(meddler),
            turns,
            dead: watch::Sender::new(false),
            held: watch::Sender::new(Held::No),
            on_their_way: watch::Sender::new(0),
        })
    }

    /// Numbers a call, waits for its turn, and says what happens to it.
    pub async fn send(&self, mut call: Call) -> Fate {
        call.number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call.write.is_some() {
            call.write = Some(self.writes.fetch_add(1, Ordering::SeqCst) + 1);
        }
        if let Some(turns) = &self.turns {
            turns.mine(self.operator).await;
        }
        let fate = (self.meddler)(&call);
        if fate != Fate::Hold {
            return fate;
        }
        self.held.send_if_modified(|held| {
            *held == Held::No && {
                *held = Held::Yes;
                true
            }
        });
        let mut held = self.held.subscribe();
        held.wait_for(|held| *held == Held::Released).await.unwrap();
        Fate::Pass
    }

    /// Waits until a call is held.
    pub async fn is_holding(&self) {
        let mut held = self.held.subscribe();
        held.wait_for(|held| *held != Held::No).await.unwrap();
    }

    /// Waits, for at most twenty seconds, until a call is held.
    pub async fn holds(&self) {
        let waited = tokio::time::timeout(Duration::from_secs(20), self.is_holding()).await;
        assert!(waited.is_ok(), "the call that was to be held never came");
    }

    pub fn on_its_way(&self, more: i32) {
        self.on_their_way.send_modify(|calls| *calls += more);
    }

    /// Waits until all that was sent is done, also what nobody waits for any more.
    pub async fn all_is_done(&self) {
        let mut calls = self.on_their_way.subscribe();
        calls.wait_for(|calls| *calls == 0).await.unwrap();
    }

    /// Lets held calls go on, and those to come.
    pub fn release(&self) {
        self.held.send_replace(Held::Released);
    }

    pub fn was_released(&self) -> bool {
        *self.held.borrow() == Held::Released
    }

    /// The operator is dead: nothing of it goes on.
    pub async fn die(&self) -> ! {
        self.dead.send_replace(true);
        std::future::pending().await
    }

    pub fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    pub async fn death(&self) {
        let mut dead = self.dead.subscribe();
        dead.wait_for(|dead| *dead).await.unwrap();
    }

    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub fn begin_pass(&self) {
        if let Some(turns) = &self.turns {
            turns.enter(self.operator);
        }
    }

    pub fn end_pass(&self) {
        if let Some(turns) = &self.turns {
            turns.leave(self.operator);
        }
    }
}

/// Whose call goes next, of two operators: chosen by a seed at every call of either.
pub struct Turns {
    state: watch::Sender<Schedule>,
    random: Mutex<Random>,
    /// How often, of 100, the operator that went last goes again.
    stay: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Schedule {
    inside: [bool; 2],
    /// Calls of each: events are published all at once.
    waiting: [usize; 2],
    next: Option<usize>,
    last: usize,
}

impl Turns {
    pub fn new(seed: u64) -> Arc<Self> {
        let mut random = Random(seed);
        let stay = [50, 10, 80, 95][usize::try_from(random.below(4)).unwrap()];
        Arc::new(Self {
            state: watch::Sender::new(Schedule::default()),
            random: Mutex::new(random),
            stay,
        })
    }

    fn enter(&self, operator: usize) {
        self.state
            .send_modify(|state| state.inside[operator] = true);
    }

    fn leave(&self, operator: usize) {
        self.state.send_modify(|state| {
            state.inside[operator] = false;
            if state.next == Some(operator) {
                state.next = None;
            }
        });
    }

    /// Waits until this operator's call is the next. An operator in a pass is waited for, until it
    /// has a call too, or its pass is over.
    async fn mine(&self, operator: usize) {
        let other = 1 - operator;
        self.state.send_modify(|state| state.waiting[operator] += 1);
        let mut changes = self.state.subscribe();
        loop {
            let mut go = false;
            self.state.send_if_modified(|state| {
                if state.inside[other] && state.waiting[other] == 0 {
                    return false;
                }
                let contested = state.waiting[other] > 0;
                let next = *state.next.get_or_insert_with(|| {
                    if contested {
                        self.choose(state.last)
                    } else {
                        operator
                    }
                });
                go = next == operator || !contested;
                if go {
                    state.next = None;
                    state.last = operator;
                    state.waiting[operator] -= 1;
                }
                go
            });
            if go {
                return;
            }
            changes.changed().await.unwrap();
        }
    }

    fn choose(&self, last: usize) -> usize {
        let stays = self.random.lock().unwrap().below(100) < self.stay;
        if stays { last } else { 1 - last }
    }
}

/// Chance, from a seed, for a meddler.
pub struct Dice(Mutex<Random>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Random(seed)))
    }

    pub fn one_in(&self, faces: u64) -> bool {
        self.0.lock().unwrap().below(faces) == 0
    }
}

/// `SplitMix64`: the same numbers for the same seed, on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}
