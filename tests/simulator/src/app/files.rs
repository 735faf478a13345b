//! Files the node reads or makes. What is wrong here ends it: before it asks for the lock, or with the lock held.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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

/// Email and password of the API's user: the first two lines of the `-a` file. Read at each start, with the lock held
/// (`credentialsFromFile` of `core/cmd/shell.go`, read).
pub(super) fn credentials(path: &str) -> Result<(String, String), String> {
    let said = |error: &str| format!("error creating api initializer: {error}");
    let text =
        fs::read_to_string(path).map_err(|error| said(&format!("open {path}: {}", go(&error))))?;
    let (email, rest) = text.split_once('\n').ok_or_else(|| {
        said(&format!(
            "malformed API credentials file does not have at least two lines at {path}"
        ))
    })?;
    let password = rest.lines().next().unwrap_or_default();
    Ok((email.trim().to_owned(), password.trim().to_owned()))
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
        _ => Ok(()),
    }
}

/// What signs the session cookies: read if there is one, else made. With the lock held already, and what can't be read
/// ends the node (`FilePersistedSecretGenerator` of `core/services/chainlink`, read).
pub(super) fn session_secret(root: &Path) -> Result<(), Exit> {
    let path = root.join("secret");
    if path.exists() {
        let text = fs::read_to_string(&path)
            .map_err(|error| Exit::failed(format!("open {}: {}", path.display(), go(&error))))?;
        return match illegal_base64(&text) {
            Some(at) => Err(Exit::failed(format!(
                "illegal base64 data at input byte {at}"
            ))),
            None => Ok(()),
        };
    }
    // 64 hexadecimal digits are base64 too.
    let random = uuid::Uuid::new_v4().simple().to_string();
    fs::write(&path, format!("{random}{random}"))
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
        .map_err(|error| Exit::failed(format!("open {}: {}", path.display(), go(&error))))
}

/// The first byte that Go's `base64.StdEncoding` does not take; it passes over line ends.
fn illegal_base64(text: &str) -> Option<usize> {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let padding = text.len() - text.trim_end_matches('=').len();
    let digits = text.trim_end_matches('=');
    let wrong = digits
        .bytes()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')));
    wrong.or_else(|| (!text.len().is_multiple_of(4) || padding > 2).then_some(text.len()))
}

/// Go says `permission denied` where Rust says `Permission denied (os error 13)`.
fn go(error: &std::io::Error) -> String {
    let text = error.to_string();
    let bare = text.split(" (os error").next().unwrap_or(&text);
    bare.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::illegal_base64;

    #[test]
    fn base64_is_taken_with_padding_and_line_ends_only() {
        for text in ["", "QUJD", "QUI=\n", "QQ==", "QU\nJD"] {
            assert_eq!(illegal_base64(text), None, "{text:?}");
        }
        assert_eq!(illegal_base64("QU D"), Some(2));
        assert_eq!(illegal_base64("QUI"), Some(3));
        assert_eq!(illegal_base64("Q==="), Some(4));
    }
}
