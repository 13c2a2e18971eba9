"""One living process a contender, asked in turn for one repetition, so that all meet the same machine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mho.testing.bench import spread

HERE = Path(__file__).parent
SOURCE = HERE.parent / "src"


class Contender:
    """A process that talks the protocol of `protocol.serve`."""

    def __init__(self, name: str, python: str, *words: str, threads: int) -> None:
        own = {
            "PYTHONPATH": os.pathsep.join([str(SOURCE), str(HERE)]),
            "OMP_WAIT_POLICY": "passive",
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
        }
        self.name, self.threads = name, threads
        self.process = subprocess.Popen(
            [python, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | own, text=True
        )
        self.about: dict[str, Any] = {}

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            return {"error": f"the process of {self.name} ended with code {code}"}
        return json.loads(line)

    def ask(self, **message: Any) -> dict[str, Any]:
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def available(threads: int, names: list[str] | None = None) -> dict[str, Contender]:
    """{name: started contender}; a sentence for each that is absent."""
    commands = {
        "mho": [sys.executable, str(HERE / "contender_mho.py")],
        "aihwkit": [os.environ.get("AIHWKIT_PYTHON", ""), str(HERE / "contender_aihwkit.py")],
        "eager": [sys.executable, str(HERE / "contender_torch.py"), "eager"],
        "digital": [sys.executable, str(HERE / "contender_torch.py"), "digital"],
    }
    started = {}
    for name in names or list(commands):
        command = commands[name]
        if not command[0] or not Path(command[0]).exists():
            print(f"{name} is left out: AIHWKIT_PYTHON names no interpreter; see benchmarks/README.md")
            continue
        started[name] = Contender(name, *command, threads=threads)
    for name, contender in list(started.items()):
        contender.about = contender.answer()
        if "error" in contender.about:
            print(f"{name} is left out: {contender.about['error']}")
            del started[name]
    return started


def measure(contenders: dict[str, Contender], case: dict[str, Any], repetitions: int) -> dict[str, dict]:
    """{contender: {"median", "low", "high" [s], "n", "peak_mib", "moved"}}, or {"error": reason}."""
    results: dict[str, dict] = {}
    for name, contender in contenders.items():
        results[name] = contender.ask(do="prepare", case=case | {"threads": contender.threads})
    ready = [name for name, reply in results.items() if "error" not in reply]
    seconds: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(repetitions):
        for name in list(seconds):
            reply = contenders[name].ask(do="time")
            if "error" in reply:
                results[name] = reply
                del seconds[name]
            else:
                seconds[name].append(reply["seconds"])
    for name, contender in contenders.items():
        released = contender.ask(do="release")
        if name in seconds:
            results[name] |= spread(seconds[name])._asdict() | released
    for name, reply in results.items():
        if "error" in reply:
            print(f"{name} failed: {reply['error']}", file=sys.stderr)
    return results
