//! What the API server refuses, beside what the plan waits for.

use super::Told;
use crate::domain::Reason;
use crate::plan::Blocked;
use crate::plan::tests::world::pair;

fn service_refused() -> Blocked {
    Blocked {
        reason: Reason::ServiceRefused,
        message: "the API server refuses to apply the Service".to_owned(),
        stalled: true,
    }
}

/// What Ready says, with this wrong in the spec while the API server refuses the Service.
fn ready(reason: &'static str, missing: bool) -> String {
    let mut told = Told::of(pair());
    told.world.want_unusable(reason, missing);
    told.refusal = Some(service_refused());
    told.look();
    told.condition("Ready").1
}

#[test]
fn what_is_wrong_in_the_spec_is_told_before_what_the_api_server_refuses_of_it() {
    assert_eq!(ready("InvalidSpec", false), "InvalidSpec");
}

#[test]
fn a_refused_service_is_told_while_something_that_is_missing_may_still_come() {
    assert_eq!(ready("SecretMissing", true), "ServiceRefused");
}
