"""Runs by the names of their parts: an algorithm, a response, a file of a device, settings of any field."""

import inspect
import os
from collections.abc import Sequence
from typing import Any

import mho.algorithms
import mho.responses
from mho.algorithms.base import Algorithm
from mho.algorithms.residual_learning import ResidualLearning
from mho.base.config import from_dict, kebab, override, read, to_dict
from mho.base.errors import MhoError, complaint, did_you_mean
from mho.crossbar import Crossbar
from mho.device.device import Device
from mho.responses.base import Response
from mho.responses.power import Power
from mho.training.spec import DIGITAL, RunSpec


def choose(
    base: RunSpec,
    algorithm: str | None = None,
    response: str | None = None,
    settings: Sequence[str] = (),
    device: str | os.PathLike[str] | None = None,
) -> RunSpec:
    """Return the run `base` with another algorithm, device, response and other fields of the hardware.

    Args:
        base: the run to start from; without hardware, `default_hardware()` takes its place.
        algorithm: a name of `mho.algorithms`, such as `residual-learning`, or `digital` for plain torch.
        response: a name of `mho.responses`, such as `soft-bounds`, with that law's defaults.
        settings: assignments such as `device.dw_min=1e-3`, relative to the hardware.
        device: a .json or .toml file of a Device, such as `mho device fit` writes. The device comes first,
        then the
            response, then the settings.
    Raises: MhoError for a name that is unknown, a file that holds no device, and a setting that does not fit.
    """
    if algorithm is not None and kebab(algorithm) == DIGITAL:
        if settings or response or device:
            raise complaint(f"choose(algorithm={DIGITAL!r})", "this is plain torch; no hardware can be set")
        return base.replace(hardware=None)
    hardware = to_dict(base.hardware or default_hardware())
    if algorithm is not None and kebab(hardware["algorithm"]["type"]) != kebab(algorithm):
        hardware["algorithm"] = to_dict(_named(algorithm, mho.algorithms, Algorithm)())
    if device is not None:
        hardware["device"] = to_dict(device_of(device))
    if response is not None:
        law = to_dict(_named(response, mho.responses, Response)())
        devices = hardware["device"]
        for one in [devices] if "type" in devices else devices.values():
            one["response"] = law
    for setting in settings:
        hardware = override(hardware, setting)
    return base.replace(hardware=from_dict(hardware, kind=Crossbar))


def choose_several(
    base: RunSpec,
    algorithms: Sequence[str],
    response: str | None = None,
    settings: Sequence[str] = (),
    device: str | os.PathLike[str] | None = None,
) -> dict[str, RunSpec]:
    """Return {algorithm: run}. A setting `algorithm.field=value` goes to the algorithms that have the field.

    Args and Raises: see `choose`; also MhoError for a setting that no algorithm has.
    """
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
        wrong = f"none of {', '.join(algorithms)} has this field"
        raise complaint(f"choose_several(settings={min(unused)!r})", wrong)
    return specs


def default_hardware() -> Crossbar:
    """Return the crossbar that `mho train` simulates unless told otherwise: a device with 1200 states.

    Source: arXiv 2502.06309, table 8, power response, gamma_res = 1, tau = 0.6; c2c and spread as the authors'
    script has them from aihwkit's defaults.
    """
    law = Power(tau=0.6, gamma_res=1.0)
    device = Device(law, dw_min=1e-3, sigma_c2c=0.3, c2c="multiplicative", spread={"gain": 0.3})
    return Crossbar(algorithm=ResidualLearning(), device=device)


def device_of(file: str | os.PathLike[str]) -> Device:
    """Return the device that a file describes.

    Raises:
        MhoError: the file cannot be read, holds something else, or a field is wrong.
    """
    data = read(file)
    where = f"choose(device={str(file)!r})"
    if kebab(str(data.get("type", "Device"))) != "device":
        need = 'Needed: a Device, {"type": "Device", "response": ..., "dw_min": ...}, as `mho device fit` writes it'
        raise complaint(where, f"describes a {data['type']}", need)
    try:
        return from_dict(data, kind=Device)
    except MhoError as error:
        raise MhoError(f"`{where}`: {error}") from None


def _concerns(hardware: Crossbar | None, setting: str) -> bool:
    path = setting.partition("=")[0].split(".")
    return hardware is not None and (path[0] != "algorithm" or hasattr(hardware.algorithm, path[-1]))


def _named(name: str, module: Any, base: type) -> Any:
    """Return the subclass of `base` in a module, by its name in any spelling."""
    public = {kebab(n): getattr(module, n) for n in module.__all__}
    known = {n: c for n, c in public.items() if inspect.isclass(c) and issubclass(c, base) and c is not base}
    if kebab(name) not in known:
        kind = base.__name__.lower()
        raise complaint(f"choose({kind}={name!r})", f"no such {kind}", did_you_mean(kebab(name), known))
    return known[kebab(name)]
