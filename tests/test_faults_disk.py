"""Faults of disks and files: kills, full disks, damaged files, files of other runs, files of strangers."""

import errno
import gzip
import http.server
import json
import math
import os
import pickle
import re
import resource
import signal
import struct
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import torch

import mho
from fit_ramps import ramps, soft, write
from mho.base import config, files, locks, stored
from mho.base.errors import MhoError, complaint
from mho.cli import main
from mho.data import digits, download, idx, load
from mho.diagnostics.curve import rows_of
from mho.experiments.experiment import Experiment, training
from mho.experiments.results import of_all_seeds
from mho.experiments.runner import run_cells
from mho.fit import fit
from mho.training import RunFolder, RunSpec, Session, compare, folder, train
from mho.training.spec import order

SMALL = RunSpec(hidden=(4,), epochs=2, batch_size=500, deterministic=True)
HERE = Path(__file__).parent
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files, and looks at locks")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run, to be copied."""
    path = tmp_path_factory.mktemp("finished") / "run"
    train(SMALL, path)
    return path


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run."""
    for file in finished.iterdir():
        (tmp_path / "run" / file.name).parent.mkdir(exist_ok=True)
        (tmp_path / "run" / file.name).write_bytes(file.read_bytes())
    return tmp_path / "run"


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


# Kills.


@pytest.mark.slow
@linux
def test_killed_works_end_as_undisturbed_ones():
    """Six kills at random moments and three at steps of writes; `make crash` has 320 of six works."""
    words = ["--works", "train,papers,fit", "--kills", "6", "--steps", "3"]
    done = subprocess.run([sys.executable, HERE / "crash.py", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["train", "papers", "fit"]


class Killed(BaseException):
    """In the place of a kill: nothing of this library catches it."""


@pytest.mark.parametrize("at", [1, 2], ids=["first epoch", "last epoch"])
def test_a_kill_between_checkpoint_and_curve_loses_no_row(finished, tmp_path, monkeypatch, at):
    calls, written = [], RunFolder.write_csv

    def dies(self, name, rows):
        calls.append(name)
        if len(calls) == at:
            raise Killed
        written(self, name, rows)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_csv", dies)
        with pytest.raises(Killed):
            train(SMALL, tmp_path / "run")
    train(SMALL, tmp_path / "run", resume=True)
    found, whole = RunFolder(tmp_path / "run").rows(), RunFolder(finished).rows()
    assert [row | {"seconds": 0} for row in found] == [row | {"seconds": 0} for row in whole]


def test_a_comparison_goes_on_where_a_curve_is_missing_or_damaged(tmp_path):
    specs = {"digital": SMALL}
    summary = compare(specs, [0], tmp_path)
    metrics = tmp_path / "digital" / "seed0" / "metrics.csv"
    whole = metrics.read_bytes()
    for damage in (
        metrics.unlink,
        lambda: metrics.write_bytes(whole[:-30]),
        lambda: metrics.write_text("x\n"),
    ):
        damage()
        again = compare(specs, [0], tmp_path)
        assert again["algorithms"]["digital"]["mean"] == summary["algorithms"]["digital"]["mean"]
        assert metrics.read_bytes() == whole


@linux
def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    file = tmp_path / "a.json"
    left, other, mine = (
        tmp_path / f".{name}" for name in ("a.json." + "0" * 16, "b.json." + "0" * 16, "a.json.swp")
    )
    for path in (left, other, mine):
        path.write_text("half")
    with files.whole(file) as living:
        assert not left.exists()
        files.write_json(file, {"a": 1})
        assert living.exists()
        living.write_text("whole")
    assert {p.name for p in tmp_path.iterdir()} == {mine.name, "a.json", other.name}
    assert file.read_text() == "whole"


def test_contents_are_on_the_disk_before_they_take_their_place(tmp_path, monkeypatch):
    """fsync of the file, the replacement, fsync of the folder: in this order."""
    seen = []

    class Os:
        def __getattr__(self, name):
            return getattr(os, name)

        def fsync(self, handle):
            seen.append(
                ("fsync", os.readlink(f"/proc/self/fd/{handle}").rpartition("/")[2].partition(".json")[0])
            )
            os.fsync(handle)

        def replace(self, old, new):
            seen.append(("replace", Path(new).stem))
            os.replace(old, new)

    monkeypatch.setattr(files, "os", Os())
    files.write_json(tmp_path / "a.json", {})
    assert seen == [("fsync", ".a"), ("replace", "a"), ("fsync", tmp_path.name)]


def test_permissions_follow_the_mask_of_the_user(tmp_path):
    before = os.umask(0o077)
    try:
        files.write_json(tmp_path / "a.json", {})
    finally:
        os.umask(before)
    files.write_json(tmp_path / "b.json", {})
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a.json", "b.json")] == [
        0o600,
        0o644 & ~before,
    ]


# One process in a folder.

HOLD = """
import sys, time
from pathlib import Path
from mho.base.locks import alone
with alone(Path(sys.argv[1]), "x"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(run):
    """A process that trains in the folder, as it seems."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, run / folder.LOCK], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@linux
def test_two_processes_cannot_train_in_one_folder(run, holder):
    before = contents(run)
    with pytest.raises(MhoError, match=rf"run'\)`: process {holder.pid} on .* is at work in that folder"):
        train(SMALL.replace(epochs=3), run, resume=True)
    assert contents(run) == before
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (run / folder.LOCK).exists()  # a kill leaves the file, but not the lock
    train(SMALL, run, resume=True)
    assert not (run / folder.LOCK).exists()


@linux
def test_a_training_of_two_experiments_waits_for_the_other(run, holder):
    threading.Timer(0.5, holder.kill).start()
    assert train(SMALL, run, resume=True, wait=True)["epochs"] == 2


@linux
def test_a_lock_is_that_of_the_file_which_is_there(tmp_path):
    """Another process may remove the file between its opening and its locking."""
    lock = tmp_path / "lock"
    taken = []

    def take(handle, wait=False):
        if not taken:
            lock.unlink()
        taken.append(handle)
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, "take", take)
        with locks.alone(lock, "here"):
            assert len(taken) == 2 and lock.exists()
    assert not lock.exists()


def test_without_locks_there_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "take", lambda handle, wait=False: None)
    with (
        pytest.warns(UserWarning, match="this file system has no locks"),
        locks.alone(tmp_path / "lock", "here"),
    ):
        pass


# Full disks.


@pytest.fixture
def small_files():
    """Files of at most 3000 bytes, as on a full disk: a write that goes on fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(most):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@linux
def test_a_full_disk_is_an_error_that_leaves_the_old_files(run, small_files):
    before = contents(run)
    small_files(1500)
    for call, file in (
        (lambda: train(SMALL.replace(epochs=3), run, resume=True), "checkpoint.pt"),
        (lambda: files.write_text(run / "metrics.csv", "x" * 5000), "metrics.csv"),
        (
            lambda: mho.figures.style.save(
                mho.figures.curves.comparison({"a": [[0.1, 0.5]]}), run / "curves"
            ),
            "curves",
        ),
        (lambda: RunFolder(run).write_csv("metrics.csv", [{"a": k} for k in range(3000)]), "metrics.csv"),
    ):
        with pytest.raises(
            MhoError, match=rf"{file}.*`: cannot be written \(.*Fix: (make room|name another)"
        ):
            call()
    small_files(resource.RLIM_INFINITY)
    after = contents(run)
    assert after.pop("config.json") != before.pop("config.json")  # epochs, which the run would have had
    assert after == before
    train(SMALL.replace(epochs=3), run, resume=True)


@pytest.mark.parametrize(
    ("number", "fix"), [(errno.ENOSPC, "make room on that disk"), (errno.EACCES, "name another place")]
)
def test_the_remedy_follows_the_cause(tmp_path, monkeypatch, number, fix):
    def refuses(*_):
        raise OSError(number, os.strerror(number))

    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(files.os, "replace", refuses)
    with pytest.raises(MhoError, match=rf"a`: cannot be written \({os.strerror(number)}\)\. Fix: {fix}"):
        files.write_text(tmp_path / "a", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_text() == "old"


def test_a_number_that_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(MhoError, match="a number that should be written is not finite"):
        files.write_json(tmp_path / "a.json", {"a": math.nan})
    assert list(tmp_path.iterdir()) == []


# Files of other runs.


def edited(file, **changes):
    data = json.loads(file.read_text())
    file.write_text(json.dumps(data | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": 0.2}, "it holds a run with lr = 0.1, not 0.2. Only epochs, threads, data_dir may change."),
        ({"seed": 3, "hidden": [5]}, "it holds a run with hidden = [4], not [5]; seed = 0, not 3."),
    ],
)
@pytest.mark.parametrize("file", ["result.json", "checkpoint.pt"])
def test_an_edited_configuration_is_refused(run, changes, words, file, capsys):
    """Also by the command line, for which config.json is all that it knows of the run."""
    (run / {"result.json": "checkpoint.pt", "checkpoint.pt": "result.json"}[file]).unlink()
    edited(run / "config.json", **changes)
    before = contents(run)
    with pytest.raises(SystemExit) as stop:
        main(["train", "--out", str(run), "--resume", "--epochs", "3"])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and f"{file}`: {words}" in error, error
    assert contents(run) == before


def test_a_checkpoint_of_another_seed_is_refused(run, tmp_path):
    train(SMALL.replace(seed=1), tmp_path / "other")
    (run / "checkpoint.pt").write_bytes((tmp_path / "other" / "checkpoint.pt").read_bytes())
    with pytest.raises(MhoError, match=r"checkpoint\.pt`: it holds a run with seed = 1, not 0\."):
        train(SMALL.replace(epochs=3), run, resume=True)
    with pytest.raises(MhoError, match=r"Session\.load_state_dict`: it holds a run with seed = 1, not 0\."):
        Session(SMALL, load("digits")).load_state_dict(
            Session(SMALL.replace(seed=1), load("digits")).state_dict()
        )


def test_fields_that_may_change_may(run):
    edited(run / "config.json", threads=1, data_dir="/x", epochs=7)
    assert train(SMALL.replace(epochs=3, threads=2), run, resume=True)["epochs"] == 3
    assert json.loads((run / "config.json").read_text())["threads"] == 2


def test_a_shorter_run_is_refused_before_anything_is_written(run):
    before = contents(run)
    with pytest.raises(MhoError, match="has 2 epochs behind it"):
        train(SMALL.replace(epochs=1), run, resume=True)
    assert contents(run) == before


@pytest.mark.parametrize("left", ["checkpoint.pt", "result.json"])
def test_remains_of_a_run_are_no_new_folder(run, left):
    for file in run.iterdir():
        if file.name != left:
            file.unlink()
    with pytest.raises(MhoError, match="the folder holds a run already"):
        train(SMALL, run)


# Damaged checkpoints.


def with_part(run, change):
    """Change the state in the checkpoint of a run."""
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    change(state)
    torch.save(state, run / "checkpoint.pt")


def goes_on(run):
    return train(SMALL.replace(epochs=3), run, resume=True)


def test_a_flipped_bit_in_the_weights_is_found(run):
    """Torch would load it."""
    file = run / "checkpoint.pt"
    weights = torch.load(file, weights_only=True)["model"]["0.weight"].numpy().tobytes()
    data = bytearray(file.read_bytes())
    at = data.find(weights)
    assert at > 0
    data[at + 5] ^= 16
    file.write_bytes(data)
    with pytest.raises(MhoError, match=r"checkpoint\.pt`: is no checkpoint \(ValueError\)"):
        goes_on(run)


class Runs:
    """A pickle of it makes a file where it is loaded."""

    def __reduce__(self):
        return open, ("executed", "w")


def test_nothing_in_a_checkpoint_is_executed(run, monkeypatch):
    monkeypatch.chdir(run.parent)
    for save in (lambda: torch.save(Runs(), run / "checkpoint.pt"), lambda: _pickled(run / "checkpoint.pt")):
        save()
        with pytest.raises(MhoError, match="is no checkpoint"):
            goes_on(run)
    assert not Path("executed").exists()


def _pickled(file):
    file.write_bytes(pickle.dumps(Runs()))


def test_a_packed_checkpoint_is_not_unpacked(run):
    with zipfile.ZipFile(run / "checkpoint.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("checkpoint/data.pkl", bytes(10_000_000))
    with pytest.raises(MhoError, match="is no checkpoint"):
        goes_on(run)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.clear(), "it does not say which run it belongs to"),
        (lambda s: s.pop("model"), "model is missing"),
        (lambda s: s.update(position=[]), "position is []. Needed: a table"),
        (lambda s: s["model"].update({"0.bias": 3}), "model.0.bias is 3. Needed: a Tensor"),
        (lambda s: s["model"].pop("0.bias"), "it does not fit this run"),
        (lambda s: s["model"].update({"0.bias": torch.zeros(7)}), "it does not fit this run"),
        (lambda s: s["position"].update(epoch=-1), "there is no such epoch"),
        (lambda s: s["position"].update(epoch=10**400), "there is no such epoch"),
        (lambda s: s["position"].update(epoch=1.5), "position.epoch is 1.5. Needed: an integer"),
        (lambda s: s["position"].update(batch=2), "there is no such epoch or batch"),
        (
            lambda s: s["position"].update(loss_sum=math.nan),
            "position.loss_sum is nan. Needed: a finite number",
        ),
        (lambda s: s["position"]["rows"][1].update(lr="x"), "position.rows.1.lr is 'x'"),
        (lambda s: s["position"]["rows"].__setitem__(slice(None), [{}, {}]), "the epochs have other columns"),
        (lambda s: s["position"]["rows"][1].pop("lr"), "the epochs have other columns"),
        (lambda s: s["position"].update(model=3), None),  # an entry too many is not used
        (lambda s: s["schedule"].update(step=3), "the schedule has other entries"),
        (lambda s: s["optimizer"]["param_groups"][0].update(lr="x"), "the optimizer has other groups"),
        (lambda s: s["optimizer"].pop("param_groups"), "the optimizer has other groups"),
        (lambda s: s.update(torch_rng=torch.zeros(3, dtype=torch.uint8)), "it does not fit this run"),
    ],
)
def test_a_checkpoint_with_other_contents(run, change, words):
    with_part(run, change)
    if words is None:
        goes_on(run)
        return
    with pytest.raises(MhoError) as error:
        goes_on(run)
    assert f"{run / 'checkpoint.pt'}`: " in str(error.value) and words in str(error.value), error.value
    assert "Fix: start the run anew in another folder." in str(error.value)


