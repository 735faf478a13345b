//! Short pods that are no nodes: what they are called, and one file for each kind.

pub mod pull;
pub mod validate;

use sha2::{Digest, Sha256};

use crate::domain::PodId;

/// The name of a pod that does `what` for a resource, told apart from its others by `of`: the same after a crash, and
/// never that of another resource of this name.
pub fn name(node: &PodId, what: &str, of: &str) -> String {
    let digest = Sha256::digest(format!("{} {of}", node.uid));
    let suffix = digest
        .iter()
        .take(4)
        .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("{}-{what}-{suffix:08x}", node.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_oneshots_stay_the_same_from_one_operator_to_the_next() {
        let node = PodId {
            name: "mainnet".to_owned(),
            uid: "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11".to_owned(),
        };
        let digest = Sha256::digest("5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11 revision machine");
        let suffix: Vec<String> = digest[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let expected = format!("mainnet-pull-{}", suffix.concat());
        assert_eq!(name(&node, "pull", "revision machine"), expected);
    }
}
