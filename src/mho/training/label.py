"""The label of what a run writes: its configuration, which is compared before anything of a folder is used."""

import json
from collections.abc import Mapping
from typing import Any

from mho.base.config import to_dict
from mho.base.errors import complaint
from mho.training.plan import RunPlan

FREE = ("epochs", "threads", "data_dir")  # fields that may change when a run is resumed


def configuration(spec: RunPlan) -> dict[str, Any]:
    """Return all fields of a run, as JSON gives them back."""
    return json.loads(json.dumps(to_dict(spec)))


def label(spec: RunPlan) -> dict[str, Any]:
    """Return the fields that a run cannot change, as JSON gives them back."""
    return {name: value for name, value in configuration(spec).items() if name not in FREE}


def check_label(found: Any, own: dict[str, Any], where: str, fix: str = "") -> None:
    """Compare the label of a file, or of a folder, with that of the run which is to go on with it.

    Args:
        found: the fields that stand there; own: the `label` of the run.
        where: the file or the call; fix: the remedy.
    Raises: MhoError that names the fields that differ.
    """
    if not isinstance(found, dict):
        wrong = "it does not say which run it belongs to; a version of mho before 0.1.0 wrote it"
        raise complaint(where, wrong, fix=fix)
    changed = [line for line in differences(found, own) if line.split(" ")[0] not in FREE]
    if changed:
        wrong, need = f"it holds a run with {'; '.join(changed)}", f"Only {', '.join(FREE)} may change"
        raise complaint(where, wrong, need, fix)


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Return the places where two configurations differ, each as `path = old, not new`.

    Args:
        old, new: JSON data; at: the path of both, for the text.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = list(dict.fromkeys([*old, *new]))
        pairs = [(old.get(k), new.get(k), f"{at}.{k}" if at else k) for k in keys]
        return [line for o, n, path in pairs for line in differences(o, n, path)]
    return [] if old == new else [f"{at} = {json.dumps(old)}, not {json.dumps(new)}"]
