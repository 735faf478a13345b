//! Which version is wanted: what `spec.version` says, or the release that the operator has applied by
//! `spec.updates.policy: Apply`. Whoever makes something of the version or the image of a spec asks here, by [`wanted_spec`].
//!
//! An applied release counts where it is newer than `spec.version`, which is the floor of what is wanted: a person who writes a
//! newer version takes the word back, and one who writes an older one changes nothing. What has run is left by itself for
//! nothing older, whatever becomes of the policy and its range; a release that no pod was started of gives way at once.
//!
//! The status says which release that is. A restored resource has lost it, and the annotation says so then. An annotation
//! beside a status that knows better is no word of anybody: the operator writes it anew.

use std::borrow::Cow;

use super::reason::Reason;
use super::remembered;
use super::revision::Problem;
use crate::api::names::{APPLIED_ANNOTATION, NONE_APPLIED, RESTORED_ANNOTATION};
use crate::api::{AppliedUpdate, ChainlinkNode, ChainlinkNodeSpec, Image, Memory};
use crate::node::{NodeVersion, Range, TagForm};

/// What is known of a release that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// None counts: the spec's own version is wanted.
    None,
    /// It is wanted in place of the spec's version.
    Counts(AppliedUpdate),
    /// It would be, and the spec names another image by now.
    Unfit(AppliedUpdate, Problem),
    /// All that was known is lost but for an annotation that can't be read.
    Unreadable(Problem),
    /// All that was known is lost, of a resource whose releases are applied.
    Lost,
}

impl Applied {
    /// What is known of a resource.
    #[must_use]
    pub fn of(node: &ChainlinkNode) -> Self {
        let memory = node.status.as_ref().map(|status| &status.operator);
        let kept = node
            .status
            .as_ref()
            .and_then(|status| status.applied.clone());
        let is_lost = memory.is_none_or(knows_nothing);
        let applies = applies(&node.spec);
        let release = match (kept, annotation(node, APPLIED_ANNOTATION)) {
            // The release runs on, so that the word is not taken while another pass would apply it again.
            (Some(_), Some(NONE_APPLIED)) if !applies => return Self::None,
            (Some(kept), _) => kept,
            (None, None) if applies && is_lost => return Self::Lost,
            (None, None | Some(NONE_APPLIED)) => return Self::None,
            (None, Some(word)) => match read(word) {
                Some(read) if ran(memory, &read) => read,
                None if is_lost => return Self::Unreadable(unreadable(word)),
                _ => return Self::None,
            },
        };
        counts(node, memory, release)
    }

    /// The release, where it is kept.
    #[must_use]
    pub fn release(&self) -> Option<&AppliedUpdate> {
        match self {
            Self::Counts(release) | Self::Unfit(release, _) => Some(release),
            Self::None | Self::Unreadable(_) | Self::Lost => None,
        }
    }

    /// Whether what an annotation says is not what a person should believe: the status says otherwise, or knows that nothing
    /// was applied. One that an operator wrote for a release before this one is only late.
    #[must_use]
    pub fn contradicts(&self, word: &str) -> bool {
        let Some(release) = self.release() else {
            return false;
        };
        let version = |release: &AppliedUpdate| release.version.parse::<NodeVersion>().ok();
        let is_late = read(word).is_some_and(|read| version(&read) < version(release));
        word != release.image() && !is_late
    }
}

/// The spec with the version and the image that are wanted, or why it can't be said which are.
pub fn wanted_spec(node: &ChainlinkNode) -> Result<Cow<'_, ChainlinkNodeSpec>, Problem> {
    match Applied::of(node) {
        // Of a resource about which nothing is known the planner makes nothing before the database has spoken.
        Applied::None | Applied::Lost => Ok(Cow::Borrowed(&node.spec)),
        Applied::Unfit(_, problem) | Applied::Unreadable(problem) => Err(problem),
        Applied::Counts(release) => {
            let image = node.spec.image.clone().unwrap_or_default();
            Ok(Cow::Owned(ChainlinkNodeSpec {
                version: release.version,
                image: Some(Image {
                    tag: None,
                    digest: Some(release.digest),
                    ..image
                }),
                ..node.spec.clone()
            }))
        }
    }
}

