//! What is told of newer releases.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::api::{AppliedUpdate, ChainlinkNodeSpec, Image, SeenRelease, Update, UpdatePolicy};
use crate::node::ReleaseTag;
use crate::report::Wish;

const DIGEST: &str = "sha256:aaaa";

fn spec(updates: Updates, tag: Option<&str>) -> ChainlinkNodeSpec {
    ChainlinkNodeSpec {
        updates: Some(updates),
        image: tag.map(|tag| Image {
            tag: Some(tag.to_owned()),
            ..Image::default()
        }),
        ..node().spec
    }
}

fn of(field: impl FnOnce(&mut Updates)) -> Updates {
    let mut updates = Updates::default();
    field(&mut updates);
    updates
}

fn read(tags: &[&str]) -> Vec<ReleaseTag> {
    let tags = tags.iter().map(|tag| (*tag).to_owned());
    tags.filter_map(ReleaseTag::read).collect()
}

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1000 + hour)
}

/// The tag that is chosen of these.
fn chosen(updates: Updates, tag: Option<&str>, tags: &[&str]) -> Option<String> {
    let wish = Wish::read(&spec(updates, tag)).unwrap();
    let candidate = wish.choose(&read(tags), &[], None, at(0));
    candidate.map(|candidate| candidate.tag)
}

#[test]
fn the_newest_release_in_the_range_is_chosen_among_tags_of_all_kinds() {
    let tags = [
        "latest",
        "2.9.0",
        "2.27.0",
        "2.28.0",
        "2.30.0",
        "2.29.0",
        "2.31.0-beta.1",
        "2.32.0-root",
        "v2.33.0",
        "2.34",
        "2.35.0-ccip1.5.0",
        "sha256-abc.sig",
        "3.0.0",
    ];
    let any = Updates::default;
    assert_eq!(chosen(any(), None, &tags).as_deref(), Some("3.0.0"));
    let range = |range: &str| of(|updates| updates.range = Some(range.to_owned()));
    for (asked, expected) in [
        ("2.x", Some("2.30.0")),
        (">=2.0.0 <2.30.0", Some("2.29.0")),
        (">=2.0.0-0 <3.0.0-0", Some("2.31.0-beta.1")),
        ("~2.28", None),
        (">=4.0.0", None),
    ] {
        assert_eq!(
            chosen(range(asked), None, &tags).as_deref(),
            expected,
            "{asked}"
        );
    }
    let rooted = chosen(any(), Some("2.28.0-root"), &tags);
    assert_eq!(
        rooted.as_deref(),
        Some("2.32.0-root"),
        "a flavour stays one"
    );
    let with_v = chosen(any(), Some("v2.28.0"), &tags);
    assert_eq!(with_v.as_deref(), Some("v2.33.0"), "so does a leading v");
}

#[test]
fn what_can_not_be_asked_for_is_told_with_what_to_write() {
    for (updates, tag, sentence) in [
        (
            of(|updates| updates.range = Some("latest".to_owned())),
            None,
            ">=2.29.0 <3.0.0",
        ),
        (
            of(|updates| updates.interval = Some("299s".to_owned())),
            None,
            "write 5m or more",
        ),
        (
            of(|updates| updates.interval = Some("often".to_owned())),
            None,
            "is not a duration",
        ),
        (
            of(|updates| updates.minimum_age = Some("30".to_owned())),
            None,
            "is not a duration",
        ),
        (
            of(|updates| updates.policy = Some(UpdatePolicy::Apply)),
            None,
            "`>=2.28.0 <3.0.0`",
        ),
        (
            of(|updates| {
                updates.policy = Some(UpdatePolicy::Apply);
                updates.range = Some(">=2.28.0".to_owned());
            }),
            None,
            "with an upper bound",
        ),
        (
            Updates::default(),
            Some("stable"),
            "leave spec.image.tag or spec.updates out",
        ),
        (
            Updates::default(),
            Some("2.28.0-beta.1"),
            "leave spec.image.tag or spec.updates out",
        ),
        (
            Updates::default(),
            Some("2.28.0-ours"),
            "leave spec.image.tag or spec.updates out",
        ),
    ] {
        let refused = Wish::read(&spec(updates, tag)).unwrap_err();
        assert!(refused.contains(sentence), "{refused}");
    }
    let mut variant = spec(Updates::default(), None);
    variant.version = "2.28.0-ccip".to_owned();
    let refused = Wish::read(&variant).unwrap_err();
    assert!(refused.contains("leave spec.updates out"), "{refused}");
}

