//! From the cluster to an [`Observation`].

mod observation;

pub use observation::*;
