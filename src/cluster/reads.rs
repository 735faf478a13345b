//! What the API server answered to the reads of one pass, and a client that gives these answers again. That one can send
//! nothing: whatever else is asked of it is an end of what is known, and of nothing worse.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::Notify;
use tower::service_fn;

use crate::mutex::lock;

/// A read: its path with the query, and in which form the answer is wanted.
type Asked = (String, Option<HeaderValue>);

/// What a client has read, each read with its last answer.
#[derive(Debug, Default)]
pub struct Reads {
    answers: HashMap<Asked, (StatusCode, Bytes)>,
}

/// Who listens to the calls of a client.
pub struct Listener(Arc<Mutex<Option<Reads>>>);

impl Listener {
    /// A client that calls by `client`, and who listens to it.
    pub fn of(client: &Client) -> (Client, Self) {
        let heard = Arc::new(Mutex::new(Some(Reads::default())));
        let listener = Self(Arc::clone(&heard));
        let client = client.clone();
        let calls = service_fn(move |request: Request<Body>| {
            let (client, heard) = (client.clone(), Arc::clone(&heard));
            async move { call(&client, request, &heard).await }
        });
        (Client::new(calls, ""), listener)
    }

    /// All that was read; nothing where anything else was asked, or a read failed: the same again would be something else.
    pub fn heard(self) -> Option<Reads> {
        lock(&self.0).take()
    }
}

