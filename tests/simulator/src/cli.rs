//! The command line. Every form a real node accepts for starting and validating, with flags before or behind the
//! command: `local n -p …`, `-c … -s … node start -p …`, `node -c … -c … -s … start -p … -a …`.

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StartFiles {
    /// `-p`: holds the keystore password.
    pub(crate) password: Option<String>,
    /// `-a`: an email line and a password line.
    pub(crate) api: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Start(StartFiles),
    Validate,
    /// None of a node's: see `proxy`.
    Proxy {
        port: String,
        to: String,
    },
    Version,
    Unknown(String),
}

#[derive(Debug)]
pub(crate) struct Cli {
    pub(crate) command: Command,
    /// `-c`, in order: the later overrides.
    pub(crate) config: Vec<String>,
    /// `-s`, in order.
    pub(crate) secrets: Vec<String>,
}

impl Cli {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Self {
        let (mut config, mut secrets) = (Vec::new(), Vec::new());
        let (mut files, mut words) = (StartFiles::default(), Vec::new());
        let mut version = false;
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            if !argument.starts_with('-') {
                words.push(argument);
                continue;
            }
            let (name, inline) = split_flag(&argument);
            let mut value = || inline.clone().or_else(|| arguments.next());
            match name.as_str() {
                "c" | "config" => config.extend(value()),
                "s" | "secrets" => secrets.extend(value()),
                "p" | "password" => files.password = value(),
                "a" | "api" => files.api = value(),
                // Flags with a value that nothing here depends on.
                "vp" | "vrfpassword" | "r" | "replay-from-block" | "remote-node-url" => {
                    drop(value());
                }
                "v" | "version" => version = true,
                _ => {}
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let command = match words.as_slice() {
            _ if version => Command::Version,
            ["node" | "local", "start" | "node" | "n" | "run"] => Command::Start(files),
            ["node" | "local" | "config", "validate"] => Command::Validate,
            ["proxy", port, to] => Command::Proxy {
                port: (*port).to_owned(),
                to: (*to).to_owned(),
            },
            other => Command::Unknown(other.join(" ")),
        };
        Self {
            command,
            config,
            secrets,
        }
    }
}

fn split_flag(argument: &str) -> (String, Option<String>) {
    let flag = argument.trim_start_matches('-');
    match flag.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (flag.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Cli {
        Cli::parse(line.split_whitespace().map(str::to_owned))
    }

    fn started(line: &str) -> (Vec<String>, Vec<String>, Option<String>) {
        let cli = parse(line);
        let Command::Start(files) = cli.command else {
            return (vec![], vec![], None);
        };
        (cli.config, cli.secrets, files.api)
    }

    #[test]
    fn flags_belong_before_or_behind_the_command() {
        let wanted = (
            vec!["a".to_owned(), "b".to_owned()],
            vec!["s".to_owned()],
            Some("api".to_owned()),
        );
        assert_eq!(started("node -c a -c b -s s start -p pw -a api"), wanted);
        assert_eq!(
            started("-c a --config=b -s s node start -p pw -a api"),
            wanted
        );
        assert_eq!(
            started("local n -p pw -a api"),
            (vec![], vec![], Some("api".to_owned()))
        );
    }

    #[test]
    fn other_commands() {
        assert_eq!(parse("node -c a -s s validate").command, Command::Validate);
        assert_eq!(
            parse("-c a -s s config validate").command,
            Command::Validate
        );
        assert_eq!(parse("--version").command, Command::Version);
        assert_eq!(
            parse("node db migrate").command,
            Command::Unknown("node db migrate".to_owned())
        );
        assert_eq!(
            parse("local node").command,
            Command::Start(StartFiles::default())
        );
    }
}
