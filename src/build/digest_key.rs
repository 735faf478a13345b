//! The key of the digests by which a changed Secret is known. They stand in the status, for all to read who may read the
//! resource: without a key somebody could try passwords against them.

use sha2::{Digest, Sha256};

use super::content::hex;

/// The length of what SHA-256 takes at a time.
const BLOCK: usize = 64;

/// Bytes that nobody knows but the operator. They are never told: not in a log, an event or a status.
#[derive(Clone)]
pub struct DigestKey([u8; 32]);

impl DigestKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The first `length` hex digits of the HMAC-SHA-256 of a text (RFC 2104).
    pub(super) fn digest(&self, text: &[u8], length: usize) -> String {
        let inner = Sha256::new().chain_update(self.padded(0x36));
        let inner = inner.chain_update(text).finalize();
        let outer = Sha256::new().chain_update(self.padded(0x5c));
        hex(&outer.chain_update(inner).finalize(), length)
    }

    fn padded(&self, with: u8) -> [u8; BLOCK] {
        let mut block = [with; BLOCK];
        for (byte, key) in block.iter_mut().zip(self.0) {
            *byte ^= key;
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 1 of RFC 4231; a shorter key is one that ends with zeros.
    #[test]
    fn it_is_the_function_of_the_standard() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        assert_eq!(
            DigestKey::new(key).digest(b"Hi There", 64),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }
}
