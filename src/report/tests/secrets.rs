//! A Secret of which the content changes.

use super::*;

/// The condition `SecretsChanged`: its status and its message.
fn secrets_changed(told: &Told) -> Option<(String, String)> {
    let mut all = told.status.conditions.iter();
    let one = all.find(|one| one.type_ == "SecretsChanged")?;
    Some((one.status.clone(), one.message.clone()))
}

/// A container reads its Secrets when it starts, and only then.
#[test]
fn a_secret_that_changes_is_told_until_every_pod_has_read_it_and_is_an_event_once() {
    let mut told = Told::of(pair());
    assert_eq!(secrets_changed(&told), None);
    told.world.memory.secrets = Some(SecretsSeen {
        of: "names".to_owned(),
        content: "new".to_owned(),
        stamp: None,
        stamped: None,
        held_until: None,
        changed: Some(told.world.now),
        url: None,
        url_changed: None,
    });
    let event = told.texts("SecretChanged");
    let (status, message) = secrets_changed(&told).expect("it is told");
    assert_eq!(status, "True");
    assert!(message.contains("a, b may run with"), "{message}");
    assert!(message.contains("set spec.restartedAt"), "{message}");
    assert_eq!(event, [message]);
    told.world.later(1);
    assert_eq!(told.texts("SecretChanged"), [""; 0], "once");

    told.world.starts("b");
    told.look();
    let (_, message) = secrets_changed(&told).expect("a has not read it");
    assert!(message.contains("a may run with"), "{message}");
    told.world.starts("a");
    told.look();
    assert_eq!(secrets_changed(&told), None);
}

#[test]
fn a_rollout_after_each_change_that_can_not_be_seen_is_told() {
    let mut told = Told::of(pair());
    told.world.database.answer = Some(crate::domain::DatabaseAnswer::after(
        None,
        told.world.now,
        Err(Silence::not_allowed()),
    ));
    told.look();
    assert_eq!(secrets_changed(&told), None);
    told.on_secret_change = Some(OnSecretChange::Rollout);
    told.look();
    let (status, message) = secrets_changed(&told).expect("it is told");
    assert_eq!(status, "Unknown");
    assert!(
        message.contains("set databaseVerification.enabled"),
        "{message}"
    );
}
