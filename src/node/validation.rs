//! The node's own check of its configuration: `… validate` reads files, secrets and variables as a start does, takes
//! no lock and asks no database.

use super::log::{in_one_line, is_of_a_quote, last_words, redact, shortened};
use super::version::{ConfigStyle, NodeVersion};

/// How the check begins what it finds wrong (`core/cmd/shell.go`, `configExitErr`; measured on 1.11.0 to 2.29.0).
const INVALID: &str = "Invalid configuration:";
/// What it says of a configuration that it finds nothing wrong with (measured on 1.11.0 to 2.29.0).
const VALID: &str = "Valid configuration.";
/// The summary that the program ends with where it has found something wrong. The longer ones are of later versions: up to
/// 2.29.0 `invalid configuration` stands alone; read of those of October 2026.
const SUMMARIES: [&str; 3] = [
    "invalid configuration",
    "configuration validation failed: invalid configuration",
    "Error running app: configuration validation failed: invalid configuration",
];
/// The program was ended by a signal: 128 and the signal's number.
const SIGNALS: i32 = 128;
/// What the command line says of a command that it does not know.
const UNKNOWN_COMMAND: [&str; 3] = [
    "No help topic for",
    "Incorrect Usage",
    "flag provided but not defined",
];
/// The first line of the help text, which later versions print beside an error (read; from 2.30 on).
const HELP: &str = "NAME:";
/// How the program begins words of another kind (`core/main.go`; `errorOut` of `core/cmd/shell.go` adds nothing).
const STARTS: [&str; 5] = [
    "Error running app: ",
    "failed to decode ",
    "failed to read ",
    "panic: ",
    "No help topic for",
];

/// What the check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Valid,
    /// Why not, in the node's words, without passwords.
    Invalid(String),
    /// It could not check, or its words are none that are known: how it ended. That says nothing against the configuration,
    /// nor for it.
    Unknown(String),
}

impl NodeVersion {
    /// Whether the node can check its configuration without starting: with TOML, from 1.11 on
    /// (`v1.11.0:core/cmd/app.go`; measured on 1.11.0 to 2.23.0).
    #[must_use]
    pub fn validates(&self, style: ConfigStyle) -> bool {
        style == ConfigStyle::Toml && self.supports_toml()
    }
}

/// Reads the check's exit code and the end of its output.
#[must_use]
pub fn read_validation(code: i32, output: &str) -> Verdict {
    if let Some((_, found)) = output.rsplit_once(INVALID) {
        let lines: Vec<&str> = lines_of(found).collect();
        let problems = lines.iter().copied().map(problem);
        // The keystore password is handed to a node in a file, which only a start reads.
        let only_passwords = problems.flatten().all(|what| what.starts_with("Password."));
        let told = shortened(redact(&in_one_line(lines)));
        return if only_passwords {
            Verdict::Unknown(told)
        } else {
            Verdict::Invalid(told)
        };
    }
    let words = words_of(output);
    let refuses = output.lines().any(is_summary) || words.as_deref().is_some_and(is_known);
    let words = words.unwrap_or_else(|| format!("exit code {code}"));
    let unknown_command = UNKNOWN_COMMAND.iter().any(|sign| output.contains(sign));
    match code {
        0 if output.lines().any(|line| line.trim() == VALID) => Verdict::Valid,
        0 => Verdict::Unknown(format!("exit code 0 without `{VALID}`")),
        _ if unknown_command || code >= SIGNALS || !refuses => Verdict::Unknown(words),
        _ => Verdict::Invalid(words),
    }
}

/// Words in which the program says that it can't read what it was given.
fn is_known(words: &str) -> bool {
    // What the operator makes of a quote whose head was cut off begins in the same way.
    STARTS.iter().any(|start| words.contains(start))
}

fn is_summary(line: &str) -> bool {
    // Without the time that the program's own logger puts in front.
    SUMMARIES.iter().any(|summary| line.trim() == *summary) || line.trim().ends_with(SUMMARIES[2])
}

