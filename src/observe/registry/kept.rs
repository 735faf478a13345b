//! What registries have said, kept for all resources; and when they are asked again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper_util::client::proxy::matcher::Matcher;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::Trouble;
use super::credentials::Login;
use super::http::Http;
use super::repository::Repository;
use super::talk::Talk;
use crate::api::ChainlinkNode;
use crate::domain::Reason;
use crate::mutex::lock;
use crate::node::ReleaseTag;
use crate::observe::wake::Wake;

/// How long one question may take, with all of its pages.
const LONGEST: Duration = Duration::from_secs(60);
/// Questions at the same time: a registry that hangs keeps no other from being asked.
const AT_ONCE: usize = 4;
/// Images that are known at the same time. A resource more than that waits until another is gone.
const MOST: usize = 256;
/// Tags of one image that are kept: those of the newest releases.
const MOST_TAGS: usize = 2000;
/// Tags of one image whose digests are known. Resources with different ranges ask for different ones.
const MOST_DIGESTS: usize = 64;
/// One that no resource asks for any more is forgotten after this.
const UNUSED: Duration = Duration::from_secs(900);
/// No pause is longer, whatever a registry wants.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// The Secrets by which an image is pulled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PullSecrets {
    pub namespace: String,
    pub names: Vec<String>,
}

/// An image, and who asks for it. All resources without pull secrets ask as one; those with some see what their own
/// credentials show, and nothing of what others' do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    pub repository: Repository,
    pub secrets: Option<PullSecrets>,
}

/// What one question has come to, and when it is asked again.
struct Asked<T> {
    answer: Option<Result<T, Trouble>>,
    /// When it was asked last.
    at: Option<Instant>,
    under_way: bool,
    /// How often in a row it has failed.
    failures: u32,
    /// Until when it is not asked again after a failure.
    pause: Option<Instant>,
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Self {
            answer: None,
            at: None,
            under_way: false,
            failures: 0,
            pause: None,
        }
    }
}

impl<T: Clone> Asked<T> {
    fn is_due(&self, every: Duration, now: Instant) -> bool {
        let rests = self.at.is_some_and(|at| now.duration_since(at) < every);
        let pauses = self.pause.is_some_and(|until| now < until);
        !self.under_way && !rests && !pauses
    }

    /// Takes an answer. After failures in a row the pause grows: once, twice, four times the interval.
    fn take(&mut self, answer: Result<T, Trouble>, every: Duration, now: Instant) {
        self.under_way = false;
        self.failures = match &answer {
            Ok(_) => 0,
            Err(_) => self.failures.saturating_add(1),
        };
        self.pause = answer.as_ref().err().map(|trouble| {
            let grown = every.saturating_mul(1 << (self.failures - 1).min(16));
            let wanted = trouble.wait.unwrap_or_default();
            now + grown.max(wanted).min(LONGEST_PAUSE)
        });
        self.answer = Some(answer);
    }
}

/// One image.
struct Look {
    tags: Asked<Arc<Vec<ReleaseTag>>>,
    digests: BTreeMap<String, Asked<String>>,
    /// When a resource asked for it last.
    wanted: Instant,
}

struct Inner {
    http: Http,
    looks: Mutex<HashMap<Source, Look>>,
    /// Hosts that want not to be asked, and until when: of none of their images.
    busy: Mutex<HashMap<String, Instant>>,
    turns: Arc<Semaphore>,
    /// How long one question may take.
    longest: Duration,
    client: Client,
    /// Resources that may read an answer.
    wake: mpsc::UnboundedSender<Wake>,
}

/// What registries have said.
#[derive(Clone)]
pub struct Registries(Arc<Inner>);

/// What a task asks.
enum Question {
    Tags,
    Digest(String),
}

impl Registries {
    /// Reads pull secrets by `client`, goes through the proxies of the environment, and wakes who asked.
    #[must_use]
    pub fn new(client: Client, wake: mpsc::UnboundedSender<Wake>) -> Self {
        Self::through(Matcher::from_env(), LONGEST, client, wake)
    }

    /// Goes through these proxies, for so long with each question.
    pub(super) fn through(
        proxies: Matcher,
        longest: Duration,
        client: Client,
        wake: mpsc::UnboundedSender<Wake>,
    ) -> Self {
        Self(Arc::new(Inner {
            http: Http::new(proxies),
            looks: Mutex::default(),
            busy: Mutex::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            longest,
            client,
            wake,
        }))
    }

