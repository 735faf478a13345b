//! The question to a node's web port, and the connection that it goes by. While the node's own server answers, the connection is
//! kept: a new one each second costs more than the question itself. What comes by a connection that was kept is of the process
//! that took it: it ends with that process, and another one begins with a connection of its own.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::node::settings::HTTP_PORT;
use crate::node::{Answer, Shows};

/// How long an attempt may take. A refusal comes at once; silence means that nothing is known.
const PATIENCE: Duration = Duration::from_secs(1);
/// The path that is asked for. A node answers it in every version, and without a login.
const PATH: &str = "/health";
/// What a node says of its health, at most, where its connection is kept, in bytes; and how long the rest of it is waited for.
const LARGEST: usize = 64 * 1024;
const REST: Duration = Duration::from_millis(100);
/// So much is read at a time, in bytes: the connections of all actives are kept, each with its buffer.
const READ: usize = 1024;

/// Who asks one node's port.
pub(super) struct Health {
    address: SocketAddr,
    kept: Option<Line>,
}

/// A connection that is open. Its driver ends with it.
struct Line {
    sender: SendRequest<Empty<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Health {
    /// Of the pod at this address.
    pub(super) fn of(address: IpAddr) -> Self {
        Self {
            address: SocketAddr::new(address, HTTP_PORT),
            kept: None,
        }
    }

    /// Closes a connection that was kept.
    pub(super) fn hang_up(&mut self) {
        self.kept = None;
    }

    /// Asks once.
    pub(super) async fn ask(&mut self) -> Answer {
        timeout(PATIENCE, self.attempt())
            .await
            .unwrap_or(Answer::Timeout)
    }

    async fn attempt(&mut self) -> Answer {
        // A connection that was closed meanwhile says nothing of who is there now.
        if let Some(line) = self.kept.take()
            && let Ok(answer) = self.by(line).await
        {
            return answer;
        }
        let stream = match TcpStream::connect(self.address).await {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Answer::Refused,
            Err(error) => return Answer::Unreachable(error.to_string()),
        };
        let asked = async {
            let line = Line::begin(stream).await?;
            self.by(line).await
        };
        asked
            .await
            .unwrap_or_else(|error| Answer::Unreachable(error.to_string()))
    }

    /// Asks by this connection, and keeps it where the node's own server has answered.
    async fn by(&mut self, mut line: Line) -> Result<Answer, hyper::Error> {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = Uri::from_static(PATH);
        if let Ok(host) = header::HeaderValue::from_str(&self.address.to_string()) {
            request.headers_mut().insert(header::HOST, host);
        }
        line.sender.ready().await?;
        let response = line.sender.send_request(request).await?;
        let answer = answer(&response);
        if answer.shows() == Shows::Serving && is_read(response.into_body()).await {
            self.kept = Some(line);
        }
        Ok(answer)
    }
}

impl Line {
    async fn begin(stream: TcpStream) -> Result<Self, hyper::Error> {
        let mut client = http1::Builder::new();
        client.read_buf_exact_size(Some(READ));
        let (sender, connection) = client.handshake(TokioIo::new(stream)).await?;
        // Its end shows in the sender.
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self { sender, driver })
    }
}

/// Whether an answer could be read to its end, as it has to be before the next question.
async fn is_read(body: Incoming) -> bool {
    let whole = Limited::new(body, LARGEST).collect();
    timeout(REST, whole).await.is_ok_and(|read| read.is_ok())
}

fn answer<B>(response: &Response<B>) -> Answer {
    if leads_to_tls(response) {
        return Answer::ToTls;
    }
    Answer::Http {
        status: response.status().as_u16(),
    }
}

/// Whether it is the way to the same path by HTTPS, and not to a login somewhere.
fn leads_to_tls<B>(answer: &Response<B>) -> bool {
    let to = answer.headers().get(header::LOCATION);
    let to = to.and_then(|to| to.to_str().ok()?.parse::<Uri>().ok());
    answer.status().is_redirection()
        && to.is_some_and(|to| to.scheme_str() == Some("https") && to.path() == PATH)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    /// A node's server, and who asks it.
    struct Server {
        health: Health,
        connections: Arc<AtomicUsize>,
        status: Arc<AtomicU16>,
        listens: tokio::task::JoinHandle<()>,
    }

    /// Answers with a status that may be changed, on as many connections as are made.
    async fn server() -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let status = Arc::new(AtomicU16::new(200));
        let (counts, says) = (Arc::clone(&connections), Arc::clone(&status));
        let listens = tokio::spawn(async move {
            // They end with it, as those of a process do.
            let mut open = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counts.fetch_add(1, Ordering::SeqCst);
                let says = Arc::clone(&says);
                open.spawn(async move {
                    let mut request = [0; 1024];
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        let status = says.load(Ordering::SeqCst);
                        let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 2\r\n\r\nok");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Server {
            health: Health {
                address,
                kept: None,
            },
            connections,
            status,
            listens,
        }
    }

    impl Server {
        async fn says(&mut self, status: u16) -> Answer {
            self.status.store(status, Ordering::SeqCst);
            self.health.ask().await
        }

        fn connections(&self) -> usize {
            self.connections.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn one_connection_serves_while_the_nodes_own_server_answers() {
        let mut server = server().await;
        for _ in 0..3 {
            assert_eq!(server.says(200).await, Answer::Http { status: 200 });
        }
        assert_eq!(server.connections(), 1);
        server.health.hang_up();
        server.says(200).await;
        assert_eq!(server.connections(), 2);
    }

    /// What answers for a moment, as a node does that boots, is another server than the one that comes after it.
    #[tokio::test]
    async fn no_connection_is_kept_of_what_is_not_the_nodes_own_server() {
        let mut server = server().await;
        for (asked, status) in [204, 429, 503].into_iter().enumerate() {
            assert_eq!(server.says(status).await, Answer::Http { status });
            assert_eq!(server.connections(), asked + 1);
        }
    }

    #[tokio::test]
    async fn the_end_of_the_process_is_seen_at_the_next_try_also_by_a_connection_that_was_kept() {
        let mut server = server().await;
        server.says(200).await;
        server.listens.abort();
        let _ = (&mut server.listens).await;
        assert_eq!(server.health.ask().await, Answer::Refused);
    }

    #[test]
    fn only_the_way_to_the_same_path_by_https_is_the_nodes_own() {
        let leads = |status: u16, to: &str| {
            let answer = Response::builder().status(status);
            leads_to_tls(&answer.header(header::LOCATION, to).body(()).unwrap())
        };
        assert!(leads(301, "https://10.0.0.7:6689/health"));
        assert!(!leads(301, "http://10.0.0.7:6688/health"));
        assert!(!leads(302, "https://login.example.com/?back=/health"));
        assert!(!leads(302, "/signin"));
        assert!(!leads(200, "https://10.0.0.7:6689/health"));
    }
}
