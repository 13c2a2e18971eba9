"""The one exception of this package, and the sentence every error is written in."""

import difflib
from collections.abc import Iterable

MOST = 1000  # characters of one part of a message


class MhoError(ValueError):
    """A call that cannot be carried out. The message names the call, the value, the rule and the fix."""


def complaint(where: str, wrong: str, need: str = "", fix: str = "") -> MhoError:
    """Build the error `` `where`: wrong. need. Fix: fix. ``, which the caller raises.

    Args:
        where: the call as the user wrote it, such as `Tile.update` or `SoftBounds(tau_min=0.5)`.
        wrong: the fault, with the offending value.
        need: the rule (optional).
        fix: the remedy (optional).

    Characters that a terminal would obey, which a file may smuggle in, are written as Python writes them, and long
    parts are shortened.
    """
    sentences = [_short(wrong), _short(need), f"Fix: {_short(fix)}" if fix else ""]
    text = f"`{_short(where)}`: " + " ".join(s if s[-1] in ".?" else s + "." for s in sentences if s)
    return MhoError(printable(text))


def within(where: str, error: MhoError) -> MhoError:
    """Build an error once more, in the name of the call or the file around it."""
    return MhoError(printable(f"`{_short(where)}`: {error}"))


def printable(text: str) -> str:
    """Return a text without characters that a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def shown(value: object) -> str:
    """Return a value as Python writes it; an integer of more digits than Python writes by its size."""
    try:
        return repr(value)
    except ValueError:
        return f"(of type {type(value).__name__}, with more digits than Python writes)"


def _short(text: str) -> str:
    """Return a text without its middle, if it is long."""
    return text if len(text) <= MOST else f"{text[: MOST // 2]} ... {text[-MOST // 2 :]}"


def wrong_type(where: str, name: str, value: object, need: str, remedy: str = "") -> MhoError:
    """Build the error about an argument of the wrong type; `need` names the right one."""
    kind = f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"
    fix = f"pass an instance, such as {value.__name__}()" if isinstance(value, type) else remedy
    return complaint(where, f"{name} is {kind}", f"It must be {need}", fix)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the clause that follows an unknown name: its nearest neighbour, and all known names."""
    known = sorted(known)
    close = difflib.get_close_matches(str(name)[:100], known, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}known: {', '.join(known) or 'none'}"
