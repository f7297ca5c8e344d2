//! What well-known secrets look like. One regular expression for all: linear in the text, however
//! hostile it is.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

/// A word begins here: also after a colour, and after what JSON writes for a control character.
const BEGIN: &str = r#"(?:\b|_|\x1b\[[0-9;:]*m|\\[nrtbf"]|\\u00[0-9a-f]{2}(?:\[[0-9;:]*m)?)"#;

/// A secret's form. The pattern has one group: what is replaced. Lengths are lower than the makers'
/// where the beginning says enough: texts are cut, and half of a token is no use to anybody.
struct Form {
    name: &'static str,
    pattern: &'static str,
    plausible: fn(&[u8]) -> bool,
}

const fn form(name: &'static str, pattern: &'static str, plausible: fn(&[u8]) -> bool) -> Form {
    Form { name, pattern, plausible }
}

const FORMS: [Form; 18] = [
    form(
        "private key",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----((?:\s|\\+[rnt]|[A-Za-z-]+: [^\n\\]*)*[A-Za-z0-9+/=]{16,}(?:(?:\s|\\+[rnt])*[A-Za-z0-9+/=]{16,})*(?:(?:\s|\\+[rnt])*[A-Za-z0-9+/=]{0,76}(?:\s|\\+[rnt])*-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)?)",
        any,
    ),
    // Of a text that was cut at its beginning.
    form(
        "private key",
        r"((?:[A-Za-z0-9+/=]{16,}(?:\s|\\+[rnt])+)+[A-Za-z0-9+/=]{0,76}(?:\s|\\+[rnt])*)-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY",
        any,
    ),
    form("GitHub token", r"BEGIN(gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{22,})", any),
    // Whole, it is one whatever stands before it.
    form("GitHub token", r"(gh[pousr]_[A-Za-z0-9]{36})", any),
    form("GitLab token", r"BEGIN(gl(?:pat|ptt|dt|rt|cbt|soat|ft|imt|agent)-[A-Za-z0-9_-]{16,})", has_digit),
    form("Slack token", r"BEGIN(xox[abeoprs]-[A-Za-z0-9-]{16,}|xapp-[0-9]-[A-Za-z0-9-]{16,})", has_digit),
    form("Slack webhook", r"\bhooks\.slack\.com/services/([A-Z0-9]{8,}/[A-Z0-9]{8,}/[A-Za-z0-9]{16,})", any),
    form("Stripe key", r"BEGIN([sr]k_live_[A-Za-z0-9]{16,})", any),
    form("Anthropic key", r"BEGIN(sk-ant-[A-Za-z0-9_-]{16,})", has_digit),
    form(
        "OpenAI key",
        r"BEGIN(sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{32,}|sk-or-v1-[0-9a-f]{32,})",
        has_digit,
    ),
    form("Google key", r"(?:^|[^A-Za-z0-9+/_-]|://|\x1b\[[0-9;:]*m|\\[nrtbf])(AIza[A-Za-z0-9_-]{30,})", any),
    form("PyPI token", r"BEGIN(pypi-AgE[A-Za-z0-9_-]{16,})", any),
    form("npm token", r"BEGIN(npm_[A-Za-z0-9]{20,})", has_digit),
    form("AWS key id", r"BEGIN((?:AKIA|ASIA)[A-Z0-9]{16})\b", any),
    form(
        "AWS secret",
        r#"(?i:secret_?access_?key|aws_?secret(?:_?key)?|aws_?session_?token)\\?["']?\s*(?::|=>?)\s*\\?["']?([A-Za-z0-9/+=]{40,})"#,
        has_digit,
    ),
    form(
        "authorization",
        r#"(?i:authorization)\\?["']?\s*[:=]\s*\\?["']?(?i:bearer|basic|token|bot)\s+([A-Za-z0-9._~+/=-]{12,})"#,
        is_mixed,
    ),
    // As tools of tests shorten a text for their message: most of it is still there.
    form(
        "shortened token",
        r"BEGIN((?:gh[pousr]_|github_pat_|gl[a-z]{2,5}-|xox[abeoprs]-|[sr]k_live_|sk-|AIza|pypi-AgE|npm_|AKIA|ASIA)[A-Za-z0-9_-]{4,}\.\.\.[A-Za-z0-9_-]{4,})",
        has_digit,
    ),
    // A JSON web token has its own form wherever it stands.
    form("JSON web token", r"BEGIN(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?)", any),
];

