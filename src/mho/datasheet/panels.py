"""The panels of a device's figure; each panel draws a portrait into axes that the caller made."""

from typing import Any

import torch
from matplotlib.axes import Axes

from mho.datasheet.numbers import Portrait
from mho.datasheet.ramps import ramps
from mho.figures.style import COLOURS

__all__ = ["asymmetry", "parts", "points", "pulsing", "ratio", "steps"]

UP, DOWN, SHARED, DIFFERENT, LIGHT, *_ = COLOURS
GREY = "0.55"
BOX: Any = {"facecolor": "white", "edgecolor": "none", "pad": 1}
WEIGHT = "hidden weight $w$"


def steps(axes: Axes, portrait: Portrait, cells: int = 40) -> None:
    """Draw q_up and q_down against w, in units of dw_min; thin lines are drawn cells, their gain included."""
    device, w = portrait.device, _grid(portrait)
    up, down = device.cell.up(w), device.cell.down(w)
    top = max(up.max().item(), down.max().item())
    drawn = device.draw((cells, 1), portrait.key)
    if drawn.varying:
        lower, upper = (torch.as_tensor(b, dtype=w.dtype) for b in (drawn.lower, drawn.upper))
        low, high = min(w[0].item(), lower.min().item()), max(w[-1].item(), upper.max().item())
        wide = torch.linspace(low, high, 241, dtype=w.dtype) if low > -1e30 and high < 1e30 else w
        outside = (wide < lower) | (wide > upper)
        for colour, step in ((DOWN, drawn.down), (UP, drawn.up)):
            sizes = step(wide.expand(cells, -1)).masked_fill(outside, float("nan"))
            axes.plot(wide, sizes.T, color=colour, linewidth=0.4, alpha=0.3)
            top = max(
                top, sizes.nan_to_num().amax(dim=1).quantile(0.95).item()
            )  # a few wild ones leave the panel
    axes.plot(w, up, color=UP, label=r"$q_\mathrm{up}$", clip_on=False)
    axes.plot(w, down, color=DOWN, linestyle="--", label=r"$q_\mathrm{down}$", clip_on=False)
    axes.set(xlabel=WEIGHT, ylabel=r"step / d$w_\mathrm{min}$")
    axes.set_ylim(0, 1.08 * top)
    axes.legend()


def parts(axes: Axes, portrait: Portrait) -> None:
    """Draw F, the symmetric part, and G, the asymmetric part, of the nominal cell."""
    w = _grid(portrait)
    cell = portrait.device.cell
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.plot(w, cell.F(w), color=SHARED, label="$F$")
    axes.plot(w, cell.G(w), color=DIFFERENT, linestyle="--", label="$G$")
    axes.set(xlabel=WEIGHT, ylabel=r"$F$, $G$")
    axes.legend()


def ratio(axes: Axes, portrait: Portrait) -> None:
    """Draw R = G/F of the nominal cell, and its symmetric points: filled if they attract, open if they repel."""
    w = _grid(portrait)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.plot(w, portrait.device.cell.R(w), color="black")
    styles = {
        "attracts": "full",
        "repels": "none",
        "attracts from above": "right",
        "attracts from below": "left",
    }
    seen = set()
    for p in portrait.points:
        look: Any = {"fillstyle": styles[p.kind], "color": DOWN, "markerfacecoloralt": "white"}
        label = p.kind if p.kind not in seen else None
        axes.plot(p.w, 0, "o", markersize=6, markeredgewidth=1.3, label=label, zorder=3, **look)
        seen.add(p.kind)
    axes.set(xlabel=WEIGHT, ylabel="$R = G/F$")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.1), max(high, 0.1))
    if seen:
        axes.legend(handlelength=0.8)
    elif portrait.symmetric == "everywhere":
        _say(axes, "every weight is symmetric", y=0.75)
    else:
        only = "" if portrait.moves == "both ways" else f"\n(pulses move $w$ {portrait.moves})"
        _say(axes, f"no symmetric point{only}", y=0.5)