/// The version of a backup to which a person says the database was restored, and the whole word of it.
#[must_use]
pub fn restored(node: &ChainlinkNode) -> Option<(NodeVersion, String)> {
    let word = annotation(node, RESTORED_ANNOTATION)?;
    let version = word.split_whitespace().next()?.parse().ok()?;
    Some((version, word.to_owned()))
}

fn annotation<'a>(node: &'a ChainlinkNode, name: &str) -> Option<&'a str> {
    let all = node.metadata.annotations.as_ref()?;
    let text = all.get(name).map(|text| text.trim());
    text.filter(|text| !text.is_empty())
}

fn applies(spec: &ChainlinkNodeSpec) -> bool {
    let updates = spec.updates.as_ref();
    updates.is_some_and(crate::api::Updates::are_applied)
}

/// As after a restore of the resource, or before its first pod.
fn knows_nothing(memory: &Memory) -> bool {
    memory.newest_held.is_none() && memory.last_worked.is_none()
}

/// Whether a pod of the release may have had the lock, as far as is known: what is not known counts for it.
fn ran(memory: Option<&Memory>, release: &AppliedUpdate) -> bool {
    let (Some(memory), Ok(version)) = (memory, release.version.parse::<NodeVersion>()) else {
        return true;
    };
    let held = remembered::newest_held(memory);
    let started = memory.may_have_held.is_some();
    let may_have_held = remembered::may_have_held(memory);
    let is_older = |known: NodeVersion| known < version;
    let never = held.is_some_and(is_older) && (!started || may_have_held.is_some_and(is_older));
    !never
}

/// Whether the spec would have the release applied.
fn is_asked_for(spec: &ChainlinkNodeSpec, version: &NodeVersion) -> bool {
    let range = spec.updates.as_ref().and_then(|it| it.range.as_deref());
    // Of a range that can't be read a person is told: meanwhile nothing is taken back.
    let range = range.map(str::parse::<Range>).and_then(Result::ok);
    applies(spec) && range.is_none_or(|range| range.contains(version))
}

/// Whether a release that is known counts.
fn counts(node: &ChainlinkNode, memory: Option<&Memory>, release: AppliedUpdate) -> Applied {
    let spec = &node.spec;
    let (asked, version) = (
        spec.version.parse::<NodeVersion>(),
        release.version.parse::<NodeVersion>(),
    );
    let (asked, version) = match (asked, version) {
        (Ok(asked), Ok(version)) => (asked, version),
        (Err(error), _) => {
            let message = format!("spec.version: {error}");
            return Applied::Unfit(release, problem(Reason::InvalidVersion, message));
        }
        (_, Err(error)) => {
            let message = format!("status.applied.version: {error}");
            return Applied::Unfit(release, problem(Reason::AppliedUpdateUnfit, message));
        }
    };
    let image = spec.image.clone().unwrap_or_default();
    // Written into the spec without a digest it is still the image that runs.
    let ahead = version > asked || (version == asked && image.digest.is_none());
    let word_taken = memory.and_then(|memory| memory.restored.as_ref());
    let went_back = restored(node)
        .is_some_and(|(restored, word)| restored < version && word_taken != Some(&word));
    let form = TagForm::of(image.tag.as_deref(), &asked);
    let same_tag = form.is_some_and(|form| form.tag(&release.version) == release.tag);
    let fits = same_tag && image.repository() == release.repository;
    let is_wanted = (fits && is_asked_for(spec, &version)) || ran(memory, &release);
    if !ahead || went_back || !is_wanted {
        Applied::None
    } else if fits {
        Applied::Counts(release)
    } else {
        let problem = elsewhere(&release);
        Applied::Unfit(release, problem)
    }
}

fn problem(reason: Reason, message: String) -> Problem {
    Problem {
        reason,
        message,
        missing: false,
    }
}

