"""Runs mutmut on a copy of the tree, and writes what became of each mutant as one JSON report.

mutmut works where it stands (`mutants/`), is told what to mutate only by a configuration file, prints
progress for people, and exits with 0 whatever survives. So: a copy, a configuration in the copy where the
tree has none, and the results from the files that mutmut keeps them in. Standard library only.
"""

import argparse
import ast
import configparser
import difflib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

# Directories that are no part of a tree, wherever they lie.
LEFT_OUT = {".git", ".hg", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__", "mutants"}
LEFT_OUT |= {".mypy_cache", ".ruff_cache", ".pytest_cache", ".eggs"}
# Top directories and modules that are not what a package is for: those that setuptools passes by.
NOT_SOURCE = {"ci", "bin", "debian", "doc", "docs", "documentation", "manpages", "news", "newsfragments", "changelog"}
NOT_SOURCE |= {"test", "tests", "testing", "unit_test", "unit_tests", "example", "examples", "exercise", "exercises"}
NOT_SOURCE |= {"scripts", "tools", "util", "utils", "python", "build", "dist", "benchmark", "benchmarks", "htmlcov"}
NOT_SOURCE |= {"tasks", "fabfile", "site_scons", "setup.py", "conftest.py", "noxfile.py", "toxfile.py", "pavement.py"}
NOT_SOURCE |= {"dodo.py", "tasks.py", "fabfile.py", "conanfile.py", "build.py", "test.py", "tests.py", "example.py"}
# As mutmut names the exit codes of its test runs.
STATUS = {0: "survived", 1: "killed", 2: "interrupted", 3: "killed", 5: "no tests", 24: "timeout"}
STATUS |= {None: "not checked", 33: "no tests", 34: "skipped", 35: "suspicious", 36: "timeout"}
STATUS |= {37: "caught by type check", 152: "timeout", 255: "timeout", -24: "timeout", -11: "segfault", -9: "segfault"}
DIFF_MAX = 1500
SHOWN_MAX = 5000


def copy_tree(root: Path, copy: Path) -> None:
    def left_out(directory: str, names: list[str]) -> list[str]:
        inside = Path(directory)
        # A pipe or a socket would be waited for.
        return [
            name
            for name in names
            if name in LEFT_OUT
            or (inside / name / "pyvenv.cfg").is_file()
            or not ((inside / name).is_symlink() or (inside / name).is_dir() or (inside / name).is_file())
        ]

    shutil.copytree(root, copy, symlinks=True, ignore=left_out)


def sources(copy: Path) -> list[str]:
    """What to mutate where nobody says it: `src`, `lib`, or the packages and modules at the top."""
    for name in ("src", "lib"):
        if any((copy / name).rglob("*.py")):
            return [name]
    found = []
    # Where there are packages, other directories with Python in them are not what is shipped.
    packages = any(init.parent.name not in NOT_SOURCE for init in copy.glob("*/__init__.py"))
    for entry in sorted(copy.iterdir()):
        name = entry.name
        if name in NOT_SOURCE or name.startswith((".", "test_")) or entry.is_symlink():
            continue
        init = "__init__.py" if packages else "*.py"
        if entry.is_dir() and any(entry.glob(init)) and not any(entry.glob("test_*.py")):
            found.append(name)
        elif entry.is_file() and name.endswith(".py") and not name.endswith("_test.py"):
            found.append(name)
    return found


def configure(copy: Path) -> str | None:
    """Says what to mutate in the copy's configuration, unless the tree's says it; why it cannot, else."""
    project, setup = copy / "pyproject.toml", copy / "setup.cfg"
    text = project.read_text("utf-8") if project.is_file() else ""
    own = re.search(r"^\[tool\.mutmut\][^\n]*$", text, re.M)
    parser = configparser.RawConfigParser()
    parser.read(setup, "utf-8")
    if own:
        table = text[own.end() :].split("\n[", 1)[0]
        said = re.search(r"^\s*(source_paths|paths_to_mutate)\s*=", table, re.M)
    else:
        said = parser.has_option("mutmut", "source_paths") or parser.has_option("mutmut", "paths_to_mutate")
    if said:
        return None
    found = sources(copy)
    if not found:
        return "there is no module to mutate"
    if own:
        project.write_text(f"{text[: own.end()]}\nsource_paths = {json.dumps(found)}{text[own.end() :]}", "utf-8")
        return None
    if not parser.has_section("mutmut"):
        parser.add_section("mutmut")
    parser.set("mutmut", "source_paths", "\n" + "\n".join(found))
    if not parser.has_option("mutmut", "also_copy"):
        # The tests may need whatever lies there.
        others = [entry.name for entry in sorted(copy.iterdir()) if entry.name not in found]
        parser.set("mutmut", "also_copy", "\n" + "\n".join(others))
    with setup.open("w", encoding="utf-8") as file:
        parser.write(file)
    return None


def functions(path: Path) -> dict[str, ast.AST]:
    """The functions of a module by mutmut's name: `x_f`, `xǁClassǁmethod`; none of what it cannot read."""
    try:
        module = ast.parse(path.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError):
        return {}
    found = {}
    for node in module.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[f"x_{node.name}"] = node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found[f"xǁ{node.name}ǁ{inner.name}"] = inner
    return found


def module_of(path: str) -> str:
    return path.removesuffix(".py").removeprefix("src/").replace("/", ".").removesuffix(".__init__")


def changed_globs(copy: Path, changed: dict[str, list[list[int]]]) -> list[str]:
    """mutmut's globs of the functions that have a changed line."""
    globs = []
    for path, ranges in sorted(changed.items()):
        if not path.endswith(".py"):
            continue
        for name, node in functions(copy / path).items():
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if any(start <= node.end_lineno and end >= first for start, end in ranges):
                globs.append(f"{module_of(path)}.{name}__mutmut_*")
    return globs


def interpreter_of(program: str) -> str | None:
    """The Python that a script is started with, by its first lines."""
    try:
        with open(program, "rb") as file:
            first, second = file.readline(4096), file.readline(4096)
    except OSError:
        return None
    # A path that is too long for a first line, or has a blank, stands in the second one.
    words = re.match(rb"'+exec' \"?([^\"]+?)\"? \"\$0\"", second) if first.startswith(b"#!/bin/sh") else None
    python = words[1] if words else first.removeprefix(b"#!").strip()
    if not words and not first.startswith(b"#!"):
        return None
    if python.startswith(b"/usr/bin/env "):
        return shutil.which(python.split()[-1].decode("utf-8", "replace"))
    path = python.decode("utf-8", "replace")
    return path if "python" in os.path.basename(path) and os.access(path, os.X_OK) else None


ASK = """import importlib.util as u, json, sys
print(json.dumps({"is": sys.implementation.cache_tag, "abi": getattr(sys, "abiflags", ""),
"paths": [p for p in sys.path if p.endswith("-packages")],
"pytest": u.find_spec("pytest") is not None, "mutmut": u.find_spec("mutmut") is not None}))"""


def about(python: str | None) -> dict | None:
    """What an interpreter has; nothing of one that does not answer."""
    if not python:
        return None
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        said = subprocess.run([python, "-c", ASK], cwd="/", env=alone, capture_output=True, timeout=20, check=True)
        return json.loads(said.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


START = "import sys; sys.path[:1] = []; sys.path += {paths}; sys.argv[0] = 'mutmut'; from mutmut.__main__ import cli; cli()"


def starts(mutmut: str) -> tuple[list[str], str | None]:
    """How mutmut is started where the tests find what they import, or why it cannot be.

    The tests run in mutmut's own process. Where it is installed by itself, it is brought to the
    interpreter that runs the tests otherwise, behind everything that is there already.
    """
    own = interpreter_of(mutmut)
    venv = os.environ.get("VIRTUAL_ENV")
    pytest = shutil.which("pytest")
    known = [f"{venv}/bin/python" if venv else None, interpreter_of(pytest) if pytest else None]
    known += [shutil.which("python3"), shutil.which("python")]
    asked = ((python, about(python)) for python in known if python)
    python, project = next(((python, said) for python, said in asked if said and said["pytest"]), (None, None))
    mine = about(own)
    if not project or not mine or project["paths"] == mine["paths"]:
        return [mutmut], None
    if project["mutmut"]:
        return [python, "-c", START.format(paths=[])], None
    if (project["is"], project["abi"]) != (mine["is"], mine["abi"]):
        where = f"the tests run with {project['is']} (`{python}`), and mutmut is installed for {mine['is']}"
        return [], f"{where}: `{python} -m pip install mutmut`"
    return [python, "-c", START.format(paths=mine["paths"])], None


# As mutmut says that the tests fail before it has changed anything.
RED = ("failed to collect stats. runner returned", "Failed to run clean test", "Failed to collect list of tests")


def mutate(start: list[str], copy: Path, arguments: list[str], budget: float) -> tuple[int, str, bool]:
    """Exit code, last words, and whether the time was up."""
    log = copy.parent / "mutmut.log"
    with log.open("wb") as out:
        words = [*start, "run", *arguments]
        child = subprocess.Popen(words, cwd=copy, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        late = False
        try:
            child.wait(budget)
        except subprocess.TimeoutExpired:
            late = True
            # It keeps what it has found out so far.
            child.send_signal(signal.SIGINT)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8000))
        text = file.read().decode("utf-8", "replace").replace("\r", "\n")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return child.returncode, "\n".join(lines[-15:]), late


def describe(copy: Path, path: str, key: str, code: int | None, modules: dict) -> dict:
    """A mutant that nobody noticed, as a diff of its function."""
    if path not in modules:
        mutated = copy / "mutants" / path
        try:
            text = mutated.read_text("utf-8", "replace")
        except OSError:
            text = ""
        # Nested names keep their place: the functions of the mutated file, and of the original one.
        inside = {}
        try:
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    inside[node.name] = node
        except (SyntaxError, ValueError, RecursionError):
            pass
        modules[path] = (text.splitlines(), inside, functions(copy / path))
    lines, inside, originals = modules[path]
    mangled = key.rpartition(".")[2]
    name = mangled.split("__mutmut_")[0]
    symbol = name.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    plain = symbol.rpartition(".")[2]

    def body(node: ast.AST | None, generated: str) -> list[str]:
        if node is None:
            return []
        text = lines[node.lineno - 1 : node.end_lineno]
        return [text[0].replace(generated, plain), *text[1:]]

    before = body(inside.get(f"{name}__mutmut_orig"), f"{name}__mutmut_orig")
    after = body(inside.get(mangled), mangled)
    differ = (n for n, (old, new) in enumerate(zip(before, after)) if old != new)
    offset = next(differ, 0)
    line = originals[name].lineno + offset if name in originals else 0
    diff = "\n".join(list(difflib.unified_diff(before, after, lineterm="", n=1))[3:])
    status = STATUS.get(code, "suspicious")
    return {"name": key, "status": status, "path": path, "line": line, "symbol": symbol, "diff": diff[:DIFF_MAX]}


def gather(copy: Path, globs: list[str]) -> dict:
    """What mutmut has written down of its mutants, of all or of those that the globs name."""
    counts: dict[str, int] = {}
    shown = []
    modules: dict = {}
    prefixes = tuple(glob.removesuffix("*") for glob in globs)
    for meta in sorted((copy / "mutants").rglob("*.meta")):
        path = meta.relative_to(copy / "mutants").as_posix().removesuffix(".meta")
        for key, code in json.loads(meta.read_text("utf-8")).get("exit_code_by_key", {}).items():
            if prefixes and not key.startswith(prefixes):
                continue
            status = STATUS.get(code, "suspicious")
            counts[status] = counts.get(status, 0) + 1
            if status in ("survived", "no tests", "suspicious") and len(shown) < SHOWN_MAX:
                shown.append(describe(copy, path, key, code, modules))
    return {"counts": counts, "mutants": shown}


def run(options: argparse.Namespace) -> dict:
    mutmut = shutil.which("mutmut")
    if mutmut is None:
        return {"failed": "mutmut is not in PATH"}
    changed = json.loads(options.changed)
    if changed is None:
        return {"nothing": "without a base nothing is changed; mode = \"absolute\" mutates all of the code"}
    copy = options.tmp / "tree"
    shutil.rmtree(copy, ignore_errors=True)
    copy_tree(Path.cwd(), copy)
    nothing = configure(copy)
    if nothing:
        return {"nothing": nothing}
    globs = []
    if changed != "all":
        globs = changed_globs(copy, changed)
        if not globs:
            return {"nothing": "no function is changed"}
    start, reason = starts(mutmut)
    if reason:
        return {"unreachable": reason}
    code, words, late = mutate(start, copy, ["--max-children", str(options.children), *globs], options.budget)
    report = gather(copy, globs)
    unreached = "could not find any test case for any mutant" in words
    if unreached:
        # It tried none: no test reaches any of them.
        counts = report["counts"]
        counts["no tests"] = counts.get("no tests", 0) + counts.pop("not checked", 0)
    if code != 0 and not late and not unreached:
        # A glob that names nothing ends in an assertion: constants and signatures have no mutants.
        if globs and not report["counts"]:
            return {"nothing": "the changed functions have no mutants"}
        if any(said in words for said in RED):
            first = next((line.strip() for line in words.splitlines() if line.startswith(("FAILED ", "ERROR ", "E  "))), "")
            # The same tree would say the same again.
            return {"settled": True, "unreachable": f"as mutmut runs them, the tests are red without a mutant{': ' if first else ''}{first}"}
        report["failed"] = words
    if not report["counts"] and "failed" not in report:
        return {"nothing": "mutmut made no mutant of this code"}
    report["late"] = late
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tmp", type=Path, required=True, help="an existing directory for the copy")
    parser.add_argument("--out", type=Path, required=True, help="the report")
    parser.add_argument("--children", type=int, default=2)
    parser.add_argument("--budget", type=float, default=600.0, help="seconds; what is left then is not tried")
    parser.add_argument("--changed", default='"all"', help='JSON: {"path": [[first line, last line], ...]}')
    options = parser.parse_args()
    report = run(options)
    options.out.write_text(json.dumps({"report": "mutmut", **report}), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
