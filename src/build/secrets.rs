//! The content of the Secrets that a pod is made from: it is not part of a revision, as the kubelet reads it at each
//! container start. Where the operator may read it, a change of it is told, and asks for new pods, as a new `restartedAt`
//! does, only where the spec says so.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::content::field;
use super::digest_key::DigestKey;
use super::sidecars::beside;
use crate::api::{
    ChainlinkNodeSpec, ExtraVolume, KeyRef, OnSecretChange, SecretsSeen, Verification,
};
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
    let beside = spec.pod.iter().flat_map(beside);
    let of_sidecars = beside
        .flat_map(|(_, container)| &container.env)
        .filter_map(|one| one.value_from.as_ref()?.secret_key_ref.as_ref());
    let session = spec.credentials.session_secret.as_ref();
    let keys = database
        .filter(|_| asked)
        .into_iter()
        .chain(files.filter_map(|file| file.secret_key_ref.as_ref()))
        .chain(config.and_then(|config| config.secrets_toml.as_ref()?.secret_key_ref.as_ref()))
        .chain(secrets_files.filter_map(|file| file.secret_key_ref.as_ref()))
        .chain(variables.filter_map(|one| one.value_from.as_ref()?.secret_key_ref.as_ref()))
        .chain(of_sidecars)
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

/// One look at the Secrets of a resource.
#[derive(Clone, Copy, Debug)]
pub struct SecretsLook<'a> {
    pub at: Timestamp,
    /// Of the resource.
    pub uid: &'a str,
    pub spec: &'a ChainlinkNodeSpec,
    pub data: &'a SecretData,
}

/// What is remembered of the Secrets after a look at them. Nothing is a change that was only not seen before: a Secret
/// that has just become readable, or is read for the first time. While one is not there, all stays as it was known: it
/// may come back with another content, and no pod starts without it until then.
///
/// All that is remembered of them are digests by a key that only the operator has, with the uid of the resource in them:
/// nothing can be tried against them, also not by way of a resource of one's own. With another key nothing can be
/// compared, so that a key that was lost is no change either (rule S8).
pub fn secrets_seen(
    before: Option<&SecretsSeen>,
    key: &DigestKey,
    look: SecretsLook<'_>,
) -> Option<SecretsSeen> {
    let uses = referenced_secrets(look.spec);
    let is_gone = |one: &SecretUse| look.data.get(&one.name).is_some_and(Option::is_none);
    if uses.iter().any(is_gone) {
        return before.cloned();
    }
    let (of, content) = (look.names(&uses, key), look.content(&uses, key));
    let comparable = before.filter(|before| before.of == of);
    let changed = comparable.is_some_and(|before| before.content != content);
    let handover = look.spec.handover.as_ref();
    let on_change = handover.and_then(|handover| handover.on_secret_change);
    // A URL that is not there, or not seen, is no other one.
    let known_url = comparable.and_then(|before| before.url.clone());
    let url = look.url(&uses, key).or_else(|| known_url.clone());
    let other_url = known_url.is_some() && url != known_url;
    let held_until = comparable.and_then(|before| before.held_until);
    let rollout = Rollout::of(before, changed || held_until.is_some(), &content);
    let rollout = match on_change.unwrap_or_default() {
        OnSecretChange::Rollout => rollout.goes_on(&content, look.at),
        // A stamp that was set before stays: the revision would be another without it.
        OnSecretChange::Tell => rollout,
    };
    Some(SecretsSeen {
        stamp: rollout.stamp,
        stamped: rollout.at,
        held_until: rollout.held_until,
        changed: changed
            .then_some(look.at)
            .or(before.and_then(|before| before.changed)),
        url_changed: other_url
            .then_some(look.at)
            .or(before.and_then(|before| before.url_changed)),
        url,
        of,
        content,
    })
}

/// Between two rollouts for a changed Secret: one that is rotated each minute would move the lock as often.
pub const BETWEEN_ROLLOUTS: SignedDuration = SignedDuration::from_mins(10);

/// What of the content is part of the wanted revision, and since when.
struct Rollout {
    stamp: Option<String>,
    at: Option<Timestamp>,
    held_until: Option<Timestamp>,
    /// Whether a change is to be rolled out.
    due: bool,
}

impl Rollout {
    fn of(before: Option<&SecretsSeen>, changed: bool, content: &str) -> Self {
        let stamp = before.and_then(|before| before.stamp.clone());
        let mut known = stamp.iter();
        Self {
            due: changed && !known.any(|stamp| content.starts_with(stamp.as_str())),
            at: before.and_then(|before| before.stamped),
            stamp,
            held_until: None,
        }
    }

