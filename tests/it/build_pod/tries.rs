//! What a short pod tries beside the node's own check: its script runs here, in folders of the test's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use chainlink_operator::build::{self, Content};
use serde_json::{Value, json};

use super::{check, node, resolved, toml_node};

/// The exit code and the words of the tries, below `folder`.
fn tried(folder: &Path) -> (Option<i32>, String) {
    tried_for(&toml_node(), folder)
}

/// Those for this node.
fn tried_for(spec: &Value, folder: &Path) -> (Option<i32>, String) {
    let containers = check(spec).spec.unwrap().containers;
    let command = containers[1].command.clone().unwrap();
    let below = |path: &str| folder.join(path).display().to_string();
    // As the kubelet hands it on.
    let script = command[2]
        .replace("$$", "$")
        .replace("/etc/chainlink/credentials", &below("credentials"))
        .replace("/certificates", &below("certificates"))
        .replace("/chainlink/root", &below("volume/root"));
    let (code, said) = ended(&command[0], &script, folder);
    // An image may call another shell so.
    assert_eq!(ended("bash", &script, folder).0, code, "{said}");
    (code, said)
}

/// How a shell ends that runs the script as the node's user, and what it says.
fn ended(shell: &str, script: &str, folder: &Path) -> (Option<i32>, String) {
    let mut shell = Command::new(shell);
    let shell = shell.args(["-c", script]).current_dir(folder);
    // Rights keep nothing from root, and the node is somebody else.
    if fs::metadata(folder).unwrap().uid() == 0 {
        shell.uid(NODE);
    }
    let ended = shell.output().unwrap();
    assert_eq!(ended.stdout, b"");
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.lines().count() < 2, "{said}");
    (ended.status.code(), said)
}

/// The user of the node, where a test may choose it.
const NODE: u32 = 14933;

