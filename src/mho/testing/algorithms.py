"""The conformance suite of training algorithms."""

import inspect
import io

import torch

from mho.algorithms.base import Algorithm, Factors
from mho.algorithms.state import State
from mho.base.records import field_rules
from mho.base.roles import FIELDS
from mho.crossbar import Crossbar, Mapping
from mho.device.device import Device
from mho.device.pulses import Expected, Pulses
from mho.nn.linear import AnalogLinear
from mho.optim import AnalogOptimizer
from mho.responses.constant import Constant
from mho.responses.soft_bounds import SoftBounds
from mho.tile.array import Array

VERBS = {"forward", "backward", "read", "update", "pulse", "program", "w", "shape", "granularity"}
_KEY = 7
_SMALL = {
    "fast_lr": 0.1,
    "scale_fast_lr": False,
    "transfer_lr": 0.5,
    "scale_transfer_lr": False,
    "auto_granularity": 10.0,
    "max_pulses": 31,
}
"""{role: value} of fields that set the pace: the published values are for large layers and many epochs."""


def check_algorithm(algorithm: Algorithm | type[Algorithm], published: bool = False) -> None:
    """Check that an algorithm, or the default instance of a class, does what every algorithm must do.

    It is frozen, and its repr rebuilds it. The roles that it declares are those of the state that `init` makes, and
    of its fields. It trains a least-squares layer of 6 inputs; a class does so with learning rates and thresholds
    that suit this layer. It touches its arrays by their verbs only. The same key gives the same bits, and a
    state_dict in the middle of a training continues with the same bits.

    Args:
        algorithm: a class, or an object with chosen hyper-parameters.
        published: the docstring must also have a `Source:` and a `Hardware:` line.
    Raises: AssertionError that says what failed.
    """
    given = algorithm() if isinstance(algorithm, type) else algorithm
    name = type(given).__name__
    _check_record(given, name)
    if published:
        doc = inspect.getdoc(type(given)) or ""
        for line in ("Source:", "Hardware:"):
            assert line in doc, f"{name}: the docstring has no {line} line"
    _check_roles(given, name)
    small = _SMALL if isinstance(algorithm, type) else {}
    fields = {field: value for role, value in small.items() if (field := given.field_of(role))}
    chosen: Algorithm = given.replace(**fields)
    losses = _trained(chosen, steps=300)
    assert losses[-1] < 0.25 * losses[0], (
        f"{name}: the loss only fell from {losses[0]:.3g} to {losses[-1]:.3g}"
    )
    again = _trained(chosen, steps=300)
    assert again == losses, f"{name}: two runs with the same key differ"
    _check_resume(chosen, name)
    _check_verbs(chosen, name)


def _check_record(algorithm: Algorithm, name: str) -> None:
    rebuilt = eval(repr(algorithm), {name: type(algorithm)})
    assert rebuilt == algorithm, f"{name}: repr gives {algorithm!r}, which is not equal to it"
    try:
        algorithm.anything = 1  # type: ignore[attr-defined]
    except AttributeError:
        return
    raise AssertionError(f"{name}: it is not frozen")


def _hardware(algorithm: Algorithm, pulsed: bool = True) -> Crossbar:
    device = Device(SoftBounds() if pulsed else Constant(), dw_min=1e-3, sigma_c2c=0.1 if pulsed else 0.0)
    pulses = Pulses() if pulsed else Expected()
    return Crossbar(
        algorithm=algorithm, device=device, io=None, pulses=pulses, mapping=Mapping(out_scale="none")
    )


def _layer(hardware: Crossbar) -> tuple[AnalogLinear, AnalogOptimizer]:
    torch.manual_seed(0)
    layer = AnalogLinear(6, 4, bias=False, hardware=hardware, key=_KEY)
    return layer, AnalogOptimizer(layer, lr=0.1)


def _batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(step)
    target = torch.linspace(-0.3, 0.3, 24).reshape(4, 6).roll(5)
    x = torch.randn(8, 6, generator=g)
    return x, x @ target.mT


