//! Paths in prose: in back-ticks or bare, existing or not, files, directories and globs.
//!
//! It refuses what leads out of the repository (`..`, `/etc`, `~`, `C:\`) and what only looks like
//! a path (URLs, routes, "and/or", media types, `console.log`).

/// Paths taken from one task; nobody changes more files than that in one go on purpose.
pub(super) const PATHS_MAX: usize = 64;
/// Bytes of one path.
const PATH_MAX: usize = 255;

/// Endings that make a bare word without `/` a file.
const ENDINGS: &[&str] = &[
    "py",
    "pyi",
    "ipynb",
    "rs",
    "toml",
    "lock",
    "ts",
    "tsx",
    "mts",
    "cts",
    "js",
    "jsx",
    "mjs",
    "cjs",
    "vue",
    "svelte",
    "astro",
    "json",
    "jsonc",
    "json5",
    "yaml",
    "yml",
    "md",
    "mdx",
    "rst",
    "txt",
    "csv",
    "tsv",
    "sql",
    "sh",
    "bash",
    "zsh",
    "ps1",
    "bat",
    "go",
    "mod",
    "sum",
    "java",
    "kt",
    "kts",
    "gradle",
    "scala",
    "rb",
    "php",
    "c",
    "h",
    "cc",
    "cpp",
    "cxx",
    "hpp",
    "cs",
    "csproj",
    "sln",
    "fs",
    "swift",
    "m",
    "mm",
    "dart",
    "ex",
    "exs",
    "erl",
    "hs",
    "lua",
    "html",
    "htm",
    "css",
    "scss",
    "sass",
    "less",
    "xml",
    "proto",
    "graphql",
    "gql",
    "tf",
    "hcl",
    "ini",
    "cfg",
    "conf",
    "properties",
    "env",
    "example",
    "sample",
    "template",
    "tmpl",
    "j2",
    "prisma",
    "svg",
    "png",
    "jpg",
    "ico",
    "pdf",
    "snap",
    "cmake",
    "mk",
    "dockerfile",
    "gitignore",
    "plist",
    "storyboard",
    "razor",
    "cshtml",
];

/// Files without an ending.
const NAMES: &[&str] = &[
    "Makefile",
    "Dockerfile",
    "Containerfile",
    "Justfile",
    "justfile",
    "Procfile",
    "Gemfile",
    "Rakefile",
    "Jenkinsfile",
    "Vagrantfile",
    "CODEOWNERS",
    "LICENSE",
    "CHANGELOG",
    ".gitignore",
    ".gitattributes",
    ".dockerignore",
    ".editorconfig",
    ".env",
    ".env.example",
    ".env.local",
    ".eslintrc",
    ".prettierrc",
    ".npmrc",
    ".nvmrc",
    ".python-version",
    ".worktreeinclude",
];

/// Directories that make a bare word with `/` a path although it has no ending.
const ROOTS: &[&str] = &[
    "src",
    "tests",
    "test",
    "lib",
    "libs",
    "app",
    "apps",
    "backend",
    "frontend",
    "docs",
    "doc",
    "packages",
    "scripts",
    "api",
    "web",
    "client",
    "server",
    "cmd",
    "internal",
    "pkg",
    "crates",
    "config",
    "configs",
    "migrations",
    "specs",
    "examples",
    "benches",
    "public",
    "assets",
    "components",
    "services",
    "models",
    "ios",
    "android",
    "infra",
    "tools",
    "bin",
    "include",
    "modules",
    "core",
    "shared",
    "e2e",
    "contracts",
    ".github",
    "data",
    "templates",
    "static",
];

/// Products whose names end like files.
const PRODUCTS: &[&str] = &[
    "node.js",
    "next.js",
    "vue.js",
    "react.js",
    "nuxt.js",
    "nest.js",
    "express.js",
    "three.js",
    "chart.js",
    "d3.js",
    "socket.io",
    "discord.js",
    "alpine.js",
    "ember.js",
    "backbone.js",
    "angular.js",
    "deck.gl",
    "moment.js",
    "day.js",
    "asp.net",
    "p5.js",
    "electron.js",
    "solid.js",
    "fastify.js",
    "stimulus.js",
];

