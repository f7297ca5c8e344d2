//! What tools printed, as what parsers are given to read.

use std::fs;
use std::path::Path;

use sprint::gates::parse::{ParseError, Parsed, Report, find, read};

/// Something recorded, and who reads it.
pub struct Seed {
    /// Below `tests/fixtures/gates`.
    pub name: String,
    pub bytes: Vec<u8>,
    /// The tool's exit code, where the name has it.
    pub exit: Option<i32>,
    /// The parsers that it is meant for.
    pub parsers: Vec<&'static str>,
}

/// Everything below `tests/fixtures/gates`, in the order of its names.
pub fn seeds() -> Vec<Seed> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gates");
    let mut seeds = Vec::new();
    collect(&top, "", &mut seeds);
    for (name, text) in MADE {
        let parsers = vec![if name.contains("junit") { "junit" } else { "sarif" }];
        seeds.push(Seed { name: (*name).to_owned(), bytes: text.as_bytes().to_vec(), exit: None, parsers });
    }
    seeds.sort_by(|a, b| a.name.cmp(&b.name));
    seeds
}

/// Generic formats of which no tool's own output is recorded.
const MADE: &[(&str, &str)] = &[
    (
        "made.sarif",
        r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t","rules":[{"id":"r","defaultConfiguration":{"level":"error"},"helpUri":"u"}]}},"results":[{"ruleId":"r","ruleIndex":0,"level":"warning","message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a%20b.py","uriBaseId":"%SRCROOT%"},"region":{"startLine":3}}}],"suppressions":[{"kind":"inSource"}]}]}]}"#,
    ),
    (
        "made.junit",
        "<?xml version=\"1.0\"?><testsuites><testsuite name=\"s\"><testcase classname=\"a.b\" name=\"c\" file=\"a/b.py\" line=\"3\"><failure message=\"m\">t &amp; <![CDATA[x]]></failure></testcase><testcase classname=\"a.b\" name=\"d\"/></testsuite></testsuites>",
    ),
];

fn collect(top: &Path, below: &str, seeds: &mut Vec<Seed>) {
    for entry in fs::read_dir(top.join(below)).unwrap() {
        let entry = entry.unwrap();
        let own = entry.file_name().into_string().unwrap();
        let name = if below.is_empty() { own } else { format!("{below}/{own}") };
        if entry.path().is_dir() {
            collect(top, &name, seeds);
        } else if Path::new(&name).extension().is_none_or(|end| end != "md") {
            let parsers = readers(&name);
            let exit = name.split('.').nth(1).and_then(|exit| exit.parse().ok());
            seeds.push(Seed { bytes: fs::read(entry.path()).unwrap(), exit, name, parsers });
        }
    }
}

/// The parsers of a recorded file: those of its directory, or of the tool that its name begins with.
fn readers(name: &str) -> Vec<&'static str> {
    let tool = name.split_once('/').map_or_else(|| name.split('-').next().unwrap(), |(tool, _)| tool);
    match tool {
        "nextest" => vec!["cargo-test"],
        "coverage-py" => vec!["pytest"],
        "vitest" => vec!["vitest", "junit"],
        "pytest" => vec!["pytest", "junit"],
        "cobertura" => vec!["cobertura", "vitest"],
        "lcov" => vec!["lcov", "llvm-cov"],
        // One line a finding, as `regex` reads it.
        "tsc" => vec!["tsc", "regex"],
        "go-vet" => vec!["go-vet", "exit-code"],
        _ => sprint::gates::parser_names().iter().copied().filter(|parser| *parser == tool).collect(),
    }
}

/// Reads it by that parser, as whatever of a report it may be.
pub fn parse(
    parser: &str,
    exit: i32,
    bytes: &[u8],
    also: Option<&[u8]>,
    printed: bool,
) -> Result<Parsed, ParseError> {
    let report = Report {
        exit,
        stdout: if printed { bytes } else { b"" },
        stderr: if printed { also.unwrap_or(bytes) } else { b"" },
        file: (!printed).then_some(bytes),
        also,
        root: Path::new("/repo"),
        subdir: if exit == 1 { "sub" } else { "" },
        pattern: r"^(?P<path>[^:(]+)[:(](?P<line>\d+).*?(?P<message>error.*)$",
        clean: &[0],
    };
    read(find(parser).unwrap(), &report)
}