    /// The tags of an image as they were last told; `None` before the first answer. Where a look is due a task of its own
    /// begins it, and `asker` is woken when the answer stands here.
    pub fn tags(
        &self,
        source: &Source,
        every: Duration,
        asker: &ObjectRef<ChainlinkNode>,
    ) -> Option<Result<Arc<Vec<ReleaseTag>>, Trouble>> {
        let now = Instant::now();
        let mut looks = lock(&self.0.looks);
        if !looks.contains_key(source) && !make_room(&mut looks, now) {
            let message = format!(
                "the operator knows {MOST} images already, and looks at no more: it has not asked for this one"
            );
            return Some(Err(Trouble::new(Reason::RegistryNotAsked, message)));
        }
        let look = looks.entry(source.clone()).or_insert_with(|| Look {
            tags: Asked::default(),
            digests: BTreeMap::new(),
            wanted: now,
        });
        look.wanted = now;
        let known = look.tags.answer.clone();
        if look.tags.is_due(every, now) && self.begin(source, Question::Tags, every, asker) {
            look.tags.under_way = true;
            look.tags.at = Some(now);
            // What a tag names may have changed as well.
            look.digests.retain(|_, asked| asked.under_way);
        }
        known
    }

    /// The digest of one of these tags, in the same way.
    pub fn digest(
        &self,
        source: &Source,
        tag: &str,
        every: Duration,
        asker: &ObjectRef<ChainlinkNode>,
    ) -> Option<Result<String, Trouble>> {
        let now = Instant::now();
        let mut looks = lock(&self.0.looks);
        let look = looks.get_mut(source)?;
        if !look.digests.contains_key(tag) && look.digests.len() >= MOST_DIGESTS {
            return None;
        }
        let question = look.digests.entry(tag.to_owned()).or_default();
        let known = question.answer.clone();
        if question.is_due(every, now)
            && self.begin(source, Question::Digest(tag.to_owned()), every, asker)
        {
            question.under_way = true;
            question.at = Some(now);
        }
        known
    }

    /// Begins a task that asks, where one may begin now.
    fn begin(
        &self,
        source: &Source,
        question: Question,
        every: Duration,
        asker: &ObjectRef<ChainlinkNode>,
    ) -> bool {
        let now = Instant::now();
        let mut busy = lock(&self.0.busy);
        busy.retain(|_, until| now < *until);
        if busy.contains_key(&source.repository.host) {
            return false;
        }
        let Ok(turn) = Arc::clone(&self.0.turns).try_acquire_owned() else {
            return false;
        };
        let (inner, source, asker) = (Arc::clone(&self.0), source.clone(), asker.clone());
        tokio::spawn(async move {
            inner.ask(&source, question, every).await;
            drop(turn);
            // The receiver only goes away with the controllers.
            let _ = inner.wake.send(Wake::changed(asker));
        });
        true
    }
}

/// The tags that name a release, the newest first. There may be thousands of others, and a registry may make up any number.
/// They are read here, once for each answer.
fn newest(tags: Vec<String>) -> Vec<ReleaseTag> {
    let mut named: Vec<_> = tags.into_iter().filter_map(ReleaseTag::read).collect();
    named.sort_by(|one, other| other.cmp(one));
    named.truncate(MOST_TAGS);
    named
}

/// Forgets what nobody asks for any more; says whether one more has room.
fn make_room(looks: &mut HashMap<Source, Look>, now: Instant) -> bool {
    looks.retain(|_, look| now.duration_since(look.wanted) < UNUSED);
    looks.len() < MOST
}

impl Inner {
    async fn ask(&self, source: &Source, question: Question, every: Duration) {
        match question {
            Question::Tags => {
                let told = async { self.talk(source).await.tags().await };
                let answer = self.in_time(source, told).await;
                let answer = answer.map(|tags| Arc::new(newest(tags)));
                self.keep(source, every, answer, |look| Some(&mut look.tags));
            }
            Question::Digest(tag) => {
                let told = async { self.talk(source).await.digest(&tag).await };
                let answer = self.in_time(source, told).await;
                self.keep(source, every, answer, |look| look.digests.get_mut(&tag));
            }
        }
    }

    async fn talk<'a>(&'a self, source: &'a Source) -> Talk<'a> {
        let login = self.login(source).await;
        Talk::new(&self.http, &source.repository, login)
    }

