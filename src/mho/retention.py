"""Retention of cells: the records `Retention` and `Drift`, and the verbs `age`, `drift` and `reset` of a tile."""

from mho.device.retention import Drift, Retention
from mho.tile.ageing import age, drift, reset

__all__ = ["Drift", "Retention", "age", "drift", "reset"]