/// Adds the paths in `text` to `found`, each once. False if there were too many.
pub(super) fn collect(text: &str, found: &mut Vec<String>) -> bool {
    let mut complete = true;
    for (quoted, part) in parts(text) {
        for word in part.split(|c: char| c.is_whitespace() || is_break(c, quoted)) {
            let Some(path) = path(word, quoted) else { continue };
            if found.contains(&path) {
            } else if found.len() < PATHS_MAX {
                found.push(path);
            } else {
                complete = false;
            }
        }
    }
    complete
}

/// The text outside and inside of back-ticks, in turn. An odd last one quotes nothing.
fn parts(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let count = text.matches('`').count();
    let last = count - count % 2;
    text.split('`').enumerate().map(move |(n, part)| (n % 2 == 1 && n <= last, part))
}

/// What no path of ours contains; outside of back-ticks also what punctuation is.
fn is_break(c: char, quoted: bool) -> bool {
    matches!(
        c,
        '"' | '<' | '>' | '|' | ';' | '，' | '、' | '；' | '（' | '）' | '。' | '：' | '“' | '”' | '='
    ) || (!quoted && matches!(c, '\'' | '→'))
}

fn path(word: &str, quoted: bool) -> Option<String> {
    let word = word.trim_matches(|c| matches!(c, '*' | '_') && !word.contains(['/', '.']));
    let word = if quoted { unwrap(word) } else { after_cjk(unwrap(word)) };
    let word = before_comma(word);
    if has_placeholder(word) {
        return None;
    }
    let word = word.split("::").next()?.split('#').next()?;
    if word.is_empty() || word.len() > PATH_MAX || word.contains("://") || word.starts_with("www.") {
        return None;
    }
    let word = &without_line(word)?;
    let path = slashes(word)?;
    let path = path.strip_prefix("./").unwrap_or(&path);
    is_safe(path).then_some(())?;
    let looks = if path.contains('/') { is_nested(path, quoted) } else { is_file_name(path, quoted) };
    looks.then(|| path.to_owned())
}

/// The commas of `{a,b}` belong to the path, all others end it.
fn before_comma(word: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in word.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => return &word[..at],
            _ => {}
        }
    }
    word
}

/// Whether it has braces without a choice in them, as in `{task.id}` or `out/{name}.json`: there
/// something is to be filled in, so it names no file.
fn has_placeholder(word: &str) -> bool {
    let mut open: Vec<bool> = Vec::new();
    for c in word.chars() {
        match c {
            '{' => open.push(false),
            ',' => {
                if let Some(is_choice) = open.last_mut() {
                    *is_choice = true;
                }
            }
            '}' if open.pop() == Some(false) => return true,
            _ => {}
        }
    }
    false
}

/// Chinese and Japanese put no blank before a path: "修改src/a.py". A bare word that begins with
/// them and goes on in ASCII before its first `/` begins there.
fn after_cjk(word: &str) -> &str {
    let first = word.split('/').next().unwrap_or_default();
    let is_cjk = |c: char| matches!(u32::from(c), 0x2E80..=0x9FFF | 0xAC00..=0xD7AF);
    let start = first.find(|c: char| c.is_ascii_alphanumeric() || c == '.').unwrap_or(0);
    if first[..start].chars().all(is_cjk) { &word[start..] } else { word }
}

/// Takes brackets, quotes and the full stop of a sentence off.
fn unwrap(mut word: &str) -> &str {
    if let Some((text, target)) = word.split_once("](") {
        // A link: where it leads, or what it is called.
        let target = target.trim_end_matches([')', '.', ',', ':']);
        word = if target.contains("://") { text.trim_start_matches('[') } else { target };
    }
    let bold =
        if word.starts_with("**") && !word.starts_with("**/") { word.trim_start_matches('*') } else { word };
    let bold = if bold.len() < word.len() { bold.trim_end_matches(['*', ':', ',', '.', ')']) } else { bold };
    let mut word = bold.trim_start_matches(['(', '\'', '"', '“']);
    if word.starts_with('[')
        && !word[1..].split_once(']').is_some_and(|(_, rest)| rest.starts_with(['/', '.']))
    {
        word = word.trim_start_matches('[');
    }
    loop {
        let trimmed = word.trim_end_matches([',', ':', ';', '\'', '"', '”', '!', '?', '.']);
        let trimmed = trimmed.strip_suffix(')').filter(|t| !t.contains('(')).unwrap_or(trimmed);
        let trimmed = trimmed.strip_suffix(']').filter(|t| !t.contains('[')).unwrap_or(trimmed);
        if trimmed.len() == word.len() {
            return word;
        }
        word = trimmed;
    }
}