# Damaged and hostile texts.

HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000 + "]" * 100_000, "is nested too deeply"),
        ('{"a":' * 100 + "1" + "}" * 100, "is nested too deeply"),
        ('{"epochs": 1, "epochs": 2}', "'epochs' stands twice in one table"),
        ('{"lr": ' + HUGE + "}", "`lr`: " + HUGE + " does not fit"),
        ('{"seed": ' + HUGE + "}", "seed"),
        ('{"hidden": [' + HUGE + "]}", "hidden[0] is 1000"),
        ('{"batch_size": ' + HUGE + "}", "batch_size"),
        ('{"hardware": {"type": "Crossbar", "io": {"inp_bound": ' + HUGE + "}}}", "inp_bound"),
        (
            '{"hardware": {"device": {"type": "Device", "spread": {"a": {"type": "Absolute"}}}}}',
            "needs 'sigma'",
        ),
        ('{"hardware": {"device": {"type": "Device", "spread": {"\\u001b]0;x": "y"}}}}', "\\x1b]0;x"),
        ('{"threads": 1000000000}', "threads must be an integer from 0 to 1024"),
        ('{"hidden": [1000000000]}', "16,777,216 at most"),
        ('{"lr": NaN}', "lr is nan"),
        ('{"lr": 1e400}', "lr is inf"),
        ('{"lr": "0.1"}', "'0.1' does not fit"),
        ('{"hardware": {"type": "a.\\u001b]0;x\\u0007"}}', "a.\\x1b]0;x\\x07 is no class of mho"),
        ("\x00", "is no valid JSON"),
        ("", "is no valid JSON"),
        ("[]", "holds no table"),
    ],
)
def test_configurations_of_strangers(tmp_path, text, words, capsys):
    file = tmp_path / "run.json"
    file.write_text(text)
    with pytest.raises(MhoError) as error:
        config.record_in(file, kind=RunSpec)
    assert str(file) in str(error.value) and words in str(error.value), str(error.value)[:500]
    assert "\x1b" not in str(error.value)
    with pytest.raises(SystemExit) as stop:
        main(["train", "--config", str(file), "--out", str(tmp_path / "new")])
    assert stop.value.code == 2 and not (tmp_path / "new").exists()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_toml_file_may_be_nested_too_deeply_as_well(tmp_path):
    for text in (
        "a = " + "[" * 5000 + "]" * 5000,
        ".".join("a" * 2000) + " = 1",
        ".".join("'b'" for _ in range(20_000)) + " = 1",
    ):
        (tmp_path / "a.toml").write_text(text)
        with pytest.raises(MhoError, match="is nested too deeply"):
            config.read(tmp_path / "a.toml")


