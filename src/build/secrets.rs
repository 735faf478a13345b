//! The content of the Secrets that a pod is made from: it is not part of a revision, as the kubelet reads it at each
//! container start. Where the operator may read it, a change of it asks for new pods, as a new `restartedAt` does.

use std::collections::BTreeSet;

use super::content::{digest, field};
use crate::api::{ChainlinkNodeSpec, ExtraVolume, KeyRef, SecretsSeen, Verification};
use crate::domain::SecretData;

/// A Secret that pods read: one key of it, or all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretUse {
    pub name: String,
    pub key: Option<String>,
}

/// The Secrets that the pods of a spec read. The one of the database URL is left out where the database is not to be
/// asked: nothing would tell then that it has come to name another database.
pub fn referenced_secrets(spec: &ChainlinkNodeSpec) -> BTreeSet<SecretUse> {
    let config = spec.config.as_ref();
    let database = spec.database.url.secret_key_ref.as_ref();
    let asked = spec.database.verification != Some(Verification::Never);
    let files = config.into_iter().flat_map(|config| &config.files);
    let secrets_files = config.into_iter().flat_map(|config| &config.secrets_files);
    let variables = config.into_iter().flat_map(|config| &config.env);
    let session = spec.credentials.session_secret.as_ref();
    let keys = database
        .filter(|_| asked)
        .into_iter()
        .chain(files.filter_map(|file| file.secret_key_ref.as_ref()))
        .chain(config.and_then(|config| config.secrets_toml.as_ref()?.secret_key_ref.as_ref()))
        .chain(secrets_files.filter_map(|file| file.secret_key_ref.as_ref()))
        .chain(variables.filter_map(|one| one.value_from.as_ref()?.secret_key_ref.as_ref()))
        .chain(spec.credentials.keystore_password.secret_key_ref.as_ref())
        .chain(
            spec.credentials
                .api_credentials
                .as_ref()
                .and_then(|value| value.secret_key_ref.as_ref()),
        )
        .chain(session.and_then(|session| session.secret_key_ref.as_ref()))
        .map(|KeyRef { name, key }| SecretUse {
            name: name.clone(),
            key: Some(key.clone()),
        });
    let sources = config.into_iter().flat_map(|config| &config.env_from);
    let volumes = || spec.pod.as_ref().into_iter().flat_map(|pod| &pod.volumes);
    let projected = volumes().flat_map(projected);
    let whole = sources
        .filter_map(|from| Some(&from.secret_ref.as_ref()?.name))
        .chain(volumes().filter_map(|volume| volume.secret_name.as_ref()))
        .map(|name| SecretUse {
            name: name.clone(),
            key: None,
        });
    keys.chain(whole).chain(projected).collect()
}

/// The Secrets among the parts of a projected volume.
fn projected(volume: &ExtraVolume) -> Vec<SecretUse> {
    let projected = volume.projected.iter();
    let sources = projected.flat_map(|projected| projected.sources.iter().flatten());
    let secrets = sources.filter_map(|source| source.secret.as_ref());
    let uses = secrets.flat_map(|secret| {
        let one = |key: Option<String>| SecretUse {
            name: secret.name.clone(),
            key,
        };
        match secret.items.as_deref() {
            None | Some([]) => vec![one(None)],
            Some(items) => items
                .iter()
                .map(|item| one(Some(item.key.clone())))
                .collect(),
        }
    });
    uses.collect()
}

