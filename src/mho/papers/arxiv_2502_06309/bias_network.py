"""Theorem 1 of arXiv 2502.06309: the shift of a small network's weights by the implicit penalty of Analog SGD.

6-3-2, tanh, no biases; 512 samples x ~ N(0, 1), targets of a teacher of the same shape (weights N(0, 0.6^2))
plus noise N(0, 0.1^2). W* is the minimum of the loss on all samples next to the teacher; H is the Hessian there,
Sigma the mean size of a mini-batch's gradient. Analog SGD, as its mean step (no granularity), starts at W* in
64 copies, which differ in the mini-batches only. The law is Linear with bounds +-2.5 and symmetric points N(0.3,
0.2^2). The displacement is the mean over copies and later steps, extrapolated to the step size 0, less W*.
Prediction: the zero of H (W - W*) + Sigma R(W).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from scipy import stats

from mho.base.errors import complaint
from mho.device.device import Absolute, Device
from mho.experiments.experiment import Experiment, Pair, Tick
from mho.experiments.statistics import means_of
from mho.numerics.rng import child_key
from mho.responses.base import DOUBLE, Response
from mho.responses.linear import Linear
from mho.theory.penalty import root

IN, HIDDEN, OUT, SAMPLES, COPIES = 6, 3, 2, 512, 64
SPLIT = HIDDEN * IN
DEVICE = Device(Linear(c_lin=0.12, tau=2.5), spread={"c_lin": Absolute(0.08)})
CELLS = {f"batch-{batch}": {"batch": batch, "instances": 6, "lr": 0.2, "steps": 10_000} for batch in (2, 16)}


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, Pair]:
    """Return numbers of the 24 weights of each instance: means over the instances, standard errors.

    "sign": share of the weights that moved the predicted way; "sign of larger": of the half with the larger
    predictions; "rank correlation" (Spearman); "slope" of the displacement on the prediction; "size": rms
    displacement [weight units].
    """
    found = []
    n, steps = settings["instances"], settings["steps"]
    for k in range(n):
        g = torch.Generator().manual_seed(child_key(seed, "problem", k) >> 1)
        x, target, star = _problem(g)
        hessian = _hessian(star, x, target)
        sigma = _mean_size(star, x, target, settings["batch"], g)
        cells = DEVICE.draw((1, len(star)), child_key(seed, "device", k))
        law = DEVICE.response.with_fields(c_lin=torch.as_tensor(cells.fields["c_lin"])[0].double())
        ends = []
        for part, lr in enumerate((settings["lr"], settings["lr"] / 2)):
            first = (2 * k + part) * steps

            def watch(done: int, first: int = first) -> None:
                tick(first + done, 2 * n * steps)

            ends.append(train(star, law, x, target, settings["batch"], lr, steps, g, watch))
        predicted = root(law, hessian, star, sigma=sigma, start=star) - star
        moved = 2 * ends[1] - ends[0] - star
        large = predicted.abs() >= predicted.abs().median()
        agree = moved.sign() == predicted.sign()
        values = {
            "sign": float(agree.double().mean()),
            "sign of larger": float(agree[large].double().mean()),
            "rank correlation": float(stats.spearmanr(moved.numpy(), predicted.numpy()).statistic),
            "slope": float((moved * predicted).sum() / predicted.square().sum()),
            "size": float(moved.square().mean().sqrt()),
        }
        found.append(values)
    return means_of(found)


def _outputs(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x @ w[:SPLIT].reshape(HIDDEN, IN).mT) @ w[SPLIT:].reshape(OUT, HIDDEN).mT


def _loss(w: torch.Tensor, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return half the mean over the samples of |y - target|^2."""
    return (_outputs(w, x) - target).square().sum() / (2 * len(x))


def _problem(g: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return samples (512, 6), targets (512, 2), and a minimum (24,) inside the bounds: the first of 20 teachers'.

    Raises: MhoError if none of them has one.
    """
    for _ in range(20):
        teacher = 0.6 * torch.randn(SPLIT + OUT * HIDDEN, generator=g, dtype=DOUBLE)
        x = torch.randn(SAMPLES, IN, generator=g, dtype=DOUBLE)
        target = _outputs(teacher, x) + 0.1 * torch.randn(SAMPLES, OUT, generator=g, dtype=DOUBLE)
        star = _minimum(teacher, x, target)
        curvature = torch.linalg.eigvalsh(_hessian(star, x, target))
        if star.abs().max() < 0.9 * DEVICE.response.tau and curvature[0] > 1e-4:  # type: ignore[attr-defined]
            return x, target, star
    raise complaint("bias_network.run", "no minimum inside the bounds was found")


def _minimum(start: torch.Tensor, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    w = start.clone().requires_grad_()
    search = torch.optim.LBFGS([w], max_iter=3000, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        search.zero_grad()
        loss = _loss(w, x, target)
        loss.backward()
        return loss

    search.step(closure)  # type: ignore[arg-type]
    return w.detach()


def _hessian(w: torch.Tensor, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return torch.autograd.functional.hessian(lambda v: _loss(v, x, target), w)  # type: ignore[return-value]


def _mean_size(
    w: torch.Tensor, x: torch.Tensor, target: torch.Tensor, batch: int, g: torch.Generator
) -> torch.Tensor:
    """Return (24,) E|grad f(W; batch)|."""
    each = _gradient(w.repeat(len(x), 1), x[:, None], target[:, None])
    picks = torch.randint(len(x), (4000, batch), generator=g)
    return each[picks].mean(1).abs().mean(0)


def train(
    star: torch.Tensor,
    law: Response,
    x: torch.Tensor,
    target: torch.Tensor,
    batch: int,
    lr: float,
    steps: int,
    g: torch.Generator,
    watch: Callable[[int], None] = lambda done: None,
) -> torch.Tensor:
    """Return (24,) the mean of the weights over the copies and over the steps after the first half.

    One step is W - lr g F(W) - lr |g| G(W), the step of `AnalogSGD` on a tile with `Expected` pulses.
    """
    w, total = star.repeat(COPIES, 1), torch.zeros_like(star)
    for k in range(steps):
        pick = torch.randint(len(x), (COPIES, batch), generator=g)
        slope = _gradient(w, x[pick], target[pick])
        w = w - lr * (slope * law.F(w) + slope.abs() * law.G(w))
        if k >= steps // 2:
            total += w.mean(0)
        if k % 200 == 0:
            watch(k)
    return total / (steps - steps // 2)


def _gradient(w: torch.Tensor, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return (copies, 24): the gradients of `_loss` for weights (copies, 24) on samples (copies, batch, ...)."""
    first, second = w[:, :SPLIT].reshape(-1, HIDDEN, IN), w[:, SPLIT:].reshape(-1, OUT, HIDDEN)
    hidden = torch.tanh(x @ first.mT)
    error = (hidden @ second.mT - target) / x.shape[1]
    back = (error @ second) * (1 - hidden * hidden)
    return torch.cat([(back.mT @ x).flatten(1), (error.mT @ hidden).flatten(1)], dim=1)


EXPERIMENT = Experiment(
    id="analog-sgd-network",
    title="Analog SGD on a small network: how its weights move from W*, against the implicit penalty",
    source="arXiv 2502.06309, Theorem 1: its quadratic at W*",
    cells=CELLS,
    run=run,
)
