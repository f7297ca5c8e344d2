//! From what a scenario wants done to a call of a tool that the program has declared.

use serde_json::{Map, Value, json};

use super::conversation::{Conversation, Tool};
use super::scenario::Step;

/// Names of tools that run a command line, in lower case, the better first.
const COMMAND: [&str; 9] = [
    "bash",
    "exec_command",
    "shell_command",
    "shell",
    "local_shell",
    "run_shell_command",
    "run_command",
    "execute_command",
    "terminal",
];
/// Arguments of theirs that take the command line.
const COMMAND_ARGUMENT: [&str; 5] = ["command", "cmd", "script", "command_line", "input"];
/// Names of tools that write a whole file.
const WRITE: [&str; 5] = ["write", "write_file", "write_to_file", "create_file", "writefile"];
/// Names of tools that read a file.
const READ: [&str; 4] = ["read", "read_file", "view", "view_file"];
const PATH_ARGUMENT: [&str; 6] = ["file_path", "filePath", "path", "filename", "absolute_path", "file"];
const CONTENT_ARGUMENT: [&str; 4] = ["content", "contents", "text", "file_text"];
/// What a required argument gets that the scenario knows nothing of.
const FILLER: &str = "as the scenario says";

/// The tool and its arguments for a step that acts; an error names what the program declares.
pub(super) fn call_for(step: &Step, conversation: &Conversation) -> Result<(String, Value), String> {
    match step {
        Step::Bash(command) => command_call(command, conversation),
        Step::Read(path) => read_call(path, conversation),
        Step::Write { path, content } => write_call(path, content, conversation),
        Step::Call { tool, arguments } => Ok((tool.clone(), arguments.clone())),
        Step::Say(_) | Step::Fault(_) => Err("it is no action".to_owned()),
    }
}

fn find<'a>(names: &[&str], conversation: &'a Conversation) -> Option<&'a Tool> {
    let called = |name: &str| conversation.tools.iter().find(|tool| tool.name.eq_ignore_ascii_case(name));
    names.iter().find_map(|name| called(name))
}

fn none(what: &str, conversation: &Conversation) -> String {
    let names: Vec<&str> = conversation.tools.iter().map(|tool| tool.name.as_str()).collect();
    format!("no tool that {what} is declared; there are: {}", names.join(", "))
}

fn command_call(command: &str, conversation: &Conversation) -> Result<(String, Value), String> {
    let missing = || none("runs a command", conversation);
    let tool = find(&COMMAND, conversation).ok_or_else(missing)?;
    let name = argument(tool, &COMMAND_ARGUMENT).ok_or_else(missing)?;
    let value = if tool.schema["properties"][name]["type"] == "array" {
        json!(["bash", "-lc", command])
    } else {
        json!(command)
    };
    Ok((tool.name.clone(), arguments(tool, [(name, value)])))
}

fn write_call(path: &str, content: &str, conversation: &Conversation) -> Result<(String, Value), String> {
    let tool = find(&WRITE, conversation)
        .and_then(|tool| Some((tool, argument(tool, &PATH_ARGUMENT)?, argument(tool, &CONTENT_ARGUMENT)?)));
    let Some((tool, path_name, content_name)) = tool else {
        return command_call(&writing_command(path, content), conversation);
    };
    let path = told_path(path, path_name, conversation);
    Ok((tool.name.clone(), arguments(tool, [(path_name, json!(path)), (content_name, json!(content))])))
}

fn read_call(path: &str, conversation: &Conversation) -> Result<(String, Value), String> {
    let tool = find(&READ, conversation).and_then(|tool| Some((tool, argument(tool, &PATH_ARGUMENT)?)));
    let Some((tool, name)) = tool else {
        return command_call(&format!("cat {}", quoted(path)), conversation);
    };
    let path = told_path(path, name, conversation);
    // Where it begins and how much it takes is left to the program.
    Ok((tool.name.clone(), json!({name: path})))
}

/// The programs that call it more than a `path` refuse a relative one.
fn told_path(path: &str, argument: &str, conversation: &Conversation) -> String {
    match conversation.cwd() {
        Some(cwd) if argument != "path" && !path.starts_with('/') => format!("{cwd}/{path}"),
        _ => path.to_owned(),
    }
}

