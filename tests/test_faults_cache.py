"""The cache of compiled code: damaged, changed, foreign, stale or written by many at once, it never does harm."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import pytest

from mho.base import cache
from mho.kernels.law import cache as modules
from mho.numerics import machine_code
from mho.numerics.machine_code import PACKAGE, digest

IS_ROOT = os.geteuid() == 0
ALONE = f"code-{os.geteuid()}"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of this test alone; returns its folder, which is not made yet."""
    monkeypatch.setenv("MHO_CACHE", str(tmp_path / "named"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()
    cache._safe.cache_clear()
    yield tmp_path / "named" / ALONE
    cache._safe.cache_clear()


def python(script, **environment):
    """Run a script in a process of its own, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Files.


def test_a_file_comes_back_whole_from_a_folder_that_is_the_users_alone(folder):
    assert cache.load("a") is None
    cache.store("a", b"code")
    assert cache.load("a") == b"code"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [f.name for f in folder.iterdir()] == ["a"]


DAMAGE = {
    "cut": lambda data: data[:-1],
    "empty": lambda data: b"",
    "short": lambda data: data[:20],
    "one bit": lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
    "longer": lambda data: data + b"0",
    "other": lambda data: b"x" * 100,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_counts_as_missing_and_is_replaced(folder, damage):
    cache.store("a", b"code" * 9)
    (folder / "a").write_bytes(damage((folder / "a").read_bytes()))
    assert cache.load("a") is None
    cache.store("a", b"code" * 9)
    assert cache.load("a") == b"code" * 9


def test_a_file_that_others_may_write_is_not_read(folder):
    cache.store("a", b"code")
    (folder / "a").chmod(0o666)
    assert cache.load("a") is None


@pytest.mark.skipif(not IS_ROOT, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_read(folder):
    cache.store("a", b"code")
    os.chown(folder / "a", 65534, 65534)
    assert cache.load("a") is None


# Folders.


def opened(folder):
    folder.mkdir(parents=True)
    folder.chmod(0o770)


def linked(folder):
    folder.parent.mkdir()
    (folder.parent / "elsewhere").mkdir(0o700)
    folder.symlink_to(folder.parent / "elsewhere")


def a_file(folder):
    folder.parent.mkdir()
    folder.touch()


def below_a_file(folder):
    folder.parent.touch()


@pytest.mark.parametrize("spoil", [opened, linked, a_file, below_a_file])
def test_a_folder_that_is_not_the_users_alone_is_not_used_and_the_user_is_told(folder, tmp_path, spoil):
    spoil(folder)
    with pytest.warns(
        RuntimeWarning, match=rf"`MHO_CACHE`: compiled code is kept in {tmp_path}/shared/mho-{ALONE}"
    ):
        cache.store("a", b"code")
    assert cache.load("a") == b"code"
    assert [f.name for f in (tmp_path / "shared").rglob("a")] == ["a"]
    assert not list((tmp_path / "named").rglob("a"))


def test_a_folder_of_another_user_is_not_used(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.warns(RuntimeWarning, match="no compiled code is kept.* it belongs to user"):
        cache.store("a", b"code")
    assert cache.load("a") is None
    assert not list(tmp_path.rglob("a"))


@pytest.mark.parametrize("spoil", [opened, linked, a_file])
def test_the_shared_temporary_folder_is_trusted_no_more_than_others(tmp_path, monkeypatch, spoil):
    """Its name can be guessed, so another user may have made it."""
    monkeypatch.delenv("MHO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/self/no")
    shared = tmp_path / "shared" / f"mho-{ALONE}"
    shared.parent.rmdir()
    spoil(shared)
    with pytest.warns(RuntimeWarning, match="no compiled code is kept, so each process compiles"):
        cache.store("a", b"code")
    assert cache.load("a") is None
    assert cache.publish("a.py", "A = 1") is None
    assert not list(tmp_path.rglob("a*"))


def test_a_user_without_a_home_and_without_a_temporary_folder_has_no_cache(monkeypatch):
    monkeypatch.delenv("MHO_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)

    def none():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.warns(RuntimeWarning, match="no compiled code is kept"):
        assert cache.folders() == ()


def test_a_full_disk_costs_no_more_than_the_cache(monkeypatch):
    def full(path, contents):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write", full)
    cache.store("a", b"code")
    assert cache.load("a") is None
    assert cache.publish("a.py", "A = 1") is None


# Modules and their machine code.

SOURCE = """
from mho.numerics.machine_code import lean_kernel

@lean_kernel
def answer(n):
    return n + {}
"""


def new_process(monkeypatch, source):
    """Return the module as a new process gets it."""
    monkeypatch.setattr(modules, "_MODULES", {})
    return modules.module_of("probe", source)


def hits(function):
    return sum(function.stats.cache_hits.values()), sum(function.stats.cache_misses.values())


def test_machine_code_is_found_again_and_made_again_where_it_is_damaged(folder, monkeypatch):
    source = SOURCE.format(1)
    found = []
    for damage in (None, None, DAMAGE["cut"], None, DAMAGE["one bit"]):
        for file in folder.glob("*.code") if damage else ():
            file.write_bytes(damage(file.read_bytes()))
        answer = new_process(monkeypatch, source).answer
        assert answer(1) == 2
        found.append(hits(answer))
    assert found == [(0, 1), (1, 0), (0, 1), (1, 0), (0, 1)]


@pytest.mark.parametrize("key", ["the same key", "another key"])
def test_machine_code_that_cannot_be_used_is_made_again(folder, monkeypatch, key):
    """Whole, but from another build, or in the place of another function."""
    source = SOURCE.format(2)
    answer = new_process(monkeypatch, source).answer
    assert answer(1) == 3
    [file] = folder.glob("*.code")
    key = (
        answer._cache._key(answer.signatures[0], answer.targetctx.codegen()) if key == "the same key" else key
    )
    cache.store(file.name, machine_code.dumps((key, ("not", "a", "result"))))
    answer = new_process(monkeypatch, source).answer
    assert answer(1) == 3
    assert hits(answer) == (0, 1)


def test_a_changed_module_is_not_executed(folder, monkeypatch):
    source = "ANSWER = 1\n"
    file = Path(modules.module_of("probe", source).__file__)
    assert file.parent == folder and file.read_text() == source
    file.write_text("ANSWER = 2\n")
    assert new_process(monkeypatch, source).ANSWER == 1
    assert file.read_text() == source, "what people read is what runs"


def test_a_module_that_fails_leaves_nothing_behind():
    before = {*sys.modules}
    with pytest.raises(ZeroDivisionError):
        modules.module_of("probe", "1 / 0\n")
    assert {*sys.modules} == before
    with pytest.raises(ZeroDivisionError):
        modules.module_of("probe", "1 / 0\n")


# What the key covers.

COMPILED = [
    "numerics/uniform", "numerics/normal", "kernels/cpu/lines", "kernels/cpu/converters", "kernels/cpu/assemble",
    "kernels/cpu/counted", "kernels/cpu/patches", "kernels/cpu/write_noise",
]  # fmt: skip


def test_machine_code_of_the_package_follows_every_source_that_it_comes_from(tmp_path):
    package = tmp_path / "mho"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    helpers = {
        "numerics/address.py": {"uniform", "lines", "converters", "assemble", "counted"},
        "numerics/philox.py": {"uniform", "normal", "lines", "converters", "counted", "write_noise"},
        "numerics/rng.py": {"uniform", "normal", "lines", "converters", "counted", "write_noise"},
        "numerics/compile.py": {Path(name).name for name in COMPILED},
    }
    before = {name: digest((PACKAGE / f"{name}.py").read_text(), package) for name in COMPILED}
    for helper, users in helpers.items():
        file = package / helper
        file.write_text(f"{file.read_text()}\nEDITED = True\n")
        machine_code._digest_of.cache_clear()
        after = {name: digest((PACKAGE / f"{name}.py").read_text(), package) for name in COMPILED}
        changed = {Path(name).name for name in COMPILED if after[name] != before[name]}
        assert changed >= users, helper
        before = after


UNIFORM = "from mho.numerics.draw import draw_uniform; print(draw_uniform((1, 4), 1, 'd2d').tolist())"


@pytest.mark.slow
def test_a_new_version_of_the_package_does_not_run_the_machine_code_of_the_old_one(tmp_path):
    """The function that is compiled stands in another file than the one that changes."""
    package = tmp_path / "src" / "mho"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    old = python(UNIFORM, PYTHONPATH=str(package.parent))
    file = package / "numerics" / "philox.py"
    assert "range(ROUNDS)" in file.read_text()
    file.write_text(file.read_text().replace("range(ROUNDS)", "range(ROUNDS - 1)"))
    assert python(UNIFORM, PYTHONPATH=str(package.parent)) != old


UPDATE = (
    "import mho.numerics.uniform, mho.numerics.philox as p, pathlib; file = pathlib.Path(p.__file__);"
    "file.write_text(file.read_text().replace('range(ROUNDS)', 'range(ROUNDS - 1)'));"
)


@pytest.mark.slow
def test_a_process_in_which_the_package_is_updated_leaves_no_code_to_the_new_version(tmp_path):
    """It compiles the functions in its memory, which the files do not hold any more."""
    package = tmp_path / "src" / "mho"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    old = python(UPDATE + UNIFORM, PYTHONPATH=str(package.parent))
    assert "ROUNDS - 1" in (package / "numerics" / "philox.py").read_text()
    assert python(UNIFORM, PYTHONPATH=str(package.parent)) != old


# Many at once.


def test_eight_threads_that_ask_for_new_modules_get_one(monkeypatch):
    for k in range(40):
        start, found, source = threading.Barrier(8), [], f"A = {k}\n" + "B = 1\n" * 500

        def ask(start=start, found=found, source=source):
            start.wait()
            found.append(modules.module_of("probe", source))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8 and len({id(module) for module in found}) == 1
        assert found[0].A - k == 0


WRITER = """
import os
os.getpid = lambda: 7  # as in containers that share a folder
from mho.base import cache
contents = bytes(100_000)
for k in range(300):
    name = f"{k % 3}"
    assert cache.load(name) in (None, contents)
    cache.store(name, contents)
    assert cache.load(name) == contents
    assert cache.publish(f"{name}.py", "A = 1" * 1000).read_text() == "A = 1" * 1000
"""


def test_processes_of_one_number_write_at_once(folder):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER],
            env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    assert sorted(f.name for f in folder.iterdir()) == ["0", "0.py", "1", "1.py", "2", "2.py"]


COLD = """
import threading
from mho.numerics.draw import draw_uniform
start, found = threading.Barrier(8), []
def go():
    start.wait()
    found.append(draw_uniform((3, 5), 1, "d2d").tolist())
threads = [threading.Thread(target=go) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
assert len(found) == 8 and all(f == found[0] for f in found), found
"""


@pytest.mark.slow
def test_eight_threads_make_the_first_draw_at_once():
    python(COLD)


# Somebody else's computer.

CLOSED = """
import os, sys, warnings
def closed(event, arguments):
    if arguments and isinstance(arguments[0], int):  # a file that is open already
        return
    if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or event == "os.mkdir":
        path = str(arguments[0])
        if not path.startswith((os.environ["MINE"], "/dev/")):
            raise PermissionError(13, "Permission denied", path)
sys.addaudithook(closed)
warnings.simplefilter("ignore", RuntimeWarning)
"""


@pytest.mark.slow
@pytest.mark.parametrize("place", ["MHO_CACHE", "nowhere"])
def test_kernels_compile_where_neither_the_home_nor_the_package_can_be_written(tmp_path, place):
    """As in a container, whose package belongs to root, and whose user has no home."""
    mine = tmp_path / "mine"
    mine.mkdir()
    environment = {"MHO_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/nowhere", "TMPDIR": "/nowhere"}
    environment |= {"MINE": str(mine), "PYTHONDONTWRITEBYTECODE": "1", place: str(mine)}
    assert "[[" in python(CLOSED + UNIFORM, **environment)
    assert bool(list(mine.rglob("*.code"))) is (place != "nowhere")


FORK = """
import os, threading, time, torch, mho
class New(mho.responses.Response):
    k: float = 1.5
    def up(self, w): return self.k - w
    def down(self, w): return self.k + w
class Other(New):
    def down(self, w): return self.k + 2 * w
def compiled(law=New):
    tile = mho.Tile(torch.zeros(2, 2), mho.Device(law(), sigma_c2c=0.1), key=1)
    tile.pulse(torch.ones(2, 2))
    return tile.cells
torch.set_num_threads(1)
compiled(Other)  # imports all: Python's own locks of imports are held in a child, too
threading.Thread(target=compiled).start()
time.sleep(0.4)
child = os.fork()
if not child:
    compiled()
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_a_thread_compiles(tmp_path):
    """The child would wait for the locks of a compilation whose thread it does not have."""
    assert python(FORK, MHO_CACHE=str(tmp_path)).strip() == "0"
