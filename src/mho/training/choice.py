"""Runs by the names of their parts: an algorithm, a response, a file of a device, settings of any field."""

import os
from collections.abc import Sequence

from mho.algorithms.base import Algorithm
from mho.algorithms.residual_learning import ResidualLearning
from mho.base.config import from_dict, override, read, to_dict
from mho.base.errors import MhoError, complaint, shown, within
from mho.base.records import field_rules
from mho.base.registry import find, kebab, member
from mho.crossbar import Crossbar
from mho.device.device import Device
from mho.responses.base import Response
from mho.responses.power import Power
from mho.training.spec import DIGITAL, RunSpec, algorithm_name


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
        device: a .json or .toml file of a Device, such as `mho device fit` writes; it comes before the response,
            and both before the settings.
    Raises: MhoError for a name that is unknown, a file that holds no device, and a setting that does not fit.
    """
    if algorithm is not None and kebab(algorithm) == DIGITAL:
        if settings or response or device:
            raise complaint(f"choose(algorithm={DIGITAL!r})", "this is plain torch; no hardware can be set")
        return base.replace(hardware=None)
    hardware = to_dict(base.hardware or default_hardware())
    if algorithm is not None:
        where, present = f"choose(algorithm={algorithm!r})", hardware["algorithm"]["type"]
        asked = member(where, algorithm, Algorithm, "no such algorithm")
        if asked is not find(where, present, Algorithm):
            hardware["algorithm"] = to_dict(asked())
    if device is not None:
        hardware["device"] = to_dict(device_of(device))
    if response is not None:
        where = f"choose(response={response!r})"
        law = to_dict(member(where, response, Response, "no such response")())
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
        specs[algorithm_name(plain)] = choose(plain, settings=fitting)
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

    Raises: MhoError for a file that cannot be read or holds something else, and for a wrong field.
    """
    data = read(file)
    where = f"choose(device={str(file)!r})"
    if kebab(str(data.get("type", "Device"))) != "device":
        need = 'Needed: a Device, {"type": "Device", "response": ..., "dw_min": ...}, as `mho device fit` writes it'
        raise complaint(
            where,
            f"describes a {data['type'] if isinstance(data['type'], str) else shown(data['type'])}",
            need,
        )
    try:
        return from_dict(data, kind=Device)
    except MhoError as error:
        raise within(where, error) from None


def _concerns(hardware: Crossbar | None, setting: str) -> bool:
    """Return whether a setting of the algorithm names a field that this algorithm has; others always do."""
    path = setting.partition("=")[0].split(".")
    return hardware is not None and (
        path[0] != "algorithm" or path[-1] in field_rules(type(hardware.algorithm))
    )
