"""Sources of the package that some modules reach by their imports, and a digest of them.

A result, or compiled code, that depends on sources is kept under their digest: an edit of one of them gives another
key, an edit elsewhere does not. Sources are read, not imported.
"""

import ast
import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent.parent


def reachable(modules: Sequence[str], apart: Sequence[str] = (), package: Path = PACKAGE) -> dict[str, Path]:
    """Return {module: file} of these modules and of all modules of the package that they import, directly or not.

    Imports inside functions count. The `__init__` of a folder counts where it is imported itself; the front door of
    the package, which names everything, never counts.

    Args:
        modules: full names, such as "mho.training.loop".
        apart: modules and folders that are left out, with what only they import; "mho.algorithms.__init__" leaves
            out the `__init__` of a folder alone.
        package: the folder of the package.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or name == package.name or any(f"{name}.".startswith(f"{a}.") for a in apart):
            continue
        place = package.joinpath(*name.split(".")[1:])
        file = next((f for f in (place / "__init__.py", place.with_suffix(".py")) if f.exists()), None)
        if file is not None and not (file.name == "__init__.py" and f"{name}.__init__" in apart):
            found[name] = file
            waiting += _imports(file, name, package.name)
    return found


def _imports(file: Path, name: str, package: str) -> Iterator[str]:
    """Yield the names that a module imports from the package."""
    folders = name.split(".")[: None if file.name == "__init__.py" else -1]
    return imports_of(file.read_text(encoding="utf-8"), package, folders)


def imports_of(source: str, package: str, folders: Sequence[str] = ()) -> Iterator[str]:
    """Yield the names that a source imports from a package: of modules, and of objects that modules define.

    folders: names of the folders that hold the source, from the package on, for relative imports.
    """
    for level, module, names in _parsed(source).imports:
        above = folders[: len(folders) + 1 - level] if level else []
        base = ".".join([*above, *([module] if module else [])])
        if base.partition(".")[0] == package:
            yield from (base, *(f"{base}.{name}" for name in names))


def youngest(modules: Sequence[str], package: Path = PACKAGE) -> int:
    """Return the time of the last change of any of the `reachable` sources [ns since 1970]."""
    return max((file.stat().st_ctime_ns for file in reachable(modules, package=package).values()), default=0)


def digest(modules: Sequence[str], apart: Sequence[str] = (), package: Path = PACKAGE) -> str:
    """Return the SHA-256 of the code of all `reachable` sources; docstrings, comments and layout do not count."""
    total = hashlib.sha256()
    for name, file in sorted(reachable(modules, apart, package).items()):
        total.update(f"{name}\n{_parsed(file.read_text(encoding='utf-8')).code}\n".encode())
    return total.hexdigest()


class _Source(NamedTuple):
    """Imports of a source, as (level, module, names), and the digest of its code."""

    imports: tuple[tuple[int, str, tuple[str, ...]], ...]
    code: str


@functools.cache
def _parsed(source: str) -> _Source:
    """Parse a source: its imports, and its code, without docstrings and positions."""
    tree = ast.parse(source)
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, False):
            del node.body[0]
    return _Source(tuple(imports), hashlib.sha256(ast.dump(tree).encode()).hexdigest())


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a syntax tree and all statements in it, each before those that it holds."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _statements(child)
