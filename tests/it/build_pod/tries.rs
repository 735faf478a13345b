//! What a short pod tries beside the node's own check: its script runs here, in folders of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use chainlink_operator::build;
use serde_json::{Value, json};

use super::{check, resolved, toml_node};

/// The exit code and the words of the tries, below `folder`.
fn tried(folder: &Path) -> (Option<i32>, String) {
    let containers = check(&toml_node()).spec.unwrap().containers;
    let command = containers[1].command.clone().unwrap();
    let below = |path: &str| folder.join(path).display().to_string();
    let script = command[2]
        .replace("/etc/chainlink/credentials", &below("credentials"))
        .replace("/chainlink/root", &below("volume/root"));
    let ended = Command::new(&command[0])
        .args([&command[1], &script])
        .output()
        .unwrap();
    (
        ended.status.code(),
        String::from_utf8(ended.stderr).unwrap(),
    )
}

/// A pod's folders, with this keystore password.
fn folders(name: &str, password: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("tries-{name}-{}", std::process::id()));
    fs::create_dir_all(folder.join("credentials")).unwrap();
    fs::create_dir_all(folder.join("volume")).unwrap();
    fs::write(folder.join("credentials/keystore-password"), password).unwrap();
    fs::write(
        folder.join("credentials/api-credentials"),
        "a@example.com\n",
    )
    .unwrap();
    folder
}

#[test]
fn a_password_that_a_start_would_refuse_is_found_and_not_shown() {
    let found = |password: &str| {
        let folder = folders("password", password);
        let tried = tried(&folder);
        fs::remove_dir_all(folder).unwrap();
        tried
    };
    // A short one is the node's matter: it counts only for keys that are to be made.
    for good in [
        "a good password",
        "a good password\n",
        "short",
        "a\nb",
        "'$(x)\"`\\",
    ] {
        assert_eq!(found(good), (Some(0), String::new()), "{good:?}");
    }
    for empty in ["", "\n"] {
        let (code, said) = found(empty);
        assert_eq!(code, Some(78), "{empty:?}");
        assert!(
            said.contains("(keystore of Secret credentials) is empty"),
            "{said}"
        );
    }
    for spaced in [
        " canary",
        "canary ",
        "canary\r\n",
        "canary\n\n",
        "\tcanary",
        " ",
    ] {
        let (code, said) = found(spaced);
        assert_eq!(code, Some(78), "{spaced:?}");
        assert!(
            said.contains("has a space or a line break at an end"),
            "{said}"
        );
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn a_root_folder_that_the_node_can_not_make_is_found() {
    let folder = folders("root", "a good password");
    assert_eq!(tried(&folder), (Some(0), String::new()));
    let mode = fs::metadata(folder.join("volume/root"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    fs::remove_dir_all(folder.join("volume/root")).unwrap();
    // A file in its place: rights do not keep a test that runs as root from writing.
    fs::write(folder.join("volume/root"), "").unwrap();
    let (code, said) = tried(&folder);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(code, Some(78));
    assert!(
        said.contains("the node can't make its root folder"),
        "{said}"
    );
    assert!(
        said.contains("File exists"),
        "in the words of the machine: {said}"
    );
}

#[test]
fn a_file_that_is_not_there_is_found() {
    for (file, what) in [
        (
            "keystore-password",
            "keystore password (keystore of Secret credentials)",
        ),
        (
            "api-credentials",
            "API credentials (api of Secret credentials)",
        ),
    ] {
        let folder = folders(file, "a good password");
        fs::remove_file(folder.join("credentials").join(file)).unwrap();
        let (code, said) = tried(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(code, Some(78), "{file}");
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn the_tries_are_made_as_the_node_would_start_and_ask_for_little() {
    let mut spec = toml_node();
    spec["pod"] = json!({"resources": {
        "requests": {"cpu": "1", "memory": "2Gi"},
        "limits": {"memory": "4Gi", "example.com/disks": "1"},
    }});
    let pod = check(&spec);
    let containers = pod.spec.clone().unwrap().containers;
    let [node, tries] = &containers[..] else {
        panic!("{containers:?}");
    };
    assert_eq!(tries.image, node.image);
    assert_eq!(tries.security_context, node.security_context);
    assert_eq!(
        (&tries.env, &tries.env_from),
        (&None, &None),
        "it knows no database"
    );
    let amounts: Value = serde_json::to_value(&tries.resources).unwrap();
    assert_eq!(
        amounts,
        json!({"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}})
    );
    // Where that is refused the check is made alone.
    let alone = build::as_fitting_as_the_node(&pod, &resolved(&spec).content);
    assert_eq!(alone.spec.unwrap().containers, std::slice::from_ref(node));
}
