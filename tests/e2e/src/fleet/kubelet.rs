//! The logs of all hollow pods, as a kubelet serves them to the API server: `/containerLogs/NAMESPACE/POD/CONTAINER` over HTTPS.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::node::{Line, Log};

/// What a request of the API server has at most before its end.
const REQUEST: usize = 16 * 1024;

/// The log of a pod's container.
#[derive(Clone)]
pub struct Served {
    pub log: watch::Receiver<Log>,
    /// Its machine is lost.
    pub silent: watch::Receiver<bool>,
}

/// The logs of all pods, by `NAMESPACE/POD`.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<HashMap<String, Served>>>);

impl Logs {
    pub fn keep(&self, pod: &str, served: Served) {
        self.with(|logs| logs.insert(pod.to_owned(), served));
    }

    pub fn forget(&self, pod: &str) {
        self.with(|logs| logs.remove(pod));
    }

    fn of(&self, pod: &str) -> Option<Served> {
        self.with(|logs| logs.get(pod).cloned())
    }

    fn with<T>(&self, what: impl FnOnce(&mut HashMap<String, Served>) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves them until that is ended, and says on which port of the loopback address.
pub async fn serve(logs: Logs, certificate: &Path, key: &Path) -> Result<(u16, AbortHandle)> {
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let serving = tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let (acceptor, logs) = (acceptor.clone(), logs.clone());
            tokio::spawn(async move {
                // The API server closes a connection whenever the operator has read enough.
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = answer(stream, &logs).await;
                }
            });
        }
    });
    Ok((port, serving.abort_handle()))
}

/// What is asked for of a log.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    pod: String,
    follow: bool,
    timestamps: bool,
    tail: Option<usize>,
}

/// Reads the first line of a request.
fn wanted(line: &str) -> Option<Wanted> {
    let target = line.strip_prefix("GET /containerLogs/")?;
    let target = target.split_whitespace().next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut wanted = Wanted {
        pod: path.rsplit_once('/')?.0.to_owned(),
        ..Wanted::default()
    };
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "follow" => wanted.follow = value == "true",
            "timestamps" => wanted.timestamps = value == "true",
            "tailLines" => wanted.tail = value.parse().ok(),
            _ => {}
        }
    }
    Some(wanted)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, logs: &Logs) -> Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read_buf(&mut request).await?;
        anyhow::ensure!(read > 0 && request.len() < REQUEST, "no request");
    }
    let text = String::from_utf8_lossy(&request);
    let wanted = wanted(text.lines().next().unwrap_or_default()).context("no log")?;
    let Some(mut served) = logs.of(&wanted.pod) else {
        let nothing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(nothing).await?;
        return Ok(stream.shutdown().await?);
    };
    if *served.silent.borrow() {
        return until_left(&mut stream).await;
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        .await?;
    let mut silent = served.silent.clone();
    tokio::select! {
        sent = send(&mut stream, &wanted, &mut served.log) => sent?,
        // Nothing more comes, not even an end.
        () = until_lost(&mut silent) => return until_left(&mut stream).await,
    }
    stream.write_all(b"0\r\n\r\n").await?;
    Ok(stream.shutdown().await?)
}

/// Whoever is not answered goes away at last, and has a file less open then.
async fn until_left(stream: &mut (impl AsyncRead + Unpin)) -> Result<()> {
    let mut more = [0; 64];
    while stream.read(&mut more).await? > 0 {}
    Ok(())
}

async fn until_lost(silent: &mut watch::Receiver<bool>) {
    // It fails where the machine is there no more.
    let _ = silent.wait_for(|silent| *silent).await;
}

async fn send(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    wanted: &Wanted,
    log: &mut watch::Receiver<Log>,
) -> Result<()> {
    let there = log.borrow().lines.len();
    let mut sent = wanted.tail.map_or(0, |tail| there.saturating_sub(tail));
    loop {
        let (lines, ended) = {
            let log = log.borrow_and_update();
            (log.lines[sent..].to_vec(), log.ended)
        };
        sent += lines.len();
        let text: String = lines.iter().map(|line| shown(line, wanted)).collect();
        if !text.is_empty() {
            let chunk = format!("{:x}\r\n{text}\r\n", text.len());
            stream.write_all(chunk.as_bytes()).await?;
            stream.flush().await?;
        }
        if ended || !wanted.follow {
            return Ok(());
        }
        let mut more = [0; 1];
        tokio::select! {
            changed = log.changed() => if changed.is_err() { return Ok(()) },
            // The API server has gone away.
            _ = stream.read(&mut more) => anyhow::bail!("nobody reads"),
        }
    }
}

fn shown((time, words): &Line, wanted: &Wanted) -> String {
    if wanted.timestamps {
        format!("{time} {words}\n")
    } else {
        format!("{words}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_asks_of_a_kubelet_is_read() {
        let line = "GET /containerLogs/fleet-0/n1-ab/node?follow=true&tailLines=5&timestamps=true HTTP/1.1";
        let read = Wanted {
            pod: "fleet-0/n1-ab".to_owned(),
            follow: true,
            timestamps: true,
            tail: Some(5),
        };
        assert_eq!(wanted(line), Some(read));
        assert_eq!(wanted("GET /pods HTTP/1.1"), None);
    }

    #[tokio::test]
    async fn a_lost_machine_keeps_no_connection_of_one_that_went_away() {
        let (log, silent) = (watch::Sender::new(Log::default()), watch::Sender::new(true));
        let logs = Logs::default();
        let served = Served {
            log: log.subscribe(),
            silent: silent.subscribe(),
        };
        logs.keep("fleet-0/n1-ab", served);
        let (mut asks, answers) = tokio::io::duplex(REQUEST);
        let request = b"GET /containerLogs/fleet-0/n1-ab/node?follow=true HTTP/1.1\r\n\r\n";
        asks.write_all(request).await.unwrap();
        let answering = tokio::spawn(async move { answer(answers, &logs).await });
        drop(asks);
        let over = tokio::time::timeout(std::time::Duration::from_secs(10), answering).await;
        over.expect("it is still open").unwrap().unwrap();
    }
}
