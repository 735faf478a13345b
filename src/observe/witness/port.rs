//! Trying a node's web port, for as long as its container is watched.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use tokio::time::{sleep, timeout};

use super::eyes::{CALM, Eyes, Subject};
use super::facts::Noted;
use super::health::Health;
use super::log::{Kubelet, ONE_LINE, TO_THE_LOCK, ask_kubelet};
use crate::mutex::lock;
use crate::node::{LogReader, Shows};

/// Between two tries of a port that refuses, while a handover or a loss is under way.
const ALERT: Duration = Duration::from_millis(100);
/// Between two questions to the kubelet, at least: a refusal that says nothing comes at once, and the log of its pod must not be
/// opened as often as its port is tried.
const KUBELET: Duration = Duration::from_millis(500);
/// The same of one that keeps silent, at most: a lost machine has many pods, and all of them ask for it by the API server.
const SILENT_KUBELET: Duration = Duration::from_secs(2);
/// Between the end of one try and the next, at least.
const BREATH: Duration = Duration::from_millis(50);

/// Where nothing is under way all ports are tried in step: a process that sleeps between costs less than one that is woken for
/// each of them.
const STEP: Duration = Duration::from_millis(100);
static FIRST_STEP: LazyLock<Instant> = LazyLock::new(Instant::now);

/// As much of a pause that begins now as ends with a step.
fn in_step(pause: Duration, now: Instant) -> Duration {
    let end = now.saturating_duration_since(*FIRST_STEP) + pause;
    let beyond = end.as_nanos() % STEP.as_nanos();
    pause.saturating_sub(Duration::from_nanos(
        u64::try_from(beyond).unwrap_or_default(),
    ))
}

/// How much later the next question to a kubelet comes, at least, where the last two were so far apart.
fn after(said: Kubelet, apart: Duration) -> Duration {
    match said {
        Kubelet::Silent => SILENT_KUBELET.min(apart * 2),
        Kubelet::Runs | Kubelet::Ended => KUBELET,
    }
}

/// Tries the port for as long as the container is watched and, where it is silent, asks the kubelet.
pub(super) async fn watch(pods: Api<Pod>, subject: Subject, eyes: Eyes) {
    let mut alert = eyes.shared.alert.subscribe();
    let mut silent = false;
    // By its port, which may be that of a pod that is known for long.
    let mut answered = false;
    let mut asked: Option<Instant> = None;
    let mut apart = KUBELET;
    let mut health = Health::of(subject.address);
    loop {
        let begun = Instant::now();
        // What is waited for most of the time is a pause: the rest is not to take room meanwhile.
        let (shows, noted) = Box::pin(look(&mut health, &eyes)).await;
        let silence = noted == Noted::Silence;
        let first = !answered;
        answered |= !silence;
        if silence && asked.is_none_or(|at| at.elapsed() >= apart) {
            asked = Some(Instant::now());
            let asks = ask_kubelet(&pods, &subject.pod, ONE_LINE, |_| ());
            let kubelet = Box::pin(asks).await;
            apart = after(kubelet, apart);
            note_kubelet(kubelet, true, &eyes);
        }
        if noted == Noted::News || silence != silent {
            if first {
                eyes.wake.show();
            } else {
                eyes.wake.wake();
            }
        }
        silent = silence;
        // The node's own server limits requests; the temporary one of a booting node does not, and is
        // asked more often, since its end is the end of the gap.
        let patient = matches!(shows, Shows::Serving | Shows::Limited);
        let alarmed = *alert.borrow_and_update();
        let pause = if alarmed && !patient { ALERT } else { CALM };
        let rest = pause.saturating_sub(begun.elapsed());
        let rest = if alarmed {
            rest
        } else {
            in_step(rest, Instant::now())
        };
        let rest = rest.max(BREATH);
        if alarmed || patient {
            sleep(rest).await;
        } else {
            // An alert that begins now must not wait for the end of the pause.
            let _ = timeout(rest, alert.wait_for(|on| *on)).await;
        }
    }
}

/// Asks once, by the port, and the kubelet too unless a node answers: a refusal comes from the network of a
/// container that has just ended as well as from one that waits, and before 2.15 from one that has the lock and boots. The log
/// is read to its end for that.
pub(super) async fn ask(pods: &Api<Pod>, subject: &Subject, eyes: &Eyes) {
    let (shows, noted) = look(&mut Health::of(subject.address), eyes).await;
    if noted == Noted::Silence || shows == Shows::Nobody {
        let taken = |reader: &LogReader| lock(&eyes.facts).note_last_lines(reader);
        let kubelet = ask_kubelet(pods, &subject.pod, TO_THE_LOCK, taken).await;
        note_kubelet(kubelet, noted == Noted::Silence, eyes);
    }
}

