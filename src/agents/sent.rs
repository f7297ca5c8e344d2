//! A prompt as a model's program gets it: a text, whatever it looks like. Programs take a first line
//! `/quit` or `!touch x` for a command, and `@README.md` anywhere for the wish to have that file read
//! into the prompt, also without their screens. Pure.

use std::borrow::Cow;

use crate::config::Adapter;

/// Put before a prompt whose first character could be the beginning of a command, an option or the
/// name of a file: no program takes a letter for one.
const OPENING: &str = "Read this to its end, then do what it says.\n\n";

/// The prompt for this adapter's program. Other programs than models' get it as it is, for they are
/// given a file.
pub fn as_text<'a>(adapter: &Adapter, prompt: &'a str) -> Cow<'a, str> {
    let Some(cli) = &adapter.cli else { return Cow::Borrowed(prompt) };
    let text: String = prompt.replace("\r\n", "\n").chars().filter(|c| is_text(*c)).collect();
    let text = escaped(&text, &cli.escape);
    let harmless = text.trim_start().chars().next().is_none_or(char::is_alphanumeric);
    Cow::Owned(if harmless { text } else { format!("{OPENING}{text}") })
}

/// No control character has a meaning in a prompt but these two; a NUL ends an argument, an escape
/// character drives a terminal.
fn is_text(c: char) -> bool {
    matches!(c, '\n' | '\t') || !c.is_control()
}

/// With a backslash before each of `signs`, and a word to the model about it.
fn escaped(text: &str, signs: &str) -> String {
    if !text.contains(|c| signs.contains(c)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 100);
    for c in text.chars() {
        if signs.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    let end = if out.ends_with('\n') { "" } else { "\n" };
    format!("{out}{end}\n(A backslash before one of these signs is not part of the text: {signs})\n")
}

#[cfg(test)]
mod tests {
    use super::super::environment::tests::adapter;
    use super::*;
    use crate::config::{AdapterKind, CliKeys};
    use proptest::prelude::*;

    fn sent(prompt: &str, escape: &str) -> String {
        let cli = CliKeys { escape: escape.to_owned(), ..CliKeys::default() };
        let adapter = Adapter { kind: AdapterKind::Cli, cli: Some(Box::new(cli)), ..adapter() };
        as_text(&adapter, prompt).into_owned()
    }

    #[test]
    fn a_first_line_is_no_command() {
        assert_eq!(sent("You are\n/quit\n", ""), "You are\n/quit\n");
        for first in ["/quit", "!touch x", "@README.md", "-x", "# A heading", "\u{1b}/quit", " /quit"] {
            assert!(sent(first, "").starts_with("Read this to its end"), "{first}");
            assert!(sent(first, "").contains(first.trim_start_matches('\u{1b}')), "{first}");
        }
        assert_eq!(as_text(&adapter(), "/quit\u{0}"), "/quit\u{0}", "no model's program");
    }

    #[test]
    fn signs_that_mean_files_are_escaped_where_the_program_knows_them() {
        assert_eq!(sent("a@b @c\n", ""), "a@b @c\n");
        insta::assert_snapshot!(sent("a@b @c\n", "@"), @r"
        a\@b \@c

        (A backslash before one of these signs is not part of the text: @)
        ");
        assert_eq!(sent("nothing\n", "@"), "nothing\n");
    }

    proptest! {
        #[test]
        fn nothing_in_it_drives_a_terminal_and_every_sign_is_escaped(
            text in "[ -~\n\t\r\u{0}\u{1b}\u{9b}@é]{0,60}",
        ) {
            let sent = sent(&text, "@");
            prop_assert!(sent.chars().all(is_text));
            let body = sent.rsplit_once("\n(A backslash").map_or(sent.as_str(), |(body, _)| body);
            prop_assert!(body.match_indices('@').all(|(at, _)| body[..at].ends_with('\\')));
            let plain: String = text.chars().filter(|c| is_text(*c) && *c != '@').collect();
            prop_assert!(body.replace("\\@", "").contains(plain.trim()) || text.contains('\\'));
        }
    }
}
