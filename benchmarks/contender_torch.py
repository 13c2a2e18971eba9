"""Plain torch as two contenders: `eager`, the pulsed update written in torch operations, and `digital`, no device.

Eager computes what the library's oracle does, slot by slot: trains by comparing uniform numbers with p, then
the cells of the rows and columns that fire, with the law, the gain and the noise of each. Its random numbers
come from torch's global generator, so unlike the library's they are not a function of a key. Only the first
SAMPLES samples are computed and the time is multiplied: each takes as long as the other. No product here needs
more than BL slots, so probabilities are not clipped.
"""

import sys

import fcn
import protocol
import torch

from mho.base.records import float_fields
from mho.testing import bench

SAMPLES = 32


class EagerUpdate:
    """A tile as tensors."""

    def __init__(self, case: bench.Case) -> None:
        law = bench.law_of(case)
        self.case, self.law, self.lr = case, law, bench.LR / law.F(0.0)
        self.law = law.with_fields(**{n: torch.tensor(getattr(law, n)) for n in float_fields(type(law))})
        self.w = torch.zeros(case.out, case.n_in)
        self.step = bench.DW_MIN * (1 + bench.GAIN_SPREAD * torch.randn_like(self.w)).abs()
        self.x, self.d = (part[:SAMPLES] for part in bench.inputs(case))

    def __call__(self) -> None:
        for x, d in zip(self.x, self.d, strict=True):
            largest_x, largest_d = x.abs().max(), d.abs().max()
            most = self.lr * largest_x * largest_d / bench.DW_MIN
            bl = min(int(most.ceil()), bench.BL) if self.case.bl_management else bench.BL
            amplitude = (self.lr / (bench.DW_MIN * bl)) ** 0.5
            balance = (largest_x / largest_d).sqrt()
            columns = torch.rand(bl, len(x)) < amplitude / balance * x.abs()
            rows = torch.rand(bl, len(d)) < amplitude * balance * d.abs()
            for k in range(bl):
                self.fire(rows[k].nonzero(), columns[k].nonzero().T, x.sign(), d.sign())

    def fire(self, i: torch.Tensor, j: torch.Tensor, sign_x: torch.Tensor, sign_d: torch.Tensor) -> None:
        """One slot: a pulse to every cell in a firing row i (n, 1) and a firing column j (1, m)."""
        w = self.w[i, j]
        change = self.step[i, j]
        if self.case.sigma_c2c:
            change = change * (1 + self.case.sigma_c2c * torch.randn_like(w))
        signed = torch.where(sign_d[i] * sign_x[j] > 0, self.law.up(w), -self.law.down(w))
        self.w[i, j] = (w + change * signed).clamp(-bench.TAU, bench.TAU)

    def reset(self) -> None:
        self.w.zero_()


def prepare_eager(kind: str, threads: int, **case) -> protocol.Job:
    torch.set_num_threads(threads)
    job = EagerUpdate(bench.Case(**case))
    part = len(job.x) / job.case.samples
    moved = (lambda: job.w.abs().mean().item()) if part == 1 else (lambda: None)
    return protocol.Job(job, job.reset, 1 / part, moved)


def prepare_digital(kind: str, threads: int, **case) -> protocol.Job:
    torch.set_num_threads(threads)
    if kind == "fcn":
        network = fcn.model()
        passes = fcn.Iterations(network, torch.optim.SGD(network.parameters(), lr=fcn.LR))
        return protocol.Job(passes, scale=1 / fcn.ITERATIONS)
    x, d = bench.inputs(bench.Case(**case))
    w = torch.zeros(d.shape[1], x.shape[1])
    return protocol.Job(lambda: w.addmm_(d.T, x, alpha=bench.LR), w.zero_)


if __name__ == "__main__":
    prepare = {"eager": prepare_eager, "digital": prepare_digital}[sys.argv[1]]
    prepare("update", 1, **bench.Case("soft-bounds", 8, 8, 2)._asdict()).run()
    protocol.serve(prepare, {"torch": torch.__version__})
