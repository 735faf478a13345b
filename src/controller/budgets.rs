//! The disruption budgets: brought up to date where they have to change, and looked at now and then.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::pass::Pass;
use super::{Doing, Error, refused};
use crate::plan::Blocked;

/// How often budgets are looked at while they should be as they are.
const BUDGETS: Duration = Duration::from_secs(15);

/// What was last made of the budgets of a resource.
#[derive(Clone, Debug)]
pub(super) struct Budgets {
    standbys_kept: usize,
    active: String,
    at: Instant,
    refusal: Option<String>,
}

impl Pass<'_> {
    /// Why the budgets are not as they should be, as last tried.
    pub(super) fn budget_refusal(&self, uid: &str) -> Option<Blocked> {
        let budgets = self
            .context
            .budgets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let message = budgets.get(uid)?.refusal.clone()?;
        Some(Blocked {
            reason: "BudgetRefused".to_owned(),
            message,
            stalled: true,
        })
    }

    /// Brings the budgets up to date where they have to change, and looks at them now and then.
    pub(super) async fn keep_budgets(
        &self,
        uid: &str,
        standbys_kept: usize,
        active: &str,
    ) -> Result<(), Error> {
        let known = |all: &HashMap<String, Budgets>| all.get(uid).cloned();
        let all = &self.context.budgets;
        let known = known(&all.lock().unwrap_or_else(PoisonError::into_inner));
        if known.is_some_and(|known| {
            known.standbys_kept == standbys_kept
                && known.active == active
                && known.at.elapsed() < BUDGETS
        }) {
            return Ok(());
        }
        let refusal = match refused(self.keeper.budgets(standbys_kept, active).await)
            .doing("applying the disruption budgets")?
        {
            Ok(None) => None,
            Ok(Some(name)) => Some(format!(
                "a PodDisruptionBudget named {name} exists and is not this resource's: remove it, or rename the resource"
            )),
            Err(message) => Some(format!(
                "the API server refuses the disruption budgets, without which a drain stops the active: {message}"
            )),
        };
        let kept = Budgets {
            standbys_kept,
            active: active.to_owned(),
            at: Instant::now(),
            refusal,
        };
        all.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uid.to_owned(), kept);
        Ok(())
    }
}
