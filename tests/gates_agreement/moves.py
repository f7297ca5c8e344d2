"""Moves real code about without changing what it does, and says which lines it wrote.

usage: moves.py MOVE DIRECTORY: works on the package's modules below DIRECTORY, and prints one JSON object:
`written`, by file the lines that the move itself wrote (imports that it needs, a header): no other line is new.
Standard library only.
"""

import ast
import builtins
import json
import re
import subprocess
import sys
from pathlib import Path

move, root = sys.argv[1], Path(sys.argv[2])
NOT_CODE = {"tests", "test", "testing", "docs", "examples", "bin", "build", "bench", "benchmark", "setup.py", "conftest.py"}
written: dict[str, set[int]] = {}


def modules():
    """What is packaged, the largest first: there is most to move."""
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=root, capture_output=True, text=True, check=True)
    for name in sorted(listed.stdout.splitlines(), key=lambda name: (-(root / name).stat().st_size, name)):
        path = Path(name)
        if path.name != "__init__.py" and not set(path.parts) & NOT_CODE:
            yield path


def tree(path):
    return ast.parse((root / path).read_text("utf-8"))


def top(node):
    """The lines of a definition, its decorators among them."""
    return min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.end_lineno


def statements(body):
    """What a module does itself: not what is in its functions and classes."""
    for node in body:
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for part in ("body", "orelse", "finalbody"):
                yield from statements(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from statements(handler.body)


def bound(module):
    """Names that a module has, each with the import that brings it, or with None."""
    names = {}
    for node in statements(module.body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                names.setdefault(alias.asname or alias.name.split(".")[0], (node, alias))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.setdefault(node.name, None)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    names.setdefault(inner.id, None)
    return names


def used(nodes):
    found = set()
    for node in nodes:
        own = {arg.arg for arg in ast.walk(node) if isinstance(arg, ast.arg)}
        own |= {i.id for i in ast.walk(node) if isinstance(i, ast.Name) and isinstance(i.ctx, ast.Store)}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and inner.id not in own:
                found.add(inner.id)
            elif isinstance(inner, ast.Constant) and isinstance(inner.value, str) and " " not in inner.value:
                # Types in quotes.
                found.update(name for name in re.findall(r"[A-Za-z_]\w*", inner.value) if name not in own)
    return found - set(dir(builtins))


def imports(path, nodes, module):
    """The imports that the definitions need in a module of their own beside this one."""
    lines = []
    moved = {node.name for node in nodes}
    names = bound(module)
    for name in sorted(used(nodes) & set(names) - moved):
        source = names[name]
        if source is None:
            lines.append(f"from .{path.stem} import {name}")
        elif isinstance(source[0], ast.Import):
            alias = source[1]
            lines.append(f"import {alias.name} as {alias.asname}" if alias.asname else f"import {alias.name}")
        else:
            node, alias = source
            renamed = f" as {alias.asname}" if alias.asname else ""
            lines.append(f"from {'.' * node.level}{node.module or ''} import {alias.name}{renamed}")
    future = any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in module.body)
    first = ["from __future__ import annotations", ""] if future else []
    return [*first, *sorted(set(lines), key=lambda line: (not line.startswith("import"), line)), "", ""]


def take(path, nodes, module, new):
    """Moves definitions into a new module beside theirs, which imports them."""
    lines = (root / path).read_text("utf-8").split("\n")
    header = imports(path, nodes, module)
    body, gone = [], set()
    for node in nodes:
        start, end = top(node)
        body += [*lines[start - 1 : end], "", ""]
        gone.update(range(start, end + 1))
    target = path.with_name(new)
    (root / target).write_text("\n".join([*header, *body]).rstrip() + "\n", "utf-8")
    written[str(target)] = set(range(1, len(header) + 1))
    kept = [line for number, line in enumerate(lines, 1) if number not in gone]
    back = [f"from .{target.stem} import {node.name} as {node.name}" for node in nodes]
    # At the end, so that names it needs itself are there.
    whole = [*"\n".join(kept).rstrip().split("\n"), "", "", *back, ""]
    written[str(path)] = set(range(len(whole) - len(back) - 1, len(whole) + 1))
    (root / path).write_text("\n".join(whole), "utf-8")


def definitions(module):
    return [n for n in module.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def renamed(found, line, old, new):
    """What stands there after the renaming; a name that is imported is still called as it was."""
    named = found[2] or found[4]
    called = f" as {old}" if named and not line[found.end() :].startswith(" as ") else ""
    return next(group for group in found.groups() if group) + new + called


def rename():
    """A module gets another name, and everybody imports it by that."""
    path = next(modules())
    old, new = path.stem, f"{path.stem}_renamed"
    subprocess.run(["git", "mv", str(path), str(path.with_name(new + ".py"))], cwd=root, check=True)
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=root, capture_output=True, text=True, check=True)
    package = path.parent.name
    said = re.compile(
        rf"(\bfrom \.){old}\b|(\bfrom \. import ){old}\b|(\b{package}\.){old}\b|(\bfrom {package} import ){old}\b"
    )
    for name in listed.stdout.splitlines():
        text = (root / name).read_text("utf-8")
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            replaced = said.sub(lambda m: renamed(m, line, old, new), line)
            if replaced != line:
                lines[number - 1] = replaced
                written.setdefault(name, set()).add(number)
        (root / name).write_text("\n".join(lines), "utf-8")


def header():
    """Twenty lines of a licence at the beginning of every module."""
    lines = [f"# Licence, line {number}: nobody warrants anything." for number in range(20)]
    for path in modules():
        text = (root / path).read_text("utf-8")
        (root / path).write_text("\n".join(lines) + "\n" + text, "utf-8")
        written[str(path)] = set(range(1, 21))


def function():
    """The longest function of the largest module that has one moves to a file of its own."""
    for path in modules():
        module = tree(path)
        nodes = sorted(definitions(module), key=lambda n: n.end_lineno - n.lineno)
        if nodes:
            take(path, nodes[-1:], module, f"{path.stem}_moved.py")
            return


def split():
    """Every second function of the largest module moves to another file."""
    for path in modules():
        module = tree(path)
        nodes = definitions(module)[::2]
        if len(nodes) > 1:
            take(path, nodes, module, f"{path.stem}_second.py")
            return


def run_of(module):
    """The first two functions or more that stand side by side."""
    run = []
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            run.append(node)
        elif len(run) > 1:
            break
        else:
            run = []
    return run


def order():
    """Functions that stand side by side, in the opposite order."""
    for path in modules():
        module = tree(path)
        nodes = run_of(module)
        if len(nodes) < 2:
            continue
        lines = (root / path).read_text("utf-8").split("\n")
        parts = [lines[n.lineno - 1 : n.end_lineno] for n in nodes]
        out, at = [], 0
        for node, part in zip(nodes, reversed(parts)):
            out += [*lines[at : node.lineno - 1], *part]
            at = node.end_lineno
        (root / path).write_text("\n".join([*out, *lines[at:]]), "utf-8")
        return


def indent():
    """A module's functions within `if True:`, four columns to the right."""
    for path in modules():
        module = tree(path)
        # A string over several lines would be another one.
        nodes = [n for n in definitions(module) if not n.decorator_list]
        plain = [n for n in nodes if not any(
            isinstance(i, (ast.Constant, ast.JoinedStr)) and i.end_lineno != i.lineno for i in ast.walk(n)
        )]
        if not plain:
            continue
        lines = (root / path).read_text("utf-8").split("\n")
        out, at = [], 0
        for node in plain:
            out += [*lines[at : node.lineno - 1], "if True:"]
            written.setdefault(str(path), set()).add(len(out))
            out += ["    " + line if line else line for line in lines[node.lineno - 1 : node.end_lineno]]
            at = node.end_lineno
        (root / path).write_text("\n".join([*out, *lines[at:]]), "utf-8")
        return


def copy():
    """Every module a second time: whatever is bad in it is there twice."""
    for path in list(modules()):
        (root / path.with_name(f"{path.stem}_copied.py")).write_text((root / path).read_text("utf-8"), "utf-8")


{f.__name__: f for f in (rename, header, function, split, order, indent, copy)}[move]()
print(json.dumps({"written": {name: sorted(lines) for name, lines in written.items()}}))
