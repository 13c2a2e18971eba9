"""What there is to test: every law and every algorithm that the package exports."""

import inspect
from types import ModuleType

import mho.algorithms
import mho.responses
from mho.algorithms.base import Algorithm
from mho.responses.base import Response


def laws() -> list[type[Response]]:
    """All response laws of mho.responses."""
    return _exported(mho.responses, Response)


def algorithms() -> list[type[Algorithm]]:
    """All algorithms of mho.algorithms."""
    return _exported(mho.algorithms, Algorithm)


def _exported(module: ModuleType, base: type) -> list:
    public = [getattr(module, name) for name in module.__all__]
    return [c for c in public if inspect.isclass(c) and issubclass(c, base) and c is not base]
