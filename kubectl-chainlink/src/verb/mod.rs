//! One file for each verb. Each looks, makes a value of what it has seen, and shows that to people or to a script.

mod annotate;
mod completion;
mod diff;
mod events;
mod fleet;
mod lint;
mod logs;
mod scale;
mod status;
mod ui;
mod why;

use crate::args::{Arguments, Verb};
use crate::connect::Session;
use crate::end::End;
use crate::failure::Failure;
use crate::out::Out;

/// Carries out what needs no cluster.
pub fn offline(arguments: &Arguments, out: &mut Out) -> Option<Result<End, Failure>> {
    match &arguments.verb {
        Verb::Lint(asked) => Some(lint::run(asked, out)),
        Verb::Diff(asked) if !asked.against.is_empty() => Some(diff::offline(asked, out)),
        Verb::Completion(asked) => Some(completion::run(asked, out)),
        _ => None,
    }
}

/// Carries out what is about a cluster.
pub async fn online(verb: Verb, session: &Session, out: &mut Out) -> Result<End, Failure> {
    match verb {
        Verb::Status(asked) => status::run(&asked, session, out).await,
        Verb::Fleet(asked) => fleet::run(&asked, session, out).await,
        Verb::Why(asked) => why::run(&asked, session, out).await,
        Verb::Switchover(asked) => annotate::switchover(&asked, session, out).await,
        Verb::Approve(asked) => annotate::approve(&asked, session, out).await,
        Verb::Pause(asked) => scale::pause(&asked.name, true, session, out).await,
        Verb::Resume(asked) => scale::pause(&asked.name, false, session, out).await,
        Verb::Hibernate(asked) => scale::hibernate(&asked, session, out).await,
        Verb::Wake(asked) => scale::wake(&asked, session, out).await,
        Verb::Logs(asked) => logs::run(&asked, session, out).await,
        Verb::Events(asked) => events::run(&asked.name, session, out).await,
        Verb::Diff(asked) => diff::online(&asked, session, out).await,
        Verb::Ui(asked) => ui::run(&asked, session, out).await,
        Verb::Lint(asked) => lint::run(&asked, out),
        Verb::Completion(asked) => completion::run(&asked, out),
    }
}
