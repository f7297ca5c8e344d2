//! Trees as values: look a path up, replace it, merge three of them.
//!
//! [`merge`] decides only what needs no look inside a file and no search for renames: where one
//! side left an entry alone, the other side's stands. Everything else is for a real merge.

use git2::{Error, ErrorCode, ObjectType, Oid, Repository, Tree};

/// An entry of a tree: what, and with which mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: Oid,
    pub(super) mode: i32,
}

pub(super) const TREE_MODE: i32 = 0o040_000;

impl Entry {
    fn is_tree(self) -> bool {
        self.mode == TREE_MODE
    }
}

fn entry(tree: Option<&Tree<'_>>, name: &[u8]) -> Option<Entry> {
    let found = tree?.iter().find(|e| e.name_bytes() == name)?;
    Some(Entry { id: found.id(), mode: found.filemode_raw() })
}

/// The entry at a path with `/`.
pub(super) fn lookup(repo: &Repository, tree: &Tree<'_>, path: &str) -> Result<Option<Entry>, Error> {
    let Some((first, rest)) = path.split_once('/') else { return Ok(entry(Some(tree), path.as_bytes())) };
    match entry(Some(tree), first.as_bytes()) {
        Some(found) if found.is_tree() => lookup(repo, &repo.find_tree(found.id)?, rest),
        _ => Ok(None),
    }
}

/// The tree with `path` set to `to`, or without it; collects the trees that it wrote.
///
/// A file that stands where a directory of the path must be gives way.
pub(super) fn replace(
    repo: &Repository,
    tree: Option<&Tree<'_>>,
    path: &str,
    to: Option<Entry>,
    written: &mut Vec<Oid>,
) -> Result<Oid, Error> {
    let mut builder = repo.treebuilder(tree)?;
    let (first, new) = match path.split_once('/') {
        None => (path, to),
        Some((first, rest)) => {
            let inner = match entry(tree, first.as_bytes()) {
                Some(found) if found.is_tree() => Some(repo.find_tree(found.id)?),
                _ => None,
            };
            let id = replace(repo, inner.as_ref(), rest, to, written)?;
            let empty = repo.find_tree(id)?.is_empty();
            (first, (!empty).then_some(Entry { id, mode: TREE_MODE }))
        }
    };
    match new {
        Some(new) => {
            builder.insert(first, new.id, new.mode)?;
        }
        None => match builder.remove(first) {
            Err(e) if e.code() != ErrorCode::NotFound && tree.and_then(|t| t.get_name(first)).is_some() => {
                return Err(e);
            }
            _ => {}
        },
    }
    let id = builder.write()?;
    written.push(id);
    Ok(id)
}

/// The three-way merge, or None where it takes more than a comparison of entries.
pub(super) fn merge(
    repo: &Repository,
    base: Oid,
    ours: Oid,
    theirs: Oid,
    written: &mut Vec<Oid>,
) -> Result<Option<Oid>, Error> {
    if ours == theirs || theirs == base {
        return Ok(Some(ours));
    }
    if ours == base {
        return Ok(Some(theirs));
    }
    let (base, ours_tree, theirs) = (repo.find_tree(base)?, repo.find_tree(ours)?, repo.find_tree(theirs)?);
    let mut builder = repo.treebuilder(Some(&ours_tree))?;
    for name in names(&base, &theirs) {
        let sides = [&base, &ours_tree, &theirs].map(|t| entry(Some(t), &name));
        let [b, o, t] = sides;
        if t == b || (o == t && !may_hide_renames(o)) {
            continue;
        }
        let taken = match (b, o, t) {
            _ if o == b => {
                // Their new name could clash with ours only as file against directory, and that is
                // one name here: the entries would differ.
                t
            }
            (Some(b), Some(o), Some(t)) if b.is_tree() && o.is_tree() && t.is_tree() => {
                match merge(repo, b.id, o.id, t.id, written)? {
                    Some(id) => Some(Entry { id, mode: TREE_MODE }),
                    None => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        match taken {
            Some(entry) => drop(builder.insert(name.as_slice(), entry.id, entry.mode)?),
            None => builder.remove(name.as_slice())?,
        }
    }
    if builder.is_empty() {
        return Ok(None);
    }
    let id = builder.write()?;
    written.push(id);
    Ok(Some(id))
}

/// Both sides removed it, or changed a directory alike: each may have moved a file out of it to
/// another place, and that is a conflict which only a search for renames finds.
fn may_hide_renames(entry: Option<Entry>) -> bool {
    entry.is_none_or(Entry::is_tree)
}

/// Names that the other side may have changed. Names that only we have stay as they are.
fn names(base: &Tree<'_>, theirs: &Tree<'_>) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = base.iter().chain(theirs.iter()).map(|e| e.name_bytes().to_vec()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Every blob's path below a tree whose last component satisfies `wanted`.
pub(super) fn find_files(tree: &Tree<'_>, wanted: impl Fn(&[u8], i32) -> bool) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    tree.walk(git2::TreeWalkMode::PreOrder, |root, entry| {
        if entry.kind() != Some(ObjectType::Tree) && wanted(entry.name_bytes(), entry.filemode_raw()) {
            found.push(format!("{root}{}", String::from_utf8_lossy(entry.name_bytes())));
        }
        git2::TreeWalkResult::Ok
    })?;
    Ok(found)
}
