//! A pooler whose server is away: it lets clients in, as it knows how its server greets, and ends them with their first
//! statement (`PgBouncer`, code `08P01`).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::node::Setup;
use crate::support::postgres::Database;

struct Pooler {
    port: u16,
    away: Arc<AtomicBool>,
}

impl Pooler {
    fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let away = Arc::new(AtomicBool::new(false));
        let seen = away.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let away = seen.clone();
                std::thread::spawn(move || {
                    if away.load(Ordering::SeqCst) {
                        let _ = greet(client);
                    } else {
                        pass(&client, server, &away);
                    }
                });
            }
        });
        Self { port, away }
    }

    fn loses_its_server(&self) {
        self.away.store(true, Ordering::SeqCst);
    }
}

/// Bytes go both ways until the server is away.
fn pass(client: &TcpStream, server: u16, away: &AtomicBool) {
    let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
    for (from, to) in [(client, &server), (&server, client)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
    while !away.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}

/// A login that goes through, and a statement that does not.
fn greet(mut client: TcpStream) -> std::io::Result<()> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut startup)?;
    client.write_all(&message(b'R', &[0; 4]))?;
    client.write_all(&message(b'K', &[0; 8]))?;
    client.write_all(&message(b'Z', b"I"))?;
    client.read_exact(&mut [0])?;
    let words = b"SFATAL\0VFATAL\0C08P01\0Mserver login has been failing, try again later (server_login_retry)\0\0";
    client.write_all(&message(b'E', words))
}

/// The connection of a lock is set up by two statements, and a node ends where they fail (`core/services/pg/lease_lock.go`,
/// `setInitialTimeouts`; read).
#[test]
fn a_standby_ends_where_a_pooler_lets_it_in_and_has_no_server() {
    let database = Database::shared();
    let pooler = Pooler::before(database.postgres.port());
    let setup = Setup::new("2.18.0", &database);
    let active = setup.start();
    active.listens();
    let mut standby = Setup {
        url: database.url_through(pooler.port),
        ..setup.again()
    }
    .start();
    standby.waits(1);
    pooler.loses_its_server();
    assert_eq!(standby.try_exits(Duration::from_secs(20)), Some(1));
    assert!(standby.has("DB connection was unexpectedly closed; checking out a new one"));
    let last = standby.last_line();
    assert!(
        last.starts_with(
            "opening db: failed to take initial lease on database: failed to get lock: "
        ),
        "{last}"
    );
    assert!(last.contains("failed to set initial timeouts: "), "{last}");
    assert!(last.contains("server login has been failing"), "{last}");
    assert!(last.ends_with("(SQLSTATE 08P01)"), "{last}");
}
