//! The safety rules by name, and the switch by which the model turns one of them off to show that it is needed.

/// The guards, each of which the model can switch off to show that it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// S1: another pod waits, of the revision that the handover is for.
    SuccessorWaits,
    /// S1: no pod that the handover is not for could win instead.
    NoRival,
    /// S2: one stop at a time.
    OneStop,
    /// S3: a pod that can't be seen permits nothing.
    ActiveSeen,
    /// An active that boots or migrates is not interrupted.
    ActiveServes,
    /// S5: the successor answers now.
    SuccessorAnswers,
    /// S6: no older version after a newer one held the lock.
    NoOlder,
    /// S7: no pod beside one whose lock it can't see.
    SameLock,
    /// S9: a pod on another database is no successor, and not active.
    SameDatabase,
    /// S1, S9: the database does not say otherwise.
    DatabaseAgrees,
    /// A revision whose handover failed is not tried again.
    NotFailed,
    /// S10: no lease is given back while a pod is, or may be, active.
    NobodyActive,
    /// S10: the lease that is given back is that of a node whose end was seen, and which has no session left.
    HolderEnded,
}

/// Which guards are on. All of them, but in the model's mutation runs.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    #[cfg(test)]
    off: [Option<Rule>; 2],
}

impl Rules {
    pub const fn all() -> Self {
        Self {
            #[cfg(test)]
            off: [None; 2],
        }
    }

    /// One more is off, of two at most: where two guards hold the same, each is seen to be needed without the other.
    #[cfg(test)]
    #[must_use]
    pub const fn without(self, rule: Rule) -> Self {
        let [first, _] = self.off;
        Self {
            off: [Some(rule), first],
        }
    }

    #[cfg(test)]
    pub fn on(self, rule: Rule) -> bool {
        !self.off.contains(&Some(rule))
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self)]
    pub const fn on(self, _: Rule) -> bool {
        true
    }
}