fn elsewhere(release: &AppliedUpdate) -> Problem {
    let AppliedUpdate {
        version,
        repository,
        tag,
        ..
    } = release;
    problem(
        Reason::AppliedUpdateUnfit,
        format!(
            "{version} was applied from {repository}:{tag}, and spec.image names another image by now, in which the operator has not found it: write spec.version: {version}, with the digest that it has there in spec.image.digest; or set spec.image back"
        ),
    )
}

fn unreadable(word: &str) -> Problem {
    problem(
        Reason::AppliedUpdateUnknown,
        format!(
            "the status says nothing of a release that was applied, and the annotation {APPLIED_ANNOTATION} is `{word}`: write the image that ran last, as REPOSITORY:TAG@sha256:DIGEST, or {NONE_APPLIED} where no release was applied"
        ),
    )
}

/// A release as its annotation has it.
fn read(word: &str) -> Option<AppliedUpdate> {
    let (image, digest) = word.split_once('@')?;
    let (repository, tag) = image.rsplit_once(':')?;
    let hex = digest.strip_prefix("sha256:")?;
    let is_hex = |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
    let whole = hex.len() == 64 && hex.bytes().all(is_hex);
    (whole && !repository.is_empty()).then_some(())?;
    Some(AppliedUpdate {
        version: NodeVersion::parse_tag(tag)?.to_string(),
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        digest: digest.to_owned(),
        applied_at: None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn image(version: &str) -> String {
        format!("smartcontract/chainlink:{version}@sha256:{HEX}")
    }

    /// A resource that runs what was applied, at rest.
    fn resource() -> Value {
        json!({
            "apiVersion": "chainlink-operator.dev/v1alpha1", "kind": "ChainlinkNode",
            "metadata": {"name": "cl", "annotations": {APPLIED_ANNOTATION: image("2.30.0")}},
            "spec": {
                "version": "2.28.0",
                "updates": {"range": "2.x", "policy": "Apply"},
                "database": {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
                "credentials": {"keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}}},
            },
            "status": {
                "applied": {
                    "version": "2.30.0", "repository": "smartcontract/chainlink", "tag": "2.30.0",
                    "digest": format!("sha256:{HEX}"),
                },
                "operator": {"newestHeld": "2.30.0", "lastWorked": "cl-2"},
            },
        })
    }

    /// The version and the digest that are wanted after a change, or the reason why it can't be said.
    fn wanted(change: impl FnOnce(&mut Value)) -> String {
        let mut node = resource();
        change(&mut node);
        let node: ChainlinkNode = serde_json::from_value(node).unwrap();
        match wanted_spec(&node) {
            Ok(spec) => {
                let image = spec.image.clone().unwrap_or_default();
                let pinned = image.digest.map_or("by its tag", |_| "by its digest");
                format!("{} {pinned}", spec.version)
            }
            Err(problem) => problem.reason.to_string(),
        }
    }

    fn word(node: &mut Value, word: &Value) {
        node["metadata"]["annotations"] = json!({APPLIED_ANNOTATION: word});
    }

    fn lost(node: &mut Value) {
        node["status"] = Value::Null;
    }

    const APPLIED: &str = "2.30.0 by its digest";
    const OF_THE_SPEC: &str = "2.28.0 by its tag";

    #[test]
    fn the_newer_of_the_spec_and_what_was_applied_is_wanted() {
        assert_eq!(wanted(|_| {}), APPLIED);
        let spec = |version: &'static str| wanted(|node| node["spec"]["version"] = json!(version));
        assert_eq!(spec("2.31.0"), "2.31.0 by its tag", "a person has gone on");
        assert_eq!(
            spec("2.27.0"),
            APPLIED,
            "nothing that has run is left for an older one"
        );
        assert_eq!(spec("2.30.0"), APPLIED, "the same pod is left as it is");
        let digest = |hex: String| {
            wanted(|node| {
                node["spec"]["version"] = json!("2.30.0");
                node["spec"]["image"] = json!({"digest": format!("sha256:{hex}")});
            })
        };
        assert_eq!(
            digest(HEX.to_owned()),
            APPLIED,
            "it is the spec's own by now"
        );
        let spec = spec("latest");
        assert_eq!(spec, "InvalidVersion", "and what is known is kept");
    }

    #[test]
    fn a_digest_in_the_spec_is_that_of_its_own_version() {
        let node = |version: &str| -> ChainlinkNode {
            let mut node = resource();
            node["spec"]["version"] = json!(version);
            node["spec"]["image"] = json!({"digest": format!("sha256:{}", "0".repeat(64))});
            serde_json::from_value(node).unwrap()
        };
        let digest = |version: &str| {
            let node = node(version);
            let spec = wanted_spec(&node).unwrap();
            spec.image.clone().unwrap().digest.unwrap()
        };
        assert_eq!(digest("2.28.0"), format!("sha256:{HEX}"));
        let written = digest("2.30.0");
        assert_eq!(
            written,
            format!("sha256:{}", "0".repeat(64)),
            "a person has chosen it"
        );
        assert_eq!(Applied::of(&node("2.30.0")), Applied::None);
    }

    #[test]
    fn what_has_run_stays_whatever_becomes_of_the_policy_and_what_has_not_gives_way() {
        let policies = [
            Value::Null,
            json!({"range": "2.x"}),
            json!({"range": "2.x", "policy": "Tell"}),
            json!({"range": "~2.29", "policy": "Apply"}),
        ];
        for updates in policies {
            let after = |change: fn(&mut Value)| {
                wanted(|node| {
                    node["spec"]["updates"] = updates.clone();
                    change(node);
                })
            };
            assert_eq!(after(|_| {}), APPLIED, "{updates}");
            let never = after(|node| node["status"]["operator"]["newestHeld"] = json!("2.28.0"));
            assert_eq!(never, OF_THE_SPEC, "{updates}");
            let started = after(|node| {
                node["status"]["operator"] = json!({
                    "newestHeld": "2.28.0", "mayHaveHeld": {"version": "2.30.0", "pods": ["cl-3"]},
                });
            });
            assert_eq!(started, APPLIED, "{updates}");
            let unread = after(|node| {
                node["status"]["operator"] = json!({
                    "newestHeld": "2.28.0", "mayHaveHeld": {"version": "new", "pods": ["cl-3"]},
                });
            });
            assert_eq!(unread, APPLIED, "{updates}: what can't be read may be that");
        }
        let waits = wanted(|node| node["status"]["operator"]["newestHeld"] = json!("2.28.0"));
        assert_eq!(waits, APPLIED, "one that is asked for waits for its turn");
    }

    #[test]
    fn another_image_is_for_a_person_to_find_it_in() {
        let image = |image: &Value, ran: bool| {
            wanted(|node| {
                node["spec"]["image"] = image.clone();
                if !ran {
                    node["status"]["operator"]["newestHeld"] = json!("2.28.0");
                }
            })
        };
        for other in [
            json!({"repository": "mirror/chainlink"}),
            json!({"tag": "2.28.0-root"}),
            json!({"tag": "v2.28.0"}),
            json!({"tag": "ours"}),
        ] {
            assert_eq!(image(&other, true), "AppliedUpdateUnfit", "{other}");
            let untried = image(&other, false);
            assert!(
                untried.starts_with("2.28.0 "),
                "{other}: it is found anew: {untried}"
            );
        }
        for same in [
            json!({"repository": "smartcontract/chainlink"}),
            json!({"tag": "2.28.0", "pullPolicy": "Always"}),
        ] {
            assert_eq!(image(&same, true), APPLIED, "{same}");
        }
    }

    #[test]
    fn a_restored_resource_knows_by_its_annotation_what_ran() {
        assert_eq!(wanted(lost), APPLIED);
        let said = |text: Value| {
            wanted(|node| {
                lost(node);
                word(node, &text);
            })
        };
        assert_eq!(said(json!(format!(" {}\n", image("2.30.0")))), APPLIED);
        assert_eq!(said(json!(NONE_APPLIED)), OF_THE_SPEC);
        assert_eq!(said(json!(image("2.27.0"))), OF_THE_SPEC, "it is overtaken");
        for unreadable in [
            "2.30.0",
            "2.30.0@sha256:0123",
            "smartcontract/chainlink:2.30.0",
            "smartcontract/chainlink:latest@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "smartcontract/chainlink:2.30.0@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
            "smartcontract/chainlink@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            ":2.30.0@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(
                said(json!(unreadable)),
                "AppliedUpdateUnknown",
                "{unreadable}"
            );
        }
        let elsewhere = format!("mirror:5000/chainlink:2.30.0@sha256:{HEX}");
        assert_eq!(said(json!(elsewhere)), "AppliedUpdateUnfit");
    }

    #[test]
    fn where_all_is_lost_of_a_resource_that_applies_releases_it_is_told_so() {
        let of = |change: fn(&mut Value)| {
            let mut node = resource();
            node["metadata"]["annotations"] = Value::Null;
            change(&mut node);
            Applied::of(&serde_json::from_value(node).unwrap())
        };
        assert_eq!(of(lost), Applied::Lost);
        let tells = of(|node| {
            lost(node);
            node["spec"]["updates"]["policy"] = json!("Tell");
        });
        assert_eq!(tells, Applied::None);
        let remembers = of(|node| node["status"]["applied"] = Value::Null);
        assert_eq!(remembers, Applied::None, "nothing was applied so far");
        assert!(
            matches!(of(|_| {}), Applied::Counts(_)),
            "the annotation alone is missing"
        );
    }

    #[test]
    fn an_annotation_beside_a_status_that_knows_better_is_no_word() {
        assert_eq!(wanted(|node| word(node, &json!(image("2.31.0")))), APPLIED);
        assert_eq!(wanted(|node| word(node, &json!("?"))), APPLIED);
        assert_eq!(wanted(|node| word(node, &json!(NONE_APPLIED))), APPLIED);
        let told = |updates: Value| {
            wanted(|node| {
                word(node, &json!(NONE_APPLIED));
                node["spec"]["updates"] = updates;
            })
        };
        let takes_back = told(json!({"policy": "Tell"}));
        assert_eq!(
            takes_back, OF_THE_SPEC,
            "unless another pass would apply it again"
        );
        assert_eq!(told(Value::Null), OF_THE_SPEC);
        // The status has forgotten nothing but what was applied: an older operator has written it.
        let memory = |held: &'static str| {
            wanted(|node| {
                node["status"]["applied"] = Value::Null;
                node["status"]["operator"]["newestHeld"] = json!(held);
            })
        };
        assert_eq!(memory("2.30.0"), APPLIED);
        assert_eq!(memory("2.29.0"), OF_THE_SPEC, "it never ran");
    }

    #[test]
    fn what_a_person_has_written_over_is_told_and_what_is_only_late_is_not() {
        let node: ChainlinkNode = serde_json::from_value(resource()).unwrap();
        let applied = Applied::of(&node);
        for (word, contradicts) in [
            (image("2.30.0"), false),
            (image("2.29.0"), false),
            (image("2.31.0"), true),
            (image("2.30.0").replace("012", "112"), true),
            (NONE_APPLIED.to_owned(), true),
            ("?".to_owned(), true),
        ] {
            assert_eq!(applied.contradicts(&word), contradicts, "{word}");
        }
    }

    #[test]
    fn a_database_that_was_restored_takes_the_release_back_once() {
        let restored = |to: &'static str, taken: Value| {
            wanted(|node| {
                node["metadata"]["annotations"][RESTORED_ANNOTATION] = json!(to);
                node["status"]["operator"]["restored"] = taken;
            })
        };
        assert_eq!(restored("2.28.0", Value::Null), OF_THE_SPEC);
        assert_eq!(restored("2.28.0 again", json!("2.28.0")), OF_THE_SPEC);
        let applied_since = restored("2.28.0", json!("2.28.0"));
        assert_eq!(applied_since, APPLIED);
        assert_eq!(
            restored("2.30.0", Value::Null),
            APPLIED,
            "it is of that version"
        );
    }
}
