//! Rules for single texts of the configuration. Each says in one sentence what is wrong and what
//! would be right; the place is added by the caller.

use camino::{Utf8Component, Utf8Path};

use super::problem::shown;
use super::selector::{Path, When};
use super::{duration, keys, placeholder, size};

/// A rule: the text is fine, or why it is not.
pub(super) type TextRule = fn(&str) -> Result<(), String>;

#[expect(clippy::unnecessary_wraps, reason = "it is a rule like the others")]
pub(super) fn any(_text: &str) -> Result<(), String> {
    Ok(())
}

/// Arguments and variables end at a NUL byte for the kernel; a text that goes on would be cut.
pub(super) fn no_nul(text: &str) -> Result<(), String> {
    if text.contains('\0') { Err("contains a NUL character".to_owned()) } else { Ok(()) }
}

/// Signs that a backslash can stand before without changing a word.
pub(super) fn signs(text: &str) -> Result<(), String> {
    match text.chars().find(|c| !c.is_ascii_punctuation() || *c == '\\') {
        Some(other) => Err(format!("`{}` is no sign such as `@` or `#`", other.escape_default())),
        None => Ok(()),
    }
}

pub(super) fn duration(text: &str) -> Result<(), String> {
    duration::parse(text).map(drop).map_err(|error| error.to_string())
}

pub(super) fn positive_duration(text: &str) -> Result<(), String> {
    let value = duration::parse(text).map_err(|error| error.to_string())?;
    if value.is_zero() { Err("must be longer than zero".to_owned()) } else { Ok(()) }
}

pub(super) fn size(text: &str) -> Result<(), String> {
    size::parse(text).map(drop).map_err(|error| error.to_string())
}

pub(super) fn positive_size(text: &str) -> Result<(), String> {
    let bytes = size::parse(text).map_err(|error| error.to_string())?;
    if bytes == 0 { Err("must be more than nothing".to_owned()) } else { Ok(()) }
}

/// One of the roles.
pub(super) fn role(text: &str) -> Result<(), String> {
    let known = super::model::ROLE_NAMES;
    if known.contains(&text) {
        return Ok(());
    }
    let hint = super::problem::nearest_hint(text, "one", known.iter().copied());
    Err(format!("`{}` is no role{hint}", shown(text)))
}

/// Names become parts of paths, refs and tmux names.
pub(super) fn name(text: &str) -> Result<(), String> {
    crate::domain::ids::GateName::parse(text).map(drop).map_err(|error| {
        format!("`{}` is not a name: {}, beginning with a letter or digit", shown(text), error.rule)
    })
}

/// A path that stays inside the repository.
pub(super) fn relative_path(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is an empty path".to_owned());
    }
    no_nul(text)?;
    let inside = Utf8Path::new(text)
        .components()
        .all(|part| matches!(part, Utf8Component::Normal(_) | Utf8Component::CurDir));
    if inside {
        Ok(())
    } else {
        Err(format!("`{}` leaves the repository; write a path below its root", shown(text)))
    }
}

/// The same, or empty for none.
pub(super) fn relative_path_or_none(text: &str) -> Result<(), String> {
    if text.is_empty() { Ok(()) } else { relative_path(text) }
}

/// A name of a file alone, or empty for none.
pub(super) fn file_name_or_none(text: &str) -> Result<(), String> {
    relative_path_or_none(text)?;
    if text.contains('/') { Err(format!("`{}` is more than a file's name", shown(text))) } else { Ok(()) }
}

/// The name of a key.
pub(super) fn key(text: &str) -> Result<(), String> {
    keys::bytes(text).map(drop).ok_or_else(|| {
        format!("`{}` is no key; write `Enter`, `Escape`, `C-u`, `Up` or one character", shown(text))
    })
}

pub(super) fn glob(text: &str) -> Result<(), String> {
    relative_path(text)?;
    globset::Glob::new(text)
        .map(drop)
        .map_err(|error| format!("`{}` is not a glob: {}", shown(text), error.kind()))
}

pub(super) fn regex(text: &str) -> Result<(), String> {
    regex::Regex::new(text).map(drop).map_err(|error| {
        // The crate's message draws the place over several lines; its last one is the reason.
        let message = error.to_string();
        format!("is not a regular expression: {}", message.lines().last().unwrap_or_default())
    })
}

/// A pattern that tells when a limit ends.
pub(super) fn reset(text: &str) -> Result<(), String> {
    regex(text)?;
    let pattern = regex::Regex::new(text).map_err(|error| error.to_string())?;
    let mut names = pattern.capture_names().flatten().peekable();
    if names.peek().is_none() {
        return Err(format!("has no named group; it needs one of {}", RESET_GROUPS.join(", ")));
    }
    match names.find(|name| !RESET_GROUPS.contains(name)) {
        Some(name) => {
            Err(format!("has the group `{}`, which is none of {}", shown(name), RESET_GROUPS.join(", ")))
        }
        None => Ok(()),
    }
}

/// Named groups of a pattern that tells when a limit ends.
const RESET_GROUPS: [&str; 6] = ["seconds", "minutes", "hours", "at", "unix", "clock"];

/// A date such as 2026-11-01.
pub(super) fn date(text: &str) -> Result<(), String> {
    let date = text.parse::<jiff::civil::Date>().ok().filter(|date| date.to_string() == text);
    date.map(drop).ok_or_else(|| format!("`{}` is no date such as 2026-11-01", shown(text)))
}

/// A model's name as its program knows it.
pub(super) fn model(text: &str) -> Result<(), String> {
    no_nul(text)?;
    if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(()) }
}

/// An argument with placeholders.
pub(super) fn template(text: &str) -> Result<(), String> {
    no_nul(text)?;
    placeholder::parse(text).map(drop).map_err(|error| error.to_string())
}

/// An argument of a gate's command, which has placeholders of its own.
pub(super) fn gate_template(text: &str) -> Result<(), String> {
    no_nul(text)?;
    placeholder::check_names(text, &["out", "root", "tmp", "keep", "kit", "files", "changed", "diff"])
        .map_err(|error| error.to_string())
}

/// A place in an event: `usage.input_tokens`, `content.0.text`.
pub(super) fn event_path(text: &str) -> Result<(), String> {
    Path::parse(text)
        .map(drop)
        .map_err(|_| format!("`{}` is no path such as `usage.input_tokens`", shown(text)))
}

/// Conditions on an event: `type=result is_error!=true`.
pub(super) fn selector(text: &str) -> Result<(), String> {
    When::parse(text).map(drop).map_err(|error| error.to_string())
}

/// The same, or empty for none.
pub(super) fn variable_or_none(name: &str) -> Result<(), String> {
    if name.is_empty() { Ok(()) } else { variable(name) }
}

/// A variable of the environment which a person may set.
pub(super) fn variable(name: &str) -> Result<(), String> {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !plain {
        return Err(
            "is not the name of a variable: letters, digits and `_`, not beginning with a digit".to_owned()
        );
    }
    if name.starts_with("SPRINT_") {
        return Err("begins with `SPRINT_`, which sprint sets itself".to_owned());
    }
    Ok(())
}
