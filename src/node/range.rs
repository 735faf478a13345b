//! Ranges of versions, as Flux's `ImagePolicy` reads them (github.com/Masterminds/semver): `>=2.29.0 <3.0.0`, `2.x`, `~2.29`,
//! `2.29 - 2.74`, alternatives with `||`. Cargo's own notation means other things by the same signs, so that it is read here;
//! tests/fixtures/ranges.txt is held by the original as well.

use std::str::FromStr;

use semver::{Prerelease, Version};

use super::version::NodeVersion;

/// Which versions may be proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range(Vec<Vec<Comparator>>);

/// Why a text is no range, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no range of versions: write comparisons with a space between them, such as `>=2.29.0 <3.0.0`, `2.x` or `~2.29`, and `||` between alternatives"
)]
pub struct InvalidRange(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    AtLeast,
    AtMost,
    Tilde,
    Caret,
}

/// The longer signs come first.
const SIGNS: [(&str, Operator); 12] = [
    ("=>", Operator::AtLeast),
    (">=", Operator::AtLeast),
    ("=<", Operator::AtMost),
    ("<=", Operator::AtMost),
    ("!=", Operator::NotEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
    ("", Operator::Equal),
];

/// One comparison. What was left out, or is `x` or `*`, is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparator {
    operator: Operator,
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    pre: Prerelease,
}

impl Range {
    /// Whether a version is in the range. A beta or a release candidate is only where each comparison beside it names one,
    /// as in `>=2.30.0-0`.
    #[must_use]
    pub fn contains(&self, version: &NodeVersion) -> bool {
        let version = version.semver();
        self.0
            .iter()
            .any(|all| all.iter().all(|one| one.admits(version)))
    }

    /// Whether there is a version above which none is in the range.
    #[must_use]
    pub fn has_upper_bound(&self) -> bool {
        let bounds = |all: &Vec<Comparator>| all.iter().any(Comparator::bounds_above);
        self.0.iter().all(bounds)
    }
}

impl FromStr for Range {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alternatives: Option<Vec<_>> = text.split("||").map(all_of).collect();
        alternatives
            .map(Self)
            .ok_or_else(|| InvalidRange(text.to_owned()))
    }
}

