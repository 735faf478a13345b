//! How a table of checks is run: in its order, and the first check that denies is told.

use crate::plan::cause::Denied;
use crate::plan::safety::{Rule, Rules};

type Holds<T> = fn(&T) -> Result<(), Denied>;

/// One thing that has to hold for a stop or a creation `T`.
pub struct Check<T> {
    /// By which the model switches it off.
    rule: Option<Rule>,
    holds: Holds<T>,
}

impl<T> Check<T> {
    pub const fn of(rule: Rule, holds: Holds<T>) -> Self {
        Self {
            rule: Some(rule),
            holds,
        }
    }

    /// One that no walk of the model goes without.
    pub const fn always(holds: Holds<T>) -> Self {
        Self { rule: None, holds }
    }

    pub fn is_of(&self, rule: Rule) -> bool {
        self.rule == Some(rule)
    }
}

/// The one place that asks which rules are on.
pub fn run<'c, T: 'c>(
    checks: impl IntoIterator<Item = &'c Check<T>>,
    of: &T,
    rules: Rules,
) -> Result<(), Denied> {
    checks
        .into_iter()
        .filter(|check| check.rule.is_none_or(|rule| rules.on(rule)))
        .try_for_each(|check| (check.holds)(of))
}
