"""Runs pip-audit on each file of requirements by itself, and writes what it says of all as one JSON report.

pip-audit refuses all its files because of one that does not pin every package, and does not say which file
a package comes from. So: one call a file, the file's name with each package, and the files that it cannot
read for want of pins beside them. Standard library only.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# A call waits for the network more than it works.
AT_ONCE = 4
INCLUDE = re.compile(r"^\s*(?:-r|--requirement)[\s=]*(\S.*?)\s*(?:\s#.*)?$", re.MULTILINE)
# pip-audit's words for a package that has no version, and for one without a hash where others have some.
NO_PIN = (" is not pinned", "does not contain a hash")


def audit(file: str, number: int, options: list[str], place: str) -> tuple[int, dict, str]:
    """Exit code, report (empty where there is none) and what it printed."""
    report = Path(place) / f"{number}.json"
    command = ["pip-audit", "--requirement", file, "--no-deps", "--disable-pip", "--format", "json"]
    done = subprocess.run(
        [*command, "--output", str(report), "--progress-spinner", "off", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    text = report.read_text("utf-8") if report.is_file() else ""
    return done.returncode, json.loads(text) if text.strip() else {}, done.stderr.decode("utf-8", "replace")


def included(file: str) -> set[str]:
    """The files that this one includes, and those that they do."""
    found: set[str] = set()
    waiting = [file]
    while waiting:
        one = waiting.pop()
        try:
            text = Path(one).read_text("utf-8", "replace")
        except OSError:
            continue
        for name in INCLUDE.findall(text):
            other = os.path.normpath(os.path.join(os.path.dirname(one), name))
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found - {os.path.normpath(file)}


def package(dependency: dict) -> tuple[str, str]:
    return dependency.get("name", ""), dependency.get("version", "")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--cache-dir")
    parser.add_argument("files", nargs="+")
    asked = parser.parse_args()
    options = ["--cache-dir", asked.cache_dir] if asked.cache_dir else []
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(AT_ONCE) as pool:
        calls = [pool.submit(audit, file, n, options, place) for n, file in enumerate(asked.files)]
        answers = {file: call.result() for file, call in zip(asked.files, calls)}
    dependencies, unread, worst = [], [], 0
    of_file = {os.path.normpath(file): report.get("dependencies", []) for file, (_, report, _) in answers.items()}
    for file, (code, report, said) in answers.items():
        if not report:
            why = next((line for line in said.splitlines() if any(words in line for words in NO_PIN)), "")
            if not why:
                sys.stderr.write(said)
                return code or 2
            unread.append({"path": file, "why": re.sub(r"^ERROR:\S*?:(?=\S)", "", why).split(" (from ")[0]})
            continue
        worst = max(worst, code)
        # What an included file asks for is told there.
        elsewhere = {package(one) for other in included(file) for one in of_file.get(other, [])}
        own = [one for one in report["dependencies"] if package(one) not in elsewhere]
        dependencies.extend({**one, "manifest": file} for one in own)
    report = {"dependencies": dependencies, "unread": unread}
    Path(asked.out).write_text(json.dumps(report), "utf-8")
    return worst


if __name__ == "__main__":
    sys.exit(main())