/// `src/a.py:10-20` → `src/a.py`; nothing for `C:\x` and `key:value`.
fn without_line(word: &str) -> Option<String> {
    let Some((path, rest)) = word.split_once(':') else { return Some(word.to_owned()) };
    let is_place = rest.starts_with(|c: char| c.is_ascii_digit() || c == 'L');
    (is_place && path.len() > 1).then(|| path.to_owned())
}

/// Windows' separators become ours, where they are that and not an escape (`\d+`, `\n`).
fn slashes(word: &str) -> Option<String> {
    if !word.contains('\\') {
        return Some(word.to_owned());
    }
    let path = word.replace('\\', "/");
    let path = path.trim_start_matches("./");
    let root = path.split('/').next()?;
    (ROOTS.contains(&root) || has_ending(path)).then(|| path.to_owned())
}

/// Stays in the repository, and is made of characters that file names are made of.
fn is_safe(path: &str) -> bool {
    let is_char = |c: char| c.is_alphanumeric() || "_-.+@[](){}*$~,/".contains(c);
    !path.starts_with(['/', '~', '-', '$', '.']) | is_dotted(path)
        && path.chars().all(is_char)
        && path.chars().any(char::is_alphanumeric)
        && path.trim_end_matches('/').split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.trim_end_matches('/').split('/').any(|part| part.starts_with('-') || part == ".git")
        && path.matches('(').count() == path.matches(')').count()
        && path.matches('{').count() == path.matches('}').count()
}

/// `.github/x`, `.gitignore`: a dot and a letter.
fn is_dotted(path: &str) -> bool {
    path.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic()))
}

fn is_nested(path: &str, quoted: bool) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    let is_other = matches!(
        first,
        "application"
            | "text"
            | "image"
            | "audio"
            | "video"
            | "multipart"
            | "font"
            | "origin"
            | "upstream"
            | "refs"
    ) && !has_ending(path);
    let is_host = first.rsplit_once('.').is_some_and(|(name, tld)| {
        !name.is_empty() && matches!(tld, "com" | "org" | "io" | "net" | "dev" | "ai" | "app" | "internal")
    });
    let is_number = path.split('/').all(|part| part.chars().all(|c| c.is_ascii_digit() || c == '.'));
    let is_package = first.starts_with('@') && !has_ending(path);
    if is_other || is_host || is_number || is_package || path.contains('@') && !quoted {
        return false;
    }
    let is_known = has_ending(path) || NAMES.contains(&path.rsplit('/').next().unwrap_or_default());
    let is_directory = path.ends_with('/') && (quoted || path.chars().filter(char::is_ascii).count() > 2);
    is_known || is_directory || path.contains('*') || quoted && is_plausible(path) || is_rooted(path, first)
}

/// In back-ticks: not "GET/POST", not "true/false".
fn is_plausible(path: &str) -> bool {
    path.split('/').any(|part| part.chars().any(char::is_lowercase))
        && !matches!(
            path,
            "true/false" | "and/or" | "yes/no" | "on/off" | "read/write" | "input/output" | "client/server"
        )
}

/// Bare and without an ending: below a directory that everybody has. "frontend/backend" and
/// "docs/tests" are talk; nobody says "src/models" but for the directory.
fn is_rooted(path: &str, first: &str) -> bool {
    let is_strong =
        matches!(first, "src" | "lib" | "crates" | "cmd" | "internal" | "packages" | "pkg" | ".github");
    let last = path.rsplit('/').next().unwrap_or_default();
    is_strong || ROOTS.contains(&first) && (!ROOTS.contains(&last) || path.matches('/').count() >= 2)
}