/// What a pass makes of these tags; each of them leads to this digest.
fn pass(
    wish: &Wish,
    tags: &[&str],
    digest: &str,
    before: Option<&Update>,
    now: Timestamp,
) -> Option<Update> {
    let candidate = wish.choose(&read(tags), &[], before, now)?;
    Some(wish.with_digest(candidate, digest.to_owned(), before, now))
}

#[test]
fn a_release_waits_for_its_age_and_a_newer_one_takes_nothing_from_it() {
    let updates = of(|updates| updates.minimum_age = Some("72h".to_owned()));
    let wish = Wish::read(&spec(updates, None)).unwrap();
    let first = pass(&wish, &["2.29.0"], DIGEST, None, at(0)).unwrap();
    assert_eq!(
        (first.version.as_str(), first.first_seen, first.proposed_at),
        ("2.29.0", at(0), None)
    );

    // A newer one each day would otherwise keep all of them young.
    let tags = ["2.29.0", "2.30.0"];
    let second = pass(&wish, &tags, DIGEST, Some(&first), at(24)).unwrap();
    assert_eq!(
        (second.version.as_str(), second.first_seen),
        ("2.29.0", at(0))
    );
    assert_eq!(second.newer[0].version, "2.30.0");
    let aged = pass(&wish, &tags, DIGEST, Some(&second), at(72)).unwrap();
    assert_eq!(
        (aged.version.as_str(), aged.proposed_at),
        ("2.29.0", Some(at(72)))
    );
    let later = pass(&wish, &tags, DIGEST, Some(&aged), at(80)).unwrap();
    assert_eq!(later.proposed_at, Some(at(72)), "it is proposed since then");
    let next = pass(&wish, &tags, DIGEST, Some(&later), at(96)).unwrap();
    assert_eq!(
        (next.version.as_str(), next.first_seen, next.proposed_at),
        ("2.30.0", at(24), Some(at(96)))
    );
}

#[test]
fn a_tag_that_leads_to_another_image_is_a_release_that_nobody_has_seen() {
    let updates = of(|updates| updates.minimum_age = Some("1h".to_owned()));
    let wish = Wish::read(&spec(updates, None)).unwrap();
    let first = pass(&wish, &["2.29.0"], DIGEST, None, at(0)).unwrap();
    let aged = pass(&wish, &["2.29.0"], DIGEST, Some(&first), at(1)).unwrap();
    assert_eq!(aged.proposed_at, Some(at(1)));
    let moved = pass(&wish, &["2.29.0"], "sha256:bbbb", Some(&aged), at(2)).unwrap();
    assert_eq!((moved.first_seen, moved.proposed_at), (at(2), None));
}

#[test]
fn a_tag_that_the_registry_names_and_does_not_have_is_passed_over() {
    let wish = Wish::read(&spec(Updates::default(), None)).unwrap();
    let tags = read(&["2.29.0", "2.30.0"]);
    let chosen = wish
        .choose(&tags, &["2.30.0".to_owned()], None, at(0))
        .unwrap();
    assert_eq!(chosen.tag, "2.29.0");
}

fn update(version: &str, proposed: bool) -> Update {
    Update {
        version: version.to_owned(),
        digest: Some(DIGEST.to_owned()),
        first_seen: at(0),
        proposed_at: proposed.then(|| at(1)),
        newer: Vec::new(),
    }
}

fn known(update: Option<Update>) -> Releases {
    Releases::Known(update.map(Box::new))
}

fn away() -> Releases {
    Releases::Unknown(Reason::RegistryNotReached, "it is away".to_owned())
}

#[test]
fn without_updates_nothing_is_told_of_them() {
    let told = Told::of(pair());
    let mut all = told.status.conditions.iter();
    assert!(all.all(|one| one.type_ != "UpdateAvailable"));
    assert_eq!(told.status.update, None);
}

