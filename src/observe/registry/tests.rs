//! Registries that are slow, busy or lying. A real one is asked in tests/it/registry.rs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper_util::client::proxy::matcher::Matcher;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::credentials::Login;
use super::http::Http;
use super::talk::Talk;
use super::{Registries, Repository, Source, Trouble};
use crate::api::ChainlinkNode;
use crate::domain::Reason;
use crate::node::ReleaseTag;
use crate::observe::wake::Wake;

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(300);

fn texts(tags: &[ReleaseTag]) -> Vec<&str> {
    tags.iter().map(ReleaseTag::text).collect()
}

fn no_proxy() -> Matcher {
    Matcher::builder().build()
}

/// A registry that answers by a function of path and query; its address.
async fn registry<R: IntoResponse>(
    answer: impl Fn(&Request) -> R + Clone + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let router = Router::new().fallback(move |request: Request| {
        let answer = answer(&request).into_response();
        async move { answer }
    });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    at
}

fn at(host: &str) -> Repository {
    Repository::read(&format!("{host}/smartcontract/chainlink")).unwrap()
}

async fn tags(host: &str, login: Option<Login>) -> Result<Vec<String>, Trouble> {
    let http = Http::new(no_proxy());
    Talk::new(&http, &at(host), login).tags().await
}

async fn digest(host: &str, tag: &str) -> Result<String, Trouble> {
    let http = Http::new(no_proxy());
    Talk::new(&http, &at(host), None).digest(tag).await
}

fn page(tags: &[&str]) -> Response {
    json!({"name": "smartcontract/chainlink", "tags": tags})
        .to_string()
        .into_response()
}

fn linked(link: &str) -> Response {
    let mut page = page(&["2.29.0"]);
    page.headers_mut().insert("link", link.parse().unwrap());
    page
}

fn refused(tags: Result<Vec<String>, Trouble>) -> (Reason, String) {
    let trouble = tags.unwrap_err();
    (trouble.reason, trouble.message)
}

#[tokio::test]
async fn pages_are_followed_by_their_links_within_the_registry() {
    let host = registry(|request| {
        assert!(request.uri().path() == "/v2/smartcontract/chainlink/tags/list");
        match request.uri().query().unwrap() {
            "n=1000" => {
                linked("</v2/smartcontract/chainlink/tags/list?n=1000&last=a%2Fb>; rel=\"next\"")
            }
            "n=1000&last=a%2Fb" => page(&["2.30.0"]),
            query => panic!("{query}"),
        }
    })
    .await;
    assert_eq!(tags(&host, None).await.unwrap(), ["2.29.0", "2.30.0"]);
}

#[tokio::test]
async fn a_list_that_leads_elsewhere_or_never_ends_is_no_list() {
    for link in [
        "<http://127.0.0.1:1/v2/other>; rel=\"next\"",
        "<https://example.com/v2/other>; rel=\"next\"",
        "nowhere",
    ] {
        let host = registry(move |_| linked(link)).await;
        let (reason, message) = refused(tags(&host, None).await);
        assert_eq!(reason, Reason::RegistryUnusable);
        assert!(message.contains("leads elsewhere"), "{message}");
    }
    let host = registry(|_| linked("</v2/again>; rel=\"next\"")).await;
    let (reason, message) = refused(tags(&host, None).await);
    assert_eq!(reason, Reason::RegistryUnusable);
    assert!(message.contains("does not end"), "{message}");
}

