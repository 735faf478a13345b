//! The operator's own HTTP: probes and metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use chainlink_operator::controller::Context;
use chainlink_operator::report::Format;
use tokio::net::TcpListener;

/// Serves until the process ends.
pub(crate) async fn serve(address: SocketAddr, context: Arc<Context>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .with_state(context);
    axum::serve(TcpListener::bind(address).await?, router).await
}

/// Fails where a loop hangs: a new process is the cure.
async fn health(State(context): State<Arc<Context>>) -> Probe {
    let stuck = context.watchdog().is_stuck(Instant::now());
    probe(!stuck, "no resource was looked at for minutes\n")
}

async fn readiness(State(context): State<Arc<Context>>) -> Probe {
    let ready = context.watchdog().is_ready();
    probe(ready, "the resources are not listed yet\n")
}

type Probe = (StatusCode, &'static str);

fn probe(good: bool, trouble: &'static str) -> Probe {
    if good {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, trouble)
    }
}

/// In the form that is asked for: a Prometheus prefers `OpenMetrics`, other programs may read nothing but the text of old.
async fn metrics(State(context): State<Arc<Context>>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    match context.metrics().text(format) {
        Ok(text) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, format.content_type())],
            text,
        ),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain")],
            error.to_string(),
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_operator_that_has_listed_nothing_yet_is_healthy_and_not_ready() {
        let client = kube::Client::new(Router::new(), "default");
        let (context, _woken) =
            Context::new(client, chainlink_operator::controller::Settings::default());
        assert_eq!(health(State(Arc::clone(&context))).await.0, StatusCode::OK);
        let ready = readiness(State(context)).await.0;
        assert_eq!(ready, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn metrics_come_in_the_form_that_is_asked_for() {
        let client = kube::Client::new(Router::new(), "default");
        let (context, _woken) =
            Context::new(client, chainlink_operator::controller::Settings::default());
        let ask = async |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            let answer = metrics(State(Arc::clone(&context)), headers).await;
            let answer = answer.into_response();
            let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
            let kind = kind.split(';').next().unwrap().to_owned();
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
            let body = String::from_utf8(body.unwrap().to_vec()).unwrap();
            (kind, body.ends_with("# EOF\n"))
        };
        let open = ask("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
        assert_eq!(open, ("application/openmetrics-text".to_owned(), true));
        let text = ask("*/*").await;
        assert_eq!(text, ("text/plain".to_owned(), false));
    }
}
