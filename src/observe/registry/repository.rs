//! Where an image is kept, read as the kubelet reads it.

/// What `docker.io` is asked at.
const DOCKER: &str = "registry-1.docker.io";

/// A registry, and a repository in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Repository {
    /// The host, with its port where one is written.
    pub(super) host: String,
    pub(super) path: String,
}

impl Repository {
    /// Reads `spec.image.repository`: `smartcontract/chainlink` is one at Docker's. `None` for what no registry could have.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (host, path) = match text.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => ("docker.io", text),
        };
        let is_docker = matches!(host, "docker.io" | "index.docker.io");
        let path = if is_docker && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        let letters = |text: &str, more: &str| {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || more.contains(letter);
            !text.is_empty() && text.chars().all(fits)
        };
        let parts = path
            .split('/')
            .all(|part| letters(part, "._-") && !part.starts_with('.'));
        (parts && letters(host, ".-:[]")).then(|| Self {
            host: if is_docker { DOCKER } else { host }.to_owned(),
            path,
        })
    }

    /// The name of the host by which Docker's files of credentials know it.
    pub(super) fn login_host(&self) -> &str {
        if self.host == DOCKER {
            "docker.io"
        } else {
            &self.host
        }
    }

    /// As container runtimes do, only a registry on this machine is spoken to without TLS.
    pub(super) fn scheme(&self) -> &'static str {
        if is_here(&self.host) { "http" } else { "https" }
    }
}

/// Whether a host, with or without a port, is this machine.
pub(super) fn is_here(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_read_as_the_kubelet_reads_it() {
        for (text, scheme, host, path) in [
            (
                "smartcontract/chainlink",
                "https",
                DOCKER,
                "smartcontract/chainlink",
            ),
            (
                "docker.io/smartcontract/chainlink",
                "https",
                DOCKER,
                "smartcontract/chainlink",
            ),
            ("chainlink", "https", DOCKER, "library/chainlink"),
            (
                "mirror.example.com/hub/chainlink",
                "https",
                "mirror.example.com",
                "hub/chainlink",
            ),
            ("mirror:5000/chainlink", "https", "mirror:5000", "chainlink"),
            (
                "localhost:5000/chainlink",
                "http",
                "localhost:5000",
                "chainlink",
            ),
            (
                "localhost.example.com/chainlink",
                "https",
                "localhost.example.com",
                "chainlink",
            ),
        ] {
            let read = Repository::read(text).unwrap();
            let is = (read.scheme(), read.host.as_str(), read.path.as_str());
            assert_eq!(is, (scheme, host, path), "{text}");
        }
        for text in [
            "",
            "a//b",
            "host.example.com/",
            "user@host.example.com/a",
            "a/../b",
            "a/b?c",
        ] {
            assert_eq!(Repository::read(text), None, "{text}");
        }
    }
}
