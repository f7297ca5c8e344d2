//! The candidate: a task's head merged with the integration head, its box ticked.
//!
//! Deterministic: the same heads, titles and date give the same SHA, so a redo after a crash is
//! the same candidate. The task's own edits of the feature's `tasks.md` are dropped, so that file
//! never conflicts. Nothing here moves a branch or touches a working tree.
//!
//! Most candidates need no fork: trees are merged entry by entry (`trees.rs`), and only what
//! both sides changed goes to `git merge-tree`. External merge drivers never run: where the
//! repository configures some, libgit2, which knows none, merges instead.

use git2::{ErrorCode, Oid, Repository, Signature, Time, Tree};

use super::command::Git;
use super::durable;
use super::error::{Error, LibContext, Result};
use super::repo::{Identity, Repo, oid, sha};
use super::trees::{self, Entry};
use crate::domain::ids::{CommitSha, FeatureId, TaskId};

/// The longest title in a commit's subject, in characters.
const TITLE_MAX: usize = 200;
/// How much of a conflict's description is kept.
const DETAILS_MAX: usize = 4 * 1024;
/// How many conflicting paths are named.
const PATHS_MAX: usize = 200;
/// The mode of a file that is not executable.
const FILE_MODE: i32 = 0o100_644;

/// Ticks the task's box: the new bytes of `tasks.md`, or None where there is no open box.
pub type Tick<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// What a candidate is made of.
pub struct Request<'a> {
    /// The last landed commit, from the database: first parent.
    pub integration: &'a CommitSha,
    /// What the run ended with: second parent.
    pub head: &'a CommitSha,
    /// Whose work it is.
    pub feature: &'a FeatureId,
    /// Whose work it is.
    pub task: &'a TaskId,
    /// The developer's attempt, from 1.
    pub attempt: u32,
    /// Untrusted; becomes one clean line.
    pub title: &'a str,
    /// The path of `tasks.md` from the root and how to tick it; None for work without such a file.
    pub tasks_file: Option<(&'a str, Tick<'a>)>,
    /// Who commits.
    pub identity: &'a Identity,
    /// Seconds since 1970, fixed when the candidate is asked for, never read from a clock here.
    pub date: i64,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// A commit, durable, not referenced by anything yet.
    Made {
        /// The commit.
        commit: CommitSha,
        /// Its tree: what the gates judge and what their results are cached by.
        tree: CommitSha,
    },
    /// Both sides changed the same lines, names or modes.
    Conflict {
        /// The paths, sorted, at most 200.
        paths: Vec<String>,
        /// What git says about them, bounded.
        details: String,
    },
    /// The task changes nothing (beside `tasks.md`) that the integration branch has not.
    NoChange,
}

/// Makes it.
///
/// # Errors
/// [`Error`] if an object is missing, git fails, or the result cannot be made durable.
pub fn make(repo: &Repo, request: &Request<'_>) -> Result<Candidate> {
    let lib = repo.open()?;
    Maker { repo, lib: &lib, request, written: Vec::new() }.make()
}

struct Maker<'a> {
    repo: &'a Repo,
    lib: &'a Repository,
    request: &'a Request<'a>,
    /// Objects that we wrote, to be synced before anybody hears of the commit.
    written: Vec<Oid>,
}

enum Merged {
    Tree(Oid),
    Conflict { paths: Vec<String>, details: String },
}

impl<'a> Maker<'a> {
    fn make(mut self) -> Result<Candidate> {
        let ours = self.commit_tree(self.request.integration)?;
        let tree = match self.merge(&ours)? {
            Merged::Conflict { paths, details } => return Ok(Candidate::Conflict { paths, details }),
            Merged::Tree(tree) if tree == ours.id() => return Ok(Candidate::NoChange),
            Merged::Tree(tree) => self.tick(&ours, tree)?,
        };
        let commit = self.commit(tree)?;
        durable::sync_objects(self.lib, &self.written)?;
        Ok(Candidate::Made { commit: sha(commit), tree: sha(tree) })
    }