/// A pod's folders, with this keystore password. No two calls have the same.
fn folders(name: &str, password: &str) -> std::path::PathBuf {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let (process, call) = (std::process::id(), CALLS.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(format!("tries-{name}-{process}-{call}"));
    for inner in ["credentials", "certificates", "volume"] {
        fs::create_dir_all(folder.join(inner)).unwrap();
    }
    if fs::metadata(&folder).unwrap().uid() == 0 {
        chown(folder.join("volume"), Some(NODE), Some(NODE)).unwrap();
    }
    fs::write(folder.join("credentials/keystore-password"), password).unwrap();
    fs::write(
        folder.join("credentials/api-credentials"),
        "a@example.com\n",
    )
    .unwrap();
    fs::write(folder.join("certificates/tls.crt"), CERTIFICATE).unwrap();
    fs::write(folder.join("certificates/tls.key"), KEY).unwrap();
    folder
}

const CERTIFICATE: &str =
    "subject=/CN=feeds\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n";

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
    // In it a file can be made.
    fs::remove_file(folder.join("volume/root/tried")).unwrap();
    fs::create_dir(folder.join("volume/root/tried")).unwrap();
    assert_eq!(tried(&folder).0, Some(78));
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
fn a_file_that_the_nodes_user_can_not_read_is_found() {
    for file in [
        "credentials/keystore-password",
        "credentials/api-credentials",
        "certificates/tls.crt",
        "certificates/tls.key",
    ] {
        let folder = folders("rights", "a good password");
        fs::set_permissions(folder.join(file), Permissions::from_mode(0o000)).unwrap();
        let (code, said) = tried_for(&https_node(), &folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(code, Some(78), "{file}");
        assert!(said.contains("the user of the pod can not read"), "{said}");
    }
}

#[test]
fn api_credentials_of_less_than_two_lines_are_found() {
    let found = |credentials: &str| {
        let folder = folders("api", "a good password");
        fs::write(folder.join("credentials/api-credentials"), credentials).unwrap();
        let tried = tried(&folder);
        fs::remove_dir_all(folder).unwrap();
        tried
    };
    for credentials in ["", "canary@example.com", "canary@example.com canary\r"] {
        let (code, said) = found(credentials);
        assert_eq!(code, Some(78), "{credentials:?}");
        let short = "the API credentials (api of Secret credentials) are less than two lines";
        assert!(said.contains(short), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
    // The user has been made from other ones.
    for credentials in ["a@example.com\nshort", "nobody\n\n", "\n"] {
        assert_eq!(
            found(credentials),
            (Some(0), String::new()),
            "{credentials:?}"
        );
    }
}

#[test]
fn without_api_credentials_none_are_looked_for() {
    let mut spec = toml_node();
    let credentials = spec["credentials"].as_object_mut().unwrap();
    credentials.remove("apiCredentials");
    let folder = folders("none", "a good password that is long");
    fs::remove_file(folder.join("credentials/api-credentials")).unwrap();
    let tried = tried_for(&spec, &folder);
    fs::remove_dir_all(folder).unwrap();
    assert_eq!(tried, (Some(0), String::new()));
}

/// A node that names certificate and key of a volume.
fn https_node() -> Value {
    let mut spec = toml_node();
    spec["config"]["files"] = json!([{"name": "node.toml", "inline": "[WebServer.TLS]\n\
        CertPath = '/certificates/tls.crt'\nKeyPath = '/certificates/tls.key'\n"}]);
    spec["pod"] = json!({"volumes": [
        {"name": "tls", "secretName": "tls", "mountPath": "/certificates"},
    ]});
    spec
}

/// What the tries of a node with HTTPS say about these two files; none is one that is not there.
fn with_certificate(certificate: Option<&str>, key: Option<&str>) -> (Option<i32>, String) {
    let folder = folders("https", "a good password");
    for (file, text) in [("tls.crt", certificate), ("tls.key", key)] {
        let file = folder.join("certificates").join(file);
        fs::remove_file(&file).unwrap();
        if let Some(text) = text {
            fs::write(file, text).unwrap();
        }
    }
    let tried = tried_for(&https_node(), &folder);
    fs::remove_dir_all(folder).unwrap();
    tried
}

#[test]
fn a_certificate_or_key_that_would_not_be_served_is_found() {
    let (certificate, key) = (Some(CERTIFICATE), Some(KEY));
    let both = format!("{KEY}{CERTIFICATE}");
    let pkcs8 = "-----BEGIN PRIVATE KEY-----\r\ncanary\r\n-----END PRIVATE KEY-----";
    for (certificate, key) in [
        (certificate, key),
        (Some(both.as_str()), Some(both.as_str())),
        (certificate, Some(pkcs8)),
        // The last line may have no end.
        (Some("-----BEGIN CERTIFICATE-----"), key),
    ] {
        let passed = with_certificate(certificate, key);
        assert_eq!(passed, (Some(0), String::new()), "{certificate:?} {key:?}");
    }
    let sealed = "-----BEGIN ENCRYPTED PRIVATE KEY-----\ncanary\n";
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\ncanary\n";
    let no_file = "where no file is, and the node would serve no HTTPS";
    let no_certificate = "tls.crt (WebServer.TLS.CertPath) holds no certificate in PEM";
    let no_key = "tls.key (WebServer.TLS.KeyPath) holds no private key in PEM";
    for (certificate, key, what) in [
        (None, key, no_file),
        (certificate, None, no_file),
        (Some(""), key, no_certificate),
        (Some("\0\u{82}canary"), key, no_certificate),
        (Some(" -----BEGIN CERTIFICATE-----\n"), key, no_certificate),
        (Some(KEY), Some(CERTIFICATE), no_certificate),
        (certificate, Some(""), no_key),
        (certificate, certificate, no_key),
        (certificate, Some(sealed), "is encrypted"),
        (certificate, Some(old), "is encrypted"),
    ] {
        let (code, said) = with_certificate(certificate, key);
        assert_eq!(code, Some(78), "{certificate:?} {key:?}");
        assert!(said.contains(what), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn a_certificate_is_looked_at_where_the_node_sees_it() {
    let containers = check(&https_node()).spec.unwrap().containers;
    let mounts = containers[1].volume_mounts.clone().unwrap();
    let of_the_node = containers[0].volume_mounts.clone().unwrap();
    let certificates = mounts.last().unwrap();
    assert_eq!(certificates.mount_path, "/certificates");
    assert!(of_the_node.contains(certificates));
    // Elsewhere volumes are nobody's matter here.
    let mut spec = https_node();
    spec["config"]["files"][0]["inline"] = json!("");
    let containers = check(&spec).spec.unwrap().containers;
    assert_eq!(containers[1].volume_mounts.as_ref().unwrap().len(), 2);
}

#[test]
fn a_certificate_that_a_secret_may_name_otherwise_is_not_looked_at() {
    let mut spec = https_node();
    let files = spec["config"]["files"].as_array_mut().unwrap();
    files.push(json!({"name": "last.toml", "secretKeyRef": {"name": "rpc", "key": "text"}}));
    let folder = folders("hidden", "a good password");
    fs::remove_dir_all(folder.join("certificates")).unwrap();
    let tried = tried_for(&spec, &folder);
    fs::remove_dir_all(folder).unwrap();
    assert_eq!(tried, (Some(0), String::new()));
}

#[test]
fn a_path_is_no_part_of_the_script() {
    let mut spec = https_node();
    let odd = "/certificates/it's $HOME; exit 3 `exit 4` $$.crt";
    let text = format!("[WebServer.TLS]\nCertPath = \"{odd}\"\nKeyPath = 'key.pem'\n");
    spec["config"]["files"][0]["inline"] = json!(text);
    let folder = folders("odd", "a good password");
    let (code, said) = tried_for(&spec, &folder);
    assert_eq!(code, Some(78));
    assert!(said.contains(&odd["/certificates".len()..]), "{said}");
    fs::write(folder.join(&odd[1..]), CERTIFICATE).unwrap();
    // A relative one is looked for where the container begins.
    fs::write(folder.join("key.pem"), KEY).unwrap();
    let passed = tried_for(&spec, &folder);
    fs::remove_dir_all(folder).unwrap();
    assert_eq!(passed, (Some(0), String::new()));
}

/// A revision that was kept before its certificate was looked at is the same one (rule S8).
#[test]
fn where_the_certificate_is_makes_no_other_revision() {
    let resolved = resolved(&https_node());
    let mut older = serde_json::to_value(&resolved.content).unwrap();
    assert!(older["tlsFiles"].is_object());
    older.as_object_mut().unwrap().remove("tlsFiles");
    let older: Content = serde_json::from_value(older).unwrap();
    let (node, _) = node(&https_node());
    assert_eq!(older.revision("chainlink").unwrap(), resolved.revision);
    let check =
        |content| build::validation_pod(&node, "chainlink-validate-1", &resolved.revision, content);
    let tries = |pod: k8s_openapi::api::core::v1::Pod| {
        pod.spec.unwrap().containers[1]
            .volume_mounts
            .clone()
            .unwrap()
    };
    assert_eq!(tries(check(&older)).len(), 2);
    assert_eq!(tries(check(&resolved.content)).len(), 3);
}

/// An image without a program that is needed, or whose shell ends as no finding does, is not judged.
#[test]
fn without_the_programs_nothing_is_tried() {
    let folder = folders("bare", "");
    let containers = check(&toml_node()).spec.unwrap().containers;
    let script = containers[1].command.clone().unwrap()[2].replace("$$", "$");
    let bin = folder.join("bin");
    let with = |programs: &[&str]| {
        fs::create_dir_all(&bin).unwrap();
        for program in programs {
            std::os::unix::fs::symlink(format!("/bin/{program}"), bin.join(program)).unwrap();
        }
        let mut shell = Command::new("/bin/sh");
        let ended = shell.args(["-c", &script]).env("PATH", &bin).output();
        fs::remove_dir_all(&bin).unwrap();
        ended.unwrap().status.code()
    };
    for some in [["cat", "mkdir"], ["mkdir", "chmod"], ["cat", "chmod"]] {
        assert_eq!(with(&some), Some(0), "{some:?}");
    }
    // The password of this machine is not there.
    assert_eq!(with(&["cat", "mkdir", "chmod"]), Some(78));
    fs::remove_dir_all(folder).unwrap();
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
