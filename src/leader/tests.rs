//! Operators that share a Lease, on an API server of one object that can be cut off from each of them.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, Response, StatusCode};
use k8s_openapi::jiff::SignedDuration;
use serde_json::json;
use tokio::task::JoinHandle;

use super::*;

/// Ten times as fast as it is in use.
const FAST: Pace = Pace {
    length: Duration::from_secs(1),
    margin: Duration::from_millis(200),
    between: Duration::from_millis(100),
    answer: Duration::from_millis(200),
};

/// Many renewals, and a lead that outlives a busy machine.
const STEADY: Pace = Pace {
    between: Duration::from_millis(20),
    ..PACE
};

/// What the API server has.
#[derive(Default)]
struct Stored {
    lease: Option<Lease>,
    version: u64,
}

type Store = Arc<Mutex<Stored>>;

/// How one operator reaches the API server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Open,
    /// It hears nothing, and what it sends is lost.
    Cut,
    /// What it sends arrives, and no answer comes back.
    Deaf,
}

fn refused(code: StatusCode, reason: &str) -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": reason, "code": code.as_u16(), "message": reason,
    });
    let response = Response::builder().status(code);
    response.body(Body::from(status.to_string())).unwrap()
}

fn answer(lease: &Lease) -> Response<Body> {
    Response::new(Body::from(serde_json::to_string(lease).unwrap()))
}

async fn serve(store: &Store, request: Request) -> Response<Body> {
    let method = request.method().clone();
    let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let mut stored = store.lock().unwrap();
    if method == Method::GET {
        return match &stored.lease {
            Some(lease) => answer(lease),
            None => refused(StatusCode::NOT_FOUND, "NotFound"),
        };
    }
    let mut lease: Lease = serde_json::from_slice(&body).unwrap();
    let there = stored.lease.as_ref().map(|lease| &lease.metadata);
    match (method, there) {
        (Method::POST, Some(_)) => return refused(StatusCode::CONFLICT, "AlreadyExists"),
        (Method::PUT, Some(there)) if there.resource_version != lease.metadata.resource_version => {
            return refused(StatusCode::CONFLICT, "Conflict");
        }
        (Method::PUT, None) => return refused(StatusCode::NOT_FOUND, "NotFound"),
        _ => {}
    }
    stored.version += 1;
    lease.metadata.resource_version = Some(stored.version.to_string());
    stored.lease = Some(lease);
    answer(stored.lease.as_ref().unwrap())
}

/// An operator that campaigns.
struct Operator {
    leadership: Arc<Leadership>,
    client: Client,
    path: Arc<Mutex<Path>>,
    changes: Arc<Mutex<Vec<bool>>>,
    campaign: JoinHandle<()>,
}

impl Operator {
    fn start(store: &Store, pod: &str) -> Self {
        Self::start_at(FAST, store, pod)
    }

    fn start_at(pace: Pace, store: &Store, pod: &str) -> Self {
        let path = Arc::new(Mutex::new(Path::Open));
        let (to, cut) = (Arc::clone(store), Arc::clone(&path));
        let router = Router::new().fallback(move |request: Request| {
            let (to, cut) = (Arc::clone(&to), Arc::clone(&cut));
            async move {
                let path = *cut.lock().unwrap();
                if path == Path::Cut {
                    std::future::pending::<()>().await;
                }
                let response = serve(&to, request).await;
                if path == Path::Deaf {
                    std::future::pending::<()>().await;
                }
                response
            }
        });
        let client = Client::new(router, "default");
        let leadership = Arc::new(Leadership::at(
            pace,
            Some(LeaseAt {
                namespace: "operators".to_owned(),
                name: "chainlink-operator".to_owned(),
                pod: pod.to_owned(),
            }),
        ));
        let changes = Arc::new(Mutex::new(Vec::new()));
        let campaign = {
            let (leadership, client) = (Arc::clone(&leadership), client.clone());
            let changes = Arc::clone(&changes);
            tokio::spawn(async move {
                let note = |leads| changes.lock().unwrap().push(leads);
                leadership.campaign(&client, note).await;
            })
        };
        Self {
            leadership,
            client,
            path,
            changes,
            campaign,
        }
    }

    fn leads(&self) -> bool {
        self.leadership.leads()
    }

    fn set(&self, path: Path) {
        *self.path.lock().unwrap() = path;
    }

    /// The process ends without a word.
    fn dies(self) {
        self.campaign.abort();
    }
}

/// Waits until this is so. Never two lead.
async fn until(operators: &[&Operator], so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_mins(1), "not in a minute");
        tokio::time::sleep(Duration::from_millis(5)).await;
        let leading = operators.iter().filter(|one| one.leads()).count();
        assert!(leading < 2, "two lead");
    }
}

async fn for_many_renewals(store: &Store, operators: &[&Operator]) {
    let version = || store.lock().unwrap().version;
    let end = version() + 50;
    until(operators, || version() >= end).await;
}

/// For as long as an operator that is cut off is believed in, three times.
async fn for_long(operators: &[&Operator]) {
    let end = Instant::now() + 3 * FAST.length;
    until(operators, || Instant::now() >= end).await;
}

