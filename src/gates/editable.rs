//! Packages that are installed from the person's checkout itself (`pip install -e`): a tree that is judged
//! elsewhere has to run its own code, and not the checkout's.
//!
//! Editable installs: <https://packaging.python.org/en/latest/specifications/direct-url/>; lines of `.pth` files:
//! <https://docs.python.org/3/library/site.html>; setuptools' finders map names to paths.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::besides::site_packages;
use super::interpreter;

/// A file that leads elsewhere is read up to this.
const BYTES_MAX: u64 = 1 << 20;

/// The virtual environment that a program belongs to: a script of Python's, or the interpreter itself.
pub(super) fn environment(program: &Path) -> Option<PathBuf> {
    let python = interpreter::of(program).unwrap_or_else(|| program.to_owned());
    let environment = python.parent()?.parent()?;
    environment.join("pyvenv.cfg").is_file().then(|| environment.to_owned())
}

/// Where modules begin that the environment takes from the checkout, relative to it.
pub(super) fn places(environment: &Path, checkout: &Path) -> Vec<PathBuf> {
    let checkouts = [Some(checkout.to_owned()), checkout.canonicalize().ok()];
    let inside = |path: &Path| {
        checkouts.iter().flatten().find_map(|checkout| path.strip_prefix(checkout).ok()).map(Path::to_owned)
    };
    let files = site_packages(environment).into_iter().filter_map(|directory| fs::read_dir(directory).ok());
    let files = files.flat_map(|entries| entries.flatten().map(|entry| entry.path()));
    let all: BTreeSet<PathBuf> =
        files.flat_map(|file| named(&file)).filter_map(|place| inside(&place)).collect();
    all.into_iter().collect()
}

/// The directories that a file of `site-packages` adds to where modules are looked for.
fn named(file: &Path) -> Vec<PathBuf> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ends_in = |end: &str| file.extension().is_some_and(|last| last == end);
    let is_finder = name.starts_with("__editable__") && ends_in("py");
    let ends_in_pth = ends_in("pth");
    if !(is_finder || ends_in_pth) || file.metadata().map_or(true, |meta| meta.len() > BYTES_MAX) {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned();
    if ends_in_pth {
        let lines = text.lines().map(|line| PathBuf::from(line.trim()));
        return lines.filter(|path| path.is_absolute() && path.is_dir()).collect();
    }
    // `MAPPING: dict[str, str] = {'pkga': '/repo/python/pkga'}`: a package, or a module's file.
    let paths = text.split(['\'', '"']).map(Path::new).filter(|path| path.is_absolute());
    let places = paths.filter(|path| path.exists() || path.with_extension("py").exists());
    places.filter_map(|path| path.parent().map(Path::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_into_the_checkout_is_told_by_its_place_there() {
        let dir = tempfile::tempdir().unwrap();
        let (checkout, elsewhere) = (dir.path().join("repo"), dir.path().join("other"));
        let packages = checkout.join(".venv/lib/python3.11/site-packages");
        for made in [
            &packages,
            &checkout.join(".venv/bin"),
            &checkout.join("packages/core/src"),
            &checkout.join("python/pkga"),
            &elsewhere,
        ] {
            fs::create_dir_all(made).unwrap();
        }
        fs::write(checkout.join(".venv/pyvenv.cfg"), "").unwrap();
        let python = checkout.join(".venv/bin/python");
        fs::write(&python, "").unwrap();
        let environment = environment(&python).unwrap();
        assert_eq!(environment, checkout.join(".venv"));
        assert!(places(&environment, &checkout).is_empty());
        let core =
            format!("{}\nimport x\n{}\n", checkout.join("packages/core/src").display(), elsewhere.display());
        fs::write(packages.join("_core.pth"), core).unwrap();
        let mapping = format!("MAPPING = {{'pkga': '{}'}}", checkout.join("python/pkga").display());
        fs::write(packages.join("__editable___pkga_1_finder.py"), mapping).unwrap();
        let found = places(&environment, &checkout);
        assert_eq!(found, [PathBuf::from("packages/core/src"), PathBuf::from("python")]);
        assert!(super::environment(&elsewhere.join("bin/pytest")).is_none());
    }
}