def _train(layer: AnalogLinear, optimizer: AnalogOptimizer, steps: range) -> list[float]:
    losses = []
    for step in steps:
        x, y = _batch(step)
        optimizer.zero_grad()
        loss = (layer(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _trained(algorithm: Algorithm, steps: int) -> list[float]:
    layer, optimizer = _layer(_hardware(algorithm))
    losses = _train(layer, optimizer, range(steps))
    tenth = max(1, steps // 10)
    return [sum(losses[:tenth]) / tenth, *losses[tenth:-tenth], sum(losses[-tenth:]) / tenth]


def _check_resume(algorithm: Algorithm, name: str) -> None:
    layer, optimizer = _layer(_hardware(algorithm))
    _train(layer, optimizer, range(7))
    file = io.BytesIO()
    torch.save({"model": layer.state_dict(), "optimizer": optimizer.state_dict()}, file)
    straight = _train(layer, optimizer, range(7, 20))
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other, its_optimizer = _layer(_hardware(algorithm))
    other.load_state_dict(saved["model"])
    its_optimizer.load_state_dict(saved["optimizer"])
    assert _train(other, its_optimizer, range(7, 20)) == straight, f"{name}: a resumed run differs"
    for key, value in layer.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), f"{name}: {key} differs after a resume"


def _state(algorithm: Algorithm, pulsed: bool = True) -> State:
    layer, _ = _layer(_hardware(algorithm, pulsed))
    return layer.matrix.blocks[0].state  # type: ignore[union-attr,return-value]


def _check_roles(algorithm: Algorithm, name: str) -> None:
    """Compare the declared roles with the state of a new layer, and with the fields."""
    roles, state = algorithm.roles(), _state(algorithm, pulsed=False)
    tiles, memory = state.tiles(), dict(state.named_buffers(recurse=False))
    for role, part in roles.state().items():
        known = memory if role in ("buffer", "reference", "seen", "chopper") else tiles
        assert part in known, f"{name}: roles() has {role}={part!r}; init made {[*known]}"
    spare = {*tiles} - {roles.gradient, roles.weights, *roles.chain}
    assert not spare, f"{name}: roles() does not say what {sorted(spare)} are for"
    for role, field in roles.fields.items():
        assert role in FIELDS, f"{name}: roles() gives a field the role {role!r}; there are {[*FIELDS]}"
        assert field is None or field in field_rules(type(algorithm)), f"{name}: there is no field {field!r}"
    w0 = _layer(_hardware(algorithm, False))[0].weight.detach()
    off = (tiles[roles.weights].w - w0).abs().max().item()
    assert off < 1e-6, f"{name}: roles() has weights={roles.weights!r}, which starts {off:.3g} from w0"
    if roles.has_residual and roles.gradient:
        most = tiles[roles.gradient].w.abs().max().item()
        assert most < 1e-6, f"{name}: roles() has gradient={roles.gradient!r}, which starts from {most:.3g}"


class _Recorder:
    """A stand-in for an array that remembers the attributes that an algorithm touched."""

    def __init__(self, tile: Array, touched: set[str]) -> None:
        self._tile, self._touched = tile, touched

    def __getattr__(self, attribute: str):
        self._touched.add(attribute)
        return getattr(self._tile, attribute)


def _check_verbs(algorithm: Algorithm, name: str) -> None:
    state, roles = _state(algorithm), algorithm.roles()
    by_array: dict[str, set[str]] = {}
    for part, tile in state.tiles().items():
        del state._modules[part]
        object.__setattr__(state, part, _Recorder(tile, by_array.setdefault(part, set())))
    x, y = _batch(0)
    for _ in range(7):
        algorithm.step(state, Factors(x, -y), 0.01)
        for term in algorithm.visible(state):
            term.weight()
    touched = set().union(*by_array.values())
    assert touched <= VERBS, (
        f"{name}: touches {sorted(touched - VERBS)} of a tile; it may use {sorted(VERBS)}"
    )
    assert touched & {"update", "pulse", "program"}, f"{name}: a step wrote to no tile"
    if roles.gradient is not None:
        sent = by_array[roles.gradient] & {"update", "pulse", "program"}
        assert sent, f"{name}: roles() has gradient={roles.gradient!r}, and no step wrote to it"
