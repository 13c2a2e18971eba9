"""The law compiler as a whole: one edit adds an operation, one line joins a law to its loops, and a digest of all
source names the module."""

import ast
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import mho
import mho.testing
from mho.calibration.run import ZeroShiftRun
from mho.kernels import oracle
from mho.kernels.law.build import kernels_of, law_source
from mho.kernels.law.cache import PACKAGE, digest
from mho.kernels.law.dialect import FLOAT32, FLOAT64, TRITON
from mho.kernels.law.emit import lower
from mho.kernels.law.plan import KernelPlan
from mho.numerics.compile import ELEMENTARY, elementary
from new_operation import Rippled, add_the_sine, sin32

F = np.float32
DW_MIN = 2e-3


@pytest.fixture
def sine(monkeypatch):
    add_the_sine(monkeypatch)


def plan_of(law, **device):
    device = mho.Device(law, DW_MIN, **device)
    return KernelPlan.of(device, device.draw((3, 4), 0).values())


# A new operation. `gpu_interpreted.py` runs it on Triton's interpreter.


def test_without_the_edit_the_operation_is_unknown():
    with pytest.raises(mho.MhoError, match=r"`Rippled\.up`: the operation sin has no compiled form"):
        lower(Rippled())


@pytest.mark.usefixtures("sine")
def test_the_new_operation_is_torchs_in_float32():
    module: dict = {}
    exec(lower(Rippled()).source, module)
    w = np.linspace(-1, 1, 2001, dtype=F)
    law = Rippled()
    for name, q in (("up", law.q_up), ("down", law.q_down)):
        got = np.array([module[name](v, F(law.depth), F(law.rate)) for v in w])
        [overload] = module[name].overloads.values()
        assert str(overload.signature.return_type) == "float32"
        assert np.abs(got - q(torch.from_numpy(w).double()).numpy()).max() < 1e-6
    mho.testing.check_response(law)


@pytest.mark.usefixtures("sine")
def test_pulses_of_a_law_with_the_new_operation_equal_the_oracle():
    g = torch.Generator().manual_seed(0)
    device = mho.Device(Rippled(), DW_MIN, sigma_c2c=0.3, spread={"gain": 0.3, "rate": 0.1})
    tile = mho.Tile(torch.zeros(7, 12), device, key=42)
    x, d = torch.randn(6, 12, generator=g), 0.1 * torch.randn(6, 7, generator=g)
    cells = tile.cells.numpy().copy()
    info = tile.update(x, d, 0.05)
    kernels = tile._kernels
    rest = x.numpy(), d.numpy(), 0.05, DW_MIN, tile.pulses, 42, 0
    sent = oracle.trains(kernels.module, cells, tile.planes.numpy(), kernels.scal, *rest)
    assert sent == (info.up, info.down)
    assert sum(sent) > 100
    np.testing.assert_array_equal(tile.cells.numpy(), cells)


@pytest.mark.usefixtures("sine")
def test_a_calibration_computes_the_new_operation_in_float64():
    law = Rippled()
    tile = mho.Tile(torch.linspace(-0.5, 0.5, 12).reshape(3, 4), mho.Device(law, DW_MIN), key=1)
    course = ZeroShiftRun(tile)
    w = tile.cells.double()
    course.send(200)
    for _ in range(100):
        w = w + DW_MIN * law.q_up(w)
        w = w - DW_MIN * law.q_down(w)
    assert (course.w - w).abs().max() < 1e-14


@pytest.mark.usefixtures("sine")
def test_the_cost_of_the_new_operation_is_that_of_its_entry():
    assert lower(Rippled()).share == 0.4
    assert lower(mho.responses.SoftBounds()).share == 0


def test_a_function_that_works_on_bits_must_name_its_float64_form(monkeypatch):
    monkeypatch.setitem(ELEMENTARY, "sin32", None)
    elementary("sin")(sin32)
    with pytest.raises(mho.MhoError) as failure:
        law_source(plan_of(Rippled()), FLOAT64)
    assert str(failure.value) == (
        "`float_to_bits`: it works on the bits of a float32, so a function that uses it has no translation for "
        "float64. Fix: give numpy's function, as in @elementary(double=np.sin)."
    )


# Dialects.


def test_float64_rounds_nothing_to_float32():
    for cls in mho.testing.laws():
        source = law_source(plan_of(cls()), FLOAT64)
        assert "float32" not in source.partition('"""\n')[2].replace("in float32", ""), cls.__name__


def test_a_constant_that_float32_rounds_has_no_float64_form(monkeypatch):
    monkeypatch.setitem(ELEMENTARY, "third", None)
    elementary("sin")(third)
    with pytest.raises(mho.MhoError, match="`THIRD`: float32 rounds its value"):
        law_source(plan_of(Rippled()), FLOAT64)


THIRD = F(1 / 3)


def third(x):
    return x * THIRD


# Joining.


@pytest.mark.parametrize(
    ("loops", "dialect"),
    [
        ("pulses", FLOAT32),
        ("flow", FLOAT32),
        ("shift", FLOAT64),
        ("trains", TRITON),
        ("aggregated", TRITON),
    ],
)
def test_one_line_joins_a_law_to_its_loops(loops, dialect):
    if dialect is TRITON:
        pytest.importorskip("triton", reason="Triton is not installed: pip install 'mho[gpu]'")
    generated = Path(kernels_of(plan_of(mho.responses.SoftBounds()), loops, dialect).__file__)
    template = PACKAGE / "kernels" / dialect.room / f"{loops}.py"
    pairs = zip(template.read_text().splitlines(), generated.read_text().splitlines(), strict=True)
    different = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(different) == 1
    assert different[0][0].startswith(f"from mho.kernels.{dialect.room}.")


def test_kernels_know_neither_devices_nor_responses():
    for file in (PACKAGE / "kernels").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            above = [n for n in names if n.startswith(("mho.device", "mho.responses", "mho.tile"))]
            assert above == [], file


# The digest.


def digest_after(tmp_path, source, edited=""):
    """The digest of a source in a copy of the package, one module of which has been edited."""
    package = tmp_path / f"copy of {edited.replace('/', '-')}" / "mho"
    for room in ("base", "numerics", "kernels"):
        shutil.copytree(PACKAGE / room, package / room, ignore=shutil.ignore_patterns("__pycache__"))
    if edited:
        file = package / edited
        file.write_text(f"{file.read_text()}\nEDITED = True\n")
    return digest(source, package)


HELPERS = ["address", "compile", "vector", "math32"]


def test_the_digest_follows_imports(tmp_path):
    source = Path(kernels_of(plan_of(mho.responses.SoftBounds()), "pulses").__file__).read_text()
    before = digest_after(tmp_path, source)
    assert before == digest(source)
    helpers = [f"numerics/{name}.py" for name in HELPERS]
    for helper in [*helpers, "kernels/cpu/memory.py"]:
        assert digest_after(tmp_path, source, helper) != before, helper
    for other in (
        "numerics/uniform.py",
        "numerics/threads.py",
        "kernels/cpu/shift.py",
        "kernels/gpu/lines.py",
    ):
        assert digest_after(tmp_path, source, other) == before, other


def test_the_digest_of_a_law_covers_the_functions_that_it_calls(tmp_path):
    looks_up, adds = (law_source(plan_of(law)) for law in (mho.responses.Table(), mho.responses.Constant()))
    edited = "numerics/lookup.py"
    assert digest_after(tmp_path / "table", looks_up, edited) != digest(looks_up)
    assert digest_after(tmp_path / "constant", adds, edited) == digest(adds)