#[tokio::test]
async fn what_is_no_list_of_tags_is_told_in_words_of_the_operator() {
    // Nothing else is wrong with it.
    let large = format!("{{\"tags\": []{}}}", " ".repeat(5 << 20));
    let answers: Vec<(Response, Reason)> = vec![
        ("<html>secret".into_response(), Reason::RegistryUnusable),
        (large.into_response(), Reason::RegistryUnusable),
        (
            (
                StatusCode::FOUND,
                [("location", "http://127.0.0.1:1/")],
                "secret",
            )
                .into_response(),
            Reason::RegistryUnusable,
        ),
        (
            (StatusCode::NOT_FOUND, "secret").into_response(),
            Reason::RegistryUnusable,
        ),
        (
            (StatusCode::IM_A_TEAPOT, "secret").into_response(),
            Reason::RegistryUnusable,
        ),
        (
            (StatusCode::UNAUTHORIZED, "secret").into_response(),
            Reason::RegistryDenied,
        ),
        (
            (StatusCode::FORBIDDEN, "secret").into_response(),
            Reason::RegistryDenied,
        ),
        (
            (StatusCode::BAD_GATEWAY, "secret").into_response(),
            Reason::RegistryNotReached,
        ),
        (
            (StatusCode::TOO_MANY_REQUESTS, "secret").into_response(),
            Reason::RegistryBusy,
        ),
    ];
    for (answer, reason) in answers {
        let answer = Arc::new(Mutex::new(Some(answer)));
        let host = registry(move |_| answer.lock().unwrap().take().unwrap()).await;
        let (is, message) = refused(tags(&host, None).await);
        assert_eq!(is, reason, "{message}");
        assert!(
            message.contains(&host) && !message.contains("secret"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_registry_that_has_no_tags_has_none() {
    let host = registry(|_| json!({"name": "a", "tags": null}).to_string()).await;
    assert_eq!(tags(&host, None).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_listens() {
    let (reason, message) = refused(tags("127.0.0.1:1", None).await);
    assert_eq!(reason, Reason::RegistryNotReached);
    assert!(message.contains("may connect to it"), "{message}");
}

fn login() -> Login {
    Login {
        user: "me".to_owned(),
        password: "pw".to_owned(),
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_token_is_had_from_where_the_registry_says_with_the_login_and_without() {
    for (login, allowed) in [(Some(login()), true), (None, false)] {
        let host = registry(|request| {
            let token = header(request, "authorization");
            let host = header(request, "host").unwrap();
            match (request.uri().path(), token) {
                ("/token", Some("Basic bWU6cHc=")) => {
                    let scope = "scope=repository%3Asmartcontract%2Fchainlink%3Apull";
                    let query = request.uri().query().unwrap();
                    assert!(
                        query.contains(scope) && query.contains("service=here"),
                        "{query}"
                    );
                    json!({"token": "open"}).to_string().into_response()
                }
                ("/token", _) => StatusCode::UNAUTHORIZED.into_response(),
                (_, Some("Bearer open")) => page(&["2.29.0"]),
                (_, None) => {
                    let challenge =
                        format!("Bearer realm=\"http://{host}/token\",service=\"here\"");
                    (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response()
                }
                (path, token) => panic!("{path} {token:?}"),
            }
        })
        .await;
        let told = tags(&host, login).await;
        if allowed {
            assert_eq!(told.unwrap(), ["2.29.0"]);
        } else {
            let (reason, message) = refused(told);
            assert_eq!(reason, Reason::RegistryDenied);
            assert!(message.contains("without credentials"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_login_goes_to_no_place_without_tls() {
    let host = registry(|_| {
        let challenge = "Bearer realm=\"http://registry.example.com/token\"";
        (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)])
    })
    .await;
    let (reason, message) = refused(tags(&host, Some(login())).await);
    assert_eq!(reason, Reason::RegistryUnusable);
    assert!(message.contains("no TLS"), "{message}");
}

#[tokio::test]
async fn a_registry_may_want_the_login_itself() {
    let host = registry(|request| match header(request, "authorization") {
        Some("Basic bWU6cHc=") => page(&["2.29.0"]),
        _ => (
            StatusCode::UNAUTHORIZED,
            [("www-authenticate", "Basic realm=\"here\"")],
        )
            .into_response(),
    })
    .await;
    assert_eq!(tags(&host, Some(login())).await.unwrap(), ["2.29.0"]);
    assert_eq!(refused(tags(&host, None).await).0, Reason::RegistryDenied);
}

const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn manifest(digest: Option<&'static str>) -> Response {
    let mut answer = Response::new(Body::from("{}"));
    if let Some(digest) = digest {
        answer
            .headers_mut()
            .insert("docker-content-digest", digest.parse().unwrap());
    }
    answer
}

#[tokio::test]
async fn a_digest_is_believed_only_where_what_it_names_has_it() {
    let host = registry(|_| manifest(Some(EMPTY))).await;
    assert_eq!(digest(&host, "2.29.0").await.unwrap(), EMPTY);
    let host = registry(|_| manifest(None)).await;
    assert_eq!(
        digest(&host, "2.29.0").await.unwrap(),
        EMPTY,
        "it is made of the answer"
    );

    let other = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let host = registry(move |_| manifest(Some(other))).await;
    let trouble = digest(&host, "2.29.0").await.unwrap_err();
    assert_eq!(trouble.reason, Reason::RegistryUnusable);
    assert!(
        trouble.message.contains("trust nothing"),
        "{}",
        trouble.message
    );
    for said in ["sha512:00", "sha256:00", "sha256:../../x", "none"] {
        let host = registry(move |_| manifest(Some(said))).await;
        let trouble = digest(&host, "2.29.0").await.unwrap_err();
        assert!(
            trouble.message.contains("none of sha256"),
            "{}",
            trouble.message
        );
    }
}

#[tokio::test]
async fn a_tag_that_is_gone_is_told_as_missing() {
    let host = registry(|_| StatusCode::NOT_FOUND).await;
    assert!(digest(&host, "2.29.0").await.unwrap_err().missing);
}

fn nowhere() -> Client {
    Client::new(
        Router::new().fallback(|| async { StatusCode::FORBIDDEN }),
        "default",
    )
}

fn registries(longest: Duration) -> (Registries, mpsc::UnboundedReceiver<Wake>) {
    let (wake, woken) = mpsc::unbounded_channel();
    (
        Registries::through(no_proxy(), longest, nowhere(), wake),
        woken,
    )
}

fn asker() -> ObjectRef<ChainlinkNode> {
    ObjectRef::new("mainnet").within("chain")
}

fn source(host: &str, name: &str) -> Source {
    Source {
        repository: Repository::read(&format!("{host}/{name}")).unwrap(),
        secrets: None,
    }
}

/// The first answer that stands there.
async fn answered<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            match look() {
                Some(answer) => return answer,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .expect("no answer came")
}

#[tokio::test(flavor = "multi_thread")]
async fn all_resources_of_an_image_look_once_an_interval() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let host = registry(move |_| {
        counts.fetch_add(1, Ordering::SeqCst);
        page(&["2.29.0", "latest"])
    })
    .await;
    let (registries, mut woken) = registries(SHORT * 10);
    let image = source(&host, "a");
    assert!(
        registries.tags(&image, HOUR, &asker()).is_none(),
        "a pass waits for nobody"
    );
    let tags = answered(|| registries.tags(&image, HOUR, &asker()))
        .await
        .unwrap();
    assert_eq!(
        texts(&tags),
        ["2.29.0"],
        "what names no release is not kept"
    );
    assert_eq!(
        woken.recv().await,
        Some(Wake::changed(asker())),
        "who asked may read it"
    );
    for _ in 0..20 {
        assert!(registries.tags(&image, HOUR, &asker()).is_some());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // Another interval is over at once.
    let again = || (asked.load(Ordering::SeqCst) > 1).then_some(());
    answered(|| {
        registries.tags(&image, Duration::ZERO, &asker());
        again()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_hangs_keeps_nobody_waiting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = listener.local_addr().unwrap().to_string();
    let serves = registry(|_| page(&["2.29.0"])).await;
    let (registries, _woken) = registries(SHORT);
    for number in 0..10 {
        let image = source(&hangs, &format!("{number}"));
        assert!(registries.tags(&image, HOUR, &asker()).is_none());
    }
    let good = source(&serves, "good");
    let tags = answered(|| registries.tags(&good, HOUR, &asker()))
        .await
        .unwrap();
    assert_eq!(texts(&tags), ["2.29.0"]);
    let image = source(&hangs, "0");
    let trouble = answered(|| registries.tags(&image, HOUR, &asker()))
        .await
        .unwrap_err();
    assert_eq!(trouble.reason, Reason::RegistryNotReached);
    assert!(
        trouble.message.contains("has not answered within"),
        "{}",
        trouble.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_registry_is_left_alone_for_all_of_its_images() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let host = registry(move |_| {
        counts.fetch_add(1, Ordering::SeqCst);
        (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "600")])
    })
    .await;
    let (registries, _woken) = registries(SHORT * 10);
    let first = source(&host, "first");
    let every = Duration::ZERO;
    let trouble = answered(|| registries.tags(&first, every, &asker()))
        .await
        .unwrap_err();
    assert_eq!(
        (trouble.reason, trouble.wait),
        (Reason::RegistryBusy, Some(Duration::from_secs(600)))
    );
    assert!(registries.tags(&first, every, &asker()).is_some());
    assert!(
        registries
            .tags(&source(&host, "second"), every, &asker())
            .is_none()
    );
    let other = registry(|_| page(&[])).await;
    let other = source(&other, "third");
    answered(|| registries.tags(&other, every, &asker()))
        .await
        .unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// The first line that a proxy was sent.
async fn sent_to_a_proxy(host: &str, no_proxy: &str) -> Option<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://me:pw@{}", listener.local_addr().unwrap());
    let matcher = Matcher::builder().all(proxy).no(no_proxy).build();
    let proxied = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 1024];
        let length = stream.read(&mut heard).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            .await
            .unwrap();
        String::from_utf8_lossy(&heard[..length]).into_owned()
    };
    let http = Http::new(matcher);
    let repository = at(host);
    let mut talk = Talk::new(&http, &repository, None);
    tokio::select! {
        line = proxied => Some(line),
        told = talk.tags() => {
            assert_eq!(refused(told).0, Reason::RegistryNotReached);
            None
        }
    }
}

#[tokio::test]
async fn a_registry_is_asked_through_the_proxy_but_where_none_is_to_be_used() {
    let heard = sent_to_a_proxy("registry.invalid", "other.invalid")
        .await
        .unwrap();
    assert!(
        heard.starts_with("CONNECT registry.invalid:443 HTTP/1.1\r\n"),
        "{heard}"
    );
    assert!(
        heard
            .to_lowercase()
            .contains("proxy-authorization: basic bwu6chc="),
        "{heard}"
    );
    assert_eq!(sent_to_a_proxy("registry.invalid", ".invalid").await, None);
    assert_eq!(
        sent_to_a_proxy("127.0.0.1:1", "").await,
        None,
        "nor for this machine"
    );
}
