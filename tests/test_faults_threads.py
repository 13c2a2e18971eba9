"""The pool of threads after interrupts, exceptions and forks: the next call is right, the last one has ended."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest
import torch

import mho
from mho.numerics import threads
from mho.numerics.threads import over_rows

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timer signals")


class Struck(BaseException):
    """What the signal raises, as Ctrl-C raises KeyboardInterrupt."""


class Blocks:
    """A kernel whose blocks take their time on workers, and `running`: those that have not ended."""

    def __init__(self, seconds):
        self.seconds, self.running = seconds, set()

    def __call__(self, rows):
        if rows[0] > 0:  # the caller runs the first block
            self.running.add(rows)
            time.sleep(self.seconds)
            self.running.remove(rows)
        return rows


@pytest.fixture(autouse=True)
def three_threads():
    before = mho.get_threads()
    mho.set_threads(3)
    yield
    mho.set_threads(before)


@pytest.fixture
def strikes():
    """Let as many signals raise as `strikes` has entries."""
    armed = []

    def strike(number, frame):
        if armed:
            armed.pop()
            raise Struck

    before = signal.signal(signal.SIGALRM, strike)
    yield armed
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupted(strikes, kernel, *, after=0.05, times=1):
    """Call the kernel on three threads, and strike."""
    strikes += [True] * times
    signal.setitimer(signal.ITIMER_REAL, after, 0.03)
    with pytest.raises(Struck):
        over_rows(kernel, 3, True)
    signal.setitimer(signal.ITIMER_REAL, 0)


def assert_right(calls=5):
    for n in range(3, 3 + calls):
        answers = over_rows(lambda rows, n=n: (n, rows), n, True)
        assert answers[0] == (n, (0, n // 3)) and answers[-1] == (n, (n * 2 // 3, n))


@pytest.mark.parametrize("times", [1, 5])
def test_an_interrupted_call_ends_with_its_workers(strikes, times):
    kernel = Blocks(0.3)
    interrupted(strikes, kernel, times=times)
    assert not strikes
    assert not kernel.running
    assert_right()


def test_strikes_at_any_moment(strikes):
    """Calls of some tens of microseconds, a strike within each: the pool's own steps are hit, too."""
    dice, hit = random.Random(0), 0
    end = time.monotonic() + 4
    while time.monotonic() < end:
        kernel = Blocks(1e-4)
        signal.setitimer(signal.ITIMER_REAL, dice.uniform(1e-5, 4e-4))
        try:
            strikes.append(True)
            over_rows(kernel, 3, True)
            strikes.clear()
        except Struck:
            hit += 1
        assert not kernel.running
        assert over_rows(lambda rows, k=kernel: (k, rows), 3, True) == [
            (kernel, (i, i + 1)) for i in range(3)
        ]
    assert hit > 20


def test_updates_after_an_interrupt_have_the_right_counts_and_weights(strikes):
    def tile():
        return mho.Tile(torch.zeros(150, 150), mho.Device(sigma_c2c=0.1), key=1)

    g = torch.Generator().manual_seed(0)
    steps = [(torch.randn(40, 150, generator=g), torch.randn(40, 150, generator=g)) for _ in range(3)]
    right, after = tile(), tile()
    expected = [right.update(x, d, 0.02) for x, d in steps]
    interrupted(strikes, Blocks(0.3))
    found = []
    for x, d in steps:
        found.append(after.update(x, d, 0.02))
        cells = after.cells.clone()
        time.sleep(0.02)
        assert torch.equal(after.cells, cells), "nothing is written after an update"
    assert found == expected and after.pulses_sent == right.pulses_sent
    assert torch.equal(after.cells, right.cells)


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_an_exception_of_any_block_waits_for_the_others(bad):
    running = Blocks(0.1)

    def kernel(rows):
        if rows[0] == bad:
            raise LookupError(bad)
        return running(rows)

    with pytest.raises(LookupError, match=str(bad)):
        over_rows(kernel, 3, True)
    assert not running.running
    assert_right()


def test_a_call_that_was_left_without_its_wait_is_waited_for_by_the_next(strikes, monkeypatch):
    """A second strike between two steps of Python can prevent the wait."""
    kernel = Blocks(0.3)
    with monkeypatch.context() as patch:
        patch.setattr(threads, "_finish", lambda: (_ for _ in ()).throw(Struck))
        interrupted(strikes, kernel)
    assert kernel.running
    running = over_rows(lambda rows: set(kernel.running), 2, True)  # two blocks: one of the two workers
    assert running == [set(), set()]


def test_a_signals_handler_may_call_while_a_call_waits(strikes):
    nested = []
    signal.signal(signal.SIGALRM, lambda *_: nested.append(over_rows(lambda rows: rows, 3, True)))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    kernel = Blocks(0.3)
    assert over_rows(kernel, 3, True) == [(0, 1), (1, 2), (2, 3)]
    assert nested == [[(0, 1), (1, 2), (2, 3)]]
    assert_right()


def test_the_pool_holds_nothing_of_the_last_call(strikes):
    kernel, interrupted_one = Blocks(0.0), Blocks(0.1)
    over_rows(kernel, 3, True)
    interrupted(strikes, interrupted_one, after=0.03)
    kept = [weakref.ref(kernel), weakref.ref(interrupted_one)]
    del kernel, interrupted_one
    assert [k() for k in kept] == [None, None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_a_pool_of_its_own(strikes):
    """Forked after an interrupt, and while another thread's call has the pool."""
    interrupted(strikes, Blocks(0.1))
    busy = threading.Thread(target=over_rows, args=(Blocks(0.5), 3, True))
    busy.start()
    time.sleep(0.1)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends a child that hangs
            signal.setitimer(signal.ITIMER_REAL, 20)
            assert_right()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    busy.join()
    assert status == 0
    assert_right()


INTERRUPTED = """
import os, signal, sys, threading, time, torch, mho
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored in the background
torch.set_num_threads(1)
mho.Tile(torch.zeros(3, 3), mho.Device(), key=1)
threading.Timer(float(sys.argv[1]), os.kill, (os.getpid(), signal.SIGINT)).start()
for n in range(3):
    try:
        tile = mho.Tile(torch.zeros(3, 3), mho.Device(sigma_c2c=0.1), key=1)
        tile.update(torch.ones(3), torch.ones(3), 0.05)
        print("right", tile.cells.sum().item(), flush=True)
        time.sleep(float(sys.argv[1]) * (n == 0))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.1, 0.5])
def test_ctrl_c_in_the_first_call_spoils_no_later_one(tmp_path, after):
    """Numba is imported and compiles in it, and neither can be begun twice."""
    environment = os.environ | {"MHO_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(after)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")[:-1]
    assert lines.count("interrupted") == 1, lines
    assert len({line for line in lines if line != "interrupted"}) == 1, lines