    /// The merge, in which `tasks.md` is the integration branch's.
    fn merge(&mut self, ours: &Tree<'_>) -> Result<Merged> {
        let (integration, head) = (oid(self.request.integration)?, oid(self.request.head)?);
        let theirs = self.commit_tree(self.request.head)?;
        let bases = match self.lib.merge_bases(integration, head) {
            Ok(bases) => bases.iter().copied().collect(),
            Err(e) if e.code() == ErrorCode::NotFound => Vec::new(),
            Err(e) => return Err(e).during("no merge base"),
        };
        let Some(base) = bases.first() else { return self.merge_commits(ours, head) };
        let base =
            self.lib.find_commit(*base).and_then(|c| c.tree()).during("the merge base is incomplete")?;
        let kept = self.without_own_ticks(&base, &theirs)?;
        if bases.len() == 1 {
            // What goes wrong here goes wrong again, with a better message, in the real merge.
            let quick = trees::merge(self.lib, base.id(), ours.id(), kept, &mut self.written);
            if let Ok(Some(tree)) = quick {
                return Ok(Merged::Tree(tree));
            }
        }
        let head = if kept == theirs.id() { head } else { self.stand_in(head, kept)? };
        self.merge_commits(ours, head)
    }

    /// The task's tree with the base's `tasks.md`, so that only our side can have changed it.
    fn without_own_ticks(&mut self, base: &Tree<'_>, theirs: &Tree<'_>) -> Result<Oid> {
        let Some((path, _)) = self.request.tasks_file else { return Ok(theirs.id()) };
        let what = || format!("cannot read `{path}`");
        let was = trees::lookup(self.lib, base, path).during(what())?;
        if was == trees::lookup(self.lib, theirs, path).during(what())? {
            return Ok(theirs.id());
        }
        trees::replace(self.lib, Some(theirs), path, was, &mut self.written)
            .during(format!("cannot drop edits of `{path}`"))
    }

    /// A commit that stands for `head` in the merge; nothing refers to it afterwards.
    fn stand_in(&self, head: Oid, tree: Oid) -> Result<Oid> {
        let parent = self.lib.find_commit(head).during("the task's head is incomplete")?;
        let tree = self.lib.find_tree(tree).during("a tree is missing")?;
        let signature = self.signature()?;
        self.lib
            .commit(None, &signature, &signature, "stand-in", &tree, &[&parent])
            .during("cannot write a commit")
    }

    fn merge_commits(&mut self, ours: &Tree<'_>, head: Oid) -> Result<Merged> {
        let integration = oid(self.request.integration)?;
        let merged = if has_merge_drivers(self.repo)? {
            self.merge_in_process(integration, head)?
        } else {
            merge_tree(self.repo, integration, head)?
        };
        self.forgive_tasks_file(ours, merged)
    }

    /// libgit2's merge: no external drivers, slower on big repositories.
    fn merge_in_process(&mut self, ours: Oid, theirs: Oid) -> Result<RawMerge> {
        let what = "cannot merge";
        let ours = self.lib.find_commit(ours).during(what)?;
        let theirs = self.lib.find_commit(theirs).during(what)?;
        let mut index = self.lib.merge_commits(&ours, &theirs, None).during(what)?;
        if !index.has_conflicts() {
            let tree = index.write_tree_to(self.lib).during(what)?;
            let mut new = std::collections::BTreeSet::new();
            new.insert(tree);
            durable::collect_new(self.lib, tree, ours.tree_id(), &mut new).during(what)?;
            self.written.extend(new);
            return Ok(RawMerge { tree: Some(tree), paths: Vec::new(), details: String::new() });
        }
        let mut paths = Vec::new();
        for conflict in index.conflicts().during(what)? {
            let conflict = conflict.during(what)?;
            let sides = [conflict.our, conflict.their, conflict.ancestor];
            paths.extend(sides.into_iter().flatten().map(|e| String::from_utf8_lossy(&e.path).into_owned()));
        }
        Ok(RawMerge { tree: None, paths: tidy(paths), details: String::new() })
    }

