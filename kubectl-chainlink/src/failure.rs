//! Why a command could not be carried out, in a sentence that says what to do.

use std::io;

use chainlink_operator::cluster::sentence;
use kube::config::{InClusterError, KubeconfigError};

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(
        "the kubeconfig can't be used: {0}; name one with --kubeconfig, or a context with --context"
    )]
    Kubeconfig(#[from] KubeconfigError),
    #[error(
        "no cluster to connect to: there is no kubeconfig ({kubeconfig}), and this is no pod ({pod}); name one with --kubeconfig"
    )]
    NoCluster {
        kubeconfig: KubeconfigError,
        pod: InClusterError,
    },
    #[error("{doing}: {}{}", sentence(source), way_out(source))]
    Api { doing: String, source: kube::Error },
    #[error("{doing}: {source}; say the same once more")]
    Watch {
        doing: String,
        source: Box<kube::runtime::watcher::Error>,
    },
    #[error(
        "there is no ChainlinkNode {name} in namespace {namespace}: kubectl chainlink fleet --all-namespaces shows those that are"
    )]
    NotFound { namespace: String, name: String },
    #[error("{path}: {problem}")]
    File { path: String, problem: String },
    #[error("{0}")]
    Asked(String),
    #[error("the output can't be written: {0}")]
    Output(#[from] io::Error),
    #[error("the output can't be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// What helps against an answer of the API server.
fn way_out(error: &kube::Error) -> &'static str {
    let status = match error {
        kube::Error::Api(status) => status,
        // Nothing has answered.
        kube::Error::Service(_) | kube::Error::HyperError(_) => {
            return "; is the cluster of this context up, and can it be reached from here?";
        }
        _ => return "",
    };
    match status.code {
        401 => "; log in to the cluster again",
        // The sentence names the verb and the resource.
        403 => "; ask whoever gives rights in this namespace, or use --as",
        // Of an object that is not there, the sentence has the name.
        404 if !status.message.contains('"') => {
            "; is the operator's CRD installed in this cluster?"
        }
        409 => "; somebody else has changed it: say the same once more",
        429 | 500.. => "; the API server is in trouble: say the same once more in a moment",
        _ => "",
    }
}

impl Failure {
    /// Who reads the output has seen enough: `kubectl chainlink logs | head`.
    pub fn is_a_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Says what was being done when the API server did not do it.
pub trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failure>;
}

impl<T> Doing<T> for Result<T, kube::Error> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|source| Failure::Api {
            doing: what.into(),
            source,
        })
    }
}
