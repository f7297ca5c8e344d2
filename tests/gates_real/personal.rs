//! What the person has at home for the tools: another machine has it not, so it does not count.

use std::fs;

use sprint::domain::gate::Verdict;

use crate::world::{World, branches, tools};

#[test]
fn the_persons_own_configuration_of_a_tool_does_not_count() {
    if !tools() {
        return;
    }
    let bad = format!("import os\n\n\ndef wrong() -> str:\n    return 1\n\n\n{}", branches("long", 20));
    let world = World::new(&[("README.md", "")], &[("a.py", bad.as_str())]);
    let home = world.dir.path().join("home");
    fs::create_dir_all(home.join(".config/ruff")).unwrap();
    fs::create_dir_all(home.join(".config/mypy")).unwrap();
    fs::write(home.join(".config/ruff/ruff.toml"), "[lint]\nselect = []\n").unwrap();
    fs::write(home.join(".config/mypy/config"), "[mypy]\nignore_errors = True\n").unwrap();
    fs::write(home.join(".radon.cfg"), "[radon]\ncc_max = B\nexclude = *.py\nignore = a\n").unwrap();
    for (name, rule) in [("ruff", "F401"), ("mypy", "return-value"), ("radon", "complexity")] {
        let result = world.run(name);
        assert_eq!(result.verdict, Verdict::Fail, "{name}: {result:#?}");
        assert!(result.findings.iter().any(|finding| finding.rule == rule), "{name}: {result:#?}");
    }
}

#[test]
fn the_repositorys_own_configuration_does() {
    if !tools() {
        return;
    }
    let bad = "import os\n\n\ndef wrong() -> str:\n    return 1\n";
    for (file, text, name) in [
        ("pyproject.toml", "[tool.mypy]\nignore_errors = true\n", "mypy"),
        ("pyproject.toml", "[[tool.mypy.overrides]]\nmodule = \"a\"\nignore_errors = true\n", "mypy"),
        ("setup.cfg", "[mypy]\nignore_errors = True\n", "mypy"),
        ("ruff.toml", "[lint]\nselect = [\"W\"]\n", "ruff"),
    ] {
        let world = World::new(&[(file, text)], &[("a.py", bad), (file, text)]);
        let result = world.run(name);
        assert_eq!(result.verdict, Verdict::Pass, "{file} {text}: {result:#?}");
    }
}
