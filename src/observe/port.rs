//! One attempt on a node's web port.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::node::Answer;
use crate::node::settings::HTTP_PORT;

/// How long an attempt may take. A refusal comes at once; silence means that nothing is known.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tries `/health` on port 6688 of a pod.
pub(super) async fn try_port(address: IpAddr) -> Answer {
    timeout(PATIENCE, attempt(SocketAddr::new(address, HTTP_PORT)))
        .await
        .unwrap_or(Answer::Timeout)
}

async fn attempt(address: SocketAddr) -> Answer {
    let stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Answer::Refused,
        Err(error) => return Answer::Unreachable(error.to_string()),
    };
    request(stream, address)
        .await
        .unwrap_or_else(|error| Answer::Unreachable(error.to_string()))
}

async fn request(stream: TcpStream, address: SocketAddr) -> Result<Answer, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = hyper::Uri::from_static("/health");
    if let Ok(host) = header::HeaderValue::from_str(&address.to_string()) {
        request.headers_mut().insert(header::HOST, host);
    }
    request.headers_mut().insert(
        header::CONNECTION,
        header::HeaderValue::from_static("close"),
    );
    let answer = sender.send_request(request).await;
    driver.abort();
    let status = answer?.status();
    if status.is_server_error() {
        // The node's /health never answers so: a mesh does, on behalf of a node that refuses.
        return Ok(Answer::Unreachable(format!(
            "something else answers {status}"
        )));
    }
    Ok(Answer::Http {
        status: status.as_u16(),
    })
}
