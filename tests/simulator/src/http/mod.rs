//! The node's HTTP servers: the temporary one during boot and the real one. A standby has none: its port refuses.

mod limit;
mod pages;
mod tls;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::log::{Logger, lines};
use crate::settings::Settings;
use crate::version::NodeVersion;
use limit::Limit;
use tls::{Client, TlsListener};

/// Measured: a web port that is taken is tried again every 15 s.
const RETRY: Duration = Duration::from_secs(15);

/// Ends when dropped: its ports refuse at once.
pub(crate) struct Server(#[expect(dead_code, reason = "kept until it is dropped")] JoinSet<()>);

impl Server {
    fn of(task: impl Future<Output = ()> + Send + 'static) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        Self(tasks)
    }
}

/// `StartUpHealthReport`: alive (204), and 404 for everything but `/health`.
pub(crate) async fn temporary(port: u16) -> Option<Server> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await.ok()?;
    let app = Router::new().fallback(|request: Request| async move {
        let answer = match request.uri().path() {
            "/health" => StatusCode::NO_CONTENT.into_response(),
            _ => not_found(),
        };
        // The server ends soon, and nobody is to be left talking to it over an open connection.
        ([(CONNECTION, "close")], answer).into_response()
    });
    Some(Server::of(async move {
        let _ = axum::serve(listener, app).await;
    }))
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found").into_response()
}

/// What the pages depend on.
struct Node {
    config: Config,
    version: NodeVersion,
    settings: Arc<Settings>,
    log: Logger,
    /// `/` allows 20 requests a minute, everything else 1000 (`X-Ratelimit-Limit`, measured).
    pages: Limit,
    api: Limit,
}

/// Starts the real server; its port may be taken, and then it stays without, retrying.
pub(crate) fn serve(
    config: &Config,
    version: &NodeVersion,
    settings: &Arc<Settings>,
    log: &Logger,
) -> Server {
    let node = Arc::new(Node {
        config: config.clone(),
        version: version.clone(),
        settings: settings.clone(),
        log: log.clone(),
        pages: Limit::new(20),
        api: Limit::new(1000),
    });
    Server::of(async move {
        let port = node.config.http_port;
        loop {
            let refused = node.settings.fault("refuse-http").is_some();
            match TcpListener::bind(("0.0.0.0", port)).await {
                Ok(listener) if !refused => {
                    let app = Router::new().fallback(answer).with_state(node.clone());
                    let app = app.into_make_service_with_connect_info::<Client>();
                    let plain = async { axum::serve(listener, app.clone()).await };
                    let secured = node.listen_with_tls().await;
                    let secured = async {
                        match secured {
                            Some(listener) => axum::serve(listener, app.clone()).await,
                            None => Ok(()),
                        }
                    };
                    let _ = tokio::join!(plain, secured);
                    return;
                }
                _ => {
                    let error = format!("listen tcp 0.0.0.0:{port}: bind: address already in use");
                    node.log.log(&lines::server_failed("", &error));
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    })
}

impl Node {
    /// The default HTTPS port without a certificate costs log lines only.
    async fn listen_with_tls(&self) -> Option<TlsListener> {
        let port = self.config.https_port;
        if port == 0 {
            return None;
        }
        let listener = match &self.config.certificate {
            Some((certificate, key)) => {
                TlsListener::bind(port, Path::new(certificate), Path::new(key)).await
            }
            None => Err("open : no such file or directory".to_owned()),
        };
        match &listener {
            Ok(_) => self.log.log(&lines::listening_with_tls(port)),
            Err(error) => self.log.log(&lines::server_failed("TLS ", error)),
        }
        listener.ok()
    }
}

async fn answer(
    State(node): State<Arc<Node>>,
    ConnectInfo(Client(client)): ConnectInfo<Client>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    if path == "/metrics" {
        return metrics(&node, &headers);
    }
    let limit = if path == "/" || path.starts_with("/assets") {
        &node.pages
    } else {
        &node.api
    };
    let grant = limit.ask(client.ip());
    let mut response = if grant.allowed {
        page(&node, &path)
    } else {
        (StatusCode::TOO_MANY_REQUESTS, "Limit exceeded").into_response()
    };
    let numbers = [
        ("x-ratelimit-limit", grant.limit),
        ("x-ratelimit-remaining", grant.remaining),
        ("x-ratelimit-reset", grant.reset),
    ];
    let headers = response.headers_mut();
    for (name, number) in numbers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
    }
    headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    node.log
        .log(&lines::served(&path, response.status().as_u16()));
    response
}

fn page(node: &Node, path: &str) -> Response {
    let failing = pages::failing(
        node.config.evm_off_by_env,
        node.settings.fault("failing-service").is_some(),
    );
    match path {
        "/health" => {
            let partial = failing && node.version.health_can_answer_207();
            let status = if partial {
                StatusCode::MULTI_STATUS
            } else {
                StatusCode::OK
            };
            let kind = [(CONTENT_TYPE, "application/vnd.api+json")];
            (
                status,
                kind,
                pages::health(node.version.generation(), failing),
            )
                .into_response()
        }
        "/readyz" if failing && !node.version.readyz_ignores_services() => {
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        "/readyz" => StatusCode::OK.into_response(),
        _ if path.starts_with("/v2") || path == "/query" => {
            let kind = [(CONTENT_TYPE, "application/json; charset=utf-8")];
            (StatusCode::UNAUTHORIZED, kind, pages::UNAUTHENTICATED).into_response()
        }
        // The UI routes in the browser: every other path is the start page.
        _ => ([(CONTENT_TYPE, "text/html; charset=utf-8")], pages::UI).into_response(),
    }
}

fn metrics(node: &Node, headers: &HeaderMap) -> Response {
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let wanted = node
        .config
        .prometheus_token
        .as_ref()
        .map(|token| format!("Bearer {token}"));
    if wanted.is_some() && wanted.as_deref() != given {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, pages::metrics(&node.version)).into_response()
}
