//! What another resource has, or is about to have, on the same database. Facts only: whether a pod may be made beside it is
//! for the planner's guard to say.

use std::net::IpAddr;

use crate::node::LockMode;

/// A pod of another resource on the same database, or one that the other resource is about to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Name of the other resource, with its namespace where that is another.
    pub of: String,
    /// Name of the pod; `None` where none has been made yet.
    pub pod: Option<String>,
    /// How the pod takes the database; `None` where that can't be told.
    pub mode: Option<LockMode>,
    /// Whether a Secret may give its node another `ADVISORY_LOCK_ID`.
    pub lock_id_hidden: bool,
    /// Whether both resources read the database URL from one key of one Secret. Else the two URLs were read, and name
    /// the same server and database.
    pub same_key: bool,
    /// Whether its container runs and has taken its lock.
    pub works: bool,
    /// The addresses of the pod.
    pub addresses: Vec<IpAddr>,
}