/// What is remembered of the Secrets after a look at them. Nothing is a change that was only not seen before: a Secret
/// that has just become readable, or is read for the first time. While one is not there, all stays as it was known: it
/// may come back with another content, and no pod starts without it until then.
///
/// One digest stands for all of them together, with the uid of the resource in it: a single password of little
/// entropy can't be guessed from it.
pub fn secrets_seen(
    before: Option<&SecretsSeen>,
    uid: &str,
    uses: &BTreeSet<SecretUse>,
    data: &SecretData,
) -> Option<SecretsSeen> {
    let gone = |one: &SecretUse| data.get(&one.name).is_some_and(Option::is_none);
    if uses.iter().any(gone) {
        return before.cloned();
    }
    let readable = || uses.iter().filter(|one| data.contains_key(&one.name));
    let mut names = uid.as_bytes().to_vec();
    let mut text = uid.as_bytes().to_vec();
    for one in readable() {
        let key = one.key.as_deref().unwrap_or("*");
        field(&mut names, one.name.as_bytes());
        field(&mut names, key.as_bytes());
        for (name, value) in data.get(&one.name).into_iter().flatten().flatten() {
            if one.key.as_ref().is_none_or(|key| key == name) {
                field(&mut text, one.name.as_bytes());
                field(&mut text, name.as_bytes());
                field(&mut text, value);
            }
        }
    }
    let (of, content) = (digest(&names, 16), digest(&text, 32));
    let changed = before.is_some_and(|before| before.of == of && before.content != content);
    Some(SecretsSeen {
        stamp: match before {
            Some(before) if !changed => before.stamp.clone(),
            Some(_) => Some(content.chars().take(16).collect()),
            None => None,
        },
        of,
        content,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use std::collections::BTreeMap;

    use super::*;

    fn spec(verification: &str) -> ChainlinkNodeSpec {
        serde_json::from_value(json!({
            "version": "2.28.0",
            "database": {
                "url": {"secretKeyRef": {"name": "database", "key": "url"}},
                "verification": verification,
            },
            "config": {
                "files": [{"name": "rpc.toml", "secretKeyRef": {"name": "rpc", "key": "toml"}}],
                "envFrom": [{"secretRef": {"name": "proxy"}}],
            },
            "credentials": {"keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}}},
            "pod": {"volumes": [{"name": "tls", "mountPath": "/tls", "secretName": "certificate"}]},
        }))
        .unwrap()
    }

    fn data(password: &str) -> SecretData {
        let secret =
            |key: &str, value: &str| Some(BTreeMap::from([(key.to_owned(), value.into())]));
        BTreeMap::from([
            ("keys".to_owned(), secret("password", password)),
            ("proxy".to_owned(), secret("HTTP_PROXY", "http://proxy")),
        ])
    }

    fn seen(before: Option<&SecretsSeen>, data: &SecretData) -> SecretsSeen {
        look(before, data).unwrap()
    }

    fn look(before: Option<&SecretsSeen>, data: &SecretData) -> Option<SecretsSeen> {
        secrets_seen(before, "uid", &referenced_secrets(&spec("Auto")), data)
    }

    #[test]
    fn every_secret_of_a_pod_counts_and_that_of_the_database_only_where_it_is_asked() {
        let names = |verification| -> Vec<String> {
            let uses = referenced_secrets(&spec(verification));
            uses.into_iter().map(|one| one.name).collect()
        };
        assert_eq!(
            names("Auto"),
            ["certificate", "database", "keys", "proxy", "rpc"]
        );
        assert_eq!(names("Never"), ["certificate", "keys", "proxy", "rpc"]);
    }

    #[test]
    fn a_change_asks_for_new_pods_and_the_first_look_does_not() {
        let first = seen(None, &data("old"));
        assert_eq!(first.stamp, None);
        assert_eq!(seen(Some(&first), &data("old")), first);
        let changed = seen(Some(&first), &data("new"));
        assert!(changed.stamp.is_some());
        assert_eq!(seen(Some(&changed), &data("new")), changed, "once");
    }

    #[test]
    fn a_right_that_comes_or_goes_changes_nothing() {
        let all = seen(Some(&seen(None, &data("old"))), &data("new"));
        let none = seen(Some(&all), &BTreeMap::new());
        assert_eq!(none.stamp, all.stamp);
        let again = seen(Some(&none), &data("newer"));
        assert_eq!(
            again.stamp, all.stamp,
            "what changed meanwhile is not known"
        );
    }

    #[test]
    fn what_was_known_outlives_a_secret_that_is_not_there_for_a_while() {
        let first = seen(None, &data("old"));
        let mut gone = data("old");
        gone.insert("keys".to_owned(), None);
        let proxy = BTreeMap::from([("HTTP_PROXY".to_owned(), b"http://other".to_vec())]);
        gone.insert("proxy".to_owned(), Some(proxy.clone()));
        let meanwhile = look(Some(&first), &gone);
        assert_eq!(meanwhile.as_ref(), Some(&first));
        assert_eq!(seen(meanwhile.as_ref(), &data("old")), first);
        let back = seen(meanwhile.as_ref(), &data("new"));
        assert!(back.stamp.is_some(), "it came back with another content");
        let mut other = data("old");
        other.insert("proxy".to_owned(), Some(proxy));
        let other = seen(meanwhile.as_ref(), &other);
        assert!(other.stamp.is_some(), "another one changed meanwhile");
        assert_eq!(look(None, &gone), None, "nothing to be compared with");
    }

    #[test]
    fn a_key_that_nobody_reads_does_not_count() {
        let first = seen(None, &data("old"));
        let mut other = data("old");
        let keys = other.get_mut("keys").unwrap();
        keys.as_mut()
            .unwrap()
            .insert("else".to_owned(), b"x".to_vec());
        assert_eq!(seen(Some(&first), &other), first);
        let proxy = other.get_mut("proxy").unwrap();
        proxy
            .as_mut()
            .unwrap()
            .insert("NO_PROXY".to_owned(), b"x".to_vec());
        assert_ne!(
            seen(Some(&first), &other).stamp,
            first.stamp,
            "all of it is variables"
        );
    }
}
