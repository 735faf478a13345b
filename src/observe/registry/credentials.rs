//! Who the operator says that it is: the credentials of `spec.image.pullSecrets`, as the kubelet finds them in there.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;

use super::repository::Repository;

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// Passwords stand in no log.
impl std::fmt::Debug for Login {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "the login of {}", self.user)
    }
}

#[derive(Default, Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    username: Option<String>,
    password: Option<String>,
    /// `name:password` in base64.
    #[serde(rename = "auth")]
    both: Option<ByteString>,
}

impl Auth {
    fn login(self) -> Option<Login> {
        if let Some(user) = self.username.filter(|user| !user.is_empty()) {
            return Some(Login {
                user,
                password: self.password.unwrap_or_default(),
            });
        }
        let text = String::from_utf8(self.both?.0).ok()?;
        let (user, password) = text.split_once(':')?;
        (!user.is_empty()).then(|| Login {
            user: user.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        })
    }
}

impl Login {
    /// The login for a repository, from a Secret of the type `kubernetes.io/dockerconfigjson` or `dockercfg`. The entry that
    /// names most of the repository wins.
    pub(super) fn of(secret: &Secret, repository: &Repository) -> Option<Self> {
        let data = secret.data.as_ref()?;
        let auths = if let Some(text) = data.get(".dockerconfigjson") {
            let config: DockerConfig = serde_json::from_slice(&text.0).ok()?;
            config.auths
        } else {
            serde_json::from_slice(&data.get(".dockercfg")?.0).ok()?
        };
        let fits = auths.into_iter().filter_map(|(key, auth)| {
            let named = names(&key, repository)?;
            Some((named, auth.login()?))
        });
        fits.max_by_key(|(named, _)| *named).map(|(_, login)| login)
    }

    /// The value of an `Authorization` header.
    pub(super) fn basic(&self) -> String {
        let pair = format!("{}:{}", self.user, self.password).into_bytes();
        let text = serde_json::to_value(ByteString(pair)).unwrap_or_default();
        format!("Basic {}", text.as_str().unwrap_or_default())
    }
}

/// How much of a repository's name a key of such a file gives, if it is one of it: `ghcr.io`, `ghcr.io/organisation`,
/// `https://index.docker.io/v1/`, `*.example.com`.
fn names(key: &str, repository: &Repository) -> Option<usize> {
    let key = key
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let path = path.trim_matches('/');
    let ours = repository.login_host();
    let docker = ours == "docker.io" && matches!(host, "index.docker.io" | "registry-1.docker.io");
    let below = host
        .strip_prefix("*.")
        .is_some_and(|domain| ours.split_once('.').is_some_and(|(_, rest)| rest == domain));
    if host != ours && !docker && !below {
        return None;
    }
    // What stands behind these hosts in old files is a version of an API.
    let path = if matches!(path, "v1" | "v2") {
        ""
    } else {
        path
    };
    let rest = repository.path.strip_prefix(path)?;
    let whole = path.is_empty() || rest.is_empty() || rest.starts_with('/');
    whole.then_some(path.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn login(key: &str, file: &Value, repository: &str) -> Option<(String, String)> {
        let data = BTreeMap::from([(key.to_owned(), ByteString(file.to_string().into_bytes()))]);
        let secret = Secret {
            data: Some(data),
            ..Secret::default()
        };
        let found = Login::of(&secret, &Repository::read(repository).unwrap());
        found.map(|login| (login.user, login.password))
    }

    fn of(user: &str) -> Value {
        json!({"username": user, "password": "pw"})
    }

    #[test]
    fn credentials_are_found_as_the_kubelet_finds_them() {
        let file = json!({"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOnNlOmNyZXQ="},
            "ghcr.io": of("whole"),
            "ghcr.io/ours": of("ours"),
            "*.example.com": of("below"),
            "mirror:5000": of("mirror"),
        }});
        for (repository, user) in [
            ("smartcontract/chainlink", Some("hub")),
            ("ghcr.io/ours/chainlink", Some("ours")),
            ("ghcr.io/oursandmore/chainlink", Some("whole")),
            ("mirror.example.com/chainlink", Some("below")),
            ("deep.mirror.example.com/chainlink", None),
            ("mirror:5000/chainlink", Some("mirror")),
            ("mirror:5001/chainlink", None),
            ("quay.io/chainlink", None),
        ] {
            let found = login(".dockerconfigjson", &file, repository);
            assert_eq!(found.map(|(user, _)| user).as_deref(), user, "{repository}");
        }
        let hub = login(".dockerconfigjson", &file, "smartcontract/chainlink").unwrap();
        assert_eq!(hub.1, "se:cret");
        let old = login(".dockercfg", &file["auths"], "ghcr.io/a").unwrap();
        assert_eq!(old.0, "whole");
        assert_eq!(login(".dockerconfigjson", &json!("nothing"), "a/b"), None);
    }

    #[test]
    fn a_login_is_sent_as_http_wants_it_and_told_without_its_password() {
        let login = Login {
            user: "hub".to_owned(),
            password: "se:cret".to_owned(),
        };
        assert_eq!(login.basic(), "Basic aHViOnNlOmNyZXQ=");
        assert!(!format!("{login:?}").contains("cret"));
    }
}
