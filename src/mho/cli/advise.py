"""`mho algorithms advise`: hyper-parameters to start from, for a device and a layer."""

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from mho.base.errors import complaint
from mho.cli.options import AsJson, print_json


def advise(
    layer: Annotated[str, Option(metavar="OUTxIN", help="Size of the layer, such as 256x784.")],
    algorithm: Annotated[
        str | None, Option(help="Only the fields of this one.", show_default="all fields")
    ] = None,
    response: Annotated[
        str | None, Option(help="A class of mho.responses in kebab-case.", show_default="power")
    ] = None,
    settings: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Any field of the hardware, as for `mho train`: device.dw_min=1e-2. What is set of the "
            "algorithm counts as chosen: the rest follows from it.",
        ),
    ] = None,
    device: Annotated[
        Path | None,
        Option(help="A .json or .toml file of a Device, a Crossbar, or a run's config.json."),
    ] = None,
    bl: Annotated[
        int | None, Option(min=1, help="Slots of a pulse train.", show_default="the hardware's, 31")
    ] = None,
    x_max: Annotated[float, Option(help="Largest |input| of the layer.")] = 1.0,
    d_max: Annotated[float, Option(help="Largest |error|; it carries the loss's 1/batch.")] = 0.1,
    lr: Annotated[float, Option(help="Learning rate of the optimizer.")] = 0.1,
    batch_size: Annotated[int, Option(help="Samples a step.")] = 10,
    activity: Annotated[
        float, Option(help="Mean of |x d| over cells and samples, relative to x_max d_max.")
    ] = 0.01,
    read_noise: Annotated[
        float | None,
        Option(
            help="Standard deviation of a column read [weight units].", show_default="the hardware's, 0.06"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Advise on hyper-parameters for a device and a layer, each number with its formula and its reason.

    The numbers follow from granularity, number of states and tile size. A ~ marks a rule of thumb: a place to
    start, not an optimum. The device is that of `mho train` unless options say otherwise.

    Examples:

    mho algorithms advise --layer 256x784

    mho algorithms advise --layer 256x784 --algorithm residual-learning --response soft-bounds

    mho algorithms advise --layer 10x128 --set device.dw_min=0.05 --read-noise 0

    mho algorithms advise --layer 256x784 --device runs/mnist/config.json --json
    """
    from mho.diagnostics.advice.advisor import Setup
    from mho.diagnostics.advice.advisor import advise as advise_on
    from mho.training.choice import choose

    base = _base(device)
    spec = choose(base, algorithm, response, settings or [])
    hardware = spec.hardware
    if hardware is None or hardware.algorithm.roles().digital:
        raise complaint(f"--algorithm {algorithm}", "it sends no pulses; there is nothing to advise on")
    chosen = [
        s.partition("=")[0].strip().split(".")[1:] for s in settings or [] if s.startswith("algorithm.")
    ]
    fixed = {path[0]: vars(hardware.algorithm)[path[0]] for path in chosen if path}
    setup = Setup(x_max, d_max, lr, batch_size, activity, read_noise, bl)
    mine = hardware.algorithm if algorithm or fixed else None
    found = advise_on(hardware, _size(layer), mine, setup, fixed)
    if as_json:
        print_json([_plain(a, mine) for a in found])
    else:
        _print_advice(found, mine)


def _base(device: Path | None):
    """Return the run to start from: the default hardware with the device or crossbar of the file."""
    from mho.base.config import record_in
    from mho.crossbar import Crossbar
    from mho.device.device import Device
    from mho.training.choice import default_hardware
    from mho.training.spec import RunSpec

    if device is None:
        return RunSpec()
    part = record_in(device, kind=Device | Crossbar | RunSpec)
    if isinstance(part, RunSpec):
        return part
    return RunSpec(hardware=part if isinstance(part, Crossbar) else default_hardware().replace(device=part))


def _size(layer: str) -> tuple[int, int]:
    parts = layer.lower().split("x")
    if len(parts) != 2 or not all(p.isdecimal() and int(p) > 0 for p in parts):
        raise complaint(f"--layer {layer}", "this is no size", "Needed: OUTxIN", "such as 256x784")
    return int(parts[0]), int(parts[1])


def _now(a: Any, algorithm: Any) -> Any:
    """Return the present value of the field that the advice is about; None for other numbers."""
    return vars(algorithm).get(a.name) if algorithm is not None and a.name == a.field else None


def _plain(a: Any, algorithm: Any) -> dict[str, Any]:
    import math

    def number(v: float | None) -> float | str | None:
        return "infinite" if v is not None and math.isinf(v) else v

    inputs = {name: number(v) for name, v in a.inputs.items()}
    plain = a._asdict() | {"value": number(a.value), "inputs": inputs}
    return plain | {"now": _now(a, algorithm)}


def _print_advice(found: list[Any], algorithm: Any) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    field = ""
    for a in found:
        if a.field != field:
            field = a.field
            console.print(Text(f"\n{field}", style="bold"))
        now = _now(a, algorithm)
        line = f"  {a.name} {'~' if a.thumb else '='} {a.text}" + (
            f"   (now {now})" if now is not None else ""
        )
        console.print(Text(line, style="cyan"), soft_wrap=True)
        steps = [a.formula] if a.formula not in ("None", a.text) else []
        if a.with_numbers not in ("", a.formula, a.text):
            steps.append(a.with_numbers)
        if steps:
            console.print(Text("      = " + " = ".join(steps)), soft_wrap=True)
        console.print(Padding(Text(a.why, style="dim"), (0, 0, 0, 6)))
    console.print(
        "\nFor a nominal cell, the largest sub-tile, and the assumptions in --help. ~ is a rule of thumb.",
        highlight=False,
    )
