//! Files that a tool would load or start in the place of what it means to.

/// Modules that tests and tools import, and that nothing in a repository should be called.
const MODULES: &[&str] = &[
    // Tools and what they are made of.
    "pytest",
    "_pytest",
    "pluggy",
    "coverage",
    "pytest_cov",
    "mypy",
    "mypyc",
    "ruff",
    "radon",
    "mutmut",
    "semgrep",
    "bandit",
    "detect_secrets",
    "pip_audit",
    "xdist",
    "hypothesis",
    "unittest",
    "doctest",
    "nose",
    "iniconfig",
    "typing_extensions",
];

/// Python's own, separated by blanks.
const STANDARD: &str = "abc aifc argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect \
    builtins bz2 cProfile calendar cgi cgitb chunk cmath cmd code codecs codeop collections \
    colorsys compileall concurrent configparser contextlib contextvars copy copyreg crypt csv \
    ctypes curses dataclasses datetime dbm decimal difflib dis distutils doctest email encodings \
    ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc \
    genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http imaplib \
    imghdr imp importlib inspect io ipaddress itertools json keyword linecache locale logging lzma \
    mailbox mailcap marshal math mimetypes mmap modulefinder multiprocessing netrc nis nntplib \
    numbers opcode operator optparse os ossaudiodev pathlib pdb pickle pickletools pipes pkgutil \
    platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc \
    pydoc_data pyexpat queue quopri random re readline reprlib resource rlcompleter runpy sched \
    secrets select selectors shelve shlex shutil signal site smtpd smtplib sndhdr socket \
    socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics string \
    stringprep struct subprocess sunau symtable sys sysconfig syslog tabnanny tarfile telnetlib \
    tempfile termios textwrap threading time timeit tkinter token tokenize tomllib trace traceback \
    tracemalloc tty turtle types typing unicodedata unittest urllib uu uuid venv warnings wave \
    weakref webbrowser wsgiref xdrlib xml xmlrpc zipapp zipfile zipimport zlib zoneinfo";

/// What Python runs whenever it starts, if it is in its way.
const STARTERS: &[&str] = &["sitecustomize", "usercustomize"];

/// Directories from which Python imports while tests run.
const ROOTS: &[&str] = &["", "src/", "lib/", "tests/", "test/"];

/// Why a file that a change brings is in some tool's way; `programs` are those that gates start.
pub(super) fn why(path: &str, programs: &[&str]) -> Option<String> {
    let (directory, name) = path.rsplit_once('/').map_or(("", path), |(dir, name)| (dir, name));
    if matches!(name.rsplit_once('.'), Some((_, "pth" | "egg-link"))) {
        return Some(format!("`{name}` changes where Python looks for modules"));
    }
    if matches!(name.rsplit_once('.'), Some((_, "pyc" | "pyo"))) && directory.ends_with("__pycache__") {
        return Some("Python believes what is compiled in the place of the source beside it".to_owned());
    }
    let module =
        if name == "__init__.py" { directory.rsplit('/').next().unwrap_or_default() } else { stem(name) };
    if STARTERS.contains(&module) {
        return Some(format!("`{module}` runs whenever Python starts"));
    }
    let known = |module: &&str| MODULES.contains(module) || STANDARD.split(' ').any(|name| name == *module);
    if let Some(module) = top_module(path).filter(known) {
        return Some(format!("it takes the place of the module `{module}`"));
    }
    // A directory that belongs into a PATH, or a program that lies about.
    let is_bin = matches!(directory.rsplit('/').next(), Some("bin" | ".bin"));
    (programs.contains(&name) && (directory.is_empty() || is_bin))
        .then(|| format!("it has the name of the program `{name}`, which gates start"))
}

/// The code that a stub would stand for: a type checker looks at the stub alone.
pub(super) fn code_of(path: &str) -> Option<String> {
    path.strip_suffix(".pyi").map(|name| format!("{name}.py"))
}

/// The module or package that the file makes or belongs to, where it can be imported by that name.
fn top_module(path: &str) -> Option<&str> {
    let in_root = |root: &&&str| path.starts_with(**root);
    let longest = ROOTS.iter().filter(in_root).max_by_key(|root| root.len())?;
    let rest = &path[longest.len()..];
    match rest.split_once('/') {
        // `tests/json/…` is a directory of cases unless it is a package.
        Some((package, file)) => (stem(file) == "__init__").then_some(package),
        None => Some(stem(rest)).filter(|stem| !stem.is_empty()),
    }
}

/// The module that a file is; empty for what is none.
fn stem(name: &str) -> &str {
    let module = [".py", ".pyi", ".so", ".pyc"].iter().find_map(|ending| name.strip_suffix(ending));
    module.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_tools_way() {
        let said = |path| why(path, &["ruff", "pytest"]).is_some();
        for path in [
            "sitecustomize.py",
            "src/usercustomize.py",
            "sitecustomize/__init__.py",
            "x.pth",
            "pytest.py",
            "tests/colorsys.py",
            "typing.pyi",
            "src/json.py",
            "coverage/__init__.py",
            "tests/unittest.py",
            "ruff",
            "bin/pytest",
            "node_modules/.bin/ruff",
            "src/app/__pycache__/calc.cpython-311.pyc",
        ] {
            assert!(said(path), "{path}");
        }
        for path in [
            "src/app/json.py",
            "tests/json/a.py",
            "tests/test_json.py",
            "docs/pytest",
            "json.md",
            "src/jsonx.py",
            "types.ts",
        ] {
            assert!(!said(path), "{path}");
        }
    }
}