/// The words that it ended with. What stands before them is the user's own configuration, which it prints.
fn words_of(output: &str) -> Option<String> {
    let lines: Vec<&str> = lines_of(output).collect();
    let starts = |line: &&str| STARTS.iter().any(|start| line.contains(start));
    let prints =
        |line: &&str| !is_of_a_quote(line) && (line.starts_with('#') || line.contains(" = "));
    match lines.iter().rposition(starts) {
        Some(start) => last_words(&lines[start..]),
        None if lines.iter().any(prints) => None,
        None => last_words(&lines),
    }
}

/// Without empty lines, without the summary that the program ends with, and without its help text.
fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    let says_something = |line: &&str| !line.trim().is_empty() && !is_summary(line);
    let is_no_help = |line: &&str| line.trim_end() != HELP;
    text.lines().take_while(is_no_help).filter(says_something)
}

/// What one line finds wrong: `invalid secrets: Password.Keystore: empty: …`, or an item of a list. Nothing for the
/// line above a list.
fn problem(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches("- ");
    let line = line.trim_start_matches("invalid configuration: ");
    let line = line.trim_start_matches("invalid secrets: ");
    (!line.ends_with("errors:")).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid(code: i32, output: &str) -> String {
        match read_validation(code, output) {
            Verdict::Invalid(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_check_finds_is_told_whole_and_without_its_summary() {
        let output = "# Effective Configuration, with defaults applied:\nRootDir = '~'\n\n\
            Invalid configuration: invalid configuration: 2 errors:\n\
            \t- P2P.V2.Enabled: invalid value (false): must be enabled\n\
            \t- EVM.0.Nodes: missing: must have at least one node\n\n\
            invalid configuration\n";
        let told = "invalid configuration: 2 errors: - P2P.V2.Enabled: invalid value (false): must be enabled \
            - EVM.0.Nodes: missing: must have at least one node";
        assert_eq!(invalid(1, output), told);
        // Measured on 1.11.0.
        assert_eq!(invalid(0, output), told);
    }

    /// The line on stderr is that of versions of October 2026, and help may stand beside any error from 2.30 on (both read).
    #[test]
    fn the_summaries_and_the_help_of_later_versions_are_left_out() {
        let found =
            "Invalid configuration: invalid secrets: Database.URL: empty: must be provided\n\n";
        let told = "invalid secrets: Database.URL: empty: must be provided";
        for summary in [
            "invalid configuration\n",
            "configuration validation failed: invalid configuration\n",
            "2026/11/23 18:02:27 Error running app: configuration validation failed: invalid configuration\n",
        ] {
            assert_eq!(invalid(1, &format!("{found}{summary}")), told);
            assert_eq!(invalid(1, &format!("{summary}{found}")), told);
            let help = "NAME:\n   node validate - Validate the TOML\n\nUSAGE:\n   chainlink node validate\n";
            assert_eq!(invalid(1, &format!("{found}{summary}{help}")), told);
        }
        // Where the head of a long list was cut off.
        let cut = "\t- EVM.0.Nodes: missing: must have at least one node\n\nError running app: configuration validation failed: invalid configuration\n";
        assert!(invalid(1, cut).contains("EVM.0.Nodes: missing"));
    }

    #[test]
    fn what_can_not_be_read_at_all_is_invalid_in_the_nodes_last_words() {
        let words = "failed to decode config TOML: toml: line 3: expected '=' after a key";
        assert_eq!(invalid(1, words), words);
    }

    #[test]
    fn no_secret_is_told() {
        let output = "Invalid configuration: EVM.0.Nodes.0.WSURL: invalid value (wss://u:pw@rpc.example/key): bad\n";
        let told = invalid(1, output);
        assert!(told.contains("EVM.0.Nodes.0.WSURL"), "{told}");
        assert!(!told.contains("pw") && !told.contains("/key"), "{told}");
    }

    /// As go-toml 2.2.4 prints it for these two files.
    const UNKNOWN_KEY: &str = "Error running app: failed to decode secrets TOML: 1| [Database]\n\
        2| AllowSimplePassword = true\n | ~~~~~~~~~~~~~~~~~~~ missing field\n\
        3| [Password]\n\
        4| Keystore = 'T.tLHkcmwePT/p,]sYuntjwHKAsrhm#4eRs4LuKHwvHejWYAC2JP4M8HimwgmbaZ'\n";

    #[test]
    fn an_unknown_key_is_told_without_the_lines_around_it() {
        let told = "failed to decode secrets TOML: line 2, AllowSimplePassword: missing field";
        assert_eq!(invalid(1, UNKNOWN_KEY), told);
        let logged = format!("2023/11/23 18:02:27 {UNKNOWN_KEY}");
        assert_eq!(invalid(1, &logged), told);
        let (_, end) = UNKNOWN_KEY.split_once('\n').unwrap();
        assert_eq!(
            invalid(1, end),
            "failed to decode TOML: line 2, AllowSimplePassword: missing field"
        );
    }

    #[test]
    fn of_what_the_check_prints_before_it_ends_nothing_is_told() {
        let output = "# Effective Configuration, with defaults applied:\nRootDir = '~'\n\
            [[EVM.Nodes]]\nHTTPURL = 'https://rpc.example/key'\n";
        assert_eq!(
            read_validation(1, output),
            Verdict::Unknown("exit code 1".to_owned())
        );
        let panics = format!("{output}panic: runtime error: index out of range\n");
        assert_eq!(
            invalid(2, &panics),
            "panic: runtime error: index out of range"
        );
    }

    #[test]
    fn of_a_short_password_the_faults_are_told_and_not_the_rules() {
        // `v2.29.0:testdata/scripts/node/validate/invalid.txtar`, without the key for billing.
        let output = "Invalid configuration: invalid secrets: 2 errors:\n\
            \t- Database.URL: invalid value (*****): missing or insufficiently complex password: \n\
            \tExpected password complexity:\n\
            \tMust be at least 16 characters long\n\
            \tMust not comprise:\n\
            \t\tLeading or trailing whitespace\n\
            \t\tA user's API email\n\
            \t\n\
            \tFaults:\n\
            \t\tpassword is less than 16 characters long\n\
            \t. Database should be secured by a password matching the following complexity requirements: \n\
            \tMust have a length of 16-50 characters\n\
            \tMust not comprise:\n\
            \t\tLeading or trailing whitespace (note that a trailing newline in the password file, if present, will be ignored)\n\
            \t\n\
            \t- Password.Keystore: empty: must be provided and non-empty\n\ninvalid configuration\n";
        assert_eq!(
            invalid(1, output),
            "invalid secrets: 2 errors: - Database.URL: invalid value (*****): missing or insufficiently complex \
             password: Faults: password is less than 16 characters long - Password.Keystore: empty: must be provided \
             and non-empty"
        );
    }

    #[test]
    fn what_says_nothing_against_the_configuration_is_unknown() {
        for (code, output) in [
            (137, ""),
            (139, "panic"),
            (3, "No help topic for 'validate'"),
            (0, ""),
            (
                0,
                "NAME:\n   node - Commands\n\nUSAGE:\n   chainlink node command\n",
            ),
            (1, ""),
            (1, "what no version has said so far"),
            (
                1,
                "Invalid configuration: invalid secrets: Password.Keystore: empty: must be provided and non-empty\n\ninvalid configuration\n",
            ),
        ] {
            let verdict = read_validation(code, output);
            assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict:?}");
        }
    }

    #[test]
    fn a_valid_configuration_is_valid() {
        let output = "# Effective Configuration, with defaults applied:\nRootDir = '~'\n\nValid configuration.\n";
        assert_eq!(read_validation(0, output), Verdict::Valid);
    }

    #[test]
    fn nodes_with_toml_check_their_configuration() {
        let validates =
            |version: &str, style| version.parse::<NodeVersion>().unwrap().validates(style);
        assert!(validates("2.23.0", ConfigStyle::Toml));
        assert!(validates("1.13.3", ConfigStyle::Toml));
        assert!(!validates("1.13.3", ConfigStyle::Environment));
    }
}
