//! Gives the lease of a node that has ended back for it. It stands beside the question because it goes the same way to the
//! server; whether a lease may be given back is decided by others, and the statement checks the server's part of it.

use tokio_postgres::Config;

use super::ask::{Question, connect, in_time, leads_elsewhere, rows, way_to};
use super::tls::Tls;
use crate::domain::{GivenBack, Reason, Silence};
use crate::node::DatabaseUrl;
use crate::node::database::Lease;

/// The server waits no longer for the lock on the row: who has it is about to write it.
const LIMITS: &str = "SET lock_timeout = 500; SET statement_timeout = 1000";

/// Gives a lease back, in no longer than one and a half seconds. Done twice, the second finds nothing to give back.
pub async fn give_back(question: &Question<'_>, lease: &Lease) -> Result<GivenBack, Silence> {
    give_back_on(&leads_elsewhere(question)?, question, lease).await
}

/// Gives it back on the server of a URL that was read, wherever that is.
pub async fn give_back_on(
    url: &DatabaseUrl,
    question: &Question<'_>,
    lease: &Lease,
) -> Result<GivenBack, Silence> {
    let (config, tls) = way_to(url, question)?;
    in_time(url, converse(config, tls, lease))
        .await?
        .ok_or_else(|| {
            Silence::new(
                Reason::QueryRefused,
                "the database did not say what became of the lease",
            )
        })
}

async fn converse(
    config: Config,
    tls: Tls,
    lease: &Lease,
) -> Result<Option<GivenBack>, tokio_postgres::Error> {
    let (client, _driver) = connect(config, tls).await?;
    rows(&client, LIMITS).await?;
    // Alone, so that it is a transaction of its own, which its end commits.
    let said = rows(&client, &lease.give_back()).await?;
    Ok(said.first().map(|row| {
        let [done, same, session, held] = [0, 1, 2, 3].map(|column| row.get(column) == Some("t"));
        match (done, same, session, held) {
            (true, ..) => GivenBack::Yes,
            (false, false, ..) => GivenBack::ServerChanged,
            (false, true, true, _) => GivenBack::SessionLeft,
            (false, true, false, false) => GivenBack::NotHeld,
            (false, true, false, true) => GivenBack::Overtaken,
        }
    }))
}
