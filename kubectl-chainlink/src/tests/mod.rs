//! The verbs on a fake API server, and `lint` on every manifest that the repository knows to be wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod diff;
mod manifests;
mod server;
mod verbs;

use clap::Parser;

use crate::out::tests::Page;
use crate::{Arguments, End, Failure};

/// What a command line printed, and how it ended.
struct Ran {
    text: String,
    end: Result<End, Failure>,
}

impl Ran {
    fn end(&self) -> End {
        match &self.end {
            Ok(end) => *end,
            Err(error) => panic!("{error}"),
        }
    }

    fn failure(&self) -> String {
        match &self.end {
            Ok(end) => panic!("it ended as {end:?}: {}", self.text),
            Err(error) => error.to_string(),
        }
    }

    #[track_caller]
    fn says(&self, words: &str) {
        assert!(self.text.contains(words), "no {words:?} in:\n{}", self.text);
    }
}

/// Runs a command line against a client, in the namespace `oracles`.
async fn run(client: kube::Client, line: &str) -> Ran {
    let words = ["kubectl-chainlink"]
        .into_iter()
        .chain(line.split_whitespace());
    let arguments = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
    let page = Page::default();
    let end = crate::run_with(client, arguments, &mut page.out()).await;
    Ran {
        text: page.text(),
        end,
    }
}
