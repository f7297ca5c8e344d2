"""A pytest plugin: asks pytest-cov, where it is there, for a report that sprint reads, and says in the
JUnit report how many of the collected tests ran to their end, and which ones cannot check anything.
What is tested is compiled from the sources that lie there, whatever lies compiled beside them.

What is measured is the repository's say (its coverage configuration, or `--cov` in its options); where it
says nothing, its packages are. A threshold of the repository does not decide the exit code: coverage is
held to sprint's own. Standard library only.
"""

import configparser
import importlib
import importlib._bootstrap_external as loader
import inspect
import json
import os
import sysconfig
import unittest
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

# Whether pytest-cov was asked for its report; filled once.
ASKED = []
NOT_SOURCE = {"tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks", "scripts"}
NOT_SOURCE |= {"tasks", "build", "dist", "venv", "node_modules", "setup.py", "conftest.py", "noxfile.py"}
INSTALLED = ("/site-packages/", "/dist-packages/")
STANDARD = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib"))
IDLE_MAX = 50


def is_installed(path):
    """Python's own, or what pip has put there: nobody edits these."""
    path = os.fspath(path)
    return path.startswith(STANDARD) or any(part in path for part in INSTALLED)


def compile_sources():
    """Python believes a compiled file by the time and the size of its source, and some by nothing at all: one
    that was made before an edit hides it."""
    place_of, read = loader.cache_from_source, getattr(rewrite, "_read_pyc", None)

    def cache_from_source(path, *args, **kwargs):
        if not is_installed(path):
            # As on an interpreter that compiles nothing ahead.
            raise NotImplementedError
        return place_of(path, *args, **kwargs)

    def read_pyc(source, *args, **kwargs):
        return read(source, *args, **kwargs) if is_installed(source) else None

    loader.cache_from_source = cache_from_source
    if read:
        rewrite._read_pyc = read_pyc


compile_sources()


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


def left_out(collector, name, cls):
    """Whether a class of tests has what keeps pytest from making one of it."""
    makes = cls.__init__ is not object.__init__ or cls.__new__ is not object.__new__
    if not makes or issubclass(cls, unittest.TestCase) or not getattr(cls, "__test__", True):
        return False
    has_tests = any(key.startswith("test") and inspect.isfunction(value) for key, value in vars(cls).items())
    return has_tests and collector.classnamefilter(name)


def never_runs(item):
    """Whether unittest calls a function of which nothing runs until somebody awaits it, or asks for its values;
    a framework that does either does it in one of these places."""
    cls, method = item.parent.obj, inspect.unwrap(item.obj)
    plain = unittest.TestCase
    if cls.run is not plain.run or cls.__call__ is not plain.__call__:
        return False
    if cls.__getattribute__ is not object.__getattribute__:
        return False
    caller = cls._callTestMethod
    isolated = unittest.IsolatedAsyncioTestCase._callTestMethod
    if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
        return caller in (plain._callTestMethod, isolated)
    return inspect.iscoroutinefunction(method) and caller is plain._callTestMethod


class Witness:
    """What the report does not say by itself: a session that was ended early can exit with 0."""

    def __init__(self):
        self.collected = None
        self.ended = set()
        self.running = ""
        self.stopped = ""
        self.idle = []

    def pytest_pycollect_makeitem(self, collector, name, obj):
        # pytest warns of these and goes on.
        module = getattr(collector.getparent(pytest.Module), "obj", None)
        is_own = inspect.isclass(obj) and obj.__module__ == getattr(module, "__name__", None)
        if is_own and left_out(collector, name, obj):
            self.note(collector, obj, name, "pytest collects no test of a class that has a constructor")

    def pytest_itemcollected(self, item):
        if type(item).__name__ == "TestCaseFunction" and never_runs(item):
            why = "unittest calls it and runs nothing of it: it is a coroutine or a generator"
            self.note(item.parent, item.obj, item.name, why)

    def note(self, parent, obj, name, why):
        try:
            line = inspect.getsourcelines(inspect.unwrap(obj))[1]
        except (OSError, TypeError):
            line = 0
        if len(self.idle) < IDLE_MAX:
            self.idle.append([f"{parent.nodeid}::{name}", line, why])

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
        if self.idle:
            said["sprint.idle"] = json.dumps(self.idle)
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
    asked = parser.parse_known_args(args)
    # pytest has worked it out by now: without it, files of directories above the repository are read.
    asked.confcutdir = known.confcutdir
    early_config.known_args_namespace = asked
