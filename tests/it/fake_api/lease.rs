//! The lease of a node that ended without giving it back (rule S10), in a real `PostgreSQL`. The nodes are those of the fake
//! cluster, and their sessions the test's own.

use chainlink_operator::report::Format;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Client;

use crate::database::{Database, database, leased_to, node, session};
use crate::fake_api::database::url;
use crate::fake_api::operator::Operator;
use crate::fake_api::world::{HOME, Phase, World, two_replicas};

/// An address of this machine that is not its own alone: a URL with a loopback address would lead to the pod itself.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").unwrap();
    socket.local_addr().unwrap().ip()
}

/// A way to the database that does not look like one to the pod itself.
async fn way_to(database: &Database) -> String {
    let listener = TcpListener::bind((own_address(), 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let server = ("127.0.0.1", database.postgres.port());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(server).await {
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    format!(
        "postgresql://postgres@{at}/{}?sslmode=disable",
        database.name
    )
}

/// The database of two nodes, in which `pod 1` has the lease and `pod 2` waits for it, and their sessions.
pub struct Sessions {
    pub database: Database,
    pub active: Client,
    pub standby: Client,
}

impl Sessions {
    /// Of the two pods of a world, whose URL leads there from then on.
    pub async fn of(world: &World) -> Self {
        let database = database().await;
        let [first, second] = ["pod 1", "pod 2"].map(|pod| world.with(|all| all.app_id(pod)));
        leased_to(&database, &first, "10 minutes");
        let active = node(&database, "127.0.0.1", &first).await;
        let standby = node(&database, "127.0.0.1", &second).await;
        url(world, &way_to(&database).await);
        Self {
            database,
            active,
            standby,
        }
    }
}

/// Two nodes whose database an operator asks: `pod 1` has the lease, and the operator has been shown its session.
struct Pair {
    world: World,
    operator: Operator,
    sessions: Sessions,
}

async fn pair(spec: &serde_json::Value) -> Pair {
    let world = World::new(spec);
    Operator::start(&world).rest().await;
    let sessions = Sessions::of(&world).await;
    world.behave(|habits| habits.leaves_lease = true);
    // One that has just started asks at once.
    let mut operator = Operator::that_asks(&world);
    operator.rest().await;
    Pair {
        world,
        operator,
        sessions,
    }
}

impl Pair {
    /// SIGKILL: its connections are gone with it.
    fn kill_active(&mut self, left: Client) {
        self.world.with(|all| all.kill("pod 1"));
        self.sessions.active = left;
    }

    fn is_kept(&self) -> bool {
        let sql = "SELECT expires_at > now() + interval '5 minutes' FROM lease_lock";
        self.sessions.database.sql(sql) == "t"
    }

    fn counted(&self) -> u32 {
        let text = self.operator.context.metrics().text(Format::Text).unwrap();
        let of = "chainlink_operator_leases_given_back_total ";
        let line = text.lines().find(|line| line.starts_with(of)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn told(&self, reason: &str) -> usize {
        let events = self.world.with(|all| all.store.all("new-events"));
        events
            .values()
            .filter(|event| event["reason"] == reason)
            .count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_of_a_node_that_was_killed_is_given_back_and_told() {
    let mut pair = pair(&two_replicas()).await;
    let stranger = session(&pair.sessions.database, "127.0.0.1", "psql").await;
    pair.kill_active(stranger);
    let sql = "SELECT expires_at <= now() FROM lease_lock";
    let database = &pair.sessions.database;
    pair.operator
        .drive("the lease is given back", |_| database.sql(sql) == "t")
        .await;
    assert_eq!((pair.told("LeaseGivenBack"), pair.counted()), (1, 1));

    pair.world.with(|all| all.lease_is_free(HOME));
    pair.operator
        .drive("pod 2 has taken over", |world| {
            let last = world.status()["lastHandover"].clone();
            last["reason"] == "Failover" && last["leaseGivenBack"] == true
        })
        .await;
    pair.operator.rest().await;
    assert_eq!(
        (pair.told("LeaseGivenBack"), pair.counted()),
        (1, 1),
        "once"
    );
    let holder = pair.world.with(|all| all.holder(HOME));
    assert_eq!(holder.as_deref(), Some("pod 2"));
    assert_eq!(pair.world.wrongs(), [""; 0]);
}

/// A container that takes the lock at its first try names itself in no line before it has booted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_of_a_node_that_ends_before_it_names_itself_is_given_back() {
    let mut pair = pair(&two_replicas()).await;
    let an_hour = 3_600_000;
    pair.world.behave(|habits| {
        habits.starters_win = true;
        habits.boot = Some(an_hour);
    });
    let stranger = session(&pair.sessions.database, "127.0.0.1", "psql").await;
    pair.kill_active(stranger);
    pair.world.with(|all| all.lease_is_free(HOME));
    pair.world
        .until("it has the lock once more", |all| {
            all.phase("pod 1") == Some(Phase::Booting)
        })
        .await;
    let client = pair.world.with(|all| all.app_id("pod 1"));
    let pod = pair.world.with(|all| all.pod("pod 1").unwrap());
    let address = pod["status"]["podIP"].as_str().unwrap();
    leased_to(&pair.sessions.database, &client, "10 minutes");
    pair.sessions.active = node(&pair.sessions.database, address, &client).await;
    pair.operator
        .drive("the database has named it", |world| {
            let pod = world.with(|all| all.pod("pod 1").unwrap());
            pod["status"]["conditions"].to_string().contains(&client)
        })
        .await;

    let stranger = session(&pair.sessions.database, "127.0.0.1", "psql").await;
    pair.kill_active(stranger);
    let sql = "SELECT expires_at <= now() FROM lease_lock";
    let database = &pair.sessions.database;
    pair.operator
        .drive("its lease is given back", |_| database.sql(sql) == "t")
        .await;
    assert_eq!(pair.world.wrongs(), [""; 0]);
}

/// A node that is frozen keeps its session; one that is cut off has no end that a kubelet has seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_kept_where_the_spec_says_so_or_a_session_of_that_node_is_left() {
    let mut never = two_replicas();
    never["failover"] = serde_json::json!({"releaseLease": "Never"});
    for (spec, keeps_session) in [(never, false), (two_replicas(), true)] {
        let mut pair = pair(&spec).await;
        if keeps_session {
            pair.world.with(|all| all.kill("pod 1"));
        } else {
            let stranger = session(&pair.sessions.database, "127.0.0.1", "psql").await;
            pair.kill_active(stranger);
        }
        pair.world
            .until("it was started again", |all| {
                all.phase("pod 1") == Some(Phase::Waiting)
            })
            .await;
        pair.operator.passes_for(Duration::from_secs(3)).await;
        assert!(pair.is_kept());
        assert_eq!((pair.told("LeaseGivenBack"), pair.counted()), (0, 0));
    }
}

/// What the statement itself finds against it: a client without a name may be anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_the_database_does_not_give_back_is_told_and_not_asked_for_at_once_again() {
    let mut pair = pair(&two_replicas()).await;
    let nameless = session(&pair.sessions.database, "127.0.0.1", "").await;
    pair.kill_active(nameless);
    pair.operator
        .drive_in_vain("it is told", |world| {
            let message = world.status()["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            message.contains("could not be given back in the database: it shows a session")
        })
        .await;
    assert!(pair.is_kept());
    assert_eq!((pair.told("LeaseGivenBack"), pair.counted()), (0, 0));
}

/// A frozen node's machine says nothing of its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_kept_where_no_kubelet_has_told_of_the_end() {
    for lost in [true, false] {
        let mut pair = pair(&two_replicas()).await;
        pair.world.behave(|habits| habits.ends_untold = true);
        let stranger = session(&pair.sessions.database, "127.0.0.1", "psql").await;
        if lost {
            pair.world.with(|all| all.lose_machine("pod 1"));
            pair.sessions.active = stranger;
        } else {
            pair.kill_active(stranger);
        }
        pair.operator.passes_for(Duration::from_secs(3)).await;
        assert!(pair.is_kept());
        assert_eq!((pair.told("LeaseGivenBack"), pair.counted()), (0, 0));
    }
}