fn has_ending(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, e)| e);
    ending.is_some_and(|e| ENDINGS.contains(&e.to_ascii_lowercase().as_str()) || e.ends_with('}'))
}

fn is_file_name(name: &str, quoted: bool) -> bool {
    if NAMES.contains(&name) {
        return quoted || name.contains('.') || name.ends_with("file");
    }
    let stem = name.rsplit_once('.').map_or("", |(stem, _)| stem);
    has_ending(name)
        && !PRODUCTS.contains(&name.to_ascii_lowercase().as_str())
        && !name.starts_with("*.")
        && stem.chars().any(char::is_alphabetic)
        && !(stem.len() == 1 && !quoted && !name.starts_with(|c: char| c.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> String {
        let mut found = Vec::new();
        assert!(collect(text, &mut found));
        found.join(" ")
    }

    #[test]
    fn paths_out_of_prose() {
        let mut wrong = Vec::new();
        for (text, paths) in [
            ("Create User model in src/models/user.py", "src/models/user.py"),
            ("in `src/models/user.py`, and `tests/test_user.py`.", "src/models/user.py tests/test_user.py"),
            ("write src/two.txt", "src/two.txt"),
            ("a.py", "a.py"),
            ("change a.py, b.py and c.rs.", "a.py b.py c.rs"),
            ("(src/a.py)", "src/a.py"),
            ("./src/a.py:12", "src/a.py"),
            ("`tests/test_a.py::test_x`", "tests/test_a.py"),
            ("run `pytest tests/unit/test_a.py -q`", "tests/unit/test_a.py"),
            (r"in src\models\user.cs", "src/models/user.cs"),
            (r"match `\d+\n` and a\nb", ""),
            ("`src/**/*.py` and tests/*.rs", "src/**/*.py tests/*.rs"),
            ("`src/{a,b}.py`", "src/{a,b}.py"),
            ("src/{a,b}.py,c", "src/{a,b}.py"),
            ("tests/{unit,{api,web}/e2e}/*.py", "tests/{unit,{api,web}/e2e}/*.py"),
            ("pass {task.id} and `{prompt.file}` to {worktree}/run.sh", ""),
            ("write `out/{name}.json` and src/{{module}}/a.py, then b.py", "b.py"),
            ("{prompt},src/a.py", ""),
            ("{a,b/{name}}.py {}/x.py", ""),
            ("create src/ and tests/ directories", "src/ tests/"),
            ("`src/models`", "src/models"),
            ("under src/models", "src/models"),
            ("`app/(auth)/[id]/page.tsx`", "app/(auth)/[id]/page.tsx"),
            ("[the model](src/a.py) and [docs](https://x.org/a.md)", "src/a.py"),
            ("**src/a.py**: new", "src/a.py"),
            (
                "`Makefile`, Dockerfile, `.gitignore`, .github/workflows/ci.yml",
                "Makefile Dockerfile .gitignore .github/workflows/ci.yml",
            ),
            ("and/or read/write CI/CD TCP/IP 3/4 2024/01/02", ""),
            ("https://example.com/a.py www.x.org/a.html example.com/x.html", ""),
            ("GET /api/users, `/etc/passwd`, ~/x.py, ../../x.py, `a/../b.py`", ""),
            ("C:\\Users\\x.py", ""),
            ("Node.js, Next.js, `console.log`, `foo.bar()`, v1.2.3, e.g. this", ""),
            ("`application/json`, `@scope/pkg`, `origin/main`", ""),
            ("--option=src/x.py -rf", "src/x.py"),
            ("`$(touch x)/a.py`", ""),
            (".git/config `.git/hooks/x.sh`", ""),
            ("在 src/模型/用户.py 中", "src/模型/用户.py"),
            ("in `src/a.py`（新）", "src/a.py"),
        ] {
            if found(text) != paths {
                wrong.push(format!("{text}\n  found  {}\n  wanted {paths}", found(text)));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn there_is_a_bound() {
        let text = (0..100).map(|n| format!("src/f{n}.py")).collect::<Vec<_>>().join(" ");
        let mut found = Vec::new();
        assert!(!collect(&text, &mut found));
        assert_eq!(found.len(), PATHS_MAX);
    }
}
