//! The calls of the API server, counted where all of them go through: below the client.

use std::task::{Context, Poll};

use axum::http::{Method, Request, Response, Uri};
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::{Body, ClientBuilder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tower::{Layer, Service};

/// What stands for the code where no answer came: the call failed, or was given up.
const NO_ANSWER: &str = "none";

/// How many calls were made, by what they ask for and what was answered, and how many of their answers are still open.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    requests: Family<[(&'static str, String); 3], Counter>,
    streams: Gauge,
}

impl Calls {
    /// A client of this configuration that counts its calls here.
    pub fn counting(&self, config: kube::Config) -> Result<Client, kube::Error> {
        Ok(ClientBuilder::try_from(config)?.with_layer(self).build())
    }

    /// Counts one call.
    pub fn note(&self, verb: &str, resource: &str, code: &str) {
        let labels = [("verb", verb), ("resource", resource), ("code", code)];
        let labels = labels.map(|(name, value)| (name, value.to_owned()));
        self.requests.get_or_create(&labels).inc();
    }

    /// Has them told beside other metrics.
    pub fn register(&self, registry: &mut Registry) {
        let what = "Requests to the API server by verb, resource and status code; the code is none where no answer came";
        registry.register("api_requests", what, self.requests.clone());
        let what = "Streams of the API server that are open: watches, and logs that are followed";
        registry.register("api_open_streams", what, self.streams.clone());
    }
}

/// One call. Where it is dropped without an answer, none came.
struct Call {
    calls: Calls,
    verb: &'static str,
    resource: String,
    answered: bool,
}

impl Call {
    fn answered(&mut self, code: &str) {
        self.answered = true;
        self.calls.note(self.verb, &self.resource, code);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.answered {
            self.answered(NO_ANSWER);
        }
    }
}

/// An open stream, for as long as this is kept.
struct Open(Gauge);

impl Open {
    fn new(streams: &Gauge) -> Self {
        streams.inc();
        Self(streams.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn asks(uri: &Uri, parameter: &str) -> bool {
    let query = uri.query().unwrap_or_default();
    let mut given = form_urlencoded::parse(query.as_bytes());
    given.any(|(name, value)| name == parameter && value != "false" && value != "0")
}

/// Whether the answer lasts.
pub(super) fn is_stream(uri: &Uri) -> bool {
    asks(uri, "watch") || asks(uri, "follow")
}

/// What a request asks for, in the words of RBAC.
fn verb(method: &Method, uri: &Uri) -> &'static str {
    let of_one = names_an_object(uri.path());
    match method.as_str() {
        "GET" if asks(uri, "watch") => "watch",
        "GET" if of_one => "get",
        "GET" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if of_one => "delete",
        "DELETE" => "deletecollection",
        _ => "other",
    }
}

/// Whether a path leads to one object, or to what belongs to one: `/api/v1/namespaces/chain/pods/cl-0/log`. What is outside
/// of all groups is one, too.
fn names_an_object(path: &str) -> bool {
    within_its_group(path).is_none_or(|kind| !matches!(kind[..], [_] | ["namespaces", _, _]))
}

/// What a path leads to, in the words of RBAC: `pods/log`. Nothing where it is outside of all groups.
fn resource(path: &str) -> String {
    match within_its_group(path).as_deref() {
        Some(["namespaces", _, kind] | ["namespaces", _, kind, _]) => (*kind).to_owned(),
        Some(["namespaces", _, kind, _, part, ..] | [kind, _, part, ..]) => {
            format!("{kind}/{part}")
        }
        Some([kind, ..]) => (*kind).to_owned(),
        Some([]) | None => String::new(),
    }
}

/// The parts of a path behind its group and version.
fn within_its_group(path: &str) -> Option<Vec<&str>> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match parts.next()? {
        "api" => parts.next()?,
        "apis" => parts.next().and_then(|_| parts.next())?,
        _ => return None,
    };
    Some(parts.collect())
}

impl<S> Layer<S> for Calls {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        let calls = self.clone();
        Counted { inner, calls }
    }
}

/// A service that counts what goes through it.
pub struct Counted<S> {
    inner: S,
    calls: Calls,
}

type Streamed<B> = Response<
    http_body_util::combinators::UnsyncBoxBody<
        <B as hyper::body::Body>::Data,
        <B as hyper::body::Body>::Error,
    >,
