//! What ends a pass early, as one sentence that says what was being done. What fails beside a pass, and lets it go on, stands
//! in `failures`.

use std::time::Duration;

/// A pass is given up after this time: an API server that is cut off never answers.
pub(super) const LONGEST_PASS: Duration = Duration::from_secs(60);

/// What went wrong in a pass. The next pass begins anew.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing}: {source}")]
    Api {
        doing: &'static str,
        #[source]
        source: kube::Error,
    },
    #[error("{0}")]
    Unfinished(String),
    #[error("the API server did not answer within {} s", LONGEST_PASS.as_secs())]
    Slow,
}

pub(super) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, kube::Error> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Api { doing, source })
    }
}
