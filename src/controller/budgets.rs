//! The disruption budgets: brought up to date where they have to change, and looked at now and then.

use std::time::{Duration, Instant};

use super::pass::Pass;
use super::troubles::{BUDGET, Troubles};
use crate::cluster::refusal;

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
    /// Brings the budgets up to date.
    pub(super) async fn keep_budgets(
        &self,
        standbys_kept: usize,
        active: &str,
        troubles: &mut Troubles,
    ) {
        let known = self.know(|known| known.budgets.clone());
        let known = known.filter(|known| {
            known.standbys_kept == standbys_kept
                && known.active == active
                && known.at.elapsed() < BUDGETS
        });
        let refusal = if let Some(known) = known {
            known.refusal
        } else {
            let refusal = match self.keeper.budgets(standbys_kept, active).await {
                Ok(None) => None,
                Ok(Some(name)) => Some(format!(
                    "a PodDisruptionBudget named {name} exists and is not this resource's: remove it, or rename the resource"
                )),
                Err(error) => {
                    let Some(said) = refusal(&error) else {
                        self.know(|known| known.budgets = None);
                        return troubles.fail(BUDGET, "apply the disruption budgets", &error);
                    };
                    Some(format!(
                        "the API server refuses the disruption budgets, without which a drain stops the active: {said}"
                    ))
                }
            };
            let kept = Budgets {
                standbys_kept,
                active: active.to_owned(),
                at: Instant::now(),
                refusal: refusal.clone(),
            };
            self.know(|known| known.budgets = Some(kept));
            refusal
        };
        if let Some(message) = refusal {
            troubles.refuse(BUDGET, message);
        }
    }
}
