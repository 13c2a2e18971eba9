"""Files of mho.fit as people have them: read right, or refused with a name; never a ramp that is none."""

import random

import numpy as np
import pytest

from fit_ramps import ramps, soft
from mho import MhoError
from mho.fit.cells import cells
from mho.fit.read import read

UP, DOWN = (30 + 20 * np.asarray(v)[:61] for v in ramps(soft(), 0, pulses=60))
ROWS = list(zip(UP, DOWN, strict=True))


def lines(head, form, first=""):
    return first + head + "\n" + "\n".join(form.format(n=n, u=u, d=d) for n, (u, d) in enumerate(ROWS)) + "\n"


PLAIN = lines("G_up (uS),G_down (uS)", "{u:.4f},{d:.4f}")
GOOD = {
    "counter": lines("Pulse number,G_up (uS),G_down (uS)", "{n},{u:.4f},{d:.4f}"),
    "unit row": lines("Nr,LTP,LTD\n,uS,uS", "{n},{u:.4f},{d:.4f}"),
    "quoted": lines('"up","down"', '"{u:.4f}","{d:.4f}"'),
    "semicolon comma": PLAIN.replace(",", ";").replace(".", ","),
    "tabs": PLAIN.replace(",", "\t"),
    "blanks": lines("up down", "{u:.4f}  {d:.4f}"),
    "metadata": "100\n0.1\n" + lines("up,down", "{u:.4f},{d:.4f}"),
    "footer": PLAIN + "END OF DATA\n",
    "voltage": lines("V_prog (V),LTP,LTD", "2.5,{u:.4f},{d:.4f}"),
    "cells": lines("up,down", "{u:.4f} uS,{d:.4f} uS"),
    "keysight": lines(
        "DataName, Vg, Id_up, Id_down", "DataValue, 0.1, {u:.6E}, {d:.6E}", "SetupTitle, LTP\n"
    ),
    "resistance": "R_set (Ohm),R_reset (Ohm)\n" + "\n".join(f"{1e6 / u:.4f},{1e6 / d:.4f}" for u, d in ROWS),
    "turn": "pulse,G\n" + "\n".join(f"{i},{v:.4f}" for i, v in enumerate([*UP, *UP[::-1]])),
    "comments": "# a sample\n% of mine\n" + PLAIN,
}
BAD = {
    "a voltage as a ramp": (lines("V_up (V),G_down (uS)", "{u:.4f},{d:.4f}"), "could be a voltage"),
    "unknown heading": (lines("foo,down", "{u:.4f},{d:.4f}"), "neither what it is"),
    "swapped": (lines("down,up", "{u:.4f},{d:.4f}"), "falls|rises"),
    "other range": (lines("up,down", "{u:.4f},{d:.4f}").replace("G_", "") and lines(
        "G_up (mS),G_down (uS)", "{u:.4f},{d:.4f}"), "same range"),
    "word inside": (PLAIN.replace(f"{UP[20]:.4f}", "bad"), "'bad' is no number"),
    "line lost": (GOOD["counter"].replace("\n30,", "\n31,", 1), "counter goes from"),
}  # fmt: skip


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("coding", ["utf-8", "utf-16", "cp1252"])
def test_a_file_as_it_is(tmp_path, kind, coding):
    path = tmp_path / "a.csv"
    path.write_bytes(GOOD[kind].encode(coding))
    data = read([path])
    assert [r.sign for r in data.ramps] == [1, -1]
    for ramp, truth in zip(data.ramps, (UP, UP[::-1] if kind == "turn" else DOWN), strict=True):
        np.testing.assert_allclose(ramp.values[-50:] / ramp.values[-1], truth[-50:] / truth[-1], rtol=1e-4)


@pytest.mark.parametrize("kind", BAD)
def test_what_is_not_understood_is_named(tmp_path, kind):
    text, words = BAD[kind]
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(MhoError, match=words):
        read([path])


def test_cycles_and_a_chosen_one(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{c},{n},{u + c / 20:.4f},{d + c / 20:.4f}" for c in range(3) for n, (u, d) in enumerate(ROWS)]
    path.write_text("cycle,pulse,LTP,LTD\n" + "\n".join(rows))
    data = read([path])
    assert [r.sign for r in data.ramps] == [1, 1, 1, -1, -1, -1] and data.cycles
    assert len(read([path], cycle=1).ramps) == 2


def test_a_role_said_by_hand(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(BAD["unknown heading"][0])
    assert [r.sign for r in read([path], {"foo": "up"}).ramps] == [1, -1]
    with pytest.raises(MhoError, match="no such role"):
        read([path], {"foo": "left"})
    with pytest.raises(MhoError, match="no column is called 'bar'"):
        read([path], {"foo": "up", "bar": "up"})


def test_arrays_and_workbooks(tmp_path):
    np.save(tmp_path / "a.npy", np.array(ROWS))
    np.savez(tmp_path / "a.npz", up=UP, down=DOWN)
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [("up", "down"), *ROWS]:
        book.active.append([c if isinstance(c, str) else float(c) for c in row])
    book.save(tmp_path / "a.xlsx")
    for kind in ("npy", "npz", "xlsx"):
        np.testing.assert_allclose(read([tmp_path / f"a.{kind}"]).ramps[0].values, UP)
    (tmp_path / "b.xlsx").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(MhoError, match="is no workbook"):
        cells(tmp_path / "b.xlsx", None)


def test_mutations_are_read_right_or_refused(tmp_path):
    """A separator, a number, a line or a heading is changed: no ramp comes out that is not the reference."""
    rng = random.Random(5)
    path = tmp_path / "a.csv"
    wrong = []
    for i in range(300):
        kind = rng.choice(sorted(GOOD))
        text = GOOD[kind].split("\n")
        at = rng.randrange(len(text))
        change = rng.choice(["drop", "twice", "word", "swap", "power", "blank", "separator"])
        if change == "drop":
            del text[at]
        elif change == "twice":
            text.insert(at, text[at])
        elif change == "word":
            text[at] = text[at][:3] + "x" + text[at][3:]
        elif change == "swap":
            other = rng.randrange(len(text))
            text[at], text[other] = text[other], text[at]
        elif change == "power":
            text[at] = text[at].replace(".", "", 1)
        elif change == "blank":
            text.insert(at, "")
        else:
            text = "\n".join(text).replace(",", rng.choice(";|\t")).split("\n")
        path.write_text("\n".join(text))
        try:
            data = read([path])
        except MhoError:
            continue
        for ramp, truth in zip(data.ramps, (UP, UP if kind == "turn" else DOWN), strict=False):
            ends = np.sort(ramp.values[[0, -1]]) / ramp.values.max(), np.sort(truth[[0, -1]]) / truth.max()
            if (
                len(data.ramps) != 2
                or abs(len(ramp.values) - 61) > 1
                or np.abs(ends[0] - ends[1]).max() > 0.1
            ):
                wrong.append((i, kind, change, at, len(data.ramps), len(ramp.values)))
    assert not wrong, wrong[:10]
