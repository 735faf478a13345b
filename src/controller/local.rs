//! What this process knows of one resource, beside what is written into it. Nothing here is a promise: after a restart all of
//! it is found anew, and what must outlive the operator stands in the status.

use std::time::Instant;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;

use super::failures::ApiFailures;
use crate::api::ChainlinkNode;
use crate::domain::{DatabaseWord, RefusedStop, Says, Silence};

/// What is known of one resource.
pub(super) struct Local {
    /// What it is called: others know it by that alone.
    pub(super) reference: ObjectRef<ChainlinkNode>,
    /// The name of the pod that was to be made last and turned out to be taken.
    pub(super) taken: Option<String>,
    /// What was last made of its budgets.
    pub(super) budgets: Option<Budgets>,
    /// What did not succeed in its last pass.
    pub(super) failures: ApiFailures,
    /// When its Secrets were looked at, for which generation of the spec.
    pub(super) secrets_at: Option<(Option<i64>, Instant)>,
    /// The stop that the API server did not do when it was last tried.
    pub(super) refused_stop: Option<RefusedStop>,
    /// What ended its last pass, as the API server refuses it, and for which generation of the spec.
    pub(super) refused_look: Option<(&'static str, Option<i64>)>,
}

/// What was last made of the budgets of a resource.
#[derive(Clone, Debug)]
pub(super) struct Budgets {
    pub(super) standbys_kept: usize,
    pub(super) active: String,
    pub(super) at: Instant,
    pub(super) refusal: Option<String>,
}

/// The last answer, and what it was the answer of.
pub(super) struct Asked {
    /// SHA-256 of the URL: another one may lead to another database.
    pub(super) url: Option<[u8; 32]>,
    pub(super) word: DatabaseWord,
}

impl Asked {
    /// The answer to a question, beside what was known. Where the URL could not be read it is taken for the one
    /// before; what another one said says nothing of this one.
    pub(super) fn after(
        before: Option<Self>,
        url: Option<[u8; 32]>,
        at: Timestamp,
        said: Result<Says, Silence>,
    ) -> Self {
        let url = url.or(before.as_ref().and_then(|before| before.url));
        let before = before.filter(|before| before.url == url);
        Self {
            url,
            word: DatabaseWord::after(before.map(|before| before.word), at, said),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::Holder;

    fn says() -> Says {
        Says {
            read_only: None,
            missing_right: None,
            lease: Holder::Nobody,
            advisory: Holder::Nobody,
            version: None,
            schema: None,
            nodes_elsewhere: 0,
            sessions: [].into(),
        }
    }

    #[test]
    fn what_a_url_has_said_stands_through_silences_and_is_nothing_for_another_url() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let silence = || Err(Silence::new("ReferenceUnreadable", "there is no Secret"));
        let first = || Asked::after(None, Some([1; 32]), at(1), Ok(says()));
        let last = |asked: &Asked| asked.word.last().map(|(at, _)| at);

        let same = Asked::after(Some(first()), Some([1; 32]), at(2), silence());
        assert_eq!(last(&same), Some(at(1)));
        let unread = Asked::after(Some(first()), None, at(2), silence());
        assert_eq!((unread.url, last(&unread)), (Some([1; 32]), Some(at(1))));
        let other = Asked::after(Some(first()), Some([2; 32]), at(2), silence());
        assert_eq!((other.url, last(&other)), (Some([2; 32]), None));
        let back = Asked::after(Some(other), Some([1; 32]), at(3), silence());
        assert_eq!(last(&back), None);
    }
}