#[tokio::test]
async fn of_two_operators_one_leads_and_goes_on_leading() {
    let store = Store::default();
    let first = Operator::start_at(STEADY, &store, "one");
    until(&[&first], || first.leads()).await;
    let second = Operator::start_at(STEADY, &store, "two");
    for_many_renewals(&store, &[&first, &second]).await;
    assert!(first.leads() && !second.leads());
    assert_eq!(*first.changes.lock().unwrap(), [true]);
    assert_eq!(first.leadership.term(), 1);
}

#[tokio::test]
async fn a_leader_that_is_cut_off_ceases_before_the_next_one_begins() {
    for path in [Path::Cut, Path::Deaf] {
        let store = Store::default();
        let first = Operator::start(&store, "one");
        until(&[&first], || first.leads()).await;
        let second = Operator::start(&store, "two");
        first.set(path);
        until(&[&first, &second], || second.leads()).await;
        assert!(!first.leads());
        // It comes back, and is one of those who wait.
        first.set(Path::Open);
        for_long(&[&first, &second]).await;
        assert!(second.leads());
        assert_eq!(*first.changes.lock().unwrap(), [true, false]);
    }
}

#[tokio::test]
async fn a_leader_that_dies_is_followed() {
    let store = Store::default();
    let first = Operator::start(&store, "one");
    until(&[&first], || first.leads()).await;
    let second = Operator::start(&store, "two");
    first.dies();
    until(&[&second], || second.leads()).await;
}

#[tokio::test]
async fn what_an_operator_gives_back_is_its_own_and_free_at_once() {
    let store = Store::default();
    let first = Operator::start(&store, "one");
    until(&[&first], || first.leads()).await;
    first.campaign.abort();
    first.leadership.give_back(&first.client).await;
    assert!(!first.leads());
    let mut candidate = Candidate::new("two_1", FAST.length);
    let there = store.lock().unwrap().lease.clone();
    assert_eq!(candidate.claim(there.as_ref(), Instant::now()), Claim::Take);

    let second = Operator::start(&store, "two");
    until(&[&first, &second], || second.leads()).await;
    let of_another = candidate::given_back(store.lock().unwrap().lease.clone().unwrap(), "one_1");
    assert_eq!(of_another, None);
}

#[test]
fn a_container_that_is_started_again_takes_over_from_the_process_before_it() {
    let lease =
        Candidate::new("one_1", FAST.length).lease("x", None, Claim::Make, Timestamp::now());
    let mut again = Candidate::new("one_2", FAST.length);
    assert_eq!(again.claim(Some(&lease), Instant::now()), Claim::Take);
    let mut other = Candidate::new("one-more_2", FAST.length);
    let claim = other.claim(Some(&lease), Instant::now());
    assert!(matches!(claim, Claim::Wait { .. }));
}

#[tokio::test]
async fn a_lease_that_somebody_deletes_is_made_again() {
    let store = Store::default();
    let first = Operator::start_at(STEADY, &store, "one");
    until(&[&first], || first.leads()).await;
    store.lock().unwrap().lease = None;
    for_many_renewals(&store, &[&first]).await;
    assert!(first.leads() && store.lock().unwrap().lease.is_some());
    assert_eq!(*first.changes.lock().unwrap(), [true]);
}

#[tokio::test]
async fn who_waits_for_the_end_of_a_lead_hears_of_it_where_nothing_answers_any_more() {
    let store = Store::default();
    let first = Operator::start(&store, "one");
    until(&[&first], || first.leads()).await;
    first.set(Path::Cut);
    first.leadership.lost().await;
    assert!(!first.leads());
}

#[tokio::test]
async fn an_operator_that_is_alone_leads_for_ever() {
    let alone = Leadership::new(None);
    assert!(alone.leads());
    let lost = futures::FutureExt::now_or_never(alone.lost());
    assert!(lost.is_none());
}

/// The clock of the holder's machine, or of this one, may be off by any time.
#[test]
fn the_times_in_a_lease_are_for_people_alone() {
    for off in [-3600, -60, 60, 3600] {
        let start = Instant::now();
        let mut candidate = Candidate::new("one_1", FAST.length);
        let read = |renewed: Duration| {
            let wall = Timestamp::now() + SignedDuration::from_secs(off);
            let mut lease =
                Candidate::new("two_1", FAST.length).lease("x", None, Claim::Make, wall);
            lease.metadata.resource_version = Some(renewed.as_millis().to_string());
            lease
        };
        let step = FAST.length / 2;
        for renewed in 0..30 {
            let at = renewed * step;
            let claim = candidate.claim(Some(&read(at)), start + at);
            assert!(matches!(claim, Claim::Wait { .. }), "{off} {at:?}");
        }
        let last = 29 * step;
        let still = last + FAST.length;
        let claim = candidate.claim(Some(&read(last)), start + still);
        assert!(matches!(claim, Claim::Wait { .. }), "{off}");
        let over = still + Duration::from_millis(1);
        assert_eq!(
            candidate.claim(Some(&read(last)), start + over),
            Claim::Take
        );
    }
}

#[test]
fn a_holder_ceases_before_others_begin() {
    assert!(
        PACE.margin >= PACE.answer,
        "what it has sent by then is under way for as long"
    );
    let answered_late = PACE.between + PACE.answer + PACE.margin;
    assert!(answered_late < PACE.length, "one slow answer costs no lead");
}
