"""From a device to its compiled kernels: one generated module a law, kept on disk by its content.

The module is the law as `emit.lower` prints it, the two pulse functions `step_up` and `step_down` around it,
and the text of `trains.py`. Its name is a hash of all the source it is made from, so a second process
finds both the module and Numba's machine code in the cache folder (MHO_CACHE, else the user's cache), and a
changed law or a changed kernel can never meet stale code.
"""

import functools
import hashlib
import importlib.util
import os
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np

from mho.base.errors import complaint
from mho.base.files import write_text
from mho.base.records import float_fields
from mho.device.device import Cells, Device
from mho.kernels.law.emit import lower
from mho.kernels.law.trace import inputs_of

_MHO = Path(__file__).parents[2]
_TEMPLATES = _MHO / "kernels" / "cpu"
_PARTS = (
    "numerics/compile.py",
    "numerics/math32.py",
    "numerics/lookup.py",
    "numerics/philox.py",
    "numerics/normal.py",
    "kernels/cpu/lines.py",
    "kernels/cpu/memory.py",
    "numerics/vector.py",
    "kernels/cpu/finish.py",
)
_IMPORT_OF_LAW = "from mho.kernels.cpu.ideal import"
_IMPORT_OF_PARTS = "from mho.kernels.cpu.trains import"
_FIRST_KERNEL = "\n@lean_kernel"


class Layout:
    """Which parameter of a cell is a plane and which is one number for all cells, in a fixed order; parameters that
    are one tensor share a plane."""

    def __init__(self, device: Device, cells: Cells) -> None:
        values = cells.values()
        self.fields = float_fields(type(device.response))
        varying = {n: v for n, v in values.items() if not isinstance(v, (int, float))}
        first = {id(v): n for n, v in reversed(varying.items())}
        self.planes = tuple(n for n, v in varying.items() if first[id(v)] == n)
        self.same = {n: first[id(v)] for n, v in varying.items()}
        self.scalars = tuple(n for n in values if n not in varying)
        self.values = values
        self.noise = device.c2c if device.sigma_c2c > 0 or device.c2c == "law" else "none"

    def scal(self, device: Device) -> tuple[np.float32, ...]:
        """The kernel's tuple of numbers: dw_min, sigma_c2c, then the scalars by name."""
        numbers = [device.dw_min, device.sigma_c2c, *(float(self.values[n]) for n in self.scalars)]
        return tuple(np.float32(v) for v in numbers)

    def where(self, name: str) -> str:
        """The expression by which a kernel reaches a parameter."""
        if name in self.same:
            return f"par[{self.planes.index(self.same[name])}, i, q]"
        return f"scal[{2 + self.scalars.index(name)}]"

    def gain(self, direction: str) -> str:
        """The same for the gain of one direction."""
        return self.where("gain" if "gain" in self.values else f"gain_{direction}")


def source_of(device: Device, layout: Layout, template: str = "trains.py") -> str:
    """Source of a kernel module of this device: "trains.py" sends the pulses of an update,
    "counted.py" given numbers of pulses; "flow.py" applies counted ones together."""
    law = lower(device.response, device.varying, methods_of(layout, template))
    cheap = "32(" not in law.source.partition("def ")[2]
    noisy = layout.noise != "none"
    flags = f"NOISY = {noisy}\nCHEAP = {cheap}\nSHARE = {_share(law.source, noisy, len(layout.planes))}"
    if template == "flow.py":
        functions = [flow_text(layout)]
    else:
        functions = [step_text("up", "+", layout), step_text("down", "-", layout)]
    functions.insert(0, _shared(layout))
    head, tail = _split(template)
    imports = "from mho.numerics.compile import part"
    return "\n\n\n".join((f"{head}\n{imports}\n{law.source}\n\n{flags}", *functions, tail))


def methods_of(layout: Layout, template: str) -> tuple[str, str]:
    """The methods of the law that a kernel is made of.

    Raises: MhoError if pulses are to be aggregated whose noise only the law knows.
    """
    if layout.noise != "law":
        return "up", "down"
    if template == "flow.py":
        what = 'the device has c2c="law", whose noise is defined for single pulses'
        raise complaint("Pulses(aggregate=...)", what, fix="use aggregate=0, or another c2c")
    return "noisy_up", "noisy_down"


def _shared(layout: Layout) -> str:
    """The numbers that all cells share, as a tuple: the compiler keeps it in registers."""
    numbers = ", ".join(f"numbers[{n}]" for n in range(2 + len(layout.scalars)))
    return f"@part\ndef shared(numbers):\n    return ({numbers})"


