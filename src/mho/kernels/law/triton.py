"""From a device to its Triton kernels: the law's text, its step functions, and the text of `trains.py`.

The module lies in the cache folder under a hash of its content, as on the CPU; Triton keeps its own cache of
what it compiles from it.
"""

import re
from pathlib import Path
from types import ModuleType

from mho.base.errors import complaint
from mho.device.device import Device
from mho.kernels.law import build as cpu
from mho.kernels.law.build import Layout, module_of
from mho.kernels.law.emit import TABLES, lower
from mho.kernels.law.translate import PRIMITIVES, translate

_HERE = Path(__file__).parents[1] / "gpu"
_IMPORT_OF_LAW = "from mho.kernels.gpu.ideal import"


def kernels_for(device: Device, layout: Layout, template: str = "trains.py") -> ModuleType:
    """The module of a device: `send_trains` and `send_rounded`, or of "flow.py", `apply`."""
    return module_of("mho_gpu_law", source_of(device, layout, template))


def source_of(device: Device, layout: Layout, template: str) -> str:
    """Source of a kernel module of this device."""
    methods = cpu.methods_of(layout, template)
    source = lower(device.response, device.varying, methods).source
    if any(f"{name}(" in source for name in TABLES):
        where = f"Device(response={type(device.response).__name__}(...))"
        raise complaint(
            where, "looks up a table", "A GPU has no such operation yet", "keep the layer on the CPU"
        )
    law = translate(source)
    if template == "flow.py":
        steps = [_pulsed(cpu.flow_text(layout), layout)]
    else:
        steps = [_pulsed(cpu.step_text(*way, layout), layout) for way in (("up", "+"), ("down", "-"))]
    helpers = sorted({*re.findall(r"\b(\w+32)\(", law)} - {*PRIMITIVES})
    imports = [f"from mho.kernels.gpu.primitives import {', '.join(PRIMITIVES)}"]
    imports += [f"from mho.kernels.gpu.math32 import {', '.join(helpers)}"] if helpers else []
    flag = f"NOISY = tl.constexpr({layout.noise != 'none'})"
    head, _, tail = (_HERE / template).read_text().partition(_IMPORT_OF_LAW)
    functions = "\n\n\n".join(("\n".join(imports), flag, law, _parameters(layout), *steps))
    return f"{head}{functions}\n\n{tail.partition(chr(10))[2]}"


def _parameters(layout: Layout) -> str:
    """`par`: the numbers that all cells share, in the order of `Layout.scal`, then blocks of the planes."""
    loads = [f"tl.load(scal + {n})" for n in range(_n_numbers(layout))]
    loads += [f"tl.load(planes + {n} * size + at, mask=live, other=0.0)" for n in range(len(layout.planes))]
    return f"@triton.jit\ndef parameters(planes, scal, at, live, size):\n    return ({', '.join(loads)})"


def _pulsed(text: str, layout: Layout) -> str:
    """A step function of the CPU for the GPU, its parameters taken from `par`."""
    text = text.replace("par, i, q, scal", "par")
    text = re.sub(r"\bpar\[(\d+), i, q\]", lambda m: f"par[{_n_numbers(layout) + int(m[1])}]", text)
    return translate(re.sub(r"\bscal\[", "par[", text))


def _n_numbers(layout: Layout) -> int:
    return 2 + len(layout.scalars)