async fn call(
    client: &Client,
    request: Request<Body>,
    heard: &Mutex<Option<Reads>>,
) -> Result<Response<Body>, kube::Error> {
    let Some(asked) = read_of(&request) else {
        *lock(heard) = None;
        return client.send(request).await;
    };
    let answer = async {
        let (parts, body) = client.send(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok((parts, body))
    };
    let answer = answer.await;
    let mut all = lock(heard);
    match answer {
        Ok((parts, body)) => {
            // That something is not there is an answer, too.
            if parts.status.is_success() || parts.status == StatusCode::NOT_FOUND {
                if let Some(reads) = all.as_mut() {
                    reads.answers.insert(asked, (parts.status, body.clone()));
                }
            } else {
                *all = None;
            }
            Ok(Response::from_parts(parts, Body::from(body)))
        }
        Err(error) => {
            *all = None;
            Err(error)
        }
    }
}

/// What a request reads, if it only reads and its answer ends.
fn read_of(request: &Request<Body>) -> Option<Asked> {
    let uri = request.uri();
    if request.method() != Method::GET || super::calls::is_stream(uri) {
        return None;
    }
    let accepted = request.headers().get(header::ACCEPT).cloned();
    Some((uri.to_string(), accepted))
}

async fn ask(client: &Client, (uri, accepted): &Asked) -> Result<Bytes, kube::Error> {
    let mut request = Request::get(uri).body(Body::empty());
    if let (Ok(request), Some(accepted)) = (&mut request, accepted) {
        request
            .headers_mut()
            .insert(header::ACCEPT, accepted.clone());
    }
    let request = request.map_err(kube::Error::HttpError)?;
    let answer = client.send(request).await?;
    if !answer.status().is_success() {
        let said = answer.status().to_string();
        return Err(kube::Error::Service(said.into()));
    }
    Ok(answer.into_body().collect().await?.to_bytes())
}

/// What an answer says of objects: the version of a list is that of the whole store.
fn content(body: &Bytes) -> Option<Value> {
    let mut content: Value = serde_json::from_slice(body).ok()?;
    if content.get("items").is_some() {
        content.as_object_mut()?.remove("metadata");
    }
    forget_who_wrote_what(&mut content);
    Some(content)
}

/// Removes the managers of the fields, of an object or of all in a list.
fn forget_who_wrote_what(content: &mut Value) {
    let of_one = |object: &mut Value| {
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        metadata.and_then(|metadata| metadata.remove("managedFields"))
    };
    of_one(content);
    let items = content.get_mut("items").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten() {
        of_one(item);
    }
}

/// Whether a read is of a list of this kind (`pods`).
fn lists(uri: &str, kind: &str) -> bool {
    path(uri).next() == Some(kind)
}

/// Whether a read is of a list of this kind or of one object of it.
fn in_kind(uri: &str, kind: &str) -> bool {
    path(uri).take(2).any(|part| part == kind)
}

/// The parts of a read's path, the last of them first.
fn path(uri: &str) -> impl Iterator<Item = &str> {
    uri.split('?').next().unwrap_or_default().rsplit('/')
}

impl Reads {
    /// The same in as little memory as it takes: an answer as it came is a slice of the buffer of its connection, and keeps all
    /// of that. Without what no pass over a resource at rest reads: who wrote which field is a third of a pod's text, and is
    /// asked of Services alone.
    #[must_use]
    pub fn lean(mut self) -> Self {
        for ((uri, _), (_, body)) in &mut self.answers {
            let content = (!in_kind(uri, "services")).then(|| serde_json::from_slice(body).ok());
            *body = match content.flatten() {
                Some(mut content) => {
                    forget_who_wrote_what(&mut content);
                    content.to_string().into_bytes().into_boxed_slice().into()
                }
                None => Bytes::copy_from_slice(body),
            };
        }
        self.answers.shrink_to_fit();
        self
    }

    /// Whether the API server answers the reads of this kind (`pods`) as it did, asked anew: it does so from a quorum. Not where
    /// there was none, or one fails.
    pub async fn hold(&self, client: &Client, kind: &str) -> bool {
        let of_kind = |(uri, _): &&Asked| lists(uri, kind);
        let mut asked = self.answers.keys().filter(of_kind).peekable();
        if asked.peek().is_none() {
            return false;
        }
        for asked in asked {
            let known = self.answers.get(asked).map(|(_, body)| content(body));
            match ask(client, asked).await {
                Ok(now) if known == Some(content(&now)) => {}
                _ => return false,
            }
        }
        true
    }

    /// A client that answers from memory, and what tells that something else was asked of it: that is never answered.
    pub fn recall(self: &Arc<Self>) -> (Client, Arc<Notify>) {
        let unlike = Arc::new(Notify::new());
        let (reads, tell) = (Arc::clone(self), Arc::clone(&unlike));
        let calls = service_fn(move |request: Request<Body>| {
            let known = read_of(&request).and_then(|asked| reads.answers.get(&asked).cloned());
            let tell = Arc::clone(&tell);
            async move {
                let Some((status, body)) = known else {
                    tell.notify_one();
                    return std::future::pending().await;
                };
                let mut answer = Response::new(Body::from(body));
                *answer.status_mut() = status;
                Ok::<_, Infallible>(answer)
            }
        });
        (Client::new(calls, ""), unlike)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use axum::Router;
    use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
    use kube::api::{Api, DeleteParams, ListParams};
    use tokio::time::timeout;

    use super::*;

    /// An API server with one pod, which is asked how often it was called.
    fn server() -> (Client, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let serve = move |request: axum::extract::Request| {
            count.fetch_add(1, Ordering::SeqCst);
            let path = request.uri().path().to_owned();
            std::future::ready(match path.as_str() {
                "/api/v1/namespaces/a/pods/p" => {
                    (StatusCode::OK, r#"{"metadata":{"name":"p"}}"#.to_owned())
                }
                "/api/v1/namespaces/a/pods" => (
                    StatusCode::OK,
                    r#"{"metadata":{},"items":[{"metadata":{"name":"p"}}]}"#.to_owned(),
                ),
                path => {
                    let (code, reason) = if path.ends_with("refused") {
                        (403, "Forbidden")
                    } else {
                        (404, "NotFound")
                    };
                    let said = format!(
                        r#"{{"kind":"Status","status":"Failure","code":{code},"reason":"{reason}","message":""}}"#
                    );
                    (StatusCode::from_u16(code).unwrap(), said)
                }
            })
        };
        (Client::new(Router::new().fallback(serve), "a"), calls)
    }

    fn pods(client: &Client) -> Api<Pod> {
        Api::namespaced(client.clone(), "a")
    }

    /// The reads of a client that has read the pod, the list and a `ConfigMap` that is not there.
    async fn heard(client: &Client) -> Arc<Reads> {
        let (client, listener) = Listener::of(client);
        pods(&client).get("p").await.unwrap();
        pods(&client).list(&ListParams::default()).await.unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(client, "a");
        assert!(maps.get_opt("none").await.unwrap().is_none());
        Arc::new(listener.heard().unwrap())
    }

    #[tokio::test]
    async fn what_was_read_is_answered_again_without_a_call() {
        let (client, calls) = server();
        let reads = heard(&client).await;
        assert_eq!(calls.load(Ordering::SeqCst), 3);
        let (again, _unlike) = reads.recall();
        assert_eq!(
            pods(&again).get("p").await.unwrap().metadata.name.unwrap(),
            "p"
        );
        let listed = pods(&again).list(&ListParams::default()).await.unwrap();
        assert_eq!(listed.items.len(), 1);
        let maps: Api<ConfigMap> = Api::namespaced(again, "a");
        assert!(maps.get_opt("none").await.unwrap().is_none());
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    /// Nothing that is permitted by memory may reach a pod.
    #[tokio::test]
    async fn whatever_else_is_asked_is_told_and_goes_nowhere() {
        let (client, calls) = server();
        let reads = heard(&client).await;
        for case in 0..4 {
            let (again, unlike) = reads.recall();
            let pods = pods(&again);
            let labelled = ListParams::default().labels("a=b");
            let asks = async {
                match case {
                    0 => drop(pods.get("other").await),
                    1 => drop(pods.list(&labelled).await),
                    2 => drop(pods.get_metadata("p").await),
                    _ => drop(pods.delete("p", &DeleteParams::default()).await),
                }
            };
            let told = async {
                tokio::select! {
                    () = asks => false,
                    () = unlike.notified() => true,
                }
            };
            let told = timeout(Duration::from_secs(10), told).await;
            assert_eq!(told, Ok(true), "{case}");
        }
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    /// An API server whose list of pods is this one now.
    fn lists(items: &'static str, code: StatusCode) -> Client {
        let serve = move || async move {
            let list = format!(r#"{{"metadata":{{"resourceVersion":"7"}},"items":[{items}]}}"#);
            (code, list)
        };
        Client::new(Router::new().fallback(serve), "a")
    }

    #[tokio::test]
    async fn what_was_listed_holds_while_the_same_is_listed_in_whatever_version() {
        let (client, _) = server();
        let reads = heard(&client).await;
        let same = r#"{"metadata":{"name":"p"}}"#;
        let other = r#"{"metadata":{"name":"p","deletionTimestamp":"2026-01-01T00:00:00Z"}}"#;
        assert!(reads.hold(&lists(same, StatusCode::OK), "pods").await);
        assert!(!reads.hold(&lists(other, StatusCode::OK), "pods").await);
        assert!(!reads.hold(&lists("", StatusCode::OK), "pods").await);
        let fails = lists(same, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!reads.hold(&fails, "pods").await);
        let none = reads.hold(&lists(same, StatusCode::OK), "services").await;
        assert!(!none, "there was no such read");
    }

    #[tokio::test]
    async fn who_wrote_what_is_kept_of_services_alone() {
        let serve = |request: axum::extract::Request| async move {
            let object = r#"{"metadata":{"name":"p","managedFields":[{"manager":"m"}]}}"#;
            match request.uri().path().rsplit('/').next() {
                Some("p") => object.to_owned(),
                _ => format!(r#"{{"metadata":{{}},"items":[{object}]}}"#),
            }
        };
        let (client, listener) = Listener::of(&Client::new(Router::new().fallback(serve), "a"));
        let services = |client: &Client| Api::<Service>::namespaced(client.clone(), "a");
        pods(&client).get("p").await.unwrap();
        pods(&client).list(&ListParams::default()).await.unwrap();
        services(&client).get("p").await.unwrap();
        let (again, _unlike) = Arc::new(listener.heard().unwrap().lean()).recall();
        let pod = pods(&again).get("p").await.unwrap().metadata;
        assert_eq!((pod.name.as_deref(), pod.managed_fields), (Some("p"), None));
        let listed = pods(&again).list(&ListParams::default()).await.unwrap();
        assert_eq!(listed.items[0].metadata.managed_fields, None);
        let service = services(&again).get("p").await.unwrap().metadata;
        assert_eq!(service.managed_fields.map(|by| by.len()), Some(1));
    }

    #[tokio::test]
    async fn who_has_written_or_was_refused_is_not_to_be_repeated() {
        let (client, _) = server();
        let (writes, listener) = Listener::of(&client);
        drop(pods(&writes).delete("p", &DeleteParams::default()).await);
        pods(&writes).get("p").await.unwrap();
        assert!(listener.heard().is_none());
        let (fails, listener) = Listener::of(&client);
        pods(&fails).get("refused").await.unwrap_err();
        assert!(listener.heard().is_none());
    }
}
