"""Reads a tool's own report as anybody would: one line `path<tab>line<tab>rule` a finding.

usage: read.py TOOL TREE < REPORT, or `pytest`, which prints counts and the failed tests too. Knows nothing
of sprint; standard library only.
"""

import json
import re
import sys
import xml.etree.ElementTree
from pathlib import Path

tool, tree = sys.argv[1], sys.argv[2]
text = sys.stdin.read()


def told(path, line, rule):
    path = str(path)
    if path.startswith(tree + "/"):
        path = path[len(tree) + 1 :]
    print(f"{path.removeprefix('./')}\t{line}\t{rule}")


def complexities(path, blocks):
    """Functions, methods and what is defined in them, each once."""
    for block in blocks:
        if block["type"] != "class":
            yield (block["lineno"], block["col_offset"], block["name"], block["complexity"])
        yield from complexities(path, block.get("methods", []))
        yield from complexities(path, block.get("closures", []))


if tool == "ruff":
    for found in json.loads(text):
        told(found["filename"], found["location"]["row"], found["code"])
elif tool == "mypy":
    for row in text.splitlines():
        if row.startswith("{"):
            found = json.loads(row)
            if found["severity"] == "error":
                # One that is about a whole file has no line and no code.
                told(found["file"], max(found["line"] or 0, 0), found["code"] or "misc")
elif tool == "radon":
    for path, blocks in json.loads(text).items():
        for line, _, _, value in sorted(set(complexities(path, blocks))):
            if value > 10:
                told(path, line, f"complexity {value}")
elif tool == "bandit":
    report = json.loads(text)
    for found in report["results"]:
        told(found["filename"], found["line_number"], found["test_id"])
    for found in report["errors"]:
        told(found["filename"], 0, "unreadable")
elif tool == "detect-secrets":
    for path, all_found in json.loads(text)["results"].items():
        for found in all_found:
            told(path, found["line_number"], re.sub(r"[^a-z0-9]+", "-", found["type"].lower()).strip("-"))
elif tool == "semgrep":
    report = json.loads(text)
    for found in report["results"]:
        told(found["path"], found["start"]["line"], found["check_id"].split(".")[-1])
    for found in report["errors"]:
        told(found["path"], (found.get("spans") or [{"start": {"line": 0}}])[0]["start"]["line"], "not-understood")
elif tool == "pytest":
    counts = {"passed": 0, "failed": 0, "errors": 0, "skipped": 0}
    for case in xml.etree.ElementTree.fromstring(text).iter("testcase"):
        ends = {child.tag for child in case}
        if "error" in ends:
            counts["errors"] += 1
        elif "failure" in ends:
            counts["failed"] += 1
        elif "skipped" in ends:
            counts["skipped"] += 1
        else:
            counts["passed"] += 1
    for end, count in counts.items():
        told(end, count, "tests")
elif tool == "coverage":
    print(json.loads(text)["totals"]["percent_covered"])
elif tool == "pip-audit":
    for dependency in json.loads(text)["dependencies"]:
        if "URL requirement" in dependency.get("skip_reason", ""):
            continue
        if "skip_reason" in dependency:
            sys.exit(1)
        for found in dependency["vulns"]:
            told(dependency["name"], 0, found["id"])
elif tool == "mutmut":
    # Its own words for its own exit codes.
    counts = {}
    for meta in Path(tree).rglob("*.meta"):
        for code in json.loads(meta.read_text("utf-8"))["exit_code_by_key"].values():
            end = {0: "survived", 1: "killed", 3: "killed", 5: "no tests", 33: "no tests", 34: "skipped", None: "not checked"}.get(code, "timeout")
            counts[end] = counts.get(end, 0) + 1
    print(json.dumps(counts))