def test_a_byte_order_mark_is_no_fault_and_other_bytes_are(tmp_path):
    file = tmp_path / "a.json"
    file.write_bytes(b"\xef\xbb\xbf{}")
    assert config.read(file) == {}
    file.write_text("{}", encoding="utf-16")
    with pytest.raises(MhoError, match="is no text file: byte 1 is 0xff"):
        config.read(file)
    with pytest.raises(MhoError, match="is no name of a file"):
        config.read("a\0b.json")


@pytest.mark.parametrize(
    "call", [config.read, stored.read_text, lambda file: fit(file)], ids=["json", "text", "fit"]
)
def test_a_file_without_an_end_is_not_read_to_its_end(call):
    with pytest.raises(MhoError, match=r"/dev/zero`: is longer than 67,108,864 bytes"):
        call("/dev/zero")


def test_an_error_holds_nothing_that_a_terminal_obeys():
    assert str(complaint("a", "b\x1b[2Jc\u202ed\né")) == "`a`: b\\x1b[2Jc\\u202ed\né."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": "2"}, "epochs is '2'. Needed: an integer"),
        ({"test_accuracy": math.nan}, "test_accuracy is nan. Needed: a finite number"),
        ({"test_accuracy": None}, "test_accuracy is None"),
        ({"test_loss": 10**400}, "test_loss is 1000"),
        ({"arrays": {"W": 3}}, "arrays.W is 3. Needed: a table"),
        ({"arrays": {"W": {"up": "many"}}}, "arrays.W.up is 'many'. Needed: a finite number or null"),
        ({"epochs": True}, "epochs is True"),
        ({"run": None}, "run is None. Needed: a table"),
    ],
)
def test_a_result_with_other_contents(run, change, words):
    edited(run / "result.json", **change)
    with pytest.raises(MhoError) as error:
        train(SMALL, run, resume=True)
    assert f"{run / 'result.json'}`: {words}" in str(error.value)
    assert "Fix: remove the file and resume the run, which writes it again." in str(error.value)
    (run / "result.json").unlink()
    assert train(SMALL, run, resume=True)["epochs"] == 2  # the remedy works


