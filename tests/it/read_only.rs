//! What the operator reads from a real `PostgreSQL` that takes no writes, and which sessions keep that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chainlink_operator::domain::Says;

use crate::database::{ACTIVE, Database, Postgres, ask, database, node, pod, session};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_writes_says_so() {
    let database = Database::shared();
    database.sql(&format!(
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        database.name
    ));
    assert_eq!(
        ask(&database).await.read_only,
        Some("default_transaction_read_only is on")
    );
}

/// Sets it, as a session that may write.
fn set_read_only(database: &Database, by: &str, on: bool) {
    let sql = if on {
        format!("{by} SET default_transaction_read_only = on")
    } else {
        format!("{by} RESET default_transaction_read_only")
    };
    let mut psql = database.postgres.psql("postgres", &sql);
    psql.env("PGOPTIONS", "-c default_transaction_read_only=off");
    assert!(psql.status().unwrap().success(), "{sql}");
    database.sql("SELECT pg_reload_conf()");
}

async fn until_read_only(database: &Database, by: &str, on: bool) -> Says {
    let begun = Instant::now();
    loop {
        let said = ask(database).await;
        if said.read_only.is_some() == on {
            return said;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{by}: never {on}"
        );
    }
}

/// What the database or the role sets is read when a session begins; the server's file is read anew by all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_keeps_that_it_may_not_write_where_its_database_or_role_said_so() {
    let database = Database::create(Arc::new(Postgres::own()));
    database.sql("CREATE TABLE written (by_whom int)");
    let name = &database.name;
    let settings = [
        (format!("ALTER DATABASE {name}"), true),
        ("ALTER ROLE postgres".to_owned(), true),
        (format!("ALTER ROLE postgres IN DATABASE {name}"), true),
        ("ALTER ROLE ALL".to_owned(), true),
        ("ALTER SYSTEM".to_owned(), false),
    ];
    for (by, is_kept) in settings {
        set_read_only(&database, &by, true);
        let during = until_read_only(&database, &by, true).await;
        assert_eq!(during.begun.read_only_is_kept, is_kept, "{by}");
        let session = node(&database, "127.0.0.1", ACTIVE).await;
        set_read_only(&database, &by, false);
        let after = until_read_only(&database, &by, false).await;
        assert!(!after.begun.read_only_is_kept, "{by}");
        assert!(after.begun.clock > during.begun.clock, "{by}");
        let begun = Instant::now();
        let writes = async || {
            session
                .batch_execute("INSERT INTO written VALUES (1)")
                .await
        };
        if is_kept {
            let refused = writes().await.unwrap_err();
            assert!(refused.to_string().contains("db error"), "{by}: {refused}");
        } else {
            // A session reads the file anew between two statements, a moment after it was told to.
            while let Err(refused) = writes().await {
                assert!(begun.elapsed() < Duration::from_secs(30), "{by}: {refused}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_sessions_of_a_node_began_is_told_by_the_server() {
    let database = database().await;
    let before = ask(&database).await.begun.clock.unwrap();
    let _node = node(&database, "127.0.0.3", ACTIVE).await;
    let _other = session(&database, "127.0.0.3", "psql").await;
    let said = ask(&database).await.begun;
    let begun = &said.of[&pod("b")];
    assert_eq!((said.of.len(), begun.len()), (1, 1), "not that of psql");
    let begun = *begun.first().unwrap();
    assert!(before < begun, "{before} {begun}");
    assert!(Some(begun) < said.clock, "{begun} {:?}", said.clock);
}
