//! Convoys: tasks that are linked by shared files, directly or through others, across phases.

use std::collections::{BTreeMap, HashMap, HashSet};

use globset::{GlobBuilder, GlobMatcher};

use super::{PlanItem, PlanWarning};

/// More globs than this are taken for the directory that they begin with: each one is compared
/// with every path.
const GLOBS_MAX: usize = 256;
/// A path deeper than this is cut: no real one is, and each level costs a look-up.
const DEPTH_MAX: usize = 64;
/// So many paths of a task are looked at to tell a person what it shares.
const SHOWN_MAX: usize = 64;
/// A warning is due when a directory or glob links so many tasks that name other files.
const WIDE_MIN: usize = 4;

/// The convoys of the open items, as places in the slice given to [`link`].
pub(super) struct Linked {
    pub(super) groups: Vec<Vec<usize>>,
    pub(super) of_item: Vec<Option<u32>>,
    pub(super) warnings: Vec<PlanWarning>,
}

/// Links the items, given oldest first.
pub(super) fn link(items: &[&PlanItem]) -> Linked {
    let places = Places::collect(items);
    let mut sets = Sets::new(items.len());
    let mut warnings = Vec::new();
    for users in places.files.values() {
        for &user in users {
            sets.join(users[0], user);
        }
    }
    for (path, users) in &places.files {
        for directory in ancestors(path) {
            places.files.get(directory).iter().for_each(|d| sets.join(d[0], users[0]));
        }
    }
    for glob in &places.globs {
        for (path, users) in glob.candidates(&places.files) {
            if glob.may_meet(path, places.directories.contains(path)) {
                sets.join(glob.user, users[0]);
            }
        }
        places.globs.iter().filter(|g| glob.may_meet_glob(g)).for_each(|g| sets.join(glob.user, g.user));
    }
    warnings.extend(places.wide(items));
    sets.finish(items, warnings)
}

/// Who names what.
#[derive(Default)]
struct Places {
    /// Files and directories: a path is a directory as soon as another one lies in it.
    files: BTreeMap<String, Vec<usize>>,
    /// Those written with a `/` at the end.
    directories: HashSet<String>,
    globs: Vec<Glob>,
}

impl Places {
    fn collect(items: &[&PlanItem]) -> Self {
        let mut places = Self::default();
        for (item, it) in items.iter().enumerate().filter(|(_, it)| !it.done) {
            for written in &it.paths {
                let path = clean(written);
                if written.ends_with('/') {
                    places.directories.insert(path.clone());
                }
                match path.find(['*', '{']) {
                    Some(_) if places.globs.len() < GLOBS_MAX => places.globs.push(Glob::new(&path, item)),
                    Some(wild) => places.add(directory_before(&path, wild), item),
                    None => places.add(&path, item),
                }
            }
        }
        places
    }

    fn add(&mut self, path: &str, item: usize) {
        let users = self.files.entry(path.to_owned()).or_default();
        if users.last() != Some(&item) {
            users.push(item);
        }
    }

    /// One warning for each directory that joins many tasks which would else run side by side.
    fn wide(&self, items: &[&PlanItem]) -> Vec<PlanWarning> {
        let mut inside: HashMap<&str, Vec<usize>> = HashMap::new();
        for (path, users) in &self.files {
            for directory in ancestors(path).filter(|d| self.files.contains_key(*d)) {
                inside.entry(directory).or_default().extend(users);
            }
        }
        let mut warnings = Vec::new();
        for (directory, mut users) in inside {
            users.sort_unstable();
            users.dedup();
            if users.len() >= WIDE_MIN {
                let item = items[self.files[directory][0]];
                let name = if directory.is_empty() { "." } else { directory };
                let message = format!(
                    "`{}` names the directory `{name}`, which puts {} tasks that name files in it into one convoy",
                    item.id,
                    users.len()
                );
                warnings.push(PlanWarning { line: item.line, message });
            }
        }
        warnings.sort();
        warnings
    }
}

/// `./src//a/` → `src/a`; the directory itself is the empty path.
fn clean(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").take(DEPTH_MAX).collect();
    parts.join("/")
}

/// The directories that a path lies in, the nearest last; the empty path lies in none.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let whole = if path.is_empty() { None } else { Some("") };
    whole.into_iter().chain(path.match_indices('/').map(|(at, _)| &path[..at]))
}

fn directory_before(path: &str, wild: usize) -> &str {
    path[..wild].rfind('/').map_or("", |slash| &path[..slash])
}

