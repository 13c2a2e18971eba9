"""Errors in the words of the command line: where the library says `train(where='gpu')`, this says `--where gpu`.

The library speaks Python. A call, an argument or a name in its errors that belongs to an option of the running verb
is rewritten, all else stays:

    `choose(algorithm='foo')`: ...                `--algorithm foo`: ...
    Fix: pass resume=True                         Fix: pass --resume
    Fix: lower `lr`                               Fix: lower --lr
    `mho.data.get('mnist', data_dir='x')`         `mho data get mnist --data-dir x`

An option belongs to the argument that has the name of the verb's own parameter: `Option("--set")` on a parameter
`settings` stands for `settings=...` of the library.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mho.base.errors import printable

__all__ = ["flags_of", "spoken"]

_CODE = re.compile(r"`([^`]*)`(:?)")  # with the colon behind the first words of an error
_PAIR = re.compile(r"\b(\w+)=('[^']*'|\[[^\]]*\]|\.\.\.|[\w.-]*\w)")


def flags_of(command: Any, words: Sequence[str]) -> dict[str, str]:
    """Return {parameter: flag} of the verb that the words name.

    Args:
        command: the click command of the program; words: the arguments of the program.
    """
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    return {p.name: p.opts[0] for p in command.params if p.opts[0].startswith("--")}


def spoken(message: str, flags: Mapping[str, str]) -> str:
    """Return an error with the calls and arguments of the library as options."""
    parts, end = [], 0
    for code in _CODE.finditer(message):
        parts += [_plain(message[end : code.start()], flags), _code(code[1], code[2], flags)]
        end = code.end()
    return printable("".join(parts) + _plain(message[end:], flags))


def _plain(text: str, flags: Mapping[str, str]) -> str:
    """Return text outside of backticks with its arguments as options."""

    def option(pair: re.Match[str]) -> str:
        return _option(flags[pair[1]], ast.parse(pair[2], mode="eval").body) if pair[1] in flags else pair[0]

    return _PAIR.sub(option, text)


def _code(code: str, colon: str, flags: Mapping[str, str]) -> str:
    """Return a piece in backticks, and the colon behind it, in the words of the command line."""
    if code in flags and not colon:
        return flags[code]
    unchanged = f"`{code}`{colon}"
    try:
        call = ast.parse(code if "(" in code.partition("=")[0] else f"f({code})", mode="eval").body
    except SyntaxError:
        return unchanged
    if not isinstance(call, ast.Call):
        return unchanged
    name, given = ast.unparse(call.func), [(k.arg or "", k.value) for k in call.keywords]
    if name.startswith("mho."):  # another verb
        words = [*name.split("."), *map(_word, call.args)]
        words += [_option(f"--{key.replace('_', '-')}", value) for key, value in given]
        return f"`{' '.join(words)}`{colon}"
    record = (
        name[:1].isupper() and name != "RunSpec"
    )  # `TikiTaka(lr=2)` is no option, whatever its field is called
    if record or call.args or not given or any(key not in flags for key, _ in given):
        return unchanged
    return f"`{' '.join(_option(flags[key], value) for key, value in given)}`{colon}"


def _option(flag: str, value: ast.expr) -> str:
    """Return a flag with its value; `resume=True` and `data_dir=...` are the flag alone."""
    word = _word(value)
    return flag if word in ("True", "...") else f"{flag} {word}"


def _word(value: ast.expr) -> str:
    """Return a value as it is typed: strings without quotes, several numbers with commas, and no list of dots."""
    if isinstance(value, ast.List | ast.Tuple):
        return ",".join(map(_word, value.elts))
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    return ast.unparse(value)