/// The first of `names` that the tool takes; the first of all where it does not say what it takes.
fn argument<'a>(tool: &Tool, names: &[&'a str]) -> Option<&'a str> {
    match tool.schema["properties"].as_object() {
        Some(properties) => names.iter().copied().find(|name| properties.contains_key(*name)),
        None => names.first().copied(),
    }
}

/// The arguments, and something for each other that is required.
fn arguments<const N: usize>(tool: &Tool, known: [(&str, Value); N]) -> Value {
    let mut all: Map<String, Value> =
        known.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let required = tool.schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required {
        if !all.contains_key(name) {
            let schema = &tool.schema["properties"][name];
            let value = match schema["type"].as_str().unwrap_or_default().to_ascii_lowercase().as_str() {
                "boolean" => json!(false),
                "number" | "integer" => json!(60_000),
                "array" => json!([]),
                "object" => json!({}),
                _ => schema["enum"].get(0).cloned().unwrap_or_else(|| json!(FILLER)),
            };
            all.insert(name.to_owned(), value);
        }
    }
    Value::Object(all)
}

/// A file written by a command line, its content quoted as a whole.
fn writing_command(path: &str, content: &str) -> String {
    let directory = path.rsplit_once('/').map(|(directory, _)| directory).filter(|d| !d.is_empty());
    let make = directory.map(|directory| format!("mkdir -p {} && ", quoted(directory))).unwrap_or_default();
    format!("{make}printf %s {} > {}", quoted(content), quoted(path))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{bash, read, write};
    use super::*;

    fn with(tools: &Value) -> Conversation {
        let tools = tools.as_object().unwrap().iter();
        let tools = tools.map(|(name, schema)| Tool { name: name.clone(), schema: schema.clone() }).collect();
        Conversation {
            tools,
            system: vec!["Current working directory: /w\n".to_owned()],
            ..Default::default()
        }
    }

    #[test]
    fn each_program_gets_its_own_tool() {
        let claude = with(&json!({
            "Bash": {"properties": {"command": {"type": "string"}, "description": {"type": "string"}},
                     "required": ["command", "description"]},
            "Write": {"properties": {"file_path": {}, "content": {}}, "required": ["file_path", "content"]},
        }));
        assert_eq!(
            call_for(&bash("ls"), &claude),
            Ok(("Bash".to_owned(), json!({"command": "ls", "description": FILLER})))
        );
        let file = json!({"file_path": "/w/a", "content": "x"});
        assert_eq!(call_for(&write("a", "x"), &claude), Ok(("Write".to_owned(), file)));

        let list = with(&json!({"shell": {"properties": {"command": {"type": "array"}}}}));
        let command = json!({"command": ["bash", "-lc", "ls"]});
        assert_eq!(call_for(&bash("ls"), &list), Ok(("shell".to_owned(), command)));
    }

    #[test]
    fn a_file_without_a_tool_for_it_is_written_by_a_command() {
        let codex = with(&json!({"exec_command": {"properties": {"cmd": {"type": "string"}}}}));
        let command = json!({"cmd": r"mkdir -p 'd' && printf %s 'it'\''s' > 'd/a'"});
        assert_eq!(call_for(&write("d/a", "it's"), &codex), Ok(("exec_command".to_owned(), command)));
    }

    #[test]
    fn a_file_is_read_by_the_programs_tool_or_a_command() {
        let tools = json!({"read_file": {"properties": {"absolute_path": {}, "limit": {}}, "required": ["absolute_path"]}});
        let whole = json!({"absolute_path": "/w/a"});
        assert_eq!(call_for(&read("a"), &with(&tools)), Ok(("read_file".to_owned(), whole)));
        let codex = with(&json!({"exec_command": {"properties": {"cmd": {"type": "string"}}}}));
        assert_eq!(
            call_for(&read("d/a"), &codex),
            Ok(("exec_command".to_owned(), json!({"cmd": "cat 'd/a'"})))
        );
    }

    #[test]
    fn what_is_declared_is_named_where_nothing_fits() {
        let error = call_for(&bash("ls"), &with(&json!({"read": {}}))).unwrap_err();
        assert_eq!(error, "no tool that runs a command is declared; there are: read");
    }
}