    /// The answer, if it comes in time.
    async fn in_time<T>(
        &self,
        source: &Source,
        answer: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        timeout(self.longest, answer).await.unwrap_or_else(|_| {
            let host = &source.repository.host;
            let message = format!("{host} has not answered within {:?}", self.longest);
            Err(Trouble::new(Reason::RegistryNotReached, message))
        })
    }

    fn keep<T: Clone>(
        &self,
        source: &Source,
        every: Duration,
        answer: Result<T, Trouble>,
        place: impl FnOnce(&mut Look) -> Option<&mut Asked<T>>,
    ) {
        let now = Instant::now();
        if let Err(trouble) = &answer {
            tracing::debug!(host = source.repository.host, reason = %trouble.reason, "a registry was asked in vain");
        }
        let is_busy = matches!(&answer, Err(trouble) if trouble.reason == Reason::RegistryBusy);
        let mut looks = lock(&self.looks);
        let Some(asked) = looks.get_mut(source).and_then(place) else {
            return;
        };
        asked.take(answer, every, now);
        if let Some(until) = asked.pause.filter(|_| is_busy) {
            let mut busy = lock(&self.busy);
            busy.insert(source.repository.host.clone(), until);
        }
    }

    /// The credentials of the first Secret that has some for the repository. What can't be read is passed over, as the
    /// kubelet passes over it.
    async fn login(&self, source: &Source) -> Option<Login> {
        let secrets = source.secrets.as_ref()?;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &secrets.namespace);
        for name in &secrets.names {
            match api.get_opt(name).await {
                Ok(secret) => {
                    let login = secret.and_then(|secret| Login::of(&secret, &source.repository));
                    if login.is_some() {
                        return login;
                    }
                }
                Err(error) => tracing::debug!(%error, name, "a pull secret could not be read"),
            }
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn refused(wait: Option<Duration>) -> Result<(), Trouble> {
        Err(Trouble {
            wait,
            ..Trouble::new(Reason::RegistryBusy, "")
        })
    }

    #[test]
    fn the_pause_grows_with_each_failure_and_is_as_long_as_the_registry_wants() {
        let now = Instant::now();
        let mut asked = Asked::default();
        let pause = |asked: &Asked<()>| asked.pause.unwrap().duration_since(now);
        for hours in [1, 2, 4, 8, 16, 24, 24] {
            asked.take(refused(None), HOUR, now);
            assert_eq!(pause(&asked), HOUR * hours);
        }
        assert!(!asked.is_due(HOUR, now + HOUR * 23));
        assert!(asked.is_due(HOUR, now + HOUR * 24));
        asked.take(Ok(()), HOUR, now);
        assert_eq!((asked.failures, asked.pause), (0, None));
        asked.take(refused(Some(HOUR * 6)), HOUR, now);
        assert_eq!(pause(&asked), HOUR * 6);
        asked.take(refused(Some(HOUR * 1000)), HOUR, now);
        assert_eq!(
            pause(&asked),
            HOUR * 24,
            "a registry silences nobody for ever"
        );
    }

    #[test]
    fn the_newest_releases_are_kept_of_however_many_tags() {
        let made_up = (0..MOST_TAGS + 10).map(|patch| format!("2.0.{patch}"));
        let mut tags: Vec<String> = made_up.collect();
        tags.extend(["latest", "2.30.0", "2.9.0", "2.30.0-root", "sha-1"].map(str::to_owned));
        let kept = newest(tags);
        assert_eq!(kept.len(), MOST_TAGS);
        let first: Vec<&str> = kept.iter().take(4).map(ReleaseTag::text).collect();
        assert_eq!(first, ["2.30.0-root", "2.30.0", "2.9.0", "2.0.2009"]);
    }

    #[test]
    fn what_is_known_is_bounded_and_what_nobody_asks_for_is_forgotten() {
        let now = Instant::now();
        let look = || Look {
            tags: Asked::default(),
            digests: BTreeMap::new(),
            wanted: now,
        };
        let source = |number: usize| Source {
            repository: Repository::read(&format!("a/{number}")).unwrap(),
            secrets: None,
        };
        let mut looks: HashMap<Source, Look> =
            (0..MOST).map(|number| (source(number), look())).collect();
        assert!(!make_room(&mut looks, now));
        looks.get_mut(&source(0)).unwrap().wanted = now + UNUSED;
        assert!(make_room(&mut looks, now + UNUSED));
        assert_eq!(looks.len(), 1);
    }
}
