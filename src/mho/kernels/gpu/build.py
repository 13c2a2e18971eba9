"""From a device to its Triton kernels: the law's text, its step functions, and the text of `template.py`.

The module lies in the cache folder under a hash of its content, as on the CPU; Triton keeps its own cache of
what it compiles from it.
"""

import re
from pathlib import Path
from types import ModuleType

from mho.device import Device
from mho.kernels.build import Layout, module_of
from mho.kernels.emit import lower
from mho.kernels.gpu.translate import PRIMITIVES, translate

_HERE = Path(__file__).parent
_IMPORT_OF_LAW = "from mho.kernels.gpu.ideal import"
_CHANGE = {
    "none": "q_w",
    "additive": "(q_w + par[1] * z)",
    "multiplicative": "(q_w * (1.0 + par[1] * z))",
}


def kernels_for(device: Device, layout: Layout) -> ModuleType:
    """The module of a device: `send_trains` and `send_rounded`, and the functions that they are made of."""
    return module_of("mho_gpu_law", source_of(device, layout))


def source_of(device: Device, layout: Layout) -> str:
    """Source of the kernel module of this device."""
    law = translate(lower(device.response, varying=device.varying).source)
    helpers = sorted({*re.findall(r"\b(\w+32)\(", law)} - {*PRIMITIVES})
    imports = f"from mho.kernels.gpu.primitives import {', '.join(PRIMITIVES)}"
    if helpers:
        imports += f"\nfrom mho.kernels.gpu.math32 import {', '.join(helpers)}"
    flag = f"NOISY = tl.constexpr({layout.noise != 'none'})"
    functions = (
        imports,
        flag,
        law,
        _parameters(layout),
        _step("up", "+", layout),
        _step("down", "-", layout),
    )
    head, _, tail = (_HERE / "template.py").read_text().partition(_IMPORT_OF_LAW)
    return head + "\n\n\n".join(functions) + "\n\n" + tail.partition("\n")[2]


def _parameters(layout: Layout) -> str:
    """`par` = (dw_min, sigma_c2c, then every parameter by name): numbers, or blocks where cells differ."""
    loads = ["tl.load(scal)", "tl.load(scal + 1)"]
    for name in layout.values:
        if name in layout.planes:
            offset = layout.planes.index(name)
            loads.append(f"tl.load(planes + {offset} * size + at, mask=live, other=0.0)")
        else:
            loads.append(f"tl.load(scal + {2 + layout.scalars.index(name)})")
    return f"@triton.jit\ndef parameters(planes, scal, at, live, size):\n    return ({', '.join(loads)})"


def _step(direction: str, sign: str, layout: Layout) -> str:
    par = {name: f"par[{2 + n}]" for n, name in enumerate(layout.values)}
    arguments = ", ".join(["w", *(par[name] for name in layout.fields)])
    return f"""@triton.jit
def step_{direction}(w, z, par):
    q_w = {direction}({arguments})
    new = w {sign} par[0] * {par["gain"]} * {_CHANGE[layout.noise]}
    new = tl.where(new < {par["lower"]}, {par["lower"]}, new)
    return tl.where(new > {par["upper"]}, {par["upper"]}, new)"""
