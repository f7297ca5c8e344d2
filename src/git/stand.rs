//! Where a checkout stands, to see whether anybody has moved it: what is checked out, and what was stashed.

use git2::Repository;

use super::error::{LibContext, Result};
use super::repo::Repo;

/// What is checked out, and the newest stash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// `refs/heads/main`, or `HEAD` itself.
    branch: String,
    /// None: nothing is committed yet.
    commit: Option<String>,
    stash: Option<String>,
}

/// Where the checkout stands now.
///
/// # Errors
/// It cannot be read.
pub fn stand(repo: &Repo) -> Result<Stand> {
    let what = "cannot read what is checked out";
    let lib = Repository::open(&repo.git_dir).during(what)?;
    let head = lib.find_reference("HEAD").during(what)?;
    let branch = head.symbolic_target().during(what)?.unwrap_or("HEAD").to_owned();
    let at = |name: &str| lib.refname_to_id(name).ok().map(|id| id.to_string());
    Ok(Stand { branch, commit: at("HEAD"), stash: at("refs/stash") })
}

impl Stand {
    /// What has moved since, for people, and how it is put back.
    #[must_use]
    pub fn moved_to(&self, now: &Self) -> Option<String> {
        let short = |commit: &Option<String>| {
            commit.as_deref().map_or("nothing", |id| id.get(..7).unwrap_or(id)).to_owned()
        };
        if self.branch != now.branch {
            let name = |branch: &str| branch.strip_prefix("refs/heads/").unwrap_or(branch).to_owned();
            let (before, after) = (name(&self.branch), name(&now.branch));
            let back = if before == "HEAD" { short(&self.commit) } else { before.clone() };
            return Some(format!(
                "while it ran, `{after}` was checked out in the place of `{before}` (back: `git checkout {back}`)"
            ));
        }
        if self.commit != now.commit {
            let (before, after) = (short(&self.commit), short(&now.commit));
            let back = match &self.commit {
                Some(_) => format!(" (back, with your files as they are: `git reset --soft {before}`)"),
                None => String::new(),
            };
            return Some(format!("while it ran, HEAD moved from {before} to {after}{back}"));
        }
        (self.stash != now.stash).then(|| {
            "while it ran, what is stashed changed (`git stash list`; back: `git stash pop`)".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Stand;

    fn stand(branch: &str, commit: Option<&str>, stash: Option<&str>) -> Stand {
        Stand {
            branch: branch.to_owned(),
            commit: commit.map(str::to_owned),
            stash: stash.map(str::to_owned),
        }
    }

    #[test]
    fn what_has_moved_is_told_with_the_way_back() {
        let before = stand("refs/heads/main", Some("0123456789"), None);
        assert_eq!(before.moved_to(&before), None);
        let told = |now: Stand| before.moved_to(&now).unwrap();
        assert_eq!(
            told(stand("refs/heads/main", Some("abcdef0123"), None)),
            "while it ran, HEAD moved from 0123456 to abcdef0 (back, with your files as they are: `git reset --soft 0123456`)"
        );
        assert_eq!(
            told(stand("HEAD", Some("0123456789"), None)),
            "while it ran, `HEAD` was checked out in the place of `main` (back: `git checkout main`)"
        );
        assert_eq!(
            told(stand("refs/heads/main", Some("0123456789"), Some("ff"))),
            "while it ran, what is stashed changed (`git stash list`; back: `git stash pop`)"
        );
    }
}
