"""The tracker of symmetric points during a training. It costs nothing until `attach` is called."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from mho.base.errors import complaint, did_you_mean
from mho.base.roles import Roles, roles_of
from mho.calibration.symmetric_points import DeviceArray, as_double, is_of_devices, points_where_any
from mho.responses.base import DOUBLE


class Snapshot(NamedTuple):
    """One look at the array P that gets the gradient, and at its reference Q (0 if an algorithm has none).

    Args:
        step: number of the optimizer's step, from 1.
        array: name of the state that P belongs to.
        distance: root mean square of Q less the true symmetric point [weight units].
        distance_p: root mean square of P less the true symmetric point [weight units].
        bias: mean of Q less the true point [weight units].
        alignment: cosine between c (P - Q') and minus the gradient, at the time of the gradient [1]. Q' is the
            reference that the network sees (`Roles.seen`, else Q), and c the chopper. None if no gradient came, or
            P is at Q'.
    """

    step: int
    array: str
    distance: float
    distance_p: float
    bias: float
    alignment: float | None


class _Watched(NamedTuple):
    state: nn.Module
    roles: Roles
    tile: DeviceArray
    truth: torch.Tensor  # (out, in), NaN where there is none
    probes: torch.Tensor  # flat positions of cells

    def part(self, name: str | None) -> torch.Tensor | None:
        """Return digital memory of the state by name; None without a name."""
        return None if name is None else self.state.get_buffer(name)


class Tracker:
    """A look at the arrays P of a model, or of one algorithm's state, every few steps of an optimizer.

        tracker = Tracker(model, every=100).attach(optimizer)
        ... train ...
        tracker.detach(); tracker.snapshots; tracker.spectrum()

    Args:
        model: a module with analog layers whose algorithm sends the gradient to an array of its own (P in
            Tiki-Taka's family), or a `State` whose `roles` are set.
        every: steps between two looks, >= 1.
        probes: number of cells of each P that are recorded at every step, for `spectrum`; 0 for none.
    Raises: MhoError if there is no such array of single devices, or `every` < 1.
    Source: arXiv 2602.21321: distance, Lemma 3.5; alignment and spectrum, section 3.2 (chopping moves the
        gradient's part of P to high frequencies, Lemma 3.10).
    """

    def __init__(self, model: nn.Module, every: int = 100, probes: int = 16) -> None:
        if every < 1 or probes < 0:
            raise complaint(
                f"Tracker(every={every}, probes={probes})", "every >= 1 and probes >= 0 are needed"
            )
        self.every, self.step = every, 0
        self.snapshots: list[Snapshot] = []
        self._watched: dict[str, _Watched] = {}
        for name, module in model.named_modules():
            roles = roles_of(module)
            tile = module.get_submodule(roles.gradient) if roles and roles.has_residual else None  # type: ignore[arg-type]
            if roles and is_of_devices(tile):
                n = tile.cells.numel()
                at = torch.arange(min(probes, n)) * n // max(min(probes, n), 1)
                self._watched[name or "state"] = _Watched(module, roles, tile, points_where_any(tile), at)
        if not self._watched:
            fix = "give a model converted with an algorithm of Tiki-Taka's family"
            raise complaint("Tracker(model)", "no array P of single devices is in it", fix=fix)
        self._traces: dict[str, list[torch.Tensor]] = {name: [] for name in self._watched}
        self._cosines: dict[str, float | None] = {}
        self._handle: Any = None

    def attach(self, optimizer: torch.optim.Optimizer | None = None) -> "Tracker":
        """Begin to look: after each step of the optimizer, or without one when `see` is called."""
        self.detach()
        for name, watched in self._watched.items():
            watched.tile.update = self._listen(name, watched)  # type: ignore[method-assign]
        if optimizer is not None:
            self._handle = optimizer.register_step_post_hook(lambda *_: self.see())
        return self

    def detach(self) -> None:
        """Restore the state before `attach`; all snapshots stay."""
        for watched in self._watched.values():
            vars(watched.tile).pop("update", None)
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def see(self) -> None:
        """Count a step, record the probes, and look if it is time."""
        self.step += 1
        for name, watched in self._watched.items():
            if len(watched.probes):
                self._traces[name].append(watched.tile.w.flatten()[watched.probes])
            if self.step % self.every == 0:
                self.snapshots.append(self._look(name, watched))
                self._cosines.pop(name, None)

    def spectrum(self, array: str | None = None, segment: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the power of P's motion against frequency, by Welch's method, mean over the probes.

        Args:
            array: its name; not needed if there is one array.
            segment: steps a segment; at least as many must have been seen.
        Returns: omega [radian per step], from 0 to pi; power [squared weight units per radian].
        Raises: MhoError for an unknown array, no probes, or too few steps.
        """
        from scipy import signal

        if array is None and len(self._watched) == 1:
            array = next(iter(self._watched))
        if array not in self._traces:
            raise complaint(f"Tracker.spectrum({array!r})", did_you_mean(str(array), self._traces))
        trace = self._traces[array]
        if len(trace) < max(segment, 2) or not len(trace[0]):
            what = f"{len(trace)} steps of {len(trace[0]) if trace else 0} probes were recorded"
            raise complaint("Tracker.spectrum", what, f"A segment has {segment} steps")
        x = torch.stack(trace).double().cpu().numpy()
        frequency, power = signal.welch(x, fs=2 * torch.pi, nperseg=segment, axis=0)
        return torch.from_numpy(frequency), torch.from_numpy(power.mean(1))

    def _listen(self, name: str, watched: _Watched) -> Callable[..., Any]:
        """Return the `update` of this tile, preceded by a look when it is time."""
        send = watched.tile.update

        def update(x: torch.Tensor, d: torch.Tensor, lr: float) -> Any:
            if (self.step + 1) % self.every == 0:
                self._cosines[name] = _cosine(watched, x, d, lr)
            return send(x, d, lr)

        return update

    def _look(self, name: str, watched: _Watched) -> Snapshot:
        known = watched.truth.isfinite()
        p, truth = as_double(watched.tile.w)[known], watched.truth[known]
        reference = watched.part(watched.roles.reference)
        q = torch.as_tensor(0.0 if reference is None else reference, dtype=DOUBLE).cpu()
        q = q.expand(known.shape)[known]
        off = q - truth
        of_q, of_p = (float(v.square().mean().sqrt()) for v in (off, p - truth))
        return Snapshot(self.step, name, of_q, of_p, float(off.mean()), self._cosines.get(name))


def _cosine(watched: _Watched, x: torch.Tensor, d: torch.Tensor, lr: float) -> float | None:
    """Return the cosine between P - Q' and the asked change lr d x^T: the chopper is in both, and cancels."""
    reference = watched.part(watched.roles.seen or watched.roles.reference)
    p = watched.tile.w if reference is None else watched.tile.w - reference
    change = d.reshape(-1, d.shape[-1]).mT @ x.reshape(-1, x.shape[-1]) * (1.0 if lr >= 0 else -1.0)
    size = float(p.norm() * change.norm())
    return float((p * change).sum()) / size if size > 0 else None
