//! Points: a call of a sprint, told so that another run has it too.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::tracer::{Call, Site};

/// The `nth` time that such a call is about to be made, counted over all processes of that name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    /// Whose call.
    pub(crate) process: String,
    /// Which call.
    pub(crate) name: String,
    /// On which kind of file.
    pub(crate) kind: String,
    /// From 1.
    pub(crate) nth: u32,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}|{}|{}", self.process, self.name, self.kind, self.nth)
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.trim().split('|').collect();
        let [process, name, kind, nth] = parts[..] else { return Err(format!("`{text}` is not a point")) };
        let nth = nth.parse().map_err(|error| format!("`{text}`: {error}"))?;
        Ok(Self { process: process.to_owned(), name: name.to_owned(), kind: kind.to_owned(), nth })
    }
}

/// Counts calls: what was met, and which point it is now.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    met: BTreeMap<Site, u32>,
}

impl Counter {
    /// Whether this call is that point.
    pub(crate) fn is_at(&mut self, call: &Call, point: &Point) -> bool {
        let count = self.met.entry(call.site()).or_default();
        *count += 1;
        *count == point.nth
            && call.process == point.process
            && call.name == point.name
            && call.kind == point.kind
    }
}

/// The calls of one undisturbed run, in their order.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    calls: Vec<Call>,
}

impl Recording {
    /// One more.
    pub(crate) fn add(&mut self, call: &Call) {
        self.calls.push(call.clone());
    }

    /// As they were made.
    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Every call of it.
    pub(crate) fn every(&self) -> Vec<Point> {
        let mut counts: BTreeMap<Site, u32> = BTreeMap::new();
        let point = |call: &Call| {
            let nth = counts.entry(call.site()).or_default();
            *nth += 1;
            Point {
                process: call.process.clone(),
                name: call.name.to_owned(),
                kind: call.kind.to_owned(),
                nth: *nth,
            }
        };
        self.calls.iter().map(point).collect()
    }

    /// One point for every place in the code that can be told apart: a call, and the call that the same
    /// process (by its name) made before it.
    pub(crate) fn sites(&self) -> Vec<Point> {
        let mut before: BTreeMap<&str, Site> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut sites = Vec::new();
        for (call, point) in self.calls.iter().zip(self.every()) {
            let previous = before.insert(&call.process, call.site());
            if seen.insert((previous, call.site())) {
                sites.push(point);
            }
        }
        sites
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::Pid;

    use super::*;

    fn call(process: &str, name: &'static str) -> Call {
        Call { by: Pid::from_raw(1), process: process.to_owned(), name, kind: "object" }
    }

    #[test]
    fn a_point_is_read_as_it_is_written() {
        let point: Point = "git update-ref of supervise|rename|branch|2".parse().unwrap();
        assert_eq!((&*point.process, &*point.kind, point.nth), ("git update-ref of supervise", "branch", 2));
        assert_eq!(point.to_string().parse::<Point>().unwrap(), point);
        assert!("supervise|write".parse::<Point>().is_err());
    }

    #[test]
    fn a_site_is_a_call_and_the_one_before_it() {
        let mut recording = Recording::default();
        for (process, name) in
            [("a", "write"), ("b", "fsync"), ("a", "fsync"), ("a", "write"), ("a", "fsync"), ("a", "fsync")]
        {
            recording.add(&call(process, name));
        }
        let told: Vec<String> = recording.sites().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "a|write|object|1",
                "b|fsync|object|1",
                "a|fsync|object|1",
                "a|write|object|2",
                "a|fsync|object|3"
            ]
        );
        assert_eq!(recording.every().len(), 6);
    }

    #[test]
    fn the_nth_call_is_the_point() {
        let point: Point = "a|write|object|2".parse().unwrap();
        let mut counter = Counter::default();
        let met = [("a", "write"), ("b", "write"), ("a", "write"), ("a", "write")];
        let at: Vec<bool> =
            met.iter().map(|(process, name)| counter.is_at(&call(process, name), &point)).collect();
        assert_eq!(at, [false, false, true, false]);
    }
}
