//! Files the node reads or makes before it asks for the lock. What is wrong here ends it at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::cli::StartFiles;
use crate::config::Config;
use crate::exit::Exit;
use crate::version::NodeVersion;

/// The keystore password: from the secrets, or the first line of the `-p` file. Whether it fits shows after the lock.
pub(super) fn password(start: &StartFiles, config: &Config) -> Result<String, Exit> {
    match &start.password {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Exit::failed(format!(
                    "error reading password from file: open {path}: {}",
                    go(&error)
                ))
            })?;
            Ok(text.lines().next().unwrap_or_default().trim().to_owned())
        }
        None => Ok(config.keystore_password.clone().unwrap_or_default()),
    }
}

pub(super) fn credentials(start: &StartFiles) -> Result<Option<String>, Exit> {
    let Some(path) = &start.api else {
        return Ok(None);
    };
    let text = fs::read_to_string(path).map_err(|error| {
        Exit::failed(format!(
            "error reading API credentials: open {path}: {}",
            go(&error)
        ))
    })?;
    Ok(Some(text))
}

/// Made with its parents and set to 0700: the node must own it. Measured in an `emptyDir`, which is root's:
/// `chmod /chainlink: operation not permitted`.
pub(super) fn root_dir(config: &Config, version: &NodeVersion) -> Result<(), Exit> {
    let path = config.root_path();
    let shown = path.display();
    let made = fs::create_dir_all(&path)
        .map_err(|error| format!("mkdir {shown}: {}", go(&error)))
        .and_then(|()| {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
                .map_err(|error| format!("chmod {shown}: {}", go(&error)))
        });
    match made {
        Err(error) if version.insists_on_root_dir() => Err(Exit::failed(format!(
            "failed to create root directory \"{shown}\": {error}"
        ))),
        _ => {
            make_secret(&path);
            Ok(())
        }
    }
}

/// Signs the session cookies; kept if there is one.
fn make_secret(root: &std::path::Path) {
    let path = root.join("secret");
    if !path.exists() {
        let random = uuid::Uuid::new_v4().simple().to_string();
        // Without it people log in anew after a restart, no more.
        let _ = fs::write(path, format!("{random}{random}"));
    }
}

/// Go says `permission denied` where Rust says `Permission denied (os error 13)`.
fn go(error: &std::io::Error) -> String {
    let text = error.to_string();
    let bare = text.split(" (os error").next().unwrap_or(&text);
    bare.to_lowercase()
}
