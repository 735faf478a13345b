//! The lock that the pods of a revision take, and the text in which it stands on them.

use std::fmt;

use crate::api::KeyRef;
use crate::node::LockMode;

/// Which lock on which database: a mode, and the key of a Secret that holds the URL.
///
/// On pods it stands as text (`lease mainnet-database/url`), which other operators read too. A pod that another operator
/// has made may name a mode that this one does not know: its text is kept as it is, and no lock but the same text is known
/// to be seen by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lock {
    mode: Result<LockMode, String>,
    /// `secret/key`.
    url: Option<String>,
}

impl Lock {
    /// The lock of pods that lock in this mode and read the database URL from this key.
    #[must_use]
    pub fn on(mode: LockMode, url: &KeyRef) -> Self {
        Self {
            mode: Ok(mode),
            url: Some(place(url)),
        }
    }

    /// The lock in a text as pods bear it. Written again, it is the same text.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let (mode, url) = match text.split_once(' ') {
            Some((mode, url)) => (mode, Some(url.to_owned())),
            None => (text, None),
        };
        Self {
            mode: mode.parse().map_err(|_| mode.to_owned()),
            url,
        }
    }

    /// `None` where the text names a mode that this operator does not know.
    #[must_use]
    pub fn mode(&self) -> Option<LockMode> {
        self.mode.as_ref().ok().copied()
    }

    /// The mode as it is written, known or not.
    #[must_use]
    pub fn mode_text(&self) -> &str {
        match &self.mode {
            Ok(mode) => mode.env_value(),
            Err(unknown) => unknown,
        }
    }

    /// Whether the database URL is read from this key.
    #[must_use]
    pub fn is_at(&self, url: &KeyRef) -> bool {
        self.url.as_ref() == Some(&place(url))
    }

    /// The lock in the mode that sees every other, on the same database.
    #[must_use]
    pub fn as_dual(&self) -> Self {
        Self {
            mode: Ok(LockMode::Dual),
            url: self.url.clone(),
        }
    }

    /// Whether, of two pods with these locks, one always waits for the other. Two URLs may lead to two databases.
    #[must_use]
    pub fn sees(&self, other: &Self) -> bool {
        let modes = self.mode().zip(other.mode());
        let one_database = self.url.is_some() && self.url == other.url;
        self == other || (one_database && modes.is_some_and(|(one, other)| one.sees(other)))
    }
}

fn place(url: &KeyRef) -> String {
    format!("{}/{}", url.name, url.key)
}

impl fmt::Display for Lock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.mode_text())?;
        match &self.url {
            Some(url) => write!(out, " {url}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> KeyRef {
        KeyRef {
            name: "mainnet-database".to_owned(),
            key: "url".to_owned(),
        }
    }

    #[test]
    fn the_text_on_pods_is_part_of_the_api() {
        let lock = Lock::on(LockMode::Advisory, &key());
        assert_eq!(lock.to_string(), "advisorylock mainnet-database/url");
        assert_eq!(Lock::read("advisorylock mainnet-database/url"), lock);
    }

    #[test]
    fn a_lock_that_was_read_is_written_as_the_same_text() {
        for text in [
            "lease db/url",
            "lease",
            "lease ",
            "none db/url",
            "exclusive db/url and more",
            " lease db/url",
            "",
        ] {
            assert_eq!(Lock::read(text).to_string(), text);
        }
    }

    #[test]
    fn a_mode_that_is_not_known_is_no_mode_and_its_database_is_known_all_the_same() {
        let lock = Lock::read("exclusive mainnet-database/url");
        assert_eq!((lock.mode(), lock.mode_text()), (None, "exclusive"));
        assert!(lock.is_at(&key()));
        assert!(!Lock::read("lease other/url").is_at(&key()));
        assert!(!Lock::read("lease").is_at(&key()));
    }

    #[test]
    fn locks_see_each_other_on_one_database_only() {
        for (one, other, seen) in [
            ("lease db/url", "lease db/url", true),
            ("dual db/url", "lease db/url", true),
            ("advisorylock db/url", "dual db/url", true),
            ("advisorylock db/url", "lease db/url", false),
            ("dual db/url", "lease other/url", false),
            ("dual", "lease", false),
            ("none db/url", "lease db/url", false),
            ("something", "something", true),
        ] {
            let (first, second) = (Lock::read(one), Lock::read(other));
            assert_eq!(first.sees(&second), seen, "{one} beside {other}");
            assert_eq!(second.sees(&first), seen, "{other} beside {one}");
        }
    }
}
