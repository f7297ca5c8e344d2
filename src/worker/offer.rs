//! Offers sprint's own tools (`sprint mcp`) to the program of a run, as its adapter says: a file in
//! the run's directory, a variable of its environment. The arguments are the command line's.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use crate::agents::environment::RunContext;
use crate::agents::placeholders::fill_in_json;
use crate::config::Adapter;
use crate::error::chain;

/// Writes the file and adds the variable, where the adapter has them.
///
/// # Errors
/// The file cannot be written, in words for people.
pub(super) fn tools(
    adapter: &Adapter,
    run: &RunContext,
    env: &mut Vec<(OsString, OsString)>,
) -> Result<(), String> {
    let Some(keys) = adapter.cli.as_ref().map(|cli| &cli.mcp) else { return Ok(()) };
    if keys.file.is_empty() && keys.variable.is_empty() {
        return Ok(());
    }
    let content = fill_in_json(&serde_json::Value::Object(keys.content.clone()), run);
    let text = content.map_err(|error| chain(&error))?.to_string();
    if !keys.file.is_empty() {
        let path = run.run_dir.join(&keys.file);
        write_private(path.as_std_path(), &text).map_err(|error| format!("`{path}`: {error}"))?;
    }
    let variable = OsStr::new(&keys.variable);
    // What the person has set there is theirs: the program works without our tools.
    if !keys.variable.is_empty() && env.iter().all(|(name, _)| name != variable) {
        env.push((variable.to_owned(), text.into()));
    }
    Ok(())
}

fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_with_the_content_is_for_the_persons_eyes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mcp.json");
        write_private(&path, "{}").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{}");
    }
}
