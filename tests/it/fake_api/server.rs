//! HTTP in front of the store: one operator's view of the API server.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use futures::stream;
use kube::Client;
use serde_json::{Value, json};

use crate::fake_api::meddler::{Call, Fate, Post};
use crate::fake_api::store::{Answer, PatchKind, Place, Refusal, refusal};
use crate::fake_api::world::World;
use crate::granted::right;

/// A client whose calls go by `post` to the API server of `world`.
pub fn client(world: &World, post: &Arc<Post>) -> Client {
    let desk = Desk {
        world: world.clone(),
        post: Arc::clone(post),
    };
    Client::new(Router::new().fallback(serve).with_state(desk), "default")
}

#[derive(Clone)]
struct Desk {
    world: World,
    post: Arc<Post>,
}

/// A request, taken apart.
struct Asked {
    method: Method,
    /// Of the API; empty for the core's.
    group: String,
    kind: String,
    name: String,
    sub: String,
    query: Vec<(String, String)>,
    patch: PatchKind,
    body: Value,
}

/// What has arrived is carried out, also for a caller who does not wait for it any more.
async fn serve(desk: State<Desk>, request: Request) -> Response {
    let answer = tokio::spawn(async {
        let post = Arc::clone(&desk.post);
        post.on_its_way(1);
        let answer = carry(desk, request).await;
        post.on_its_way(-1);
        answer
    });
    let answer = answer.await;
    answer.expect("the API server answers")
}

async fn carry(State(desk): State<Desk>, request: Request) -> Response {
    let asked = take_apart(request).await;
    if desk.post.is_dead() {
        desk.post.die().await;
    }
    if asked.sub == "log" {
        return match desk.world.grant(asked.rights(&desk.world)) {
            Ok(()) => log(&desk.world, &asked).await,
            Err(refusal) => respond(Err(refusal)),
        };
    }
    let call = asked.call();
    let fate = desk.post.send(call.clone()).await;
    if desk.post.is_dead() {
        desk.post.die().await;
    }
    match fate {
        Fate::DieBefore => desk.post.die().await,
        Fate::Refuse(code) => return respond(Err(by_code(code))),
        _ => {}
    }
    let answer = match desk.world.grant(asked.rights(&desk.world)) {
        Ok(()) => desk
            .world
            .answer(&call, |store| asked.carry_out(store, fate == Fate::Earlier)),
        Err(refusal) => Err(refusal),
    };
    match fate {
        Fate::DieAfter => desk.post.die().await,
        Fate::Lose(code) => respond(Err(by_code(code))),
        Fate::Cut => Response::new(Body::from_stream(stream::iter([
            Ok(Bytes::from_static(b"{\"kind\":")),
            Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
        ]))),
        _ => respond(answer),
    }
}

fn by_code(code: u16) -> Refusal {
    match code {
        // As a webhook denies that names neither code nor reason.
        400 => refusal(
            400,
            "",
            "admission webhook \"policy.example\" denied the request: no",
        ),
        403 => refusal(
            403,
            "Forbidden",
            "pods is forbidden: exceeded quota: compute",
        ),
        409 => refusal(409, "Conflict", "the object has been modified"),
        429 => refusal(
            429,
            "TooManyRequests",
            "the server has received too many requests",
        ),
        504 => refusal(504, "Timeout", "the request did not complete in time"),
        _ => refusal(code, "InternalError", "an error on the server"),
    }
}

fn respond(answer: Answer) -> Response {
    let (code, body) = match answer {
        Ok(object) => (200, object),
        Err(Refusal {
            code,
            reason,
            message,
        }) => (
            code,
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "reason": reason, "message": message, "code": code}),
        ),
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

async fn take_apart(request: Request) -> Asked {
    let (head, body) = request.into_parts();
    let path: Vec<&str> = head
        .uri
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let rest = path
        .iter()
        .position(|part| *part == "namespaces")
        .map(|at| &path[at + 2..]);
    let part = |at: usize| {
        rest.and_then(|rest| rest.get(at))
            .copied()
            .unwrap_or_default()
    };
    let content = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let query = head.uri.query().unwrap_or_default();
    // Events of the new group and of the old one are different objects here.
    let group = if path[1].contains("events") {
        "new-"
    } else {
        ""
    };
    Asked {
        method: head.method,
        group: if path[0] == "apis" { path[1] } else { "" }.to_owned(),
        kind: format!("{group}{}", part(0)),
        name: part(1).to_owned(),
        sub: part(2).to_owned(),
        query: query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), decoded(value)))
            .collect(),
        patch: match content {
            Some("application/strategic-merge-patch+json") => PatchKind::Strategic,
            Some("application/apply-patch+yaml") => PatchKind::Apply,
            _ => PatchKind::Merge,
        },
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

/// Undoes the percent encoding that label and field selectors get.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        plain.push(char::from(u8::from_str_radix(code, 16).unwrap()));
        plain.push_str(rest);
    }
    plain
}