/// The last group: `scheme://user:password@`.
const URL: Form = form(
    "password",
    r#"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:"'<>{}$\\]*:([^\s/@"'<>{}$\\*\[\]]{3,})@[A-Za-z0-9\[]"#,
    is_no_placeholder,
);

fn any(_secret: &[u8]) -> bool {
    true
}

fn has_digit(secret: &[u8]) -> bool {
    secret.iter().any(u8::is_ascii_digit)
}

/// Not a word: it has a digit, or small letters and capitals.
fn is_mixed(secret: &[u8]) -> bool {
    let (small, capital) = (u8::is_ascii_lowercase, u8::is_ascii_uppercase);
    has_digit(secret) || secret.iter().any(small) && secret.iter().any(capital)
}

/// Not what documents write in a password's place.
fn is_no_placeholder(secret: &[u8]) -> bool {
    const WORDS: [&str; 8] =
        ["password", "passwd", "pass", "secret", "token", "pwd", "your-password", "pass%40word"];
    let lower = secret.to_ascii_lowercase();
    !secret.starts_with(b"%(")
        && WORDS.iter().all(|word| lower != word.as_bytes())
        && secret.iter().any(|byte| !matches!(byte, b'x' | b'X' | b'.' | b'-' | b'_'))
}

fn all_forms() -> impl Iterator<Item = &'static Form> {
    static LAST: Form = URL;
    static FIRST: [Form; 18] = FORMS;
    FIRST.iter().chain([&LAST])
}

static ALL: LazyLock<Regex> = LazyLock::new(|| {
    let patterns: Vec<String> = all_forms()
        .map(|form| format!("(?:{})", form.pattern.replace("BEGIN(", &format!("{BEGIN}("))))
        .collect();
    Regex::new(&format!("(?-u){}", patterns.join("|"))).expect("the forms are regular expressions")
});

/// Where in a text, and what.
struct Hit {
    start: usize,
    end: usize,
    name: &'static str,
}

fn hit(found: &Captures<'_>) -> Option<Hit> {
    let (place, form) = all_forms().enumerate().find(|(place, _)| found.get(place + 1).is_some())?;
    let group = found.get(place + 1)?;
    (form.plausible)(group.as_bytes()).then(|| Hit {
        start: group.start(),
        end: group.end(),
        name: form.name,
    })
}

fn hits(text: &[u8]) -> impl Iterator<Item = Hit> {
    ALL.captures_iter(text).filter_map(|found| hit(&found))
}

/// The secrets of a text: where each begins, in bytes, and of what kind it is.
pub fn all(text: &str) -> impl Iterator<Item = (usize, &'static str)> {
    hits(text.as_bytes()).map(|hit| (hit.start, hit.name))
}

/// What kind of secret a text holds, the first one if there are several.
pub fn first(text: &str) -> Option<&'static str> {
    hits(text.as_bytes()).next().map(|hit| hit.name)
}

/// The text with `[redacted: GitHub token]` and the like in place of secrets.
pub(super) fn replace(text: &[u8]) -> Cow<'_, [u8]> {
    let (mut out, mut from) = (Vec::new(), 0);
    for hit in hits(text) {
        out.extend_from_slice(&text[from..hit.start]);
        out.extend_from_slice(format!("[redacted: {}]", hit.name).as_bytes());
        from = hit.end;
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[from..]);
    Cow::Owned(out)
}

/// The nearest place at or before `cut`, or if need be after it, that is in no secret.
pub(super) fn outside(text: &[u8], cut: usize) -> usize {
    match hits(text).find(|hit| hit.start < cut && cut < hit.end) {
        Some(hit) if hit.start > 0 => hit.start,
        Some(hit) => hit.end,
        None => cut,
    }
}
