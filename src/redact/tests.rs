//! Each form, made up here in pieces; what is none; and pieces of every size.

use std::ffi::OsString;
use std::path::Path;

use proptest::prelude::*;

use super::*;

/// 40 characters of every kind.
const NOISE: &str = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0";

fn check(text: &str, expected: &str) {
    assert_eq!(super::text(text), expected, "{text}");
    assert_eq!(super::text(expected), expected, "what is redacted stays as it is");
}

/// A secret of each form that stands by itself.
fn samples() -> Vec<(String, &'static str)> {
    let of = |begin: &str, name| (format!("{begin}{NOISE}"), name);
    vec![
        of("ghp_", "GitHub token"),
        of("gho_", "GitHub token"),
        of("github_pat_", "GitHub token"),
        of("glpat-", "GitLab token"),
        of("xoxb-", "Slack token"),
        of("sk_live_", "Stripe key"),
        of("sk-ant-api03-", "Anthropic key"),
        of("sk-", "OpenAI key"),
        of("sk-proj-", "OpenAI key"),
        of("AIza", "Google key"),
        of("pypi-AgEIcHlwaS5vcmcCJ", "PyPI token"),
        of("npm_", "npm token"),
        (format!("AKIA{}", "ABCDEFGH23456723"), "AWS key id"),
        (format!("eyJ{NOISE}.eyJ{NOISE}.{NOISE}"), "JSON web token"),
    ]
}

#[test]
fn every_form_is_known_wherever_it_stands() {
    for (secret, name) in samples() {
        let told = format!("[redacted: {name}]");
        for (before, after) in [
            ("", ""),
            ("key=", "\n"),
            ("'", "'"),
            ("\x1b[32m", "\x1b[0m"),
            ("é ", "é"),
            ("https://", "@x.org"),
        ] {
            check(&format!("{before}{secret}{after}"), &format!("{before}{told}{after}"));
        }
        let json = serde_json::to_string(&format!("a\n{secret}\n")).unwrap();
        check(&json, &format!("\"a\\n{told}\\n\""));
        assert_eq!(first(&format!("it is {secret}.")), Some(name));
        check(&format!("{secret} {secret}"), &format!("{told} {told}"));
    }
    assert_eq!(first("nothing"), None);
}