    fn goes_on(self, content: &str, now: Timestamp) -> Self {
        let free = self
            .at
            .and_then(|at| at.min(now).checked_add(BETWEEN_ROLLOUTS).ok());
        let held_until = free.filter(|free| self.due && *free > now);
        if !self.due || held_until.is_some() {
            return Self { held_until, ..self };
        }
        Self {
            stamp: Some(content.chars().take(16).collect()),
            at: Some(now),
            held_until: None,
            due: false,
        }
    }
}

impl SecretsLook<'_> {
    fn readable<'u>(&self, uses: &'u BTreeSet<SecretUse>) -> impl Iterator<Item = &'u SecretUse> {
        uses.iter().filter(|one| self.data.contains_key(&one.name))
    }

    /// Which of them could be read.
    fn names(&self, uses: &BTreeSet<SecretUse>, key: &DigestKey) -> String {
        let mut text = self.uid.as_bytes().to_vec();
        for one in self.readable(uses) {
            field(&mut text, one.name.as_bytes());
            field(&mut text, one.key.as_deref().unwrap_or("*").as_bytes());
        }
        key.digest(&text, 16)
    }

    /// What they hold.
    fn content(&self, uses: &BTreeSet<SecretUse>, key: &DigestKey) -> String {
        let mut text = self.uid.as_bytes().to_vec();
        for one in self.readable(uses) {
            for (name, value) in self.data.get(&one.name).into_iter().flatten().flatten() {
                if one.key.as_ref().is_none_or(|key| key == name) {
                    field(&mut text, one.name.as_bytes());
                    field(&mut text, name.as_bytes());
                    field(&mut text, value);
                }
            }
        }
        key.digest(&text, 32)
    }

    /// What the database URL is, where it may be read and is to be.
    fn url(&self, uses: &BTreeSet<SecretUse>, key: &DigestKey) -> Option<String> {
        let reference = self.spec.database.url.secret_key_ref.as_ref()?;
        let wanted = SecretUse {
            name: reference.name.clone(),
            key: Some(reference.key.clone()),
        };
        let value = self.data.get(&wanted.name)?.as_ref()?.get(&reference.key)?;
        let mut text = self.uid.as_bytes().to_vec();
        // Not the digest of all of them, where it is the only one.
        field(&mut text, b"url");
        field(&mut text, value);
        uses.contains(&wanted).then(|| key.digest(&text, 32))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use std::collections::BTreeMap;

    use super::*;
    use crate::api::Handover;

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
        with(OnSecretChange::Rollout, before, data)
    }

    fn with(
        on_change: OnSecretChange,
        before: Option<&SecretsSeen>,
        data: &SecretData,
    ) -> Option<SecretsSeen> {
        let mut spec = spec("Auto");
        spec.handover = Some(Handover {
            on_secret_change: Some(on_change),
            ..Handover::default()
        });
        let look = SecretsLook {
            at: Timestamp::UNIX_EPOCH,
            uid: "uid",
            spec: &spec,
            data,
        };
        secrets_seen(before, &DigestKey::new([7; 32]), look)
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
    fn a_change_is_remembered_and_asks_for_no_new_pods_by_itself() {
        let tell = |before: Option<&SecretsSeen>, password| {
            with(OnSecretChange::Tell, before, &data(password)).unwrap()
        };
        let first = tell(None, "old");
        assert_eq!(first.changed, None);
        let changed = tell(Some(&first), "new");
        assert_eq!(
            (changed.stamp.clone(), changed.changed),
            (None, Some(Timestamp::UNIX_EPOCH))
        );
        assert!(!changed.is_rolled_out());
        assert_eq!(tell(Some(&changed), "new"), changed, "once");
    }

    #[test]
    fn what_was_rolled_out_stays_part_of_the_revision_where_changes_are_only_told() {
        let rolled = seen(Some(&seen(None, &data("old"))), &data("new"));
        assert!(rolled.is_rolled_out());
        let told = with(OnSecretChange::Tell, Some(&rolled), &data("newer")).unwrap();
        assert_eq!(told.stamp, rolled.stamp);
        assert!(!told.is_rolled_out());
    }

    #[test]
    fn a_change_asks_for_new_pods_where_the_spec_says_so_and_the_first_look_does_not() {
        let first = seen(None, &data("old"));
        assert_eq!(first.stamp, None);
        assert_eq!(seen(Some(&first), &data("old")), first);
        let changed = seen(Some(&first), &data("new"));
        assert!(changed.stamp.is_some());
        assert_eq!(seen(Some(&changed), &data("new")), changed, "once");
    }

    /// A rotation each minute moves the lock every ten minutes, by what the Secret holds then.
    #[test]
    fn changes_that_follow_each_other_are_rolled_out_ten_minutes_apart() {
        let mut spec = spec("Auto");
        spec.handover = Some(Handover {
            on_secret_change: Some(OnSecretChange::Rollout),
            ..Handover::default()
        });
        let at = |minutes| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        let mut known: Option<SecretsSeen> = None;
        let mut rolled = Vec::new();
        for minute in 0..30 {
            let data = data(&format!("password {}", minute.min(25)));
            let look = SecretsLook {
                at: at(minute),
                uid: "uid",
                spec: &spec,
                data: &data,
            };
            let seen = secrets_seen(known.as_ref(), &DigestKey::new([7; 32]), look).unwrap();
            let before = known.and_then(|known| known.stamp);
            if seen.stamp != before {
                assert!(seen.is_rolled_out());
                rolled.push(minute);
            }
            let waits = seen.changed.is_some() && !seen.is_rolled_out();
            assert_eq!(seen.held_until.is_some(), waits, "{minute}");
            known = Some(seen);
        }
        assert_eq!(rolled, [1, 11, 21]);
        // What came back to what is rolled out waits for nothing.
        let look = SecretsLook {
            at: at(30),
            uid: "uid",
            spec: &spec,
            data: &data("password 21"),
        };
        let back = secrets_seen(known.as_ref(), &DigestKey::new([7; 32]), look).unwrap();
        assert!(back.held_until.is_none() && back.is_rolled_out());
        // Where nothing can be read any more, nothing is rolled out.
        let blind = SecretsLook {
            at: at(60),
            uid: "uid",
            spec: &spec,
            data: &BTreeMap::new(),
        };
        let blind = secrets_seen(known.as_ref(), &DigestKey::new([7; 32]), blind).unwrap();
        assert_eq!(blind.stamp, known.unwrap().stamp);
    }

    #[test]
    fn another_database_url_is_told_from_another_password() {
        let with_url = |password, url: Option<&str>| {
            let secret = url.map(|url| BTreeMap::from([("url".to_owned(), url.into())]));
            let mut data = data(password);
            data.insert("database".to_owned(), Some(secret.unwrap_or_default()));
            data
        };
        let first = seen(None, &with_url("old", Some("one")));
        assert!(first.url.is_some());
        let password = seen(Some(&first), &with_url("new", Some("one")));
        assert!(password.changed.is_some() && password.url_changed.is_none());
        let none = seen(Some(&first), &with_url("old", None));
        assert_eq!(
            (none.url.clone(), none.url_changed),
            (first.url.clone(), None)
        );
        let other = seen(Some(&none), &with_url("old", Some("two")));
        assert_eq!(other.url_changed, Some(Timestamp::UNIX_EPOCH));
        assert_ne!(other.url, first.url);
    }

    /// Somebody could try passwords in a resource of their own, and compare what is told of it.
    #[test]
    fn what_is_told_of_two_resources_with_the_same_secrets_can_not_be_compared() {
        let spec = spec("Auto");
        let of = |uid| {
            let look = SecretsLook {
                at: Timestamp::UNIX_EPOCH,
                uid,
                spec: &spec,
                data: &data("old"),
            };
            secrets_seen(None, &DigestKey::new([7; 32]), look).unwrap()
        };
        let (one, other) = (of("one"), of("other"));
        assert_ne!(one.content, other.content);
        assert_ne!(one.of, other.of);
    }

    /// Rule S8: what an older operator has written has another form, and an installation may lose its key.
    #[test]
    fn what_another_key_has_made_is_compared_with_nothing() {
        let before = seen(Some(&seen(None, &data("old"))), &data("new"));
        let mut spec = spec("Auto");
        spec.handover = Some(Handover {
            on_secret_change: Some(OnSecretChange::Rollout),
            ..Handover::default()
        });
        let look = SecretsLook {
            at: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1),
            uid: "uid",
            spec: &spec,
            data: &data("newer"),
        };
        let after = secrets_seen(Some(&before), &DigestKey::new([8; 32]), look).unwrap();
        assert_ne!((&after.of, &after.content), (&before.of, &before.content));
        assert_eq!(
            (after.stamp, after.changed, after.url_changed),
            (before.stamp, before.changed, before.url_changed)
        );
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
