//! The command line: what it says is carried out, and the way it ended becomes the exit code.

use std::io::{IsTerminal, stderr, stdout};
use std::process::ExitCode;

use clap::Parser;
use kubectl_chainlink::{Arguments, Out, colour, run};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = stdout().is_terminal();
    let mut out = Out::new(Box::new(stdout()))
        .coloured(colour(arguments.output.color, terminal))
        .on_terminal(terminal);
    let ended = tokio::select! {
        ended = run(arguments, &mut out) => ended,
        // As a shell has it for a program that the user stops.
        _ = tokio::signal::ctrl_c() => return ExitCode::from(130),
    };
    match ended {
        Ok(end) => ExitCode::from(end.code()),
        Err(failure) if failure.is_a_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            let red = colour(clap::ColorChoice::Auto, stderr().is_terminal());
            let (on, off) = if red {
                ("\x1b[31m", "\x1b[0m")
            } else {
                ("", "")
            };
            eprintln!("{on}error:{off} {failure}");
            ExitCode::from(1)
        }
    }
}