def test_a_result_of_an_entry_less_and_of_half_its_bytes(run):
    data = json.loads((run / "result.json").read_text())
    del data["seconds"]
    (run / "result.json").write_text(json.dumps(data))
    with pytest.raises(MhoError, match=r"seconds is missing\. Needed: a finite number"):
        RunFolder(run).result()
    (run / "result.json").write_text(json.dumps(data)[:100])
    with pytest.raises(MhoError, match=r"result\.json`: is no valid JSON"):
        RunFolder(run).result()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("epoch,lr\n1,0.1\n2,x\n", 3, "lr is 'x'"),
        ("epoch,lr\n1,nan\n", 2, "lr is nan"),
        ("epoch,lr\n1\n", 2, "1 cells. Needed: 2"),
        ("epoch,lr\n1,2,3\n", 2, "3 cells"),
        ("epoch,epoch\n1,2\n", 1, "two columns have one name"),
        ("epoch,lr\n1," + "1" * 200_000 + "\n", 2, "is no line of numbers"),
    ],
)
def test_curves_with_other_contents(tmp_path, text, line, words):
    (tmp_path / "metrics.csv").write_text(text)
    for call in (RunFolder(tmp_path).rows, lambda: rows_of(tmp_path)):
        with pytest.raises(MhoError) as error:
            call()
        assert f"metrics.csv, line {line}`: {words}" in str(error.value)


