"""The figure of a fit: steps and ramps, data and law."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mho.figures.style import COLOURS, in_style, letter
from mho.fit.filter import NODES, side_by_side, tables
from mho.fit.measured import DOWN, UP, WORDS, Array, Ramp
from mho.fit.result import Fit

SIDES = {UP: (COLOURS[0], "o", "-"), DOWN: (COLOURS[1], "s", "--")}  # colour, marker, line
MOST = 8  # ramps that are drawn of each direction


@in_style
def figure(fit: Fit) -> Figure:
    """Draw the steps against w with their standard errors and laws (a), and the ramps with their staircases (b).

    For tables, (b) shows the spread of the steps.
    """
    page = Figure(figsize=(7.2, 3.4), layout="constrained")
    left, right = page.subplots(1, 2)
    steps(left, fit)
    (ramps if fit.measured.ramps else spread)(right, fit)
    letter((left, right))
    entries: dict = {}
    for axes in (left, right):
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    page.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=4, fontsize=7)
    return page


def steps(axes: Axes, fit: Fit) -> None:
    """Draw mean steps against w, the device's law, and the symmetric points."""
    grid = np.linspace(-1, 1, 401)
    best = fit.best.family.steps(fit.best.solution.x, grid)
    law = device_steps(fit, grid)
    for i, (bins, sign) in enumerate(zip(fit.bins, (UP, DOWN), strict=True)):
        colour, marker, line = SIDES[sign]
        axes.errorbar(
            bins.w, bins.step, bins.error, color=colour, marker=marker, markersize=3, linestyle="none",
            linewidth=0.8, label=f"{WORDS[sign]}, data", alpha=0.8,
        )  # fmt: skip
        axes.plot(grid, law[i], color=colour, linestyle=line, label=f"{WORDS[sign]}, {fit.law}")
        if fit.law != fit.best.name:
            axes.plot(
                grid,
                best[i],
                color=colour,
                linestyle=":",
                linewidth=0.9,
                label=f"{WORDS[sign]}, {fit.best.name}",
            )
    axes.axhline(0, color="0.6", linewidth=0.6)
    shown = fit.crossings or fit.points
    for point in shown:
        height = float(np.interp(point.w, fit.bins[0].w, fit.bins[0].step))
        face = COLOURS[2] if point.attracts else "white"
        kind = "attracts" if point.attracts else "repels"
        axes.errorbar(
            point.w, height, xerr=np.clip([[point.w - point.interval[0]], [point.interval[1] - point.w]], 0, 2),
            marker="D", markersize=6, markerfacecolor=face, color=COLOURS[2], linestyle="none", zorder=5,
            label=f"symmetric point, {kind}",
        )  # fmt: skip
    axes.set(xlabel="w", ylabel="step of a pulse [weight units]", xlim=(-1.08, 1.08))


def device_steps(fit: Fit, grid: Array) -> Array:
    """Return the sizes of the device's up and down pulses at apparent weights, shape (2, n)."""
    cell = fit.device.cell
    hidden = torch.from_numpy(grid + fit.device.reference_mean)
    return fit.device.dw_min * torch.stack([cell.up(hidden), cell.down(hidden)]).numpy()


def ramps(axes: Axes, fit: Fit) -> None:
    """Draw reads against the number of pulses, and the law's noise-free staircase from the first reads."""
    lanes = side_by_side(fit.measured.ramps)
    law = tables(fit.best.family, lanes, [fit.best.solution.x])[0]
    for sign in (UP, DOWN):
        colour, _, line = SIDES[sign]
        chosen = [r for r in fit.measured.ramps if r.sign == sign][:MOST]
        for i, ramp in enumerate(chosen):
            axes.plot(
                ramp.values, ".", color=colour, markersize=1.5, alpha=0.4, rasterized=len(ramp.values) > 2000
            )
            label = f"{WORDS[sign]}, {fit.best.name}" if i == 0 else None
            stairs = staircase(ramp, lanes.nodes, law[0 if sign == UP else 1])
            axes.plot(stairs, color=colour, linestyle=line, label=label)
    for point in fit.crossings or fit.points:
        axes.axhline(point.w, color=COLOURS[2], linestyle="-." if point.attracts else ":", linewidth=0.9)
    axes.set(xlabel="pulses", ylabel="w")


def staircase(ramp: Ramp, nodes: Array, law: Array) -> Array:
    """Return w_{k+1} = w_k + the signed step, from the mean of the first three reads."""
    assert len(nodes) == NODES
    w = [float(ramp.values[:3].mean() - np.interp(ramp.values[0], nodes, law))]
    for _ in ramp.values[1:]:
        w.append(w[-1] + float(np.interp(w[-1], nodes, law)))
    return np.array(w)


def spread(axes: Axes, fit: Fit) -> None:
    """Draw the standard deviation of a pulse against w, and the device's noise."""
    grid = np.linspace(-1, 1, 201)
    law, sigma = device_steps(fit, grid), fit.device.sigma_c2c
    for i, (bins, sign) in enumerate(zip(fit.bins, (UP, DOWN), strict=True)):
        colour, marker, line = SIDES[sign]
        deviation = np.sqrt(bins.variance)
        axes.plot(
            bins.w, deviation, marker, color=colour, markersize=3, label=f"{WORDS[sign]}, data", alpha=0.8
        )
        if fit.device.c2c != "law":
            size = law[i] if fit.device.c2c == "multiplicative" else np.full_like(grid, fit.device.dw_min)
            axes.plot(
                grid, sigma * size, color=colour, linestyle=line, label=f"{WORDS[sign]}, {fit.device.c2c}"
            )
    axes.set(xlabel="w", ylabel="standard deviation of a pulse", xlim=(-1.08, 1.08))
    axes.set_ylim(bottom=0)
