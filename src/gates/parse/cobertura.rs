//! Cobertura's XML: which lines tests ran, by file. Files are named relative to a `<source>`.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::{ParseError, Parsed, Report, lcov};
use crate::domain::gate::Coverage;

pub(super) fn parse(report: &Report<'_>) -> Result<Parsed, ParseError> {
    if report.body().iter().all(u8::is_ascii_whitespace) {
        return Err(report.no_report());
    }
    let read = read(report).map_err(|what| Report::garbled(format!("no Cobertura XML: {what}")))?;
    if !report.clean.contains(&report.exit) {
        return Err(report.contradiction());
    }
    let coverage = read.coverage(report);
    let nothing = coverage.is_none().then(|| "there is no executable line".to_owned());
    Ok(Parsed { scanned: Some(1), coverage, nothing, ..Parsed::default() })
}

/// Where the reader is, and what it has read.
#[derive(Default)]
struct Walk {
    seen: bool,
    depth: usize,
    /// `lines-covered` and `lines-valid` of the root, as the tool counts them.
    counted: Option<(u64, u64)>,
    sources: Vec<String>,
    in_source: bool,
    file: Option<String>,
    coverage: Coverage,
}

fn read(report: &Report<'_>) -> Result<Walk, String> {
    let text = String::from_utf8_lossy(report.body());
    let mut reader = Reader::from_str(&text);
    let mut walk = Walk::default();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(tag) => {
                walk.open(&tag)?;
                walk.depth += 1;
            }
            Event::Empty(tag) => {
                walk.open(&tag)?;
                walk.close(tag.name().as_ref());
            }
            Event::End(tag) => {
                walk.depth = walk.depth.saturating_sub(1);
                walk.close(tag.name().as_ref());
            }
            Event::Text(text) if walk.in_source => {
                if let Some(source) = walk.sources.last_mut() {
                    source.push_str(&text);
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    match (walk.seen, walk.depth) {
        (false, _) => Err("there is no <coverage>".to_owned()),
        (true, 0) => Ok(walk),
        (true, _) => Err("it breaks off in the middle".to_owned()),
    }
}

impl Walk {
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        match tag.name().as_ref() {
            "coverage" => {
                self.seen = true;
                let number = |name| attribute(tag, name).map(|text| text.and_then(|text| text.parse().ok()));
                self.counted = number("lines-covered")?.zip(number("lines-valid")?);
            }
            "source" => {
                self.sources.push(String::new());
                self.in_source = true;
            }
            "class" => self.file = attribute(tag, "filename")?,
            "line" => self.line(tag)?,
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        match name {
            "source" => self.in_source = false,
            "class" => self.file = None,
            _ => {}
        }
    }

    /// Methods repeat their class's lines; one that ran anywhere ran.
    fn line(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        let number = attribute(tag, "number")?.and_then(|text| text.parse::<u32>().ok());
        let hits = attribute(tag, "hits")?.and_then(|text| text.parse::<f64>().ok());
        let (Some(file), Some(number), Some(hits)) = (&self.file, number, hits) else { return Ok(()) };
        let lines = self.coverage.files.entry(file.clone()).or_default();
        if hits > 0.0 {
            lines.missed.remove(&number);
            lines.hit.insert(number);
        } else if !lines.hit.contains(&number) {
            lines.missed.insert(number);
        }
        Ok(())
    }

    fn coverage(mut self, report: &Report<'_>) -> Option<Coverage> {
        let lines = || self.coverage.files.values();
        let hit = lines().map(|lines| lines.hit.len() as u64).sum::<u64>();
        let all = hit + lines().map(|lines| lines.missed.len() as u64).sum::<u64>();
        let (run, of) = self.counted.filter(|(_, valid)| *valid > 0).unwrap_or((hit, all));
        let percent = lcov::percent(run, of)?;
        // Only one inside of the repository can be what its files are named by.
        let source = self
            .sources
            .iter()
            .map(|source| source.trim())
            .find(|s| s.starts_with(&*report.root.to_string_lossy()));
        let named = |file: &String| match source {
            Some(source) if !file.starts_with('/') => report.path(&format!("{source}/{file}")),
            _ => report.path(file),
        };
        let files = std::mem::take(&mut self.coverage.files);
        let files = files.into_iter().map(|(file, lines)| (named(&file), lines)).collect();
        Some(Coverage { percent, files })
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    let Some(attribute) = tag.try_get_attribute(name).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
    Ok(Some(value.into_owned()))
}
