//! What the kubelet says of an image that it can't have.

use crate::domain::Trouble;

/// The kubelet says by turns `ErrImagePull` with the registry's words, and `ImagePullBackOff` with or
/// without them: to a person they are one.
pub(super) fn no_image(message: &str, warning: Option<&Trouble>) -> Trouble {
    let words = match message.split_once(": ErrImagePull: ") {
        Some((_, words)) => words,
        None if message.starts_with("Back-off pulling image") => warning
            .map(|warning| warning.message.as_str())
            .filter(|message| message.starts_with("Failed to pull image"))
            .unwrap_or(message),
        None => message,
    };
    Trouble {
        reason: "ImagePullBackOff".to_owned(),
        message: words.to_owned(),
    }
}
