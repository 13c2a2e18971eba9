"""The cells of a file, before anything is known of their meaning: text, workbooks and arrays, line by line."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mho.base.errors import complaint
from mho.base.stored import read_bytes

ARRAYS, BOOKS = (".npy", ".npz", ".mat"), (".xlsx", ".xlsm")
COMMENTS = ("#", "%", "//", "!")
POINT = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?([eEdD][+-]?\d+)?")
COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d*)?([eEdD][+-]?\d+)?")
UNIT = re.compile(r"([-+.,\deE]*[\d.,])\s*((?:[pnu\u00b5\u03bcmkMG]?(?:S|A|V|Ohm|ohm|\u03a9|\u2126|s))|%)")
SPLITTERS = (";", "\t", "|", ",", None)  # None: blanks


class FileCells(NamedTuple):
    """The cells of one line of a file, and the unit that was written in each."""

    number: int
    words: list[str]
    comma: bool = False

    def value(self, i: int) -> float | None:
        """Return the number of a cell, nan where it is empty, None where it is none."""
        return number(self.words[i], self.comma)

    def values(self) -> list[float | None]:
        """Return all numbers of the line."""
        return [self.value(i) for i in range(len(self.words))]


def number(word: str, comma: bool) -> float | None:
    """Return the number that a word says, nan for an empty one, None if it says none."""
    if word == "":
        return float("nan")
    if not comma and "_" not in word:
        try:
            return float(word)
        except ValueError:
            pass
    unit = UNIT.fullmatch(word)
    word = unit[1] if unit else word
    if not any(c.isdigit() for c in word) or not (COMMA if comma else POINT).fullmatch(word):
        return None
    plain = word.replace(".", "").replace(",", ".") if comma else word.replace(",", "")
    return float(plain.replace("d", "e").replace("D", "e"))


def decoded(file: Path) -> str:
    """Return the text of a file in UTF-8, UTF-16 or cp1252. Raises: MhoError if it is none of these."""
    data = read_bytes(file)
    coding = "utf-8-sig"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        coding = "utf-16"
    elif data and data[:400].count(0) > len(data[:400]) // 4:
        coding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    for name in (coding, "cp1252"):
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise complaint(str(file), "is no text", "Needed: UTF-8, UTF-16 or cp1252", "save it as UTF-8")


def cells(file: Path, sheet: str | None) -> list[FileCells]:
    """Return the lines of a file that hold anything; an empty line parts blocks and stays as one without words.

    Args:
        file: the file.
        sheet: of a workbook; the name of an array of .npz and .mat files.
    Raises: MhoError if it cannot be read, or if there are several sheets and none is named.
    """
    kind = file.suffix.lower()
    if kind in BOOKS:
        return _book(file, sheet)
    if kind in ARRAYS:
        return _array(file, sheet)
    if sheet is not None:
        raise complaint(f"fit(sheet={sheet!r})", f"{file} has no sheets", fix="leave sheet away")
    raw = decoded(file).splitlines()
    splitter, comma = _dialect(file, raw)
    found = []
    for at, line in enumerate(raw, 1):
        if line.lstrip().startswith(COMMENTS) and not _is_heading(line):
            continue
        try:
            words = _split(line, splitter)
            if max(map(len, words), default=0) > csv.field_size_limit():
                raise csv.Error(f"field larger than {csv.field_size_limit()} characters")
        except csv.Error as error:
            raise complaint(f"{file}, line {at}", f"is no line of a table ({error})") from None
        found.append(FileCells(at, words, comma))
    return found


def _is_heading(line: str) -> bool:
    return line.lstrip().startswith("#") and bool(re.match(r"\s*#\s*[,;\t]", line))


def _split(line: str, splitter: str | None) -> list[str]:
    if splitter == "":  # one column
        return [line.strip().strip('"').strip()] if line.strip() else []
    words = line.split() if splitter is None else next(csv.reader([line], delimiter=splitter), [])
    words = [w.strip().strip('"').strip() for w in words]
    while words and words[-1] == "":
        words.pop()
    return words


def _dialect(file: Path, raw: Sequence[str]) -> tuple[str | None, bool]:
    """Find the separator and the decimal sign under which most lines are numbers; refuse where two remain."""
    lines = [x for x in raw if x.strip() and not x.lstrip().startswith(COMMENTS)][:400]
    scores = []
    for splitter in SPLITTERS:
        if splitter is not None and not any(splitter in x for x in lines):
            continue
        for comma in (False, True):
            if comma and splitter == ",":
                continue
            good, width = 0, 1
            for line in lines:
                try:
                    words = _split(line, splitter)
                except csv.Error:
                    continue
                words = words[1:] if words[:1] == ["DataValue"] else words
                if words and all(number(w, comma) is not None for w in words):
                    good, width = good + 1, max(width, len(words))
            scores.append((good, splitter, comma, width))
    if not scores or not max(s[0] for s in scores):
        return next((s for s in SPLITTERS if s and any(s in x for x in lines)), None), False
    most = max(s[0] for s in scores)
    best = [s for s in scores if s[0] == most]
    commas = any("," in x for x in lines if re.search(r"\d,\d", x))
    points = any(re.search(r"\d\.\d", x) for x in lines)
    explicit = [s for s in best if s[1] in (";", "\t", "|")]
    best = explicit or best
    if len({(s[1], s[2]) for s in best}) > 1:
        same = [s for s in best if s[2] == (commas and not points)] if explicit or not commas else best
        best = same or best
    fields = {(s[1], s[2]) for s in best}
    if (",", False) in fields and (None, True) in fields:
        return _comma(file, lines)
    return (best[0][1] if best[0][3] > 1 else ""), best[0][2]


def _comma(file: Path, lines: Sequence[str]) -> tuple[str | None, bool]:
    """Tell two columns of whole numbers from one of decimal commas: by the heading, then by smoothness."""
    head = next((x for x in lines if number(x.split(",")[0].strip(), False) is None), None)
    rows = [r for r in (_split(x, ",") for x in lines) if r and all(number(w, False) is not None for w in r)]
    width = max(map(len, rows))
    if head is not None:
        if len(_split(head, ",")) == width:
            return ",", False
        if len(_split(head, ",")) == 1 and width == 2:
            return "", True
    if width > 2 or len(rows) < 11 or min(map(len, rows)) < 2:  # a short file is refused later, by its length
        return ",", False
    tail = [float(r[1]) for r in rows if len(r) == 2 and r[1]]
    joined = [number(",".join(r), True) or 0.0 for r in rows]
    rough, smooth = _rough(tail), _rough(joined)
    if smooth < 2 and rough > 4:
        return "", True
    if rough < 2 < smooth:
        return ",", False
    raise complaint(
        f"{file}, line 1",
        "is two columns of whole numbers, or one with decimal commas",
        "The numbers do not decide",
        "write a heading, one name for each column",
    )


def _rough(values: Sequence[float]) -> float:
    """Return the way of a series over its range: 1 if it is monotone."""
    v = np.array(values)
    return float(np.abs(np.diff(v)).sum() / max(np.ptp(v), 1e-300)) if len(v) > 2 else np.inf


def _book(file: Path, sheet: str | None) -> list[FileCells]:
    try:
        import openpyxl
    except ImportError:
        raise complaint(str(file), "workbooks need openpyxl", fix="pip install openpyxl") from None
    data = read_bytes(file)
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        names = [n for n in book.sheetnames if book[n].max_row != 1 or book[n].max_column != 1]
        chosen = _one(file, sheet, names)
        rows = [
            list(r) for _, r in zip(range(200_000), book[chosen].iter_rows(values_only=True), strict=False)
        ]
    except (KeyError, ValueError, OSError, TypeError, SyntaxError) as error:
        if type(error).__name__ == "MhoError":
            raise
        raise complaint(str(file), f"is no workbook ({error})", fix="save it as .xlsx or .csv") from None
    except Exception as error:  # a damaged archive raises errors of zipfile and of XML parsers
        raise complaint(str(file), f"is no workbook ({error})", fix="save it as .xlsx or .csv") from None
    return [FileCells(i, _texts(row)) for i, row in enumerate(rows, 1)]


def _texts(row: Sequence[object]) -> list[str]:
    words = ["" if c is None else str(c).strip() for c in row]
    while words and words[-1] == "":
        words.pop()
    return words


def _one(file: Path, wanted: str | None, names: Sequence[str]) -> str:
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names and wanted is not None:
        return wanted
    what = f"there is no {wanted!r}" if wanted is not None else "it holds several tables"
    raise complaint(str(file), what, f"It has: {', '.join(names)}", "sheet=NAME")


def _array(file: Path, sheet: str | None) -> list[FileCells]:
    data = io.BytesIO(read_bytes(file))
    try:
        if file.suffix.lower() == ".mat":
            from scipy.io import loadmat

            found = {k: v for k, v in loadmat(data).items() if not k.startswith("__")}
        else:
            loaded = np.load(data, allow_pickle=False)
            found = {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except Exception as error:  # readers of binary files raise what they will on damaged ones
        raise complaint(str(file), f"is no array file ({error})", fix="save it as .csv") from None
    found = {k: np.asarray(v) for k, v in found.items() if np.asarray(v).dtype.kind in "fiu"}
    if sheet is not None:
        found = {sheet: found[_one(file, sheet, list(found))]}
    heads, columns = [], []
    for name, array in found.items():
        flat = array.reshape(-1, 1) if array.ndim < 2 or 1 in array.shape else array
        if flat.ndim != 2 or flat.size == 0:
            raise complaint(str(file), f"{name} has shape {array.shape}", "Needed: one or two dimensions")
        if len(found) > 1 and flat.shape[1] > 1:
            _one(file, None, list(found))
        heads += [name] * flat.shape[1]
        columns += list(flat.T)
    n = max((len(c) for c in columns), default=0)
    rows = [[repr(float(c[i])) if i < len(c) else "" for c in columns] for i in range(n)]
    first = [FileCells(0, heads)] if any(heads) and len(set(heads)) == len(heads) else []
    return first + [FileCells(i, row) for i, row in enumerate(rows, 1)]
