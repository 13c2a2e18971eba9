"""From what a user chose (a file, options, `--set`) to run specifications."""

import os
from collections.abc import Sequence
from typing import Any

import mho
from mho.base.config import from_dict, override, read, to_dict
from mho.base.errors import MhoError, complaint
from mho.base.registry import find, kebab, member
from mho.training.spec import RunSpec

DIGITAL = "digital"


def choose(
    base: RunSpec,
    algorithm: str | None = None,
    response: str | None = None,
    settings: Sequence[str] = (),
    device: str | os.PathLike[str] | None = None,
) -> RunSpec:
    """The run `base` with another algorithm, device, response and other fields of the hardware.

    Args:
        base: the run to start from; without hardware, `default_hardware()` takes its place.
        algorithm: a name of `mho.algorithms`, as `residual-learning`, or `digital` for plain torch.
        response: a name of `mho.responses`, as `soft-bounds`, with that law's defaults.
        settings: assignments such as `device.dw_min=1e-3`, relative to the hardware.
        device: a .json or .toml file of a Device, such as `mho device fit` writes; it comes first, then the
            response, then the settings.
    """
    if algorithm is not None and kebab(algorithm) == DIGITAL:
        if settings or response or device:
            raise complaint(f"--algorithm {DIGITAL}", "this is plain torch; no hardware can be set")
        return base.replace(hardware=None)
    hardware = to_dict(base.hardware or default_hardware())
    if algorithm is not None:
        where, wrong = f"--algorithm {algorithm}", "no such algorithm"
        asked = member(where, algorithm, mho.algorithms.Algorithm, wrong)
        if asked is not find(where, hardware["algorithm"]["type"], mho.algorithms.Algorithm):
            hardware["algorithm"] = to_dict(asked())
    if device is not None:
        hardware["device"] = to_dict(device_of(device))
    if response is not None:
        law = to_dict(
            member(f"--response {response}", response, mho.responses.Response, "no such response")()
        )
        devices = hardware["device"]
        for one in [devices] if "type" in devices else devices.values():
            one["response"] = law
    for setting in settings:
        hardware = override(hardware, setting)
    return base.replace(hardware=from_dict(hardware, kind=mho.Crossbar))


def device_of(file: str | os.PathLike[str]) -> mho.Device:
    """The device that a file describes.

    Raises:
        MhoError: the file cannot be read, is of something else, or a field is wrong.
    """
    data = read(file)
    kind = kebab(str(data.get("type", "Device")))
    if kind != "device":
        need = 'Needed: a Device, {"type": "Device", "response": ..., "dw_min": ...}, as `mho device fit` writes it'
        raise complaint(f"--device {file}", f"describes a {data['type']}", need)
    try:
        return from_dict(data, kind=mho.Device)
    except MhoError as error:
        raise MhoError(f"`--device {file}`: {error}") from None


def choose_several(
    base: RunSpec,
    algorithms: Sequence[str],
    response: str | None = None,
    settings: Sequence[str] = (),
    device: str | os.PathLike[str] | None = None,
) -> dict[str, RunSpec]:
    """{algorithm: run}. A setting `algorithm.field=value` goes to the algorithms that have the field."""
    specs, unused = {}, set(settings)
    for name in algorithms:
        if kebab(name) == DIGITAL:
            specs[DIGITAL] = choose(base, DIGITAL)
            continue
        plain = choose(base, name, response, device=device)
        fitting = [s for s in settings if _concerns(plain.hardware, s)]
        unused -= set(fitting)
        specs[kebab(name)] = choose(plain, settings=fitting)
    if unused:
        raise complaint(f"--set {min(unused)}", f"none of {', '.join(algorithms)} has this field")
    return specs


def _concerns(hardware: mho.Crossbar | None, setting: str) -> bool:
    path = setting.partition("=")[0].split(".")
    return hardware is not None and (path[0] != "algorithm" or hasattr(hardware.algorithm, path[-1]))


def default_hardware() -> Any:
    """The crossbar that `mho train` simulates unless told otherwise: a device with 1200 states.

    Source: arXiv 2502.06309, table 8, power response, gamma_res = 1, tau = 0.6; c2c and spread as the authors'
    script has them from aihwkit's defaults.
    """
    law = mho.responses.Power(tau=0.6, gamma_res=1.0)
    device = mho.Device(law, dw_min=1e-3, sigma_c2c=0.3, c2c="multiplicative", spread={"gain": 0.3})
    return mho.Crossbar(algorithm=mho.algorithms.ResidualLearning(), device=device)