def _share(law: str, noisy: bool, n_planes: int) -> float:
    """The share of a row's cells from which it is quicker to compute all of them, 16 at a time, than to visit
    those that get a pulse: measured with AVX-512, see design/006. Cells that are visited bring
    their planes with them, one by one."""
    for helpers, share in (
        (r"linear32\(", 1.01),
        (r"pow32\(", 0.6),
        (r"(exp|log|tanh|sigmoid|softplus)\w*\(", 0.4),
        (r"sqrt32\(", 0.2),
    ):
        if re.search(helpers, law.partition("def ")[2]):
            return share / (1 + 0.15 * max(n_planes - 1, 0)) if share < 1 else share
    return 0.17 if noisy else 0.07


def step_text(direction: str, sign: str, layout: Layout) -> str:
    """One pulse: the law, its noise, and the clip to the cell's bounds."""
    law = f"noisy_{direction}" if layout.noise == "law" else direction
    arguments = ", ".join([*inputs_of(law), *(layout.where(name) for name in layout.fields)])
    change = {
        "none": "q_w",
        "law": "q_w",
        "additive": "(q_w + scal[1] * z)",
        "multiplicative": "(q_w * (np.float32(1.0) + scal[1] * z))",
    }[layout.noise]
    return f"""@part
def step_{direction}(w, z, par, i, q, scal):
    q_w = {law}({arguments})
    new = w {sign} scal[0] * {layout.gain(direction)} * {change}
    low = {layout.where("lower")}
    high = {layout.where("upper")}
    new = low if new < low else new
    return high if new > high else new"""


def flow_text(layout: Layout) -> str:
    """One step of the flow: midpoint rule, then the noise of its pulses."""
    fields = "".join(f", {layout.where(name)}" for name in layout.fields)
    shared = "gain" in layout.values
    noise = {
        "none": "",
        "additive": " + size * (scal[1] * np.sqrt(n_up + n_down) * z)",
        "multiplicative": " + size * (scal[1] * np.sqrt(n_up * (a * a) + n_down * (b * b)) * z)",
    }[layout.noise]
    if not shared and layout.noise == "additive":
        noise = noise.replace("n_up + n_down", "n_up * (g_up * g_up) + n_down * (g_down * g_down)")
    gains = f"size = scal[0] * {layout.gain('up')}"
    if not shared:
        gains = f"size = scal[0]\n    g_up = {layout.gain('up')}\n    g_down = {layout.gain('down')}"
    up, down = ("up", "down") if shared else ("g_up * up", "g_down * down")
    return f"""@part
def flow(w, n_up, n_down, z, par, i, q, scal):
    low = {layout.where("lower")}
    high = {layout.where("upper")}
    {gains}
    w_m = w + size * (np.float32(0.5) * (n_up * ({up}(w{fields})) - n_down * ({down}(w{fields}))))
    w_m = low if w_m < low else w_m
    w_m = high if w_m > high else w_m
    a = {up}(w_m{fields})
    b = {down}(w_m{fields})
    new = w + size * (n_up * a - n_down * b){noise}
    new = low if new < low else new
    return high if new > high else new"""


def _split(template: str) -> tuple[str, str]:
    """The text before the import of the law and after it; parts imported from trains.py are written out."""
    head, _, tail = (_TEMPLATES / template).read_text().partition(_IMPORT_OF_LAW)
    tail = tail.partition("\n")[2]
    before, is_there, after = tail.partition(_IMPORT_OF_PARTS)
    if is_there:
        parts_head, parts = _split("trains.py")
        head = f"{parts_head}\n{head}"
        tail = f"{before}\n{parts.partition(_FIRST_KERNEL)[0]}\n{after.partition(chr(10))[2]}"
    return head.rstrip("\n"), tail.rstrip("\n")


@functools.cache
def _kernel_digest() -> str:
    import numba

    text = "".join((_MHO / name).read_text() for name in _PARTS)  # templates are in the source
    return hashlib.sha256(f"{numba.__version__}{sys.version_info[:2]}{text}".encode()).hexdigest()


def cache_folder() -> Path:
    """Folder of the generated modules; a temporary one where the user's cache cannot be written."""
    named = os.environ.get("MHO_CACHE")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "mho"
    try:
        base.mkdir(parents=True, exist_ok=True)
        probe = base / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        base = Path(tempfile.gettempdir()) / f"mho-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
        base.mkdir(parents=True, exist_ok=True)
    return base


_MODULES: dict[str, ModuleType] = {}


def kernels_for(device: Device, layout: Layout, template: str = "trains.py") -> ModuleType:
    """A compiled module of a device: that template's kernels, and the scalar functions of the law."""
    return module_of("mho_law", source_of(device, layout, template), _kernel_digest())


def module_of(prefix: str, source: str, digest: str = "") -> ModuleType:
    """Writes source to the cache folder, under a name that its content and `digest` determine; imports it."""
    name = f"{prefix}_{hashlib.sha256((digest + source).encode()).hexdigest()[:20]}"
    if name not in _MODULES:
        path = cache_folder() / f"{name}.py"
        if not path.exists():
            write_text(path, source)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        _MODULES[name] = module
    return _MODULES[name]
