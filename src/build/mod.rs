//! From a spec to objects. Pure: the same input always makes the same objects, byte for byte, since
//! the name of a revision is made from them.

mod checks;
mod container;
mod content;
mod digest_key;
mod mounted;
mod objects;
mod oneshot;
mod options;
mod outcome;
mod placement;
mod pod;
mod resolve;
mod secrets;
mod services;
mod session;
mod sidecars;
mod tries;
mod user_config;
mod variables;
mod volumes;

pub use content::{Content, FileSource, Resolved, Session, Style, TEMPLATE, Value};
pub use digest_key::DigestKey;
pub use mounted::mounted_copies;
pub use objects::{budgets, config_map, content_of, owner, revision_object};
pub use oneshot::{as_fitting_as_the_node, pull_pod, validation_pod};
pub use outcome::ConfigMaps;
pub use pod::pod;
pub use resolve::{RevisionBefore, lock_mode, referenced_config_maps, resolve, resolve_after};
pub use secrets::{SecretUse, SecretsLook, referenced_secrets, secrets_seen};
pub use services::{active_service, peer_service, services};
pub use session::session_secret;