#[test]
fn a_newer_release_is_told_once_and_keeps_through_a_registry_that_is_away() {
    let mut told = Told::of(pair());
    told.updates = Some(Updates::default());
    let condition = |told: &Told| told.condition("UpdateAvailable");
    let is = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());

    told.releases = Some(Releases::NotYet);
    assert_eq!(told.texts("NewerRelease"), Vec::<String>::new());
    assert_eq!(condition(&told), is("Unknown", "RegistryNotAsked"));
    told.releases = Some(known(None));
    told.look();
    assert_eq!(condition(&told), is("False", "UpToDate"));
    // A restart of the operator knows nothing yet.
    told.releases = Some(Releases::NotYet);
    told.look();
    assert_eq!(condition(&told), is("False", "UpToDate"));

    told.releases = Some(known(Some(update("2.29.0", false))));
    assert_eq!(told.texts("NewerRelease"), Vec::<String>::new());
    assert_eq!(condition(&told), is("False", "UpdateTooYoung"));
    told.releases = Some(known(Some(update("2.29.0", true))));
    let events = told.texts("NewerRelease");
    assert!(
        events[0].contains("write spec.version: 2.29.0"),
        "{events:?}"
    );
    assert!(events[0].contains(DIGEST), "{events:?}");
    assert_eq!(condition(&told), is("True", "NewerRelease"));
    assert_eq!(
        told.condition("Ready"),
        is("True", "Steady"),
        "it is no matter of Ready"
    );

    for releases in [
        away(),
        Releases::NotYet,
        known(Some(update("2.29.0", true))),
    ] {
        told.releases = Some(releases);
        assert_eq!(told.texts("NewerRelease"), Vec::<String>::new());
        assert_eq!(told.status.update.as_ref().unwrap().version, "2.29.0");
    }
    told.releases = Some(away());
    told.look();
    assert_eq!(condition(&told), is("Unknown", "RegistryNotReached"));
    let text = message_of(&told);
    assert!(
        text.starts_with("it is away") && text.contains("2.29.0"),
        "{text}"
    );
    told.releases = Some(known(None));
    told.look();
    assert_eq!(told.status.update, None);
    told.updates = None;
    told.releases = None;
    told.look();
    let mut all = told.status.conditions.iter();
    assert!(all.all(|one| one.type_ != "UpdateAvailable"));
}

#[test]
fn what_the_spec_has_taken_is_no_update_any_more_also_while_the_registry_is_away() {
    let mut told = Told::of(pair());
    told.updates = Some(Updates::default());
    told.releases = Some(known(Some(update("2.28.0", true))));
    told.look();
    // The spec says 2.28.0 now.
    told.releases = Some(away());
    told.look();
    assert_eq!(told.status.update, None);
    let status = told.condition("UpdateAvailable");
    assert_eq!(
        status,
        ("Unknown".to_owned(), "RegistryNotReached".to_owned())
    );
}

#[test]
fn updates_that_can_not_be_used_stop_nothing_else() {
    let mut told = Told::of(pair());
    told.updates = Some(Updates::default());
    told.releases = Some(Releases::Unknown(
        Reason::UpdatesInvalid,
        "write a range".to_owned(),
    ));
    told.look();
    assert_eq!(told.condition("UpdateAvailable").1, "UpdatesInvalid");
    assert_eq!(
        told.condition("Ready"),
        ("True".to_owned(), "Steady".to_owned())
    );
}

fn message_of(told: &Told) -> String {
    let mut all = told.status.conditions.iter();
    let found = all.find(|one| one.type_ == "UpdateAvailable").unwrap();
    found.message.clone()
}

fn applying() -> Updates {
    of(|updates| {
        updates.policy = Some(UpdatePolicy::Apply);
        updates.range = Some("2.x".to_owned());
    })
}

fn applied(version: &str) -> AppliedUpdate {
    AppliedUpdate {
        version: version.to_owned(),
        repository: "smartcontract/chainlink".to_owned(),
        tag: version.to_owned(),
        digest: DIGEST.to_owned(),
        applied_at: Some(at(2)),
    }
}

/// A pair of 2.28.0 whose releases are applied.
fn applies() -> Told {
    let mut told = Told::of(pair());
    told.updates = Some(applying());
    told
}

#[test]
fn a_range_with_an_upper_bound_lets_releases_be_applied() {
    assert!(Wish::read(&spec(applying(), None)).is_ok());
}

#[test]
fn what_was_applied_is_the_floor_of_what_is_proposed() {
    let wish = Wish::read(&spec(applying(), None)).unwrap();
    let tags = read(&["2.29.0", "2.30.0"]);
    let chosen = |wish: &Wish| wish.choose(&tags, &[], None, at(0)).map(|it| it.tag);
    let one = wish.clone().beyond(Some(&applied("2.29.0")));
    assert_eq!(chosen(&one).as_deref(), Some("2.30.0"));
    let two = wish.clone().beyond(Some(&applied("2.30.0")));
    assert_eq!(chosen(&two), None);
    let older = wish.clone().beyond(Some(&applied("2.27.0")));
    assert_eq!(chosen(&older), chosen(&wish));
}

