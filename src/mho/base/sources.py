"""Sources of the package that some modules reach by their imports, and a digest of them.

A result, or compiled code, that depends on sources is kept under their digest: an edit of one of them gives another
key, an edit elsewhere does not. Sources are read, not imported.
"""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

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
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] == package)
        elif isinstance(node, ast.ImportFrom):
            above = folders[: len(folders) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base.partition(".")[0] == package:
                yield from (base, *(f"{base}.{a.name}" for a in node.names))


def digest(modules: Sequence[str], apart: Sequence[str] = (), package: Path = PACKAGE) -> str:
    """Return the SHA-256 of the code of all `reachable` sources; docstrings, comments and layout do not count."""
    total = hashlib.sha256()
    for name, file in sorted(reachable(modules, apart, package).items()):
        total.update(f"{name}\n{_code(file)}\n".encode())
    return total.hexdigest()


def _code(file: Path) -> str:
    """Return the syntax tree of a source as text, without docstrings and positions."""
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, False):
            del node.body[0]
    return ast.dump(tree)