    /// A conflict in `tasks.md` alone (two merge bases, say) is none: our side's bytes are taken.
    fn forgive_tasks_file(&mut self, ours: &Tree<'_>, raw: RawMerge) -> Result<Merged> {
        let own = self.request.tasks_file.map(|(path, _)| path);
        let only_own = !raw.paths.is_empty() && raw.paths.iter().all(|p| Some(p.as_str()) == own);
        match (raw.tree, own) {
            (Some(tree), _) if raw.paths.is_empty() => Ok(Merged::Tree(tree)),
            (Some(tree), Some(path)) if only_own => {
                let what = || format!("cannot keep `{path}`");
                let kept = trees::lookup(self.lib, ours, path).during(what())?;
                let tree = self.lib.find_tree(tree).during(what())?;
                let id = trees::replace(self.lib, Some(&tree), path, kept, &mut self.written);
                Ok(Merged::Tree(id.during(what())?))
            }
            _ => Ok(Merged::Conflict { paths: raw.paths, details: raw.details }),
        }
    }

    /// Ticks the box in our side's `tasks.md`; where there is none to tick, it stays as ours is.
    fn tick(&mut self, ours: &Tree<'_>, merged: Oid) -> Result<Oid> {
        let Some((path, tick)) = self.request.tasks_file else { return Ok(merged) };
        let what = || format!("cannot tick `{path}`");
        let Some(old) = trees::lookup(self.lib, ours, path).during(what())? else { return Ok(merged) };
        let Ok(blob) = self.lib.find_blob(old.id) else { return Ok(merged) };
        let Some(bytes) = tick(blob.content()) else { return Ok(merged) };
        let id = self.lib.blob(&bytes).during(what())?;
        self.written.push(id);
        let mode = if old.mode & 0o170_000 == 0o100_000 { old.mode } else { FILE_MODE };
        let tree = self.lib.find_tree(merged).during(what())?;
        trees::replace(self.lib, Some(&tree), path, Some(Entry { id, mode }), &mut self.written)
            .during(what())
    }

    fn commit(&mut self, tree: Oid) -> Result<Oid> {
        let what = "cannot write the candidate";
        let tree = self.lib.find_tree(tree).during(what)?;
        let first = self.lib.find_commit(oid(self.request.integration)?).during(what)?;
        let second = self.lib.find_commit(oid(self.request.head)?).during(what)?;
        let signature = self.signature()?;
        let message = message(self.request);
        let parents = [&first, &second];
        let id = self.lib.commit(None, &signature, &signature, &message, &tree, &parents).during(what)?;
        self.written.push(id);
        Ok(id)
    }

    fn signature(&self) -> Result<Signature<'static>> {
        let Identity { name, email } = self.request.identity;
        Signature::new(name, email, &Time::new(self.request.date, 0))
            .during("the identity cannot sign a commit")
    }

    fn commit_tree(&self, commit: &CommitSha) -> Result<Tree<'a>> {
        let lib: &'a Repository = self.lib;
        lib.find_commit(oid(commit)?)
            .and_then(|c| c.tree())
            .during(format!("commit {} is incomplete", commit.short()))
    }
}

/// Subject and trailers. The subject is one line, so no title can add a trailer.
fn message(request: &Request<'_>) -> String {
    let Request { task, feature, attempt, .. } = request;
    let title = one_line(request.title);
    let subject = if title.is_empty() { task.to_string() } else { format!("{task}: {title}") };
    format!("{subject}\n\nSprint-Task: {task}\nSprint-Feature: {feature}\nSprint-Attempt: {attempt}\n")
}

/// Control characters, line and paragraph separators and direction marks become one blank.
pub fn one_line(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let spaced: String = text.chars().map(|c| if hidden(c) { ' ' } else { c }).take(TITLE_MAX * 20).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    words.join(" ").chars().take(TITLE_MAX).collect::<String>().trim_end().to_owned()
}

/// What an engine found. A conflict has paths; a tree may be there all the same.
#[derive(Debug, PartialEq, Eq)]
struct RawMerge {
    tree: Option<Oid>,
    paths: Vec<String>,
    details: String,
}

