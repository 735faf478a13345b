//! What the operator reads from a real OCI registry on loopback: tests/manifests/registry, which is go-containerregistry's.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use chainlink_operator::api::ChainlinkNode;
use chainlink_operator::domain::Reason;
use chainlink_operator::node::ReleaseTag;
use chainlink_operator::observe::registry::{PullSecrets, Registries, Repository, Source};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use serde_json::json;
use tokio::sync::mpsc;

use crate::golden::repository;

/// Of the programs that this process builds.
static NUMBER: AtomicU32 = AtomicU32::new(0);

const HOUR: Duration = Duration::from_secs(3600);

fn texts(tags: &[ReleaseTag]) -> Vec<&str> {
    tags.iter().map(ReleaseTag::text).collect()
}

/// A registry that ends with the test.
pub struct Registry {
    process: Child,
    pub host: String,
    /// What each tag leads to, as the registry's own library reckons it.
    pub digests: BTreeMap<String, String>,
}

impl Registry {
    pub fn with(tags: &[&str]) -> Self {
        let sources = repository("tests/manifests");
        let program = repository("target").join(format!(
            "registry-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        ));
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg("./registry")
            .current_dir(sources)
            .status();
        assert!(built.expect("Go is needed: CONTRIBUTING.md").success());
        let mut process = Command::new(&program)
            .args(tags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut digests = BTreeMap::new();
        let host = loop {
            let line = lines.next().expect("the registry ended").unwrap();
            match line.split_once(' ').unwrap() {
                ("at", host) => break host.to_owned(),
                (tag, digest) => digests.insert(tag.to_owned(), digest.to_owned()),
            };
        };
        // It runs on without its file.
        std::fs::remove_file(program).unwrap();
        Self {
            process,
            host,
            digests,
        }
    }

    fn image(&self, name: &str, secrets: Option<PullSecrets>) -> Source {
        Source {
            repository: Repository::read(&format!("{}/{name}", self.host)).unwrap(),
            secrets,
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first answer that stands there.
async fn answered<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            match look() {
                Some(answer) => return answer,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    answer.expect("no answer came")
}

/// A cluster with one Secret: the login for a registry.
fn cluster(host: &str) -> Client {
    let config = json!({"auths": {host: {"username": "me", "password": "pw"}}});
    let config = ByteString(config.to_string().into_bytes());
    let secret = Secret {
        data: Some([(".dockerconfigjson".to_owned(), config)].into()),
        ..Secret::default()
    };
    let api = Router::new().fallback(move |request: Request| {
        let answer = if request.uri().path() == "/api/v1/namespaces/chain/secrets/pull" {
            serde_json::to_string(&secret).unwrap().into_response()
        } else {
            StatusCode::FORBIDDEN.into_response()
        };
        async move { answer }
    });
    Client::new(api, "default")
}

fn registries(host: &str) -> Registries {
    Registries::new(cluster(host), mpsc::unbounded_channel().0)
}

fn asker() -> ObjectRef<ChainlinkNode> {
    ObjectRef::new("mainnet").within("chain")
}

fn pull(names: &[&str]) -> PullSecrets {
    PullSecrets {
        namespace: "chain".to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_registry_tells_its_releases_and_their_digests_among_a_thousand_tags() {
    let registry = Registry::with(&["2.29.0", "2.30.0", "2.31.0-beta.1", "2.30.0-root"]);
    let registries = registries(&registry.host);
    let image = registry.image("smartcontract/chainlink", None);
    let tags = answered(|| registries.tags(&image, HOUR, &asker())).await;
    let tags = tags.unwrap();
    assert_eq!(
        texts(&tags),
        ["2.31.0-beta.1", "2.30.0-root", "2.30.0", "2.29.0", "2.0.0"]
    );
    assert_eq!(registry.digests.len(), 4);
    for (tag, digest) in &registry.digests {
        let told = answered(|| registries.digest(&image, tag, HOUR, &asker())).await;
        assert_eq!(told.as_ref().unwrap(), digest, "{tag}");
    }
    let gone = answered(|| registries.digest(&image, "2.99.0", HOUR, &asker())).await;
    assert!(gone.unwrap_err().missing);
    let nothing = registry.image("smartcontract/nothing", None);
    let trouble = answered(|| registries.tags(&nothing, HOUR, &asker())).await;
    assert_eq!(trouble.unwrap_err().reason, Reason::RegistryUnusable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_image_is_asked_for_with_the_pull_secrets_of_the_pod() {
    let registry = Registry::with(&[]);
    let registries = registries(&registry.host);
    for (secrets, allowed) in [
        (None, false),
        (Some(pull(&["other"])), false),
        (Some(pull(&["other", "pull"])), true),
    ] {
        let image = registry.image("private/chainlink", secrets);
        let told = answered(|| registries.tags(&image, HOUR, &asker())).await;
        if allowed {
            assert_eq!(texts(&told.unwrap()), ["2.29.0"]);
        } else {
            assert_eq!(told.unwrap_err().reason, Reason::RegistryDenied);
        }
    }
}