def pulsing(axes: Axes, portrait: Portrait, cells: int = 3, cycles: int = 2) -> None:
    """Draw some cells under ramps of pulses up and down, with noise, and the nominal cell without noise."""
    data = ramps(portrait, cells, cycles)
    drawing: Any = {"drawstyle": "steps-post"} if len(data.pulses) < 150 else {}
    size = 5 if drawing else 2.5
    noisy = (data.apparent - data.hidden).abs().max() > 1e-5 * (portrait.window[1] - portrait.window[0])
    for i in range(cells):
        colour = (UP, SHARED, DIFFERENT, LIGHT)[i % 4]
        if noisy:
            look: Any = {
                "marker": ".",
                "markersize": size,
                "linestyle": "",
                "alpha": 0.5,
                "markeredgewidth": 0,
            }
            label = "as read" if i == 0 else None
            axes.plot(data.pulses, data.apparent[:, i], color=colour, label=label, rasterized=True, **look)
        label = "cells" if i == 0 else None
        axes.plot(data.pulses, data.hidden[:, i], color=colour, linewidth=0.9, label=label, **drawing)
    axes.plot(data.pulses, data.ideal, color="black", linestyle="--", linewidth=1, label="nominal", **drawing)
    axes.set(xlabel="pulses", ylabel=WEIGHT, xlim=(0, int(data.pulses[-1])))
    axes.margins(y=0.08)
    axes.ticklabel_format(axis="x", scilimits=(-3, 5))
    axes.set_xticks([k * data.length for k in range(2 * cycles + 1)])
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.22 * (high - low))  # room for the legend
    axes.legend(loc="upper center", ncols=3, columnspacing=1.0, markerscale=7 / size if noisy else 1)


def asymmetry(axes: Axes, portrait: Portrait, cells: int = 1500) -> None:
    """Draw a dot a cell: its step up against its step down at w = 0, in units of dw_min."""
    unit = portrait.device.dw_min
    down = portrait.cells.step_down.flatten()[:cells] / unit
    up = portrait.cells.step_up.flatten()[:cells] / unit
    alike = bool((up == up[0]).all() and (down == down[0]).all())
    look: Any = {"s": 24, "clip_on": False, "zorder": 3} if alike else {"s": 3, "alpha": 0.4}
    axes.scatter(down, up, color=UP, linewidths=0, **look)
    edge = 1.1 * max(
        up.quantile(0.995).item(), down.quantile(0.995).item()
    )  # a few wild ones leave the panel
    axes.plot([0, edge], [0, edge], color="black", linestyle="--", linewidth=0.8, label="equal steps")
    where = "0" if portrait.at == 0 else f"{portrait.at:.3g}"
    unit_text = r"d$w_\mathrm{min}$"
    axes.set(xlabel=f"step down at $w={where}$ / {unit_text}", ylabel=f"step up / {unit_text}")
    axes.set(xlim=(0, edge), ylim=(0, edge))
    if alike:
        _say(axes, "all cells alike", y=0.06)
    axes.legend(loc="best")


def points(axes: Axes, portrait: Portrait) -> None:
    """Draw a histogram of the cells' symmetric points: hidden and, for cells with a reference, as read."""
    found = portrait.cells
    if portrait.symmetric == "everywhere" and not found.sp.nan_to_num().any():
        return _empty(axes, "every weight is symmetric")
    if found.sp.isnan().all():
        return _empty(axes, "no symmetric point")
    sets = {"hidden": found.sp}
    if (found.reference != 0).any():
        sets["as read"] = found.apparent_sp
    shown = torch.cat([v[~v.isnan()] for v in sets.values()])
    low, high = shown.min().item(), shown.max().item()
    tiny = 1e-6 * _width(portrait)
    margin = 0.02 * (high - low) if high - low > tiny else 0.25 * _width(portrait)
    for name, values in sets.items():
        colour, kept = LIGHT if name == "hidden" else DOWN, values[~values.isnan()]
        if kept.max() - kept.min() <= tiny:
            axes.axvline(kept[0].item(), color=colour, linewidth=3, label=f"{name} (all alike)")
            continue
        counts, edges = torch.histogram(kept, bins=61, range=(low - margin, high + margin))
        look: Any = {"fill": True, "linewidth": 0} if name == "hidden" else {"linewidth": 1.3}
        axes.stairs(100 * counts / values.numel(), edges, color=colour, label=name, **look)
    axes.set(
        xlabel=r"symmetric point $w_\mathrm{sp}$", ylabel="cells [%]", xlim=(low - margin, high + margin)
    )
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])  # room for words
    if not axes.patches:
        axes.set(yticks=[], ylabel="")
    axes.legend(loc="upper right" if axes.patches else "upper left")
    if missing := int(found.sp.isnan().sum()):
        axes.text(
            0.03,
            0.9,
            f"none, or stuck: {100 * missing / found.sp.numel():.2g}%",
            transform=axes.transAxes,
            fontsize=8,
        )
    return None


def _grid(portrait: Portrait) -> torch.Tensor:
    """Return the weights at which the nominal law is evaluated, the bounds included."""
    return torch.linspace(*portrait.window, 601, dtype=torch.float64)


def _width(portrait: Portrait) -> float:
    return portrait.window[1] - portrait.window[0]


def _say(axes: Axes, words: str, y: float = 0.9) -> None:
    axes.text(0.5, y, words, transform=axes.transAxes, ha="center", va="center", fontsize=8, bbox=BOX)


def _empty(axes: Axes, words: str) -> None:
    axes.set(xticks=[], yticks=[])
    _say(axes, words, y=0.5)
