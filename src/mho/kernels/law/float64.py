"""A device's pulses in float64: the text that `emit` and `build` print for float32, with the other functions."""

import re
from types import ModuleType

from mho.device.device import Cells, Device
from mho.kernels.law.build import _MHO, Layout, _kernel_digest, module_of, source_of

_FUNCTIONS = (
    "abs|sqrt|min|max|exp|expm1_|exp2_|log|log2_|log1p_|pow|tanh|sigmoid|softplus|select|linear|bilinear"
)


def doubled(source: str) -> str:
    """Source of scalar float32 arithmetic, as `emit` writes it, in float64."""
    source = source.replace("from mho.numerics.lookup import", "from mho.numerics.math64 import")
    source = source.replace("from mho.numerics.math32 import", "from mho.numerics.math64 import")
    source = re.sub(rf"\b({_FUNCTIONS})32\b", r"\g<1>64", source)
    return re.sub(r"np\.float32\b", "np.float64", source)


def shift_kernels(device: Device, cells: Cells, single: bool = False) -> tuple[ModuleType, Layout]:
    """The module of `shift.py` for a device, and which parameter of its cells is a plane; in float64, or for
    comparison in float32 as tiles are.

    Raises: MhoError if the law has no compiled form.
    """
    layout = Layout(device, cells)
    source = source_of(device, layout, "shift.py")
    if single:
        return module_of("mho_shift32", source, _kernel_digest()), layout
    return module_of(
        "mho_shift", doubled(source), _kernel_digest() + (_MHO / "numerics/math64.py").read_text()
    ), layout