impl Asked {
    /// What the call needs of the chart's rights. An apply that makes its object needs two.
    fn rights(&self, world: &World) -> Vec<String> {
        let kind = self.kind.trim_start_matches("new-");
        let resource = match self.sub.as_str() {
            "" => kind.to_owned(),
            sub => format!("{kind}/{sub}"),
        };
        let verb = match (&self.method, self.name.is_empty()) {
            (&Method::GET, true) => "list",
            (&Method::GET, false) => "get",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            _ => "delete",
        };
        let exists = || world.with(|all| all.store.find(&self.kind, &self.name).is_some());
        let makes = verb == "patch" && self.patch == PatchKind::Apply && !exists();
        let verbs = [verb].into_iter().chain(makes.then_some("create"));
        verbs
            .map(|verb| right(verb, &self.group, &resource))
            .collect()
    }

    fn call(&self) -> Call {
        let verb = match (&self.method, self.name.is_empty()) {
            (&Method::GET, true) => "list",
            (&Method::GET, false) => "get",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "replace",
            (&Method::PATCH, _) => "patch",
            _ => "delete",
        };
        let named = self.body["metadata"]["name"].as_str();
        Call {
            number: 0,
            write: (self.method != Method::GET && self.query("dryRun").is_none()).then_some(0),
            verb,
            kind: self.kind.clone(),
            name: if self.name.is_empty() {
                named.unwrap_or_default().to_owned()
            } else {
                self.name.clone()
            },
            status: self.sub == "status",
            image: self.body["spec"]["containers"][0]["image"]
                .as_str()
                .map(str::to_owned),
            cpu: self.body["spec"]["containers"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| {
                    one["resources"]["requests"]["cpu"]
                        .as_str()
                        .map(str::to_owned)
                })
                .collect(),
        }
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn carry_out(&self, store: &mut crate::fake_api::store::Store, earlier: bool) -> Answer {
        let (kind, name) = (self.kind.as_str(), self.name.as_str());
        let status = self.sub == "status";
        match (&self.method, name.is_empty()) {
            (&Method::GET, true) => Ok(self.list(store, earlier)),
            (&Method::GET, false) => store.get(kind, name).map(|object| (*object).clone()),
            (&Method::POST, _) => store.create(kind, self.body.clone()),
            (&Method::PUT, _) if status => {
                let dry = self.query("dryRun") == Some("All");
                store.replace_status(kind, name, &self.body, dry)
            }
            (&Method::PUT, _) => store.replace(kind, name, &self.body),
            (&Method::PATCH, _) => {
                store.patch(&Place { kind, name, status }, self.patch, &self.body)
            }
            (&Method::DELETE, _) => store.delete(kind, name, &self.body["preconditions"]),
            _ => Err(refusal(
                405,
                "MethodNotAllowed",
                "this server does not know that",
            )),
        }
    }

    fn list(&self, store: &crate::fake_api::store::Store, earlier: bool) -> Value {
        // A version in the query would allow an answer from a cache that lags behind.
        assert_eq!(
            self.query("resourceVersion"),
            None,
            "a LIST has to be answered by a quorum"
        );
        let all = if earlier {
            store.all_earlier(&self.kind)
        } else {
            store.all(&self.kind)
        };
        let items: Vec<&Value> = all
            .values()
            .map(|object| &**object)
            .filter(|object| self.selects(object))
            .collect();
        json!({"metadata": {"resourceVersion": store.version().to_string()}, "items": items})
    }

    fn selects(&self, object: &Value) -> bool {
        let labels = self
            .query("labelSelector")
            .into_iter()
            .flat_map(|text| text.split(','));
        let fields = self
            .query("fieldSelector")
            .into_iter()
            .flat_map(|text| text.split(','));
        let of = &object["metadata"]["labels"];
        labels
            .map(|asked| (asked, asked.split_once('=')))
            .all(|(asked, pair)| match (pair, asked.strip_prefix('!')) {
                (Some((label, value)), _) => of[label] == value,
                (None, Some(label)) => of[label].is_null(),
                (None, None) => !of[asked].is_null(),
            })
            && fields
                .filter_map(|pair| pair.split_once('='))
                .all(|(field, value)| {
                    field.split('.').fold(object, |object, step| &object[step]) == value
                })
    }
}

/// A container's log, from its first line; streamed until the container ends where that is asked for.
async fn log(world: &World, asked: &Asked) -> Response {
    if world.log_is_silent(&asked.name) {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    let Some(container) = world.container(&asked.name) else {
        return respond(Err(refusal(
            400,
            "BadRequest",
            "the container is waiting to start",
        )));
    };
    if asked.query("follow") != Some("true") {
        let lines = world
            .lines(&container, 0)
            .map_or(vec![], |(lines, _)| lines);
        return Response::new(Body::from(lines.last().cloned().unwrap_or_default()));
    }
    let lines = stream::unfold(
        (world.clone(), container, 0),
        |(world, container, seen)| async move {
            let mut changes = world.changes();
            loop {
                let (lines, ended) = world.lines(&container, seen)?;
                if !lines.is_empty() {
                    let seen = seen + lines.len();
                    let text = Bytes::from(lines.concat());
                    return Some((Ok::<_, Infallible>(text), (world, container, seen)));
                }
                if ended {
                    return None;
                }
                changes.changed().await.ok()?;
            }
        },
    );
    Response::new(Body::from_stream(lines))
}
