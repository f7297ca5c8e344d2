//! The sample repository, out of this program. Writes into an empty or new directory only.

use std::fs;
use std::path::{Path, PathBuf};

use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature};

use crate::error::CliError;

/// Tells the scripts where signs between them and the demo lie.
pub(super) const SIGNS_VARIABLE: &str = "DEMO_SIGNS";
/// Who commits in the sample.
const NAME: &str = "sprint demo";
const EMAIL: &str = "demo@example.invalid";

macro_rules! sample {
    ($($at:literal = $from:literal),* $(,)?) => {
        &[$(($at, include_str!(concat!("../../../config/demo/", $from)))),*]
    };
}

/// Every file of the sample, and what is in it.
pub(super) const FILES: &[(&str, &str)] = sample![
    ".gitignore" = "library/gitignore",
    "README.md" = "library/README.md",
    "pyproject.toml" = "library/pyproject.toml",
    "sprint.toml" = "library/sprint.toml",
    "src/humanly/__init__.py" = "library/src/humanly/__init__.py",
    "src/humanly/numbers.py" = "library/src/humanly/numbers.py",
    "tests/test_numbers.py" = "library/tests/test_numbers.py",
    "specs/001-words/spec.md" = "feature/spec.md",
    "specs/001-words/plan.md" = "feature/plan.md",
    "specs/001-words/tasks.md" = "feature/tasks.md",
    "specs/001-words/script/T001.toml" = "script/T001.toml",
    "specs/001-words/script/T002.toml" = "script/T002.toml",
    "specs/001-words/script/T003.toml" = "script/T003.toml",
    "specs/001-words/script/T004.toml" = "script/T004.toml",
    "specs/001-words/script/T005.toml" = "script/T005.toml",
    "specs/001-words/script/T006.toml" = "script/T006.toml",
    "specs/001-words/script/T007.toml" = "script/T007.toml",
    "specs/001-words/script/T008.toml" = "script/T008.toml",
];

/// Where the signs lie: in the git directory, so that the checkout stays clean.
pub(super) fn signs(dir: &Path) -> PathBuf {
    dir.join(".git/demo-signs")
}

/// Writes and commits the sample.
///
/// # Errors
/// The directory has something in it (exit 4), or cannot be written (exit 3).
pub(super) fn write(dir: &Path) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        CliError::environment(format!("the sample cannot be written to `{}`", dir.display())).because(error)
    };
    if dir.exists() && (!dir.is_dir() || fs::read_dir(dir).map_err(failed)?.next().is_some()) {
        return Err(CliError::refused(format!("`{}` is not an empty directory", dir.display()))
            .hint("name a directory that is new or empty: sprint demo DIR"));
    }
    for (path, text) in FILES {
        let file = dir.join(path);
        fs::create_dir_all(file.parent().unwrap_or(dir)).map_err(failed)?;
        fs::write(&file, text).map_err(failed)?;
    }
    commit(dir).map_err(|error| {
        CliError::environment(format!("git cannot make a repository in `{}`", dir.display())).because(error)
    })?;
    fs::create_dir_all(signs(dir)).map_err(failed)
}

fn commit(dir: &Path) -> Result<(), git2::Error> {
    // No template: a person's hooks are not for the sample.
    let mut options = RepositoryInitOptions::new();
    options.initial_head("main").external_template(false).no_reinit(true);
    let repo = Repository::init_opts(dir, &options)?;
    let mut config = repo.config()?.open_level(git2::ConfigLevel::Local)?;
    config.set_str("user.name", NAME)?;
    config.set_str("user.email", EMAIL)?;
    let mut index = repo.index()?;
    index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
    index.write()?;
    let tree = repo.find_tree(index.write_tree()?)?;
    let author = Signature::now(NAME, EMAIL)?;
    repo.commit(Some("HEAD"), &author, &author, "humanly, and the feature 001-words", &tree, &[])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_clean_repository_with_everything_committed() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let repo = Repository::open(dir.path()).unwrap();
        assert_eq!(repo.head().unwrap().shorthand(), Ok("main"));
        let mut statuses = git2::StatusOptions::new();
        let left = repo.statuses(Some(statuses.include_untracked(true))).unwrap();
        assert_eq!(left.len(), 0);
        let again = write(dir.path()).unwrap_err();
        assert_eq!(again.exit_code(), 4);
    }

    #[test]
    fn other_tools_that_are_installed_are_not_asked() {
        let text = FILES.iter().find(|(at, _)| *at == "sprint.toml").unwrap().1;
        let words: Vec<String> = super::super::SAMPLE_GATES
            .iter()
            .chain(&["integrity"])
            .map(|gate| format!("\"{gate}\""))
            .collect();
        assert!(text.contains(&format!("presets = [{}]", words.join(", "))), "{text}");
    }

    #[test]
    fn every_script_can_be_played_and_belongs_to_a_task() {
        let tasks = FILES.iter().find(|(at, _)| at.ends_with("tasks.md")).unwrap().1;
        let scripts = FILES.iter().filter(|(at, _)| at.contains("/script/"));
        for (at, text) in scripts {
            crate::agents::script::parse(at, text).unwrap();
            let id = Path::new(at).file_stem().unwrap().to_str().unwrap();
            assert!(tasks.contains(&format!("- [ ] {id} ")), "{id}");
        }
        let read = crate::feature::TaskFile::read(tasks.as_bytes());
        assert_eq!(read.tasks.len(), 8);
        assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    }
}