#[test]
fn a_release_of_age_is_applied_by_its_digest_and_told_once() {
    let mut told = applies();
    told.releases = Some(known(Some(update("2.29.0", false))));
    assert_eq!(told.texts("UpdateApplied"), Vec::<String>::new());
    assert_eq!(told.status.applied, None, "it is too young");
    assert!(message_of(&told).contains("it is applied once"));

    told.releases = Some(known(Some(update("2.29.0", true))));
    let events = told.look();
    let applied = told.status.applied.clone().unwrap();
    assert_eq!(
        applied.image(),
        format!("smartcontract/chainlink:2.29.0@{DIGEST}")
    );
    assert_eq!(applied.applied_at, Some(told.world.now));
    assert_eq!(
        texts_of(&events, "NewerRelease"),
        0,
        "it is taken, and not proposed"
    );
    assert_eq!(texts_of(&events, "UpdateApplied"), 1);
    assert_eq!(told.status.update, None);
    assert_eq!(
        told.condition("UpdateAvailable"),
        ("False".to_owned(), "UpdateApplied".to_owned())
    );
    assert!(message_of(&told).contains("in place of spec.version 2.28.0"));

    for releases in [known(None), Releases::NotYet, away()] {
        told.releases = Some(releases);
        assert_eq!(told.texts("UpdateApplied"), Vec::<String>::new());
        assert_eq!(told.status.applied.as_ref(), Some(&applied));
    }
    assert!(message_of(&told).starts_with("it is away"));
    assert!(message_of(&told).contains("in place of spec.version 2.28.0"));
}

fn texts_of(events: &[Note], reason: &str) -> usize {
    let of = |event: &&Note| event.reason.as_str() == reason;
    events.iter().filter(of).count()
}

#[test]
fn a_release_is_applied_only_where_a_node_has_worked_and_is_to_run() {
    for change in [
        |told: &mut Told| told.world.memory.last_worked = None,
        |told: &mut Told| told.world.intent.replicas = 0,
        |told: &mut Told| told.updates = Some(Updates::default()),
    ] {
        let mut told = applies();
        // The world's memory would learn again from its pods that they work.
        told.world.gone("a");
        told.world.gone("b");
        change(&mut told);
        told.releases = Some(known(Some(update("2.29.0", true))));
        let plan = told.world.remember();
        told.tell(&plan);
        assert_eq!(told.status.applied, None);
        assert_eq!(told.condition("UpdateAvailable").1, "NewerRelease");
    }
}

#[test]
fn since_when_newer_releases_are_seen_outlasts_one_that_is_applied_and_a_restart() {
    let mut told = applies();
    let seen = |version: &str, hour| SeenRelease {
        version: version.to_owned(),
        first_seen: at(hour),
    };
    told.releases = Some(known(Some(Update {
        newer: vec![seen("2.30.0", 5), seen("2.31.0", 7)],
        ..update("2.29.0", true)
    })));
    told.look();
    assert_eq!(told.status.applied.as_ref().unwrap().version, "2.29.0");
    for releases in [Releases::NotYet, away()] {
        told.releases = Some(releases);
        told.look();
        let left = told.status.update.clone().unwrap();
        assert_eq!((left.version.as_str(), left.first_seen), ("2.30.0", at(5)));
        assert_eq!((left.digest, left.proposed_at), (None, None));
        assert_eq!(left.newer, [seen("2.31.0", 7)]);
    }
}

#[test]
fn what_was_applied_is_told_also_where_nothing_is_looked_for_any_more() {
    let mut told = applies();
    told.releases = Some(known(Some(update("2.29.0", true))));
    told.look();
    // Its pods run: it stays.
    told.status.operator.newest_held = Some("2.29.0".to_owned());
    told.world.memory.newest_held = Some("2.29.0".to_owned());
    for (updates, releases) in [(Some(Updates::default()), Some(known(None))), (None, None)] {
        told.updates = updates;
        told.releases = releases;
        told.look();
        assert_eq!(told.status.applied.as_ref().unwrap().version, "2.29.0");
        assert_eq!(told.condition("UpdateAvailable").1, "UpdateApplied");
        let text = message_of(&told);
        assert!(text.contains("nothing goes back by itself"), "{text}");
        let write = format!("write spec.version: 2.29.0, spec.image.digest: {DIGEST}");
        assert!(text.contains(&write), "{text}");
    }
}