/// `git merge-tree` on the common directory, with the attributes of the integration head.
fn merge_tree(repo: &Repo, ours: Oid, theirs: Oid) -> Result<RawMerge> {
    let output = repo
        .git()
        .args([
            "merge-tree",
            "--write-tree",
            "-z",
            "--name-only",
            "--messages",
            "--allow-unrelated-histories",
        ])
        .arg(ours.to_string())
        .arg(theirs.to_string())
        .env("GIT_ATTR_SOURCE", ours.to_string())
        .output()?;
    match output.status.code() {
        Some(0 | 1) => {
            parse_merge_tree(&output.stdout, output.status.success()).ok_or_else(|| Error::Failed {
                command: "merge-tree".to_owned(),
                status: "an answer that cannot be read".to_owned(),
                stderr: output.stderr,
            })
        }
        code => Err(Error::Failed {
            command: "merge-tree".to_owned(),
            status: format!("exit code {code:?}"),
            stderr: output.stderr.trim().to_owned(),
        }),
    }
}

/// `<tree> NUL (<path> NUL)* NUL (<count> NUL <path>… NUL <kind> NUL <message> NUL)*`
fn parse_merge_tree(stdout: &[u8], clean: bool) -> Option<RawMerge> {
    let mut fields = stdout.split(|b| *b == 0).map(String::from_utf8_lossy);
    let tree = Oid::from_str(fields.next()?.trim()).ok()?;
    if clean {
        return Some(RawMerge { tree: Some(tree), paths: Vec::new(), details: String::new() });
    }
    let mut paths = Vec::new();
    for field in fields.by_ref() {
        if field.is_empty() {
            break;
        }
        paths.push(field.into_owned());
    }
    let mut details = String::new();
    while let Some(count) = fields.next().and_then(|f| f.parse::<usize>().ok()) {
        let named: Vec<String> = fields.by_ref().take(count).map(std::borrow::Cow::into_owned).collect();
        let kind = fields.next()?;
        let message = fields.next()?;
        if kind != "Auto-merging" {
            paths.extend(named);
            details.push_str(&message);
        }
    }
    let cut = details.floor_char_boundary(DETAILS_MAX);
    details.truncate(cut);
    Some(RawMerge { tree: Some(tree), paths: tidy(paths), details })
}

fn tidy(mut paths: Vec<String>) -> Vec<String> {
    paths.sort_unstable();
    paths.dedup();
    paths.truncate(PATHS_MAX);
    paths
}

/// True if a merge by the binary could start a program that the repository names: its `config` is
/// shared with every agent's worktree. `info/attributes` could select one past any tree.
fn has_merge_drivers(repo: &Repo) -> Result<bool> {
    if repo.common_dir.join("info/attributes").exists() {
        return Ok(true);
    }
    let listed =
        Git::new(&repo.common_dir).args(["config", "--includes", "--name-only", "-z", "--get-regexp"]);
    let output = listed.arg(r"^merge\..*\.driver$").output()?;
    Ok(!output.stdout.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

    fn parse(rest: &str, clean: bool) -> Option<RawMerge> {
        parse_merge_tree(format!("{TREE}{rest}").as_bytes(), clean)
    }

    #[test]
    fn a_clean_answer_is_a_tree() {
        let merge = parse("\0", true).unwrap();
        assert_eq!((merge.tree.unwrap().to_string().as_str(), merge.paths.len()), (TREE, 0));
    }

    #[test]
    fn a_conflict_names_paths_and_leaves_out_what_merged() {
        let messages =
            "\x001\0a.txt\0Auto-merging\0Auto-merging a.txt\n\x002\0b\0c\0CONFLICT (rename)\0it clashes\n\0";
        let merge = parse(&format!("\0b\0{messages}"), false).unwrap();
        assert_eq!(merge.paths, ["b", "c"]);
        assert_eq!(merge.details, "it clashes\n");
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert_eq!(parse_merge_tree(b"", true), None);
        assert_eq!(parse_merge_tree(b"fatal: nonsense", false), None);
        assert!(parse("\0a\0\x001\0a", false).is_none());
        assert!(parse("", false).is_some());
    }

    #[test]
    fn long_details_are_cut_between_characters() {
        let text = "\u{e9}".repeat(DETAILS_MAX);
        let merge = parse(&format!("\0a\0\x001\0a\0CONFLICT\0x{text}\0"), false).unwrap();
        assert!(merge.details.len() <= DETAILS_MAX);
    }
}