def test_a_curve_of_other_columns_is_no_curve_of_a_run(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,lr\n1,0.1\n")
    with pytest.raises(MhoError, match="train_loss is missing"):
        rows_of(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"numbers": {"error": [1.0]}}, "numbers.error is [1.0]. Needed: a list of 2"),
        ({"numbers": {"error": [math.nan, 0.0]}}, "numbers.error.0 is nan"),
        ({"seed": "0"}, "seed is '0'"),
        ({"settings": {"type": "os.system"}}, "os.system is no class of mho"),
        ({"settings": {"steps": 2}}, "other settings or another seed: settings.steps = 2, not 1"),
    ],
)
def test_finished_cells_with_other_contents(tmp_path, change, words):
    tiny = Experiment("tiny", "Tiny", "none", {"a": {"steps": 1}}, run=lambda *_: {"error": (1.0, 0.0)})
    run_cells(tiny, ["a"], tmp_path, [0])
    edited(tmp_path / "a.json", **change)
    for call in (lambda: run_cells(tiny, ["a"], tmp_path, [0]), lambda: of_all_seeds(tiny, tmp_path, "a")):
        with pytest.raises(MhoError) as error:
            call()
        assert f"{tmp_path / 'a.json'}`: " in str(error.value) and words in str(error.value)


