//! Keys and the API user: made on the first boot, unlocked and looked up on later ones. No cryptography: what matters
//! is that a wrong password and missing credentials end the node *after* the lock.

use crate::password;
use crate::pg::{DbError, QUERY_TIMEOUT, Session};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS encrypted_key_rings (encrypted_keys jsonb, updated_at timestamptz NOT NULL);
    CREATE TABLE IF NOT EXISTS users (email text PRIMARY KEY, hashed_password text, created_at timestamptz NOT NULL)";

pub(crate) struct Keys {
    pub(crate) p2p: String,
    pub(crate) csa: String,
    pub(crate) created: bool,
}

pub(crate) struct User {
    pub(crate) email: String,
    pub(crate) created: bool,
}

/// Unlocks the key ring, or makes one on an empty database.
pub(crate) async fn keys(session: &Session, password: &str) -> Result<Keys, String> {
    let timeout = Some(QUERY_TIMEOUT);
    let said = |error: DbError| format!("error authenticating keystore: {error}");
    session.batch(CREATE, timeout).await.map_err(said)?;
    let sql = "SELECT encrypted_keys->>'lock', encrypted_keys->>'p2p', encrypted_keys->>'csa' FROM encrypted_key_rings";
    let rows = session.query(sql, &[], timeout).await.map_err(said)?;
    let lock = format!("{:016x}", fnv(password));
    if let Some(row) = rows.first() {
        if row.get::<_, String>(0) != lock {
            return Err("error authenticating keystore: unable to decrypt encrypted key ring: could not decrypt key \
                        with given password"
                .to_owned());
        }
        return Ok(Keys {
            p2p: row.get(1),
            csa: row.get(2),
            created: false,
        });
    }
    if !password::is_long(password) {
        return Err(format!(
            "error authenticating keystore: {}",
            password::FAULTS
        ));
    }
    let random = uuid::Uuid::new_v4().simple().to_string();
    let (p2p, csa) = (
        format!("12D3KooW{random}{}", &random[..12]),
        format!("{random}{random}"),
    );
    let insert = "INSERT INTO encrypted_key_rings (encrypted_keys, updated_at)
        VALUES (jsonb_build_object('lock', $1::text, 'p2p', $2::text, 'csa', $3::text), NOW())";
    session
        .execute(insert, &[&lock, &p2p, &csa], timeout)
        .await
        .map_err(said)?;
    Ok(Keys {
        p2p,
        csa,
        created: true,
    })
}

/// The user of the API; of `credentials` (email, password) one is made only when there is none.
pub(crate) async fn user(
    session: &Session,
    credentials: Option<&(String, String)>,
) -> Result<User, String> {
    let timeout = Some(QUERY_TIMEOUT);
    let said = |error: DbError| {
        format!("error creating api initializer: Unable to List users for initialization: {error}")
    };
    let rows = session
        .query("SELECT email FROM users LIMIT 1", &[], timeout)
        .await
        .map_err(said)?;
    if let Some(row) = rows.first() {
        return Ok(User {
            email: row.get(0),
            created: false,
        });
    }
    let (email, password) = credentials.ok_or("API credentials must be supplied")?;
    if !email.contains('@') {
        return Err(
            "error creating api initializer: failed to instantiate new user: mail: missing '@' or angle-addr"
                .to_owned(),
        );
    }
    if !password::is_long(password) {
        return Err(format!(
            "error creating api initializer: failed to instantiate new user: password insufficiently complex:\n{}: {}",
            password::RULES,
            password::FAULTS
        ));
    }
    let insert = "INSERT INTO users (email, hashed_password, created_at) VALUES ($1, $2, NOW())";
    session
        .execute(
            insert,
            &[email, &format!("{:016x}", fnv(password))],
            timeout,
        )
        .await
        .map_err(said)?;
    Ok(User {
        email: email.clone(),
        created: true,
    })
}

/// Not a secret's hash, only a comparison that survives restarts.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
