//! `kubectl chainlink`: what Chainlink nodes do, and what a person asks of them.
//!
//! The operator's own types, rules and words are used as they are: this package has none of its own. What a person should do
//! about a reason is read from the operator's documents (`advice`), what is wrong with a manifest is said by the schema and the
//! builder of the operator (`lint`).
//!
//! | room | what it is for |
//! |---|---|
//! | `args` | the command line |
//! | `connect` | from kubectl's flags to a client |
//! | `out` | all that is printed: text, tables, JSON, YAML, colour |
//! | `end`, `failure` | how a command ends: the exit codes |
//! | `words` | times, lengths and states as people read them |
//! | `advice` | what to do about a reason |
//! | `manifest`, `lint` | from files to resources, and what the operator refuses in them |
//! | `cluster` | the calls of the API server that verbs share |
//! | `verb` | one file for each verb |

mod advice;
mod args;
mod cluster;
mod connect;
mod end;
mod failure;
mod lint;
mod manifest;
mod out;
#[cfg(test)]
mod tests;
mod verb;
mod words;

pub use args::{Arguments, Verb};
pub use end::End;
pub use failure::Failure;
pub use out::{Out, colour};

use connect::Session;

/// Carries out a command line.
pub async fn run(arguments: Arguments, out: &mut Out) -> Result<End, Failure> {
    out.set_form(arguments.output.output);
    if let Some(offline) = verb::offline(&arguments, out) {
        return offline;
    }
    let session = Session::open(&arguments.connection).await?;
    verb::online(arguments.verb, &session, out).await
}

/// The same by a client that is there already.
pub async fn run_with(
    client: kube::Client,
    arguments: Arguments,
    out: &mut Out,
) -> Result<End, Failure> {
    out.set_form(arguments.output.output);
    if let Some(offline) = verb::offline(&arguments, out) {
        return offline;
    }
    let session = Session::by(client, &arguments.connection);
    verb::online(arguments.verb, &session, out).await
}