def test_cells_of_one_training_have_it_trained_once_at_a_time(tmp_path):
    tiny = Experiment("tiny", "Tiny", "none", {name: training(SMALL) for name in "ab"})
    lines = run_cells(tiny, ["a", "b"], tmp_path / "results", [0], jobs=2, store=tmp_path / "store")
    a, b = ([(line.quantity, line.ours) for line in lines if line.cell == cell] for cell in "ab")
    assert a == b and len([*(tmp_path / "store").iterdir()]) == 1


# Seeds.


@pytest.mark.parametrize("seed", [-1, 2**63, 10**400, 0.5])
def test_seeds_out_of_range(tmp_path, seed):
    with pytest.raises(MhoError, match="seed"):
        RunSpec(seed=seed)
    tiny = Experiment("tiny", "Tiny", "none", {"a": {"steps": 1}}, run=lambda *_: {"error": (1.0, 0.0)})
    if seed != 0.5:
        with pytest.raises(MhoError, match="a seed must be an integer from 0"):
            run_cells(tiny, ["a"], tmp_path, [seed])
        with pytest.raises(MhoError, match="seed"):
            compare({"digital": SMALL}, [0, seed], tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MhoError, match="key"):
        fit(write(tmp_path / "a.csv", ramps(soft(), 0, pulses=40)), key=seed if seed != 2**63 else 2**64)


@pytest.mark.parametrize("seed", [2**44, 99_999_999_999_999_999, 2**63 - 1])
def test_large_seeds_have_orders_and_networks_of_their_own(seed):
    one, other = (Session(SMALL.replace(seed=s), load("digits")) for s in (seed, seed - 1))
    assert not torch.equal(order(one.spec, 0, 50), order(other.spec, 0, 50))
    assert not torch.equal(one.model[0].weight, other.model[0].weight)


# Measured data, and data sets.


def test_a_cell_of_many_characters_is_named_with_its_line(tmp_path):
    (tmp_path / "f.csv").write_text("up,down\n" + "1" * 200_000 + ",2\n")
    with pytest.raises(MhoError, match=r"f\.csv, line 2`: is no line of a table \(field larger"):
        fit(tmp_path / "f.csv")


FILE = "t10k-labels-idx1-ubyte.gz"


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    bomb = gzip.compress(bytes(50_000_000), 9)
    assert len(bomb) < 100_000
    with pytest.raises(MhoError, match=rf"{FILE}`: unpacks to more than {10_000 + idx.HEAD:,} bytes"):
        idx.unpack(bomb, tmp_path / FILE)
    (tmp_path / FILE).write_bytes(bytes(200_000))
    assert "is longer than" in idx.state("mnist", tmp_path)[FILE][1]


