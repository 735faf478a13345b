//! Bytes that nobody can guess.

use std::fs::File;
use std::io::Read;

pub fn random() -> Result<[u8; 32], kube::Error> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| kube::Error::Service(error.into()))?;
    Ok(bytes)
}
