"""A pytest plugin: asks pytest-cov, where it is there, for a report that sprint reads, and says in the
JUnit report how many of the collected tests ran to their end.

What is measured is the repository's say (its coverage configuration, or `--cov` in its options); where it
says nothing, its packages are. A threshold of the repository does not decide the exit code: coverage is
held to sprint's own. Standard library only.
"""

import configparser
import importlib
import os
from pathlib import Path

import pytest

# Whether pytest-cov was asked for its report; filled once.
ASKED = []
NOT_SOURCE = {"tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks", "scripts"}
NOT_SOURCE |= {"tasks", "build", "dist", "venv", "node_modules", "setup.py", "conftest.py", "noxfile.py"}


def packages(root):
    """`src`, `lib`, or the packages at the top; modules at the top are told by all that lies there."""
    for name in ("src", "lib"):
        if any((root / name).glob("**/*.py")):
            return [name]
    found = []
    for entry in sorted(root.iterdir()):
        name = entry.name
        if name in NOT_SOURCE or name.startswith("."):
            continue
        if entry.is_dir() and any(entry.glob("*.py")) and not any(entry.glob("test_*.py")):
            found.append(name)
        elif entry.is_file() and name.endswith(".py") and not name.startswith("test_"):
            return ["."]
    return found or ["."]


def says_sources(root):
    """Whether the repository's coverage configuration says what to measure."""
    for name, section in ((".coveragerc", "run"), ("setup.cfg", "coverage:run"), ("tox.ini", "coverage:run")):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(root / name, "utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        if any(parser.has_option(section, key) for key in ("source", "source_pkgs", "source_dirs", "include")):
            return True
    try:
        import tomllib

        text = (root / "pyproject.toml").read_text("utf-8")
        run = tomllib.loads(text)["tool"]["coverage"]["run"]
    except (ImportError, OSError, ValueError, KeyError, TypeError):
        return False
    return any(key in run for key in ("source", "source_pkgs", "source_dirs", "include"))


class Witness:
    """What the report does not say by itself: a session that was ended early can exit with 0."""

    def __init__(self):
        self.collected = None
        self.ended = set()
        self.running = ""
        self.stopped = ""

    def pytest_collection_finish(self, session):
        self.collected = len({item.nodeid for item in session.items})

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node, ids):
        # With pytest-xdist nothing is collected in this process.
        self.collected = len(set(ids))

    def pytest_runtest_logstart(self, nodeid):
        self.running = nodeid

    def pytest_runtest_logreport(self, report):
        # That it was set up, or torn down, is no run of it.
        if report.when == "call" or not report.passed:
            self.ended.add(report.nodeid)

    def pytest_keyboard_interrupt(self, excinfo):
        place = ""
        for entry in excinfo.traceback:
            try:
                path = Path(str(entry.path)).relative_to(Path.cwd())
            except ValueError:
                continue
            place = f" ({path.as_posix()}:{entry.lineno + 1})"
        during = f" in {self.running}" if self.running and self.running not in self.ended else ""
        self.stopped = f"{excinfo.exconly()}{place}{during}"

    # Before the report is written.
    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session):
        said = {"sprint.ended": len(self.ended), "sprint.coverage": "asked" if ASKED else ""}
        if self.collected is not None:
            said["sprint.collected"] = self.collected
        if self.stopped:
            said["sprint.stopped"] = self.stopped
        for plugin in session.config.pluginmanager.get_plugins():
            if type(plugin).__name__ == "LogXML":
                for name, value in said.items():
                    plugin.add_global_property(name, str(value))


def pytest_configure(config):
    config.pluginmanager.register(Witness(), "sprint_witness")


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config, parser, args):
    # Around all the others: pytest-cov decides in the same hook whether it measures.
    ask(early_config, parser, args)
    yield


def ask(early_config, parser, args):
    out = os.environ.get("SPRINT_COVERAGE")
    known = early_config.known_args_namespace
    if not out or not early_config.pluginmanager.hasplugin("pytest_cov") or getattr(known, "no_cov", False):
        return
    root = Path.cwd()
    added = []
    if not known.cov_source:
        added += ["--cov"] if says_sources(root) else [f"--cov={name}" for name in packages(root)]
    # After `--cov` alone, which would take a word that is no option for its value.
    added.append(f"--cov-report=json:{out}")
    # Under `filterwarnings = error` the measuring itself must not fail a test.
    last = ["--cov-fail-under=0"]
    for module, name in (("coverage.exceptions", "CoverageWarning"), ("pytest_cov", "PytestCovWarning")):
        if hasattr(importlib.import_module(module), name):
            last += ["-W", f"ignore::{module}.{name}"]
    ASKED.append(out)
    # The last ones of these count.
    args[:] = [*added, *args, *last]
    early_config.known_args_namespace = parser.parse_known_args(args)