@pytest.fixture
def server():
    """(address, answers): `answers[path]` is the status, the headers and an iterator of pieces."""
    answers = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            code, headers, pieces = answers[self.path]
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for piece in pieces:
                    self.wfile.write(piece)
            except OSError:
                pass  # the other side has had enough

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", answers
        httpd.shutdown()
        thread.join()


def fetched(address):
    return download._fetch_once(f"{address}/{FILE}", FILE, lambda *_: None)


def test_a_download_has_a_limit(server, monkeypatch):
    address, answers = server
    sent = []

    def endless():
        while True:
            sent.append(None)
            yield bytes(10_000)

    answers[f"/{FILE}"] = 200, {}, endless()
    with pytest.raises(MhoError, match="a file of more than 75,536 bytes"):
        fetched(address)
    answers[f"/{FILE}"] = 200, {"Content-Length": "1000000000"}, [b"a"]
    with pytest.raises(MhoError, match="a file of more than 75,536 bytes"):
        fetched(address)
    monkeypatch.setattr(download, "LONGEST", -1.0)
    answers[f"/{FILE}"] = 200, {}, [b"a"]
    with pytest.raises(MhoError, match="only 1 bytes"):
        fetched(address)


def test_a_redirect_to_ftp_is_not_followed(server, tmp_path):
    address, answers = server
    for file in idx.FILES:
        answers[f"/{file}"] = 302, {"Location": "ftp://127.0.0.1:9/x"}, []
    with pytest.raises(
        MhoError, match=r"a redirect to ftp://127\.0\.0\.1:9/x, which is neither http nor https"
    ):
        download.get("mnist", tmp_path / "new", mirrors=[address], tries=1)
    answers[f"/{FILE}"] = 302, {"Location": "/moved"}, []
    answers["/moved"] = 200, {}, [b"abc"]
    assert fetched(address) == b"abc"


def test_digits_are_checked(monkeypatch):
    monkeypatch.setattr(digits, "SHA256", "0" * 64)
    with pytest.raises(MhoError, match=r"mho/data/digits\.npz`: its SHA-256 is 46ac"):
        load("digits")
    assert "its SHA-256 is 46ac" in mho.data.check("digits")["digits.npz"][1]


def test_an_idx_file_with_a_huge_head_is_an_error(tmp_path):
    raw = b"\0\0\x08\xff" + struct.pack(">255I", *[2**32 - 1] * 255)
    with pytest.raises(MhoError, match="Its header announces"):
        idx.parse(raw, tmp_path)


def test_every_write_is_whole():
    """Nothing in the package opens a file to write it, but `whole`, those that write to its part, and the cache
    of compiled code."""
    writes = re.compile(r'\bopen\([^)]*"w|\b(write_text|write_bytes|savefig|torch\.save|json\.dump)\(')
    source = Path(mho.__file__).parent
    found = [str(f.relative_to(source)) for f in source.rglob("*.py") if writes.search(f.read_text())]
    assert sorted(found) == [
        "base/cache.py", "base/files.py", "data/download.py", "experiments/page.py", "figures/style.py",
        "testing/algorithms.py", "training/folder.py",
    ]  # fmt: skip


def test_a_number_of_a_file_has_more_digits_than_python_writes(tmp_path):
    file = tmp_path / "device.toml"
    for name in ("dw_min", "unknown"):
        file.write_text(f"{name} = 0x{'F' * 5000}")
        with pytest.raises(MhoError, match="more digits than Python writes"):
            config.record_in(file, kind=mho.Device)


def test_a_file_whose_name_holds_commands_of_a_terminal(tmp_path):
    file = tmp_path / "\x1b[31mx.json"
    file.write_text('{"type": "Device", "dw_min": -1}')
    with pytest.raises(MhoError, match=r"\\x1b\[31mx.json.*dw_min must be positive") as error:
        config.record_in(file)
    assert "\x1b" not in str(error.value)
