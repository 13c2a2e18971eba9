"""The package as a whole: what it exports, what importing it costs, and rules that keep it readable."""

import ast
import graphlib
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mho
import mho.testing
from mho.kernels.law.build import kernels_of
from mho.kernels.law.plan import KernelPlan

SOURCE = Path(mho.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

# From the bottom to the top: a module imports from its own line and from those above it, annotations and imports
# inside functions included.
LAYERS = [
    ("base",),
    ("numerics",),
    ("responses", "data"),
    ("device",),
    ("kernels",),
    ("tile",),
    ("cells", "retention", "aihwkit", "presets"),
    ("calibration",),
    ("algorithms",),
    ("requests",),
    ("crossbar",),
    ("nn",),
    ("optim", "theory"),
    ("parallel",),
    ("figures",),
    ("diagnostics",),
    ("testing", "training"),
    ("datasheet", "fit"),
    ("experiments",),
    ("papers",),
    ("cli",),
]
COMPILED = ("mho.numerics", "mho.kernels.law", "mho.kernels.cpu", "mho.kernels.oracle")
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}


def name_of(file):
    return str(file.relative_to(SOURCE))


def module_of(file):
    return ".".join(("mho", *file.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module_of(file): file for file in FILES}


def imported(file):
    """Full names of the modules of this package that a file imports, anywhere: "mho" is the front door."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "mho":
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] == "mho")


# What a user sees.


def test_public_names():
    """A new name is a promise: add it here on purpose."""
    assert sorted(mho.__all__) == sorted(set(mho.__all__))
    assert set(mho.__all__) == {
        "IO", "Absolute", "Algorithm", "AnalogOptimizer", "Crossbar", "Device", "Exact", "Expected",
        "LogNormal", "Mapping", "MhoError", "OneSided", "PulseCount", "Pulses", "Reference", "Response",
        "Retention", "State", "SymmetricPoint", "Term", "Tile", "UpdateInfo", "Vector", "Wires",
        "advise",
        "aihwkit", "algorithms", "calibration", "cells", "complaint", "convert_", "data", "datasheet",
        "deterministic", "diagnose", "fit", "get_threads", "nn", "parallel", "presets", "pulse_report", "responses",
        "retention", "set_threads", "summary", "testing", "theory", "to_digital_", "training",
    }  # fmt: skip


@pytest.mark.parametrize("name", mho.__all__)
def test_public_names_exist_and_are_documented(name):
    value = getattr(mho, name)
    doc = inspect.getdoc(value) or ""
    assert len(doc) > 20, f"mho.{name} has no docstring"
    assert not doc.startswith(f"{name}("), f"mho.{name} has only the docstring that dataclasses make"
    assert name in dir(mho)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="attribute Crosbar"):
        mho.Crosbar  # noqa: B018


@pytest.mark.parametrize("cls", [*mho.testing.laws(), *mho.testing.algorithms()], ids=lambda c: c.__name__)
def test_laws_and_algorithms_name_their_source(cls):
    doc = inspect.getdoc(cls)
    sources = [line for line in doc.splitlines() if line.startswith("Source: ")]
    assert len(sources) == 1, f"{cls.__name__}: the docstring has no line `Source: ...`, or several"
    assert any(c.isdigit() for c in sources[0]), "with a number: of an equation, a section or a table"
    assert cls.__module__.startswith("mho.")
    assert repr(cls()).startswith(cls.__name__ + "(")


@pytest.mark.parametrize(
    "module",
    [
        "mho.responses",
        "mho.algorithms",
        "mho.calibration",
        "mho.theory",
        "mho.nn",
        "mho.parallel",
        "mho.testing",
        "mho.data",
        "mho.training",
    ],
)
def test_what_modules_export_exists(module):
    module = importlib.import_module(module)
    for name in module.__all__:
        assert name.isupper() or inspect.getdoc(getattr(module, name)), f"{module.__name__}.{name}"


QUESTION_WORDS = {"what", "how", "where", "which", "who", "whom", "whose", "why", "when", "whether"}


def docstrings(file):
    """(place, docstring) of the module, and of the classes and functions in it that have one."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            doc = ast.get_docstring(node)
            if doc is not None:
                yield f"{name_of(file)}: {getattr(node, 'name', 'module')}", doc


def test_every_module_says_what_it_is():
    for file in FILES:
        assert ast.get_docstring(ast.parse(file.read_text())), f"{name_of(file)} has no docstring"


def test_no_docstring_opens_with_a_question_word():
    """First sentences are a verb and its object; of modules and properties, a noun phrase (CONTRIBUTING)."""
    found = [
        f"{place}: {doc.splitlines()[0]}"
        for file in FILES
        for place, doc in docstrings(file)
        if doc.split()[0].lower().strip(",.:;") in QUESTION_WORDS
    ]
    assert found == []


def test_numbers_below_one_have_a_leading_zero():
    """0.05, not .05."""
    found = [
        f"{place}: {match[0]!r}"
        for file in FILES
        for place, doc in docstrings(file)
        for match in re.finditer(r"(?<=[\s(=+-])\.\d+", doc)
    ]
    assert found == []


# What it costs.


@pytest.mark.parametrize("code", ["import mho", "import mho; mho.Crossbar(); mho.Device; mho.Tile; mho.nn"])
def test_importing_is_lean(code):
    """Numba, matplotlib and the command line are loaded when they are needed."""
    heavy = ("numba", "matplotlib", "typer", "rich", "scipy", "torchvision", "pandas")
    heavy += ("lightning_fabric", "accelerate", "transformers", "safetensors")
    script = f"{code}\nimport sys\nprint(*({{*sys.modules}} & {{*{heavy}}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# How it is built.


def test_every_module_has_its_layer():
    parts = {file.relative_to(SOURCE).parts[0].removesuffix(".py") for file in FILES} - {"__init__"}
    assert parts == set(HEIGHT)


def test_nothing_inside_uses_the_front_door():
    assert [name for name, file in MODULES.items() if "mho" in imported(file)] == []


def test_no_import_goes_up():
    found = set()
    for name, file in MODULES.items():
        for other in imported(file):
            own, theirs = (part.split(".")[1] for part in (name, other))
            if HEIGHT[theirs] > HEIGHT[own]:
                found.add((name, other))
    assert found == set()


def test_no_module_imports_itself_by_way_of_others():
    """`TopologicalSorter` names the modules of a circle."""
    graphlib.TopologicalSorter({name: {*imported(file)} - {name} for name, file in MODULES.items()}).prepare()


def test_files_stay_short():
    lengths = {name_of(file): len(file.read_text().splitlines()) for file in FILES}
    assert {name: n for name, n in lengths.items() if n > 350} == {}


def compiled_functions():
    """{name: options} of all functions that Numba compiles, those of a generated law among them."""
    modules = [importlib.import_module(name) for name in MODULES if name.startswith(COMPILED)]
    device = mho.Device(mho.responses.SoftBounds(), sigma_c2c=0.1)
    kernels = kernels_of(KernelPlan.of(device, device.draw((2, 2), 0).values()), "pulses")
    modules += [kernels, sys.modules[kernels.step_up.__module__]]
    return {
        f"{module.__name__}.{name}": value.targetoptions
        for module in modules
        for name, value in vars(module).items()
        if hasattr(value, "targetoptions")
    }


def test_every_compiled_function_states_its_float_rules():
    """Numba's default is strict, but it is a default: fastmath is written out, and False."""
    found = compiled_functions()
    assert len(found) > 50
    assert "step_up" in {name.rpartition(".")[2] for name in found}
    for name, options in found.items():
        assert options.get("fastmath", "not stated") is False, name
        assert options.get("error_model") == "numpy", name
        assert not options.get("parallel", False), name


def test_compiled_code_lives_in_kernels():
    users = {file for file in FILES if re.search(r"\bimport numba|\bfrom numba", file.read_text())}
    assert {name for name in map(module_of, users) if not name.startswith(COMPILED)} == set()
