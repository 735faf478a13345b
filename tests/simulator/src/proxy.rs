//! No part of a node: what stands between a node and its database where that is reached by way of a sidecar, as with the
//! proxy of Cloud SQL. `proxy PORT HOST:PORT` passes on what comes, and ends at once when it is asked to.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;

/// Listens on `port` of all addresses: a kubelet's probes come from outside of the pod.
pub(crate) async fn run(port: &str, to: &str) -> Result<u8, Exit> {
    let failed = |error: std::io::Error| Exit::failed(format!("no proxy on {port}: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let address = format!("0.0.0.0:{port}");
    let listener = TcpListener::bind(&address).await.map_err(failed)?;
    println!("{address} leads to {to}");
    tokio::select! {
        () = pass_on(listener, to) => Ok(1),
        _ = terminate.recv() => Ok(0),
    }
}

async fn pass_on(listener: TcpListener, to: &str) {
    while let Ok((mut client, _)) = listener.accept().await {
        let to = to.to_owned();
        tokio::spawn(async move {
            // Whoever came is told by the end of the connection that there is no other side.
            if let Ok(mut server) = TcpStream::connect(&to).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_comes_is_passed_on_in_both_directions_and_an_end_is_an_end() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = server.local_addr().unwrap().to_string();
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = proxy.local_addr().unwrap();
        tokio::spawn(async move { pass_on(proxy, &to).await });
        let mut client = TcpStream::connect(at).await.unwrap();
        let (mut connection, _) = server.accept().await.unwrap();
        client.write_all(b"ask").await.unwrap();
        let mut question = [0; 3];
        connection.read_exact(&mut question).await.unwrap();
        connection.write_all(b"answer").await.unwrap();
        drop(connection);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!((&question[..], answer.as_str()), (&b"ask"[..], "answer"));
    }
}
