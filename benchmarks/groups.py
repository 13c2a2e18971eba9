"""What is measured: groups of cases, and which contenders take part."""

from typing import Any, NamedTuple

from mho.testing import bench

ALL = ("mho", "aihwkit", "eager", "digital")


class Group(NamedTuple):
    """Cases that make one table, run by one process a contender."""

    name: str
    contenders: tuple[str, ...]
    cases: list[dict[str, Any]]
    threads: int = 2


def groups(quick: bool) -> list[Group]:
    """All groups in the order of the page."""
    updates = [
        Group("update", ALL, _updates(quick)),
        Group("update-without-c2c", ("mho", "aihwkit", "digital"), _updates(quick, sigma_c2c=0.0)),
        Group("update-bl-management", ("mho", "aihwkit"), _updates(quick, bl_management=True)),
    ]
    last = _updates(quick, aggregate=32)[-len(bench.LAWS) :]
    updates.append(Group("update-aggregated", ("mho", "aihwkit"), last))
    algorithms = [{"kind": "fcn", "algorithm": a} for a in ("analog-sgd", "ttv1", "ttv2", "agad")]
    fcn = Group("fcn", ("mho", "aihwkit", "digital"), algorithms)
    return [*updates, fcn, Group("linear", ("mho",), _linear(quick), threads=1)]


def _updates(quick: bool, **options: Any) -> list[dict[str, Any]]:
    """Every law on every shape."""
    shapes = [(16, 24, 3), (24, 16, 5)] if quick else bench.SHAPES
    return [_case(law, shape, **options) for shape in shapes for law in bench.LAWS]


def _case(law: str, shape: tuple[int, int, int], **options: Any) -> dict[str, Any]:
    return {"kind": "update"} | bench.Case(law, *shape, **options)._asdict()


def _linear(quick: bool) -> list[dict[str, Any]]:
    """Three decades of cells at 64 samples, and three of samples at 256 x 256 cells."""
    sides, samples = (64, 128, 256, 512, 1024, 2048), (4, 13, 40, 128, 404, 1280, 4000)
    if quick:
        sides, samples = (16, 32, 64), (2, 8, 32)
    law, side, n = "soft-bounds", 32 if quick else 256, 8 if quick else 64
    by_cells = [_case(law, (s, s, n)) | {"axis": "cells"} for s in sides]
    by_samples = [_case(law, (side, side, s)) | {"axis": "samples"} for s in samples]
    return by_cells + by_samples
