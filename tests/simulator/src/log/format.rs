//! The two layouts of a log line: padded console text with sorted fields, or one JSON object.

use serde_json::Value;

use super::Line;
use crate::config::Level;

pub(super) struct Context<'a> {
    pub(crate) time: String,
    pub(crate) caller: &'a str,
    pub(crate) logger: String,
    pub(crate) version: Option<&'a str>,
}

/// `2026-11-23T18:02:26.433Z [INFO]  message(50) caller(32) a=1 b=2 `, with a space behind the last field.
pub(super) fn console(line: &Line, context: &Context) -> String {
    let mut fields: Vec<(&str, String)> = line
        .fields
        .iter()
        .map(|(key, value)| (*key, console_value(value)))
        .collect();
    if !context.logger.is_empty() {
        fields.push(("logger", context.logger.clone()));
    }
    if let Some(version) = context.version {
        fields.push(("version", version.to_owned()));
    }
    if let Some(stack) = line.stack {
        fields.push(("stacktrace", stack.to_owned()));
    }
    fields.sort_by_key(|(key, _)| *key);
    let level = format!("[{}]", level_name(line.level).to_uppercase());
    let fields: Vec<String> = fields
        .iter()
        .map(|(key, value)| format!("{key}={value} "))
        .collect();
    format!(
        "{} {level:<7} {:<50} {:<32} {}\n",
        context.time,
        line.message,
        context.caller,
        fields.concat()
    )
}

fn console_value(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn json(line: &Line, context: &Context) -> String {
    let mut object: Vec<(&str, Value)> = vec![
        ("level", level_name(line.level).into()),
        ("ts", context.time.clone().into()),
    ];
    if !context.logger.is_empty() {
        object.push(("logger", context.logger.clone().into()));
    }
    object.push(("caller", context.caller.into()));
    object.push(("msg", line.message.clone().into()));
    if let Some(version) = context.version {
        object.push(("version", version.into()));
    }
    object.extend(line.fields.iter().map(|(key, value)| (*key, value.clone())));
    if let Some(stack) = line.stack {
        object.push(("stacktrace", stack.into()));
    }
    // By hand: the order of keys is the node's, not the alphabet's.
    let members: Vec<String> = object
        .iter()
        .map(|(key, value)| format!("{}:{value}", Value::from(*key)))
        .collect();
    format!("{{{}}}\n", members.join(","))
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
        Level::Crit => "crit",
        Level::Fatal => "fatal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::sites;

    fn context() -> Context<'static> {
        Context {
            time: "2026-11-23T18:02:35.649Z".to_owned(),
            caller: "cmd/shell.go:454",
            logger: "RunNode".to_owned(),
            version: Some("2.15.0@883c9f9"),
        }
    }

    #[test]
    fn console_lines_are_padded_and_sorted() {
        let line = Line::info(&sites::LISTENING, "Listening")
            .with("port", 6688)
            .with("ip", "0.0.0.0");
        assert_eq!(
            console(&line, &context()),
            "2026-11-23T18:02:35.649Z [INFO]  Listening                                          \
             cmd/shell.go:454                 ip=0.0.0.0 logger=RunNode port=6688 version=2.15.0@883c9f9 \n"
        );
    }

    #[test]
    fn json_lines_keep_the_nodes_order() {
        let line = Line::info(&sites::LISTENING, "say \"a\"").with("port", 6688);
        assert_eq!(
            json(&line, &context()),
            "{\"level\":\"info\",\"ts\":\"2026-11-23T18:02:35.649Z\",\"logger\":\"RunNode\",\
             \"caller\":\"cmd/shell.go:454\",\"msg\":\"say \\\"a\\\"\",\"version\":\"2.15.0@883c9f9\",\"port\":6688}\n"
        );
    }
}