>;

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: hyper::body::Body + Send + 'static,
{
    type Response = Streamed<B>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Streamed<B>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let stream = is_stream(request.uri());
        let mut call = Call {
            verb: verb(request.method(), request.uri()),
            resource: resource(request.uri().path()),
            calls: self.calls.clone(),
            answered: false,
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            call.answered(answer.status().as_str());
            let open =
                (stream && answer.status().is_success()).then(|| Open::new(&call.calls.streams));
            Ok(answer.map(|body| {
                body.map_frame(move |frame| {
                    let _kept = &open;
                    frame
                })
                .boxed_unsync()
            }))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use k8s_openapi::api::core::v1::Pod;
    use kube::api::{Api, ListParams, WatchParams};

    use super::*;

    fn told(calls: &Calls) -> String {
        let mut registry = Registry::default();
        calls.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_request_is_told_by_its_verb() {
        for (method, path, is) in [
            (Method::GET, "/api/v1/namespaces/chain/pods", "list"),
            (
                Method::GET,
                "/api/v1/namespaces/chain/pods?watch=1",
                "watch",
            ),
            (
                Method::GET,
                "/api/v1/namespaces/chain/pods?watch=false",
                "list",
            ),
            (Method::GET, "/api/v1/namespaces/chain/pods/cl-0", "get"),
            (
                Method::GET,
                "/api/v1/namespaces/chain/pods/cl-0/log?follow=true",
                "get",
            ),
            (Method::GET, "/api/v1/nodes", "list"),
            (Method::GET, "/api/v1/nodes/one", "get"),
            (Method::GET, "/apis/apps/v1/controllerrevisions", "list"),
            (
                Method::GET,
                "/apis/apps/v1/namespaces/a/controllerrevisions/b",
                "get",
            ),
            (Method::GET, "/version", "get"),
            (Method::POST, "/api/v1/namespaces/chain/pods", "create"),
            (Method::PUT, "/api/v1/namespaces/chain/pods/cl-0", "update"),
            (Method::PATCH, "/api/v1/namespaces/chain/pods/cl-0", "patch"),
            (
                Method::DELETE,
                "/api/v1/namespaces/chain/pods/cl-0",
                "delete",
            ),
            (
                Method::DELETE,
                "/api/v1/namespaces/chain/pods",
                "deletecollection",
            ),
        ] {
            assert_eq!(verb(&method, &path.parse().unwrap()), is, "{method} {path}");
        }
    }

    #[test]
    fn a_request_is_told_by_its_resource() {
        for (path, is) in [
            ("/api/v1/namespaces/chain/pods", "pods"),
            ("/api/v1/namespaces/chain/pods/cl-0", "pods"),
            ("/api/v1/namespaces/chain/pods/cl-0/log", "pods/log"),
            ("/api/v1/pods", "pods"),
            ("/api/v1/nodes/one", "nodes"),
            ("/api/v1/nodes/one/status", "nodes/status"),
            ("/api/v1/namespaces", "namespaces"),
            ("/api/v1/namespaces/chain", "namespaces"),
            (
                "/apis/chainlink-operator.dev/v1alpha1/namespaces/a/chainlinknodes/b/status",
                "chainlinknodes/status",
            ),
            ("/apis/apps/v1/controllerrevisions", "controllerrevisions"),
            ("/api/v1", ""),
            ("/version", ""),
        ] {
            assert_eq!(resource(path), is, "{path}");
        }
    }

    #[tokio::test]
    async fn calls_are_counted_by_what_they_ask_for_and_streams_while_they_are_open() {
        let server = Router::new().fallback(|request: axum::extract::Request| async move {
            if is_stream(request.uri()) {
                let never = futures::stream::pending::<Result<String, std::io::Error>>();
                return axum::body::Body::from_stream(never).into_response();
            }
            StatusCode::NOT_FOUND.into_response()
        });
        let calls = Calls::default();
        let mut counted = calls.layer(server);
        let given_up = Request::get("/version").body(Body::empty()).unwrap();
        drop(counted.call(given_up));
        let pods: Api<Pod> = Api::namespaced(Client::new(counted, "a"), "a");
        assert!(pods.get("b").await.is_err());
        assert!(pods.list(&ListParams::default()).await.is_err());
        let watch = pods.watch(&WatchParams::default(), "0").await.unwrap();
        let text = told(&calls);
        for line in [
            "api_requests_total{verb=\"get\",resource=\"pods\",code=\"404\"} 1",
            "api_requests_total{verb=\"get\",resource=\"\",code=\"none\"} 1",
            "api_requests_total{verb=\"list\",resource=\"pods\",code=\"404\"} 1",
            "api_requests_total{verb=\"watch\",resource=\"pods\",code=\"200\"} 1",
            "api_open_streams 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
        drop(watch);
        assert!(told(&calls).contains("api_open_streams 0\n"));
    }
}
