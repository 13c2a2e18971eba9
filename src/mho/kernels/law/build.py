"""The compiled kernels of a plan: its law as a generated module, and the loops of a room joined to it.

The loops stand in ordinary modules, `kernels/cpu/*.py` and `kernels/gpu/*.py`, which import an ideal cell by one
line. `kernels_of` copies such a module with that line rewritten, so that it imports the law of the plan instead:
the law as `emit` writes it, the functions for one pulse around it, and the law's cost.
"""

import functools
import re
from types import ModuleType

from mho.base.errors import complaint
from mho.base.sources import PACKAGE
from mho.kernels.law.cache import module_of
from mho.kernels.law.dialect import FLOAT32, TRITON, Dialect, ScalarCode
from mho.kernels.law.emit import LoweredLaw, lower
from mho.kernels.law.plan import KernelPlan, no_flow
from mho.kernels.law.trace import inputs_of

_LEADS_TO_THE_LAW = re.compile(r"^from mho\.kernels\.[cg]pu\.ideal import ", re.MULTILINE)


def kernels_of(plan: KernelPlan, loops: str, dialect: Dialect = FLOAT32) -> ModuleType:
    """Return the compiled kernels of a plan.

    Args:
        loops: name of a module in the dialect's room, such as "pulses", "flow" or "shift".

    Raises:
        MhoError: the law has no compiled form, or a GPU has none of its operations, or pulses are to be aggregated
            whose noise only the law knows.
    """
    if loops in ("aggregated", "flow") and plan.noise == "law":
        raise no_flow()
    return _joined(module_of("mho_law", law_source(plan, dialect)), loops, dialect)


@functools.cache
def _joined(law: ModuleType, loops: str, dialect: Dialect) -> ModuleType:
    """Return the module of these loops whose law is `law`."""
    text = (PACKAGE / "kernels" / dialect.room / f"{loops}.py").read_text()
    return module_of(f"mho_{loops}", _LEADS_TO_THE_LAW.sub(f"from {law.__name__} import ", text))


def law_source(plan: KernelPlan, dialect: Dialect = FLOAT32) -> str:
    """Return the module of a plan's law: its methods, the functions for one pulse, and their cost."""
    methods = ("noisy_up", "noisy_down") if plan.noise == "law" else ("up", "down")
    law = lower(plan.law, plan.plane_of.keys() & {*plan.fields}, methods)
    if dialect is TRITON and law.code.tables:
        where = f"Device(response={law.law}(...))"
        raise complaint(
            where, "looks up a table", "A GPU has no such operation yet", "keep the layer on the CPU"
        )
    pulses = [_step("up", "+", plan, dialect), _step("down", "-", plan, dialect)]
    if plan.noise != "law":
        pulses.append(_flow(plan, dialect))
    code = ScalarCode(
        "\n\n\n".join([law.code.text, *pulses]), law.code.functions, law.code.constants, law.code.tables
    )
    doc = f"One pulse on a cell with the response law {law.law}, written by mho.kernels.law."
    flags = {"NOISY": plan.noise != "none", "CHEAP": not law.code.functions, "SHARE": _share(law, plan)}
    lines = [f"{name} = {dialect.flag.format(value)}" for name, value in flags.items()]
    access = dialect.access(len(plan.numbers), len(plan.planes))
    return f"{dialect.module(doc, code)}\n\n{access}\n\n\n{chr(10).join(lines)}\n"


def _share(law: LoweredLaw, plan: KernelPlan) -> float:
    """Return the share of a row's cells from which it is quicker to compute all of them, 16 at a time, than to
    visit those that get a pulse: measured with AVX-512, see design/006. Cells that are visited bring their planes
    with them, one by one."""
    if law.share == 0:
        return 0.07 if plan.noise == "none" else 0.17
    return law.share / (1 + 0.15 * max(len(plan.planes) - 1, 0)) if law.share < 1 else law.share


def _places(plan: KernelPlan, dialect: Dialect) -> dict[str, str]:
    """Return the expressions by which a kernel reaches the parameters of a cell, by name."""
    n_shared = len(plan.numbers)
    places = {name: dialect.shared(n) for n, name in enumerate(plan.scalars, n_shared - len(plan.scalars))}
    places |= {name: dialect.plane(k, n_shared) for name, k in plan.plane_of.items()}
    if "gain" in places:
        places |= {"gain_up": places["gain"], "gain_down": places["gain"]}
    return places


def _step(direction: str, sign: str, plan: KernelPlan, dialect: Dialect) -> str:
    """Return the function for one pulse: the law, its noise, and the clip to the cell's bounds."""
    at, dw_min, sigma = _places(plan, dialect), dialect.shared(0), dialect.shared(1)
    law = f"noisy_{direction}" if plan.noise == "law" else direction
    arguments = ", ".join([*inputs_of(law), *(at[name] for name in plan.fields)])
    change = {
        "none": "q_w",
        "law": "q_w",
        "additive": f"(q_w + {sigma} * z)",
        "multiplicative": f"(q_w * (np.float32(1.0) + {sigma} * z))",
    }[plan.noise]
    return f"""@part
def step_{direction}(w, z, {dialect.arguments}):
    q_w = {law}({arguments})
    new = w {sign} {dw_min} * {at[f"gain_{direction}"]} * {change}
    low = {at["lower"]}
    high = {at["upper"]}
    new = low if new < low else new
    return high if new > high else new"""


def _flow(plan: KernelPlan, dialect: Dialect) -> str:
    """Return the function for one step of the flow: midpoint rule, then the noise of its pulses."""
    at, dw_min, sigma = _places(plan, dialect), dialect.shared(0), dialect.shared(1)
    fields = "".join(f", {at[name]}" for name in plan.fields)
    shared = "gain" in at
    spread = "n_up + n_down" if shared else "n_up * (g_up * g_up) + n_down * (g_down * g_down)"
    noise = {
        "none": "",
        "additive": f" + size * ({sigma} * np.sqrt({spread}) * z)",
        "multiplicative": f" + size * ({sigma} * np.sqrt(n_up * (a * a) + n_down * (b * b)) * z)",
    }[plan.noise]
    gains = f"size = {dw_min} * {at['gain_up']}"
    if not shared:
        gains = f"size = {dw_min}\n    g_up = {at['gain_up']}\n    g_down = {at['gain_down']}"
    up, down = ("up", "down") if shared else ("g_up * up", "g_down * down")
    return f"""@part
def flow(w, n_up, n_down, z, {dialect.arguments}):
    low = {at["lower"]}
    high = {at["upper"]}
    {gains}
    w_m = w + size * (np.float32(0.5) * (n_up * ({up}(w{fields})) - n_down * ({down}(w{fields}))))
    w_m = low if w_m < low else w_m
    w_m = high if w_m > high else w_m
    a = {up}(w_m{fields})
    b = {down}(w_m{fields})
    new = w + size * (n_up * a - n_down * b){noise}
    new = low if new < low else new
    return high if new > high else new"""
