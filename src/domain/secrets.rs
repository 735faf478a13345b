//! What the Secrets hold that pods read. Data only, on its way from `observe` to `build`; nothing of it is told or written.

use std::collections::BTreeMap;

/// The data of the Secrets that may be read, by name; `None` for one that is not there.
pub type SecretData = BTreeMap<String, Option<BTreeMap<String, Vec<u8>>>>;