#[test]
fn of_a_pair_the_value_is_replaced() {
    let mixed = format!("{NOISE}+/");
    check(&format!("aws_secret_access_key = {NOISE}"), "aws_secret_access_key = [redacted: AWS secret]");
    check(&format!(r#""SecretAccessKey": "{NOISE}","#), r#""SecretAccessKey": "[redacted: AWS secret]","#);
    check(&format!("AWS_SESSION_TOKEN={mixed}"), "AWS_SESSION_TOKEN=[redacted: AWS secret]");
    check(&format!("authorization: Bearer {NOISE}"), "authorization: Bearer [redacted: authorization]");
    check(
        &format!(r#"{{\"Authorization\": \"Basic {NOISE}\"}}"#),
        r#"{\"Authorization\": \"Basic [redacted: authorization]\"}"#,
    );
    check(
        "git clone https://me:s3cr3t@git.example.org/a",
        "git clone https://me:[redacted: password]@git.example.org/a",
    );
    check("redis://:hunter2%21@[::1]:6379", "redis://:[redacted: password]@[::1]:6379");
    let hook = format!("https://hooks.slack.com/services/T{}/B{}/{NOISE}", "00000000", "00000000");
    check(&hook, "https://hooks.slack.com/services/[redacted: Slack webhook]");
}

fn key_block() -> String {
    let line = format!("{NOISE}{}\n", &NOISE[..24]);
    format!(
        "-----BEGIN RSA PRIVATE {}-----\n{line}{line}{}==\n-----END RSA PRIVATE {}-----\n",
        "KEY",
        &NOISE[..10],
        "KEY"
    )
}

#[test]
fn of_a_private_key_nothing_is_left() {
    let told = "-----BEGIN RSA PRIVATE KEY-----[redacted: private key]\nthe end";
    check(&format!("{}the end", key_block()), told);
    let one_line = key_block().replace('\n', "\\n");
    assert!(!super::text(&one_line).contains(&NOISE[..10]), "{}", super::text(&one_line));
    // Cut at either end.
    let block = key_block();
    for text in [&block[..120], &block[60..]] {
        let shown = super::text(text);
        assert!(shown.contains("[redacted: private key]") && !shown.contains(&NOISE[..12]), "{shown}");
    }
    // The head line alone tells nobody anything.
    let code = "if text.startswith('-----BEGIN PRIVATE KEY-----'):\n    raise ValueError\n";
    check(code, code);
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "0198a7c2-6d1e-7b3f-9a55-1c2d3e4f5a6b",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "integrity=\"sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg==\"",
        "class=\"sk-fading-circle sk-estimator-doc-link-for-a-fitted-model\"",
        "Authorization: Bearer $TOKEN, Authorization: Bearer YOUR_TOKEN_HERE, Authorization: Bearer <token>",
        "https://user:password@example.org https://user:$PASS@x.org https://{user}:{password}@x.org",
        "http://127.0.0.1:8080/a@b mailto:me@example.org git@github.com:a/b.git",
        "npm_config_registry npm_lifecycle_event risk_live_the_moment task-1234567890123456789012345678901234",
        "ghp_short eyJ.eyJ AKIA",
    ] {
        check(text, text);
    }
}

/// Files that nobody wrote for this test: the project's own, with all that tools printed for its tests.
#[test]
fn this_repository_has_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<_> = ["src", "tests", "docs", "config", "README.md", "CHANGELOG.md", "Cargo.lock"]
        .map(|p| root.join(p))
        .into();
    let (mut files, mut found) = (0, Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let whole = super::text(&text);
        let line = whole.lines().zip(text.lines()).find(|(now, before)| now != before);
        found.extend(line.map(|(_, before)| format!("{}: {before}", path.display())));
    }
    assert!(files > 300, "{files}");
    // Made-up ones, in other tests.
    found.retain(|line| !MADE_UP.iter().any(|name| line.contains(name)));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Files with secrets that were made for a test.
const MADE_UP: [&str; 3] = ["/tests/fixtures/gates/", "/tests/gates_real/more.rs", "/src/redact/tests.rs"];

#[test]
fn values_of_variables_whose_names_say_so_are_secrets() {
    let pairs: Vec<(OsString, OsString)> = [
        ("DEPLOY_TOKEN", "correct-horse 9"),
        ("pgpassword", "quote\"and\\back"),
        ("MY_SECRET", "/run/secrets/my"),
        ("OTHER_TOKEN", "password"),
        ("SHORT_TOKEN", "a1b2"),
        ("SPRINT_TOKEN", "0123456789abcdef"),
        ("TOKENIZERS", "tokenizer-value-1"),
        ("SIGNING_PRIVATE_KEY", "-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END X-----"),
    ]
    .iter()
    .map(|(name, value)| (name.into(), value.into()))
    .collect();
    know(&pairs);
    check("it is correct-horse 9!", "it is [redacted: DEPLOY_TOKEN]!");
    check("quote\"and\\back", "[redacted: pgpassword]");
    check(r#"{"a": "quote\"and\\back"}"#, r#"{"a": "[redacted: pgpassword]"}"#);
    check("MIIEvQIBADANBgkqhkiG9w0B", "[redacted: SIGNING_PRIVATE_KEY]");
    let innocent = "/run/secrets/my password a1b2 0123456789abcdef tokenizer-value-1";
    check(innocent, innocent);
    let mut value = "x correct-horse 9".to_owned();
    in_place(&mut value);
    assert_eq!(value, "x [redacted: DEPLOY_TOKEN]");
}

fn in_pieces(text: &[u8], sizes: &[usize]) -> String {
    let (mut lines, mut out, mut rest) = (Lines::default(), Vec::new(), text);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, tail) = rest.split_at((*size).clamp(1, rest.len()));
        out.extend(lines.push(piece));
        rest = tail;
    }
    out.extend(lines.finish());
    String::from_utf8(out).unwrap()
}

#[test]
fn a_private_key_in_a_stream_is_left_out_line_by_line() {
    let block = key_block();
    let quoted: Vec<String> = block.lines().map(|line| format!("\x1b[2m  + {line}\x1b[0m\n")).collect();
    let quoted = quoted.concat();
    for text in [block, quoted] {
        let shown = in_pieces(format!("begin\n{text}the end\n").as_bytes(), &[7]);
        assert!(!shown.contains(&NOISE[..8]), "{shown}");
        assert_eq!(shown.matches("[redacted: private key]\n").count(), 1, "{shown}");
        assert!(shown.starts_with("begin\n") && shown.ends_with("the end\n"), "{shown}");
    }
}

#[test]
fn a_line_without_an_end_is_bounded_and_holds_no_half_secret() {
    for at in [4000, 8000, 8150, 12_200] {
        let text = format!("{}{}{}", "x ".repeat(at / 2), samples()[0].0, " y".repeat(9000));
        let shown = in_pieces(text.as_bytes(), &[4096]);
        assert_eq!(shown, text.replace(&samples()[0].0, "[redacted: GitHub token]"));
    }
    let mut lines = Lines::default();
    let shown = lines.push(&b"z".repeat(1 << 20));
    assert!(shown.len() > (1 << 20) - 9000, "it is not kept back");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_of_any_size_give_what_the_whole_gives(
        sizes in proptest::collection::vec(1_usize..90, 1..6),
        words in proptest::collection::vec(0_usize..20, 1..30),
    ) {
        let samples = samples();
        let text: String = words.iter().map(|n| match samples.get(*n) {
            Some((secret, _)) => format!("a {secret} "),
            None if n % 2 == 0 => "word\n".to_owned(),
            None => "ä 3f786850e387550fdab836ed7e6dc881de23001b\n".to_owned(),
        }).collect();
        let shown = in_pieces(text.as_bytes(), &sizes);
        prop_assert_eq!(&shown, &super::text(&text));
        prop_assert!(samples.iter().all(|(secret, _)| !shown.contains(secret)));
    }

    #[test]
    fn any_bytes_are_fine(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut lines = Lines::default();
        let mut out = lines.push(&bytes);
        out.extend(lines.finish());
        prop_assert_eq!(out, super::bytes(&bytes).into_owned());
    }
}

/// Text that begins many secrets and ends none: the time grows as the text does.
#[test]
fn hostile_text_costs_linear_time() {
    let seconds = |text: &[u8]| {
        let best = (0..3).map(|_| {
            let began = std::time::Instant::now();
            assert!(!super::bytes(text).is_empty());
            began.elapsed()
        });
        best.min().unwrap().as_secs_f64()
    };
    for piece in [
        "a://b:",
        "eyJaaaaaaaaa.",
        "-----BEGIN PRIVATE KEY-----",
        "authorization: bearer ",
        "aws_secret=\"",
        &"A".repeat(41),
    ] {
        let small = seconds(piece.repeat(20_000 / piece.len()).as_bytes());
        let large = seconds(piece.repeat(320_000 / piece.len()).as_bytes());
        assert!(large < 0.2 + small * 16.0 * 6.0, "{piece}: {small} {large}");
    }
}

#[test]
fn letters_before_a_token_and_colours_in_it_do_not_save_it() {
    let token = format!("ghp_{}", "Ab1".repeat(12));
    for text in
        [format!("x{token}"), format!("KEY_{token} and more"), format!("KEY_sk-ant-{}1", "ab".repeat(12))]
    {
        assert!(!super::text(&text).contains("Ab1Ab1") && super::text(&text).contains("[redacted"), "{text}");
    }
    let (begin, end) = token.split_at(9);
    for text in [format!("\x1b[01;31mghp_\x1b[m{}", &token[4..]), format!("\x1b[1m{begin}\x1b[0m{end}")] {
        let mut lines = super::Lines::default();
        let mut shown = lines.push(format!("{text} is it\n").as_bytes());
        shown.extend(lines.finish());
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.contains("[redacted: GitHub token] is it") && !shown.contains(&end[4..]), "{shown}");
    }
    let mut lines = super::Lines::default();
    let plain = b"\x1b[1mplain\x1b[0m colours stay\n";
    assert_eq!(lines.push(plain), plain);
}

#[test]
fn a_token_that_a_tool_has_shortened_is_one() {
    for begin in ["ghp_", "sk-proj-", "AKIA"] {
        let said = format!("assert '{begin}12345678...DEFGHIJ123456' == 'x'");
        check(&said, "assert '[redacted: shortened token]' == 'x'");
    }
    check("sk-eleton...keys and npm_a...b", "sk-eleton...keys and npm_a...b");
}