/// Comparisons that all have to hold.
fn all_of(text: &str) -> Option<Vec<Comparator>> {
    let text = text.replace(',', " ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut words = words.as_slice();
    let mut all = Vec::new();
    loop {
        match words {
            [] => break,
            [from, "-", to, rest @ ..] => {
                all.push(Comparator::read(Operator::AtLeast, from)?);
                all.push(Comparator::read(Operator::AtMost, to)?);
                words = rest;
            }
            // The sign may stand apart from its version.
            [sign, version, rest @ ..]
                if operator(sign).is_some_and(|(_, left)| left.is_empty()) =>
            {
                all.push(Comparator::read(operator(sign)?.0, version)?);
                words = rest;
            }
            [word, rest @ ..] => {
                let (operator, version) = operator(word)?;
                all.push(Comparator::read(operator, version)?);
                words = rest;
            }
        }
    }
    (!all.is_empty()).then_some(all)
}

/// The sign that a word begins with, and what is left of it.
fn operator(word: &str) -> Option<(Operator, &str)> {
    let mut signs = SIGNS.iter();
    signs.find_map(|(sign, operator)| Some((*operator, word.strip_prefix(sign)?)))
}

impl Comparator {
    fn read(operator: Operator, text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (numbers, pre) = text
            .split_once('-')
            .map_or((text, ""), |(numbers, pre)| (numbers, pre));
        let mut parts = numbers.split('.').map(|part| match part {
            "x" | "X" | "*" => Some(None),
            part => part.parse().ok().map(Some),
        });
        let major = parts.next()??;
        let mut rest = || parts.next().unwrap_or(Some(None));
        let (minor, patch) = (rest()?, rest()?);
        // What follows a wildcard is one, too.
        let minor = minor.filter(|_| major.is_some());
        let patch = patch.filter(|_| minor.is_some());
        let whole = parts.next().is_none();
        whole.then_some(Self {
            operator,
            major,
            minor,
            patch,
            pre: Prerelease::new(pre).ok()?,
        })
    }

    /// With zeros for what was left out.
    fn least(&self) -> Version {
        Version {
            pre: self.pre.clone(),
            ..Version::new(
                self.major.unwrap_or(0),
                self.minor.unwrap_or(0),
                self.patch.unwrap_or(0),
            )
        }
    }

    /// Whether it agrees in all that is given.
    fn agrees(&self, version: &Version) -> bool {
        let agrees = |given: Option<u64>, is: u64| given.is_none_or(|given| given == is);
        agrees(self.major, version.major)
            && agrees(self.minor, version.minor)
            && agrees(self.patch, version.patch)
    }

    fn is_whole(&self) -> bool {
        self.patch.is_some()
    }

    /// Whether it admits no version above some one. Where the major version is free it admits all of them, or none at all.
    fn bounds_above(&self) -> bool {
        let bounds = match self.operator {
            Operator::Equal
            | Operator::Less
            | Operator::AtMost
            | Operator::Tilde
            | Operator::Caret => true,
            Operator::NotEqual | Operator::Greater | Operator::AtLeast => false,
        };
        bounds && self.major.is_some()
    }

    fn admits(&self, version: &Version) -> bool {
        if !version.pre.is_empty() && self.pre.is_empty() {
            return false;
        }
        let least = self.least();
        match self.operator {
            Operator::Equal if self.is_whole() => *version == least,
            Operator::NotEqual if self.is_whole() => *version != least,
            Operator::NotEqual => !self.agrees(version),
            Operator::Greater if self.is_whole() => *version > least,
            Operator::Greater => *version > least && !self.agrees(version),
            Operator::Less => *version < least,
            Operator::AtLeast => *version >= least,
            Operator::AtMost if self.is_whole() => *version <= least,
            Operator::AtMost => *version <= least || self.agrees(version),
            Operator::Equal | Operator::Tilde => self.tilde(version, &least),
            Operator::Caret => self.caret(version, &least),
        }
    }

    /// Patches are free where a minor version is given, and minor versions where none is.
    fn tilde(&self, version: &Version, least: &Version) -> bool {
        let lines = Self {
            patch: None,
            ..self.clone()
        };
        version >= least && lines.agrees(version)
    }

    /// The first number that is above zero stays.
    fn caret(&self, version: &Version, least: &Version) -> bool {
        let fixed = Self {
            minor: self.minor.filter(|_| self.major == Some(0)),
            patch: self
                .patch
                .filter(|_| self.major == Some(0) && self.minor == Some(0)),
            ..self.clone()
        };
        version >= least && fixed.agrees(version)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The same table is held by the original (tests/manifests/updates).
    #[test]
    fn a_range_means_what_flux_means_by_it() {
        let mut asked = 0;
        for line in include_str!("../../tests/fixtures/ranges.txt").lines() {
            let Some((range, versions)) = line.split_once(" : ") else {
                assert!(line.starts_with('#'), "{line}");
                continue;
            };
            let range: Range = range.parse().unwrap();
            for word in versions.split_whitespace() {
                let (expected, version) = match word.strip_prefix('!') {
                    Some(version) => (false, version),
                    None => (true, word),
                };
                let is = range.contains(&version.parse().unwrap());
                assert_eq!(is, expected, "{line}: {version}");
                asked += 1;
            }
        }
        assert!(asked > 60, "the table was not read");
    }

    /// The word is held against versions that nobody will release.
    #[test]
    fn a_range_has_an_upper_bound_where_no_alternative_goes_on_for_ever() {
        let far: Vec<NodeVersion> = ["3000000.0.0", "3000000.1.2"]
            .map(|version| version.parse().unwrap())
            .to_vec();
        for (text, bounded) in [
            (">=2.29.0 <3.0.0", true),
            ("2.x", true),
            ("2.29.0", true),
            ("~2", true),
            ("^2.29", true),
            ("2.29 - 2.74", true),
            ("<=2", true),
            ("!=2.30.0 <3", true),
            ("~2.29 || ~2.31", true),
            (">=2.29.0", false),
            (">2", false),
            ("!=2.30.0", false),
            ("*", false),
            ("x.x.x", false),
            ("~*", false),
            ("^*", false),
            ("<=*", false),
            ("2.x || >=4", false),
            (">=4 || 2.x", false),
        ] {
            let range: Range = text.parse().unwrap();
            assert_eq!(range.has_upper_bound(), bounded, "{text}");
            let admits = far.iter().any(|version| range.contains(version));
            assert_eq!(admits, !bounded, "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_an_example() {
        for text in [
            "",
            " ",
            "latest",
            ">=",
            "2.29 ||",
            ">=2.29.0 <",
            "2.29.0.1",
            "-",
            "1 -",
            "~~2",
        ] {
            let refused = text.parse::<Range>().unwrap_err();
            assert!(refused.to_string().contains(">=2.29.0 <3.0.0"), "{text}");
        }
    }
}
