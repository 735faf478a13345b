//! An API server that keeps objects, merges patches, and may be one for people on call: who may annotate, and no more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use futures::stream;
use kube::Client;
use serde_json::{Value, json};

/// A patch that was sent.
#[derive(Clone, Debug)]
pub struct Patched {
    pub query: String,
    pub body: Value,
}

#[derive(Default)]
struct Kept {
    /// By path.
    objects: BTreeMap<String, Value>,
    logs: BTreeMap<String, String>,
    patches: Vec<Patched>,
    on_call: bool,
    /// What the operator makes of a node that was patched.
    operator: Option<fn(&mut Value)>,
}

#[derive(Clone, Default)]
pub struct Server(Arc<Mutex<Kept>>);

const NODES: &str = "/apis/chainlink-operator.dev/v1alpha1/namespaces/oracles/chainlinknodes";

/// What the chart's policy says to people on call.
pub const POLICY: &str = "you may set annotations of a ChainlinkNode (a switchover, an approval) and change nothing else: that takes the right to update it";

impl Server {
    pub fn with(nodes: impl IntoIterator<Item = Value>) -> Self {
        let server = Self::default();
        for node in nodes {
            let name = node["metadata"]["name"].as_str().unwrap().to_owned();
            let namespace = node["metadata"]["namespace"].as_str().unwrap();
            let at = NODES.replace("/oracles/", &format!("/{namespace}/"));
            server.kept().objects.insert(format!("{at}/{name}"), node);
        }
        server
    }

    /// For people on call: the spec is not theirs to change.
    pub fn for_people_on_call(self) -> Self {
        self.kept().on_call = true;
        self
    }

    pub fn operated_by(self, operator: fn(&mut Value)) -> Self {
        self.kept().operator = Some(operator);
        self
    }

    pub fn log(self, pod: &str, text: &str) -> Self {
        self.kept().logs.insert(pod.to_owned(), text.to_owned());
        self
    }

    pub fn event(self, name: &str, event: Value) -> Self {
        let at = format!("/api/v1/namespaces/oracles/events/{name}");
        self.kept().objects.insert(at, event);
        self
    }

    pub fn client(&self) -> Client {
        Client::new(
            Router::new().fallback(serve).with_state(self.clone()),
            "oracles",
        )
    }

    pub fn node(&self, name: &str) -> Value {
        self.kept().objects[&format!("{NODES}/{name}")].clone()
    }

    pub fn patches(&self) -> Vec<Patched> {
        self.kept().patches.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(State(server): State<Server>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    if query.contains("watch=true") {
        // Nothing more happens.
        return Response::new(Body::from_stream(stream::pending::<
            Result<Bytes, axum::Error>,
        >()));
    }
    let mut kept = server.kept();
    if let Some(pod) = path.strip_suffix("/log") {
        let pod = pod.rsplit('/').next().unwrap();
        return match kept.logs.get(pod) {
            Some(log) => Response::new(Body::from(log.clone())),
            None => refuse(400, "the container is waiting to start"),
        };
    }
    match head.method {
        Method::PATCH => patch(
            &mut kept,
            path,
            query,
            &serde_json::from_slice(&body).unwrap(),
        ),
        _ if kept.objects.contains_key(path) => answer(&kept.objects[path]),
        _ if path.ends_with("chainlinknodes") || path.ends_with("events") => {
            // All namespaces are asked for without one.
            let part = path.rsplit('/').next().unwrap();
            let within = |key: &str| {
                if path.contains("/namespaces/") {
                    key.starts_with(path)
                } else {
                    key.contains(part)
                }
            };
            let fits = |object: &Value| {
                let asked = query.contains("ChainlinkNode");
                part != "events" || (object["involvedObject"]["kind"] == "ChainlinkNode") == asked
            };
            let items: Vec<&Value> = kept
                .objects
                .iter()
                .filter(|(key, object)| within(key) && fits(object))
                .map(|(_, object)| object)
                .collect();
            answer(&json!({"metadata": {"resourceVersion": "1"}, "items": items}))
        }
        _ => {
            let name = path.rsplit('/').next().unwrap();
            refuse(404, &format!("chainlinknodes \"{name}\" not found"))
        }
    }
}

fn patch(kept: &mut Kept, path: &str, query: &str, body: &Value) -> Response {
    kept.patches.push(Patched {
        query: query.to_owned(),
        body: body.clone(),
    });
    if kept.on_call && !body["spec"].is_null() {
        return refuse(403, POLICY);
    }
    let operator = kept.operator;
    let object = kept.objects.get_mut(path).unwrap();
    let uid = &body["metadata"]["uid"];
    if !uid.is_null() && *uid != object["metadata"]["uid"] {
        return refuse(409, "the uid differs");
    }
    merge(object, body);
    if let Some(operator) = operator {
        operator(object);
    }
    answer(object)
}

/// RFC 7386.
fn merge(object: &mut Value, change: &Value) {
    let Value::Object(fields) = change else {
        *object = change.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut object[name], value);
        }
    }
}

fn answer(object: &Value) -> Response {
    Response::new(Body::from(object.to_string()))
}

fn refuse(code: u16, message: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": "", "message": message, "code": code});
    let mut response = answer(&body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}
