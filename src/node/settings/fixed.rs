//! What is the same in every node: its ports, and where its root folder is. No setting of the user's changes it.

/// The port of the node's API, UI, health and metrics: the node's own default.
pub const HTTP_PORT: u16 = 6688;

/// The port of the same over TLS: the node's own default.
pub const HTTPS_PORT: u16 = 6689;

/// Where the volume for the root folder is mounted.
pub const ROOT_MOUNT: &str = "/chainlink";

/// The node's root folder. Below the volume, because the node changes its mode and so must own
/// it, and a mounted `emptyDir` is root's (measured on a real cluster with 2.18.0 and 2.23.0).
pub const ROOT_DIR: &str = "/chainlink/root";