struct Glob {
    user: usize,
    /// None: too wild for the matcher, taken for its directory.
    matcher: Option<GlobMatcher>,
    /// What comes before the first component with a wildcard.
    directory: String,
    /// What comes after the last wildcard: two globs that end differently do not meet.
    tail: String,
}

impl Glob {
    fn new(path: &str, user: usize) -> Self {
        let wild = path.find(['*', '{']).unwrap_or(path.len());
        // `[id]` is a directory of several web frameworks, not a class of characters.
        let literal = path.replace('[', "\\[").replace(']', "\\]").replace('?', "\\?");
        let matcher = GlobBuilder::new(&literal).literal_separator(true).backslash_escape(true).build();
        Self {
            user,
            matcher: matcher.ok().map(|g| g.compile_matcher()),
            directory: directory_before(path, wild).to_owned(),
            tail: path[path.rfind(['*', '}']).map_or(0, |at| at + 1)..].to_owned(),
        }
    }

    /// Files in its directory, and the directories that it lies in.
    fn candidates<'a>(
        &self,
        files: &'a BTreeMap<String, Vec<usize>>,
    ) -> impl Iterator<Item = (&'a str, &'a Vec<usize>)> {
        let own = self.directory.clone();
        let inside = files
            .range(own.clone()..)
            .take_while(move |(path, _)| path.starts_with(&own))
            .map(|(path, users)| (path.as_str(), users));
        let above: Vec<_> = ancestors(&self.directory).filter_map(|d| files.get_key_value(d)).collect();
        inside.chain(above.into_iter().map(|(path, users)| (path.as_str(), users)))
    }

    /// Whether the file matches, or the directory may hold a match.
    fn may_meet(&self, path: &str, is_directory: bool) -> bool {
        match &self.matcher {
            Some(matcher) if !is_directory => matcher.is_match(path) || is_within(&self.directory, path),
            Some(_) | None => is_within(&self.directory, path) || is_within(path, &self.directory),
        }
    }

    fn may_meet_glob(&self, other: &Self) -> bool {
        let (a, b) = (&self.directory, &other.directory);
        (is_within(a, b) || is_within(b, a))
            && (self.tail.ends_with(other.tail.as_str()) || other.tail.ends_with(self.tail.as_str()))
    }
}

/// Whether `path` is `directory` or lies in it.
fn is_within(path: &str, directory: &str) -> bool {
    directory.is_empty()
        || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path that is in both lists, or a file or directory of one that lies in one of the other: what
/// links two tasks directly. Long lists are cut: this is for people.
pub(super) fn shared(ours: &[String], theirs: &[String]) -> Option<String> {
    let pairs = ours.iter().take(SHOWN_MAX).flat_map(|a| theirs.iter().take(SHOWN_MAX).map(move |b| (a, b)));
    pairs.into_iter().find_map(|(a, b)| meeting(a, b))
}

/// The narrower of two paths that meet.
fn meeting(a: &str, b: &str) -> Option<String> {
    let (one, other) = (clean(a), clean(b));
    let meets = match (is_glob(&one), is_glob(&other)) {
        (false, false) if is_within(&one, &other) => return Some(named(one)),
        (false, false) => is_within(&other, &one),
        (true, false) => Glob::new(&one, 0).may_meet(&other, b.ends_with('/')),
        (false, true) if Glob::new(&other, 0).may_meet(&one, a.ends_with('/')) => return Some(named(one)),
        (false, true) => false,
        (true, true) => Glob::new(&one, 0).may_meet_glob(&Glob::new(&other, 0)),
    };
    meets.then(|| named(other))
}

fn is_glob(path: &str) -> bool {
    path.contains(['*', '{'])
}

fn named(path: String) -> String {
    if path.is_empty() { ".".to_owned() } else { path }
}

/// Disjoint sets of items; the oldest one stands for its set.
struct Sets(Vec<usize>);

impl Sets {
    fn new(items: usize) -> Self {
        Self((0..items).collect())
    }

    fn root(&mut self, mut item: usize) -> usize {
        while self.0[item] != item {
            self.0[item] = self.0[self.0[item]];
            item = self.0[item];
        }
        item
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }

    fn finish(mut self, items: &[&PlanItem], warnings: Vec<PlanWarning>) -> Linked {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut of_item: Vec<Option<u32>> = vec![None; items.len()];
        for item in (0..items.len()).filter(|&i| !items[i].done) {
            let root = self.root(item);
            let number = *of_item[root].get_or_insert(super::graph::index(groups.len()));
            if number as usize == groups.len() {
                groups.push(Vec::new());
            }
            groups[number as usize].push(item);
            of_item[item] = Some(number);
        }
        Linked { groups, of_item, warnings }
    }
}