fn note_kubelet(kubelet: Kubelet, alone: bool, eyes: &Eyes) {
    let mut facts = lock(&eyes.facts);
    let now = Instant::now();
    if kubelet == Kubelet::Silent {
        facts.note_silent_kubelet();
    } else {
        facts.note_answering_kubelet();
    }
    match kubelet {
        Kubelet::Runs => {
            facts.note_running(now);
            if alone {
                facts.note_kubelet(now);
            }
        }
        Kubelet::Ended => facts.note_end_of_log(now),
        Kubelet::Silent => {}
    }
}

/// Tries the port once and notes what came of it.
async fn look(health: &mut Health, eyes: &Eyes) -> (Shows, Noted) {
    if eyes.address_is_shared() {
        health.hang_up();
        return (Shows::Nothing, Noted::Silence);
    }
    let shows = match health.ask().await.shows() {
        // The kubelet has to serve as a witness then.
        Shows::Nobody if !eyes.shared.path_is_proven() => Shows::Nothing,
        shows => shows,
    };
    let mut facts = lock(&eyes.facts);
    if eyes.address_is_shared() {
        return (Shows::Nothing, Noted::Silence);
    }
    if matches!(shows, Shows::Serving | Shows::Starting) {
        eyes.shared.heard_http();
    }
    (shows, facts.note_answer(shows, Instant::now()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Body;
    use futures::stream;
    use hyper::Response;
    use hyper::body::Bytes;
    use jiff::Timestamp;
    use kube::Client;
    use kube::runtime::reflector::ObjectRef;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc::UnboundedSender;
    use tokio::sync::watch::Sender;

    use super::*;
    use crate::domain::Answered;
    use crate::node::settings::HTTP_PORT;
    use crate::observe::wake::Wake;
    use crate::observe::witness::eyes::{ContainerKey, Shared, Waker};
    use crate::observe::witness::facts::{Facts, FromBefore};

    /// A container at whose address nothing listens, and one task's eyes on it.
    fn refusing() -> (Subject, Eyes) {
        let (wake, _) = tokio::sync::mpsc::unbounded_channel();
        at(Ipv4Addr::new(127, 9, 0, 1), wake)
    }

    /// A container at this address, and one task's eyes on it.
    fn at(address: Ipv4Addr, wake: UnboundedSender<Wake>) -> (Subject, Eyes) {
        let node = ObjectRef::new("cl");
        let subject = Subject {
            key: ContainerKey {
                pod_uid: "p".to_owned(),
                container_id: "c".to_owned(),
            },
            namespace: "a".to_owned(),
            pod: "cl-1".to_owned(),
            node: node.clone(),
            address: address.into(),
            address_is_shared: false,
            started: Timestamp::UNIX_EPOCH,
            recorded: FromBefore::default(),
        };
        let eyes = Eyes {
            facts: Arc::new(Mutex::new(Facts::begin(subject.recorded, Instant::now()))),
            shared: Arc::new(Shared {
                alert: Sender::new(false),
                http: Mutex::default(),
            }),
            address_is_shared: Arc::new(AtomicBool::new(false)),
            wake: Waker { wake, node },
        };
        (subject, eyes)
    }

    /// The pods of an API server whose kubelets hand out logs that stay open, or do not answer.
    fn pods(kubelet: Kubelet) -> Api<Pod> {
        let serve = move || async move {
            match kubelet {
                Kubelet::Runs => {
                    let stays_open = stream::pending::<std::io::Result<Bytes>>();
                    Response::new(Body::from_stream(stays_open))
                }
                Kubelet::Ended => Response::new(Body::empty()),
                Kubelet::Silent => {
                    let mut answer = Response::new(Body::from("no answer of the kubelet"));
                    *answer.status_mut() = hyper::StatusCode::BAD_GATEWAY;
                    answer
                }
            }
        };
        let client = Client::new(Router::new().fallback(serve), "a");
        Api::namespaced(client, "a")
    }

    fn heard(eyes: &Eyes) -> Option<Answered> {
        lock(&eyes.facts).contact.map(|contact| contact.answer)
    }

    #[tokio::test]
    async fn a_refusal_is_a_sign_of_life_only_where_a_node_answered_by_http_within_an_hour() {
        let (subject, eyes) = refusing();
        let unproven = (Shows::Nothing, Noted::Silence);
        assert_eq!(
            look(&mut Health::of(subject.address), &eyes).await,
            unproven
        );
        let long_ago = Instant::now().checked_sub(Duration::from_mins(61));
        if long_ago.is_some() {
            *lock(&eyes.shared.http) = long_ago;
            assert_eq!(
                look(&mut Health::of(subject.address), &eyes).await,
                unproven
            );
        }
        assert_eq!(heard(&eyes), None);
        *lock(&eyes.shared.http) = Instant::now().checked_sub(Duration::from_mins(1));
        assert_eq!(
            look(&mut Health::of(subject.address), &eyes).await,
            (Shows::Nobody, Noted::News)
        );
        assert_eq!(heard(&eyes), Some(Answered::Refused));
    }

    #[tokio::test]
    async fn a_refusal_is_no_sign_of_life_from_when_its_kubelet_is_silent_until_it_answers() {
        let (subject, eyes) = refusing();
        eyes.shared.heard_http();
        look(&mut Health::of(subject.address), &eyes).await;
        ask(&pods(Kubelet::Silent), &subject, &eyes).await;
        assert_eq!(heard(&eyes), None);
        look(&mut Health::of(subject.address), &eyes).await;
        assert_eq!(heard(&eyes), None);
        ask(&pods(Kubelet::Runs), &subject, &eyes).await;
        look(&mut Health::of(subject.address), &eyes).await;
        assert_eq!(heard(&eyes), Some(Answered::Refused));
    }

    #[tokio::test]
    async fn the_kubelet_is_the_witness_where_the_port_is_none_and_stands_behind_it_elsewhere() {
        let (subject, eyes) = refusing();
        ask(&pods(Kubelet::Runs), &subject, &eyes).await;
        assert_eq!(heard(&eyes), Some(Answered::Kubelet));
        eyes.shared.heard_http();
        ask(&pods(Kubelet::Runs), &subject, &eyes).await;
        assert_eq!(heard(&eyes), Some(Answered::Refused));
        assert!(lock(&eyes.facts).log_ended.is_none());
        ask(&pods(Kubelet::Ended), &subject, &eyes).await;
        assert!(lock(&eyes.facts).log_ended.is_some());
    }

    #[test]
    fn a_kubelet_that_keeps_silent_is_asked_ever_more_seldom_and_one_that_speaks_as_before() {
        let mut apart = KUBELET;
        let mut asked = |said| {
            apart = after(said, apart);
            apart.as_millis()
        };
        let silent = [(); 4].map(|()| asked(Kubelet::Silent));
        assert_eq!(silent, [1000, 2000, 2000, 2000]);
        assert_eq!(asked(Kubelet::Runs), 500);
        assert_eq!(asked(Kubelet::Silent), 1000);
        assert_eq!(asked(Kubelet::Ended), 500);
    }

    #[test]
    fn a_pause_ends_with_a_step_and_is_shorter_by_less_than_one() {
        let begun = *FIRST_STEP;
        for millis in [0, 1, 40, 99, 100, 101, 12_345] {
            let now = begun + Duration::from_millis(millis);
            let pause = in_step(CALM, now);
            assert!(pause <= CALM && CALM < pause + STEP, "{pause:?}");
            let end = (now + pause - begun).as_millis();
            assert_eq!(end % STEP.as_millis(), 0, "{millis}");
        }
        // What came to its end a moment after a step takes no longer than one that did not wait.
        let late = begun + Duration::from_millis(1002);
        assert_eq!(in_step(Duration::from_millis(998), late).as_millis(), 998);
    }

    #[tokio::test]
    async fn what_a_port_shows_first_is_no_change_and_what_it_shows_then_is() {
        let (wake, mut woken) = tokio::sync::mpsc::unbounded_channel();
        let (subject, eyes) = at(Ipv4Addr::new(127, 9, 0, 2), wake);
        let (node, address) = (subject.node.clone(), subject.address);
        eyes.shared.heard_http();
        let watching = tokio::spawn(watch(pods(Kubelet::Runs), subject, eyes));
        assert_eq!(woken.recv().await, Some(Wake::known(node.clone())));
        let listener = TcpListener::bind((address, HTTP_PORT)).await.unwrap();
        let serve = axum::serve(listener, Router::new().fallback(|| async { "ok" }));
        tokio::spawn(serve.into_future());
        assert_eq!(woken.recv().await, Some(Wake::changed(node)));
        watching.abort();
    }

    /// What the watch of a port sees, and not a question of the second look.
    #[tokio::test]
    async fn a_watched_port_that_refuses_and_a_silent_kubelet_are_no_sign_of_life() {
        let (subject, eyes) = refusing();
        let watched = watch(pods(Kubelet::Silent), subject, eyes.clone());
        assert!(timeout(Duration::from_millis(300), watched).await.is_err());
        assert_eq!(heard(&eyes), None);
        assert!(lock(&eyes.facts).kubelet_silent);
    }
}
