//! One subject a file. `remember` brings the memory up to date with a look; `decide` says what is to be done now, if
//! anything. The order in which the rules decide is the table `RULES` in `decide.rs`; here is only who may call whom.
//!
//! A rule may call a rule to its left, never one to its right: late, lease, repair, end, `wrong_database`, takeover,
//! external, rollback | oneshot, steady, verdict | hold, pause, versions | rollout, failback, requests, intent |
//! relocate | unresponsive

pub mod end;
pub mod external;
pub mod failback;
pub mod hold;
pub mod intent;
pub mod late;
pub mod lease;
pub mod oneshot;
pub mod pause;
pub mod relocate;
pub mod repair;
pub mod requests;
pub mod rollback;
pub mod rollout;
pub mod steady;
pub mod takeover;
pub mod unresponsive;
pub mod verdict;
pub mod versions;
pub mod wrong_database;
