"""Several devices a weight, whose conductances add up."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch

from mho.base.errors import complaint
from mho.device.composed import ComposedCell, Part, check_device
from mho.device.device import Device
from mho.device.pulses import PulseScheme
from mho.numerics.rng import Stream, call_key, child_key, next_event
from mho.tile.composed import ComposedTile
from mho.tile.tally import UpdateInfo, total
from mho.tile.tile import Tile, new_tile

Policy = Literal["all", "first", "sequential", "random"]


class Vector(ComposedCell):
    """w = sum of gammas[k] w_k: several devices hold one weight.

    Each device that `policy` chooses for an update is asked for lr d x^T, or its opposite where its gamma is
    negative, by pulses of its own lines; w then changes by |gamma| of it, or by the sum of their |gammas|.

    Args:
        devices: one or more, each a `Device` or another cell.
        gammas: as many numbers; () for 1/n each.
        policy: the devices that an update goes to: "all", the "first", one after the other ("sequential"), or one
            at "random".
    Source: aihwkit 1.2.0, VectorUnitCell (gamma_vec, update_policy), which ignores a gamma's sign.
    """

    synonyms: ClassVar = {"unit_cell_devices": "devices", "gamma_vec": "gammas", "update_policy": "policy"}

    devices: tuple[Device | ComposedCell, ...]
    gammas: tuple[float, ...] = ()
    policy: Policy = "all"

    def validate(self) -> None:
        for name in ("devices", "gammas"):
            value = getattr(self, name)
            if not isinstance(value, Sequence) or isinstance(value, str):
                raise complaint(f"Vector({name}={value!r})", f"{name} must be a tuple")
            object.__setattr__(self, name, tuple(value))
        if not self.devices:
            raise complaint("Vector(devices=())", "a cell has at least one device")
        for device in self.devices:
            check_device("Vector(devices=...)", device)
        where, n = f"Vector(gammas={self.gammas})", len(self.devices)
        if self.gammas and len(self.gammas) != n:
            raise complaint(where, f"there are {len(self.gammas)} gammas and {n} devices", "They must agree")
        if not all(self.gammas):
            raise complaint(where, "gammas must be finite and not zero")

    def tile(
        self, w: torch.Tensor, io: Any, pulses: PulseScheme, key: int, count_cells: bool
    ) -> "VectorTile":
        return VectorTile(w, self.devices, self._factors(), self.policy, io, pulses, key, count_cells)

    def parts(self) -> tuple[Part, ...]:
        return _numbered(self._factors(), self.devices)

    def _factors(self) -> tuple[float, ...]:
        return self.gammas or (1 / len(self.devices),) * len(self.devices)


class Reference(ComposedCell):
    """w = w_0 - w_1, where only w_0 is updated: each cell has another one for its zero.

    The reference starts at 0; `tile.parts[1].program(...)` writes it, and it ages as its device does. A
    `Device(reference_mean=...)` is a reference that costs no second array and never changes.

    Args:
        device: gets the updates.
        reference_device: holds the reference; None for the same.
    Source: aihwkit 1.2.0, ReferenceUnitCell.
    """

    device: Device | ComposedCell = Device()
    reference_device: Device | ComposedCell | None = None

    def validate(self) -> None:
        for name in ("device", "reference_device"):
            if name == "device" or self.reference_device is not None:
                check_device(f"Reference({name}=...)", getattr(self, name))

    def tile(
        self, w: torch.Tensor, io: Any, pulses: PulseScheme, key: int, count_cells: bool
    ) -> "VectorTile":
        devices = self.device, self.reference_device or self.device
        return VectorTile(w, devices, (1.0, -1.0), "first", io, pulses, key, count_cells)

    def parts(self) -> tuple[Part, ...]:
        return _numbered((1.0, -1.0), (self.device, self.reference_device or self.device))


def _numbered(factors: Sequence[float], devices: Sequence[Device | ComposedCell]) -> tuple[Part, ...]:
    """Return parts that have their numbers for names, as in a `VectorTile`."""
    return tuple(Part(str(k), *pair) for k, pair in enumerate(zip(factors, devices, strict=True)))


class VectorTile(ComposedTile):
    """A tile of `Vector` or `Reference` cells; `parts[k]` is the tile of the k-th devices."""

    def __init__(
        self,
        w: torch.Tensor,
        devices: Sequence[Device | ComposedCell],
        gammas: Sequence[float],
        policy: Policy,
        io: Any,
        pulses: PulseScheme,
        key: int,
        count_cells: bool,
    ) -> None:
        self.policy = policy
        whole = sum(map(abs, gammas))
        shares = [w * math.copysign(1 / whole, gamma) for gamma in gammas]
        if policy == "first":
            shares = [w / gammas[0], *(torch.zeros_like(w) for _ in gammas[1:])]
        parts = {
            str(k): new_tile(share, device, io, pulses, child_key(key, k), count_cells=count_cells)
            for k, (device, share) in enumerate(zip(devices, shares, strict=True))
        }
        super().__init__(parts, gammas, io, pulses, key)

    @property
    def granularity(self) -> float:
        """Change of the weight by one pulse at q = 1 to each device that receives it [weight units].

        The mean over the devices, if they take turns.
        """
        steps = [abs(gamma) * part.granularity for gamma, part in zip(self.weights, self.parts, strict=True)]
        return {"all": sum(steps), "first": steps[0]}.get(self.policy, sum(steps) / len(steps))

    # -- inside

    def _chosen(self) -> list[tuple["Tile | ComposedTile", float]]:
        """Return the parts whose turn it is, and the direction of a pulse that raises the weight."""
        parts = [(part, math.copysign(1.0, g)) for g, part in zip(self.weights, self.parts, strict=True)]
        event = next_event(self.counters("events"), Stream.C2C)
        if self.policy == "all":
            return parts
        turn = {"first": 0, "sequential": event}.get(self.policy)
        return [parts[(call_key(self.key, Stream.C2C, event) if turn is None else turn) % len(parts)]]

    def _update(self, x: torch.Tensor, d: torch.Tensor, lr: float) -> UpdateInfo:
        return total(part.update(x, d, sign * lr) for part, sign in self._chosen())

    def _pulse(self, n: torch.Tensor, at: dict[str, int]) -> UpdateInfo:
        return total(part.pulse(n if sign > 0 else -n, **at) for part, sign in self._chosen())  # type: ignore[arg-type]

    def _program(self, w: torch.Tensor) -> None:
        """Program all devices to one weight or its opposite; with policy "first" the others keep theirs."""
        if self.policy == "first":
            rest = [gamma * part.w for gamma, part in zip(self.weights[1:], self.parts[1:], strict=True)]
            self.parts[0].program((w - sum(rest)) / self.weights[0])
            return
        whole = sum(map(abs, self.weights))
        for gamma, part in zip(self.weights, self.parts, strict=True):
            part.program(w * math.copysign(1 / whole, gamma))
