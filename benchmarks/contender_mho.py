"""This library as a contender."""

import fcn
import numba
import numpy
import protocol
import torch

import mho
from mho.testing import bench

ALGORITHMS = {
    "analog-sgd": ("AnalogSGD", {}),
    "ttv1": ("ResidualLearning", {"gamma": fcn.GAMMA, "fast_lr": fcn.FAST_LR}),
    "ttv2": ("TikiTakaV2", {"fast_lr": fcn.FAST_LR}),
    "agad": ("AGAD", {"fast_lr": fcn.FAST_LR}),
}


def prepare(kind: str, threads: int, **case) -> protocol.Job:
    torch.set_num_threads(threads)
    mho.set_threads(threads)
    return iteration(**case) if kind == "fcn" else update(**case)


def update(**case) -> protocol.Job:
    job = bench.TileUpdate(bench.Case(**case))
    return protocol.Job(job, job.reset, moved=lambda: job.tile.w.abs().mean().item())


def iteration(algorithm: str) -> protocol.Job:
    network = analog(fcn.model(), algorithm)
    passes = fcn.Iterations(network, mho.AnalogOptimizer(network, lr=fcn.LR))
    return protocol.Job(passes, scale=1 / fcn.ITERATIONS)


def analog(network: torch.nn.Module, algorithm: str) -> torch.nn.Module:
    """The network on the crossbars that the iterations are timed with."""
    name, fields = ALGORITHMS[algorithm]
    device = mho.Device(
        mho.responses.SoftBounds(tau_max=fcn.TAU, tau_min=-fcn.TAU),
        dw_min=fcn.DW_MIN,
        sigma_c2c=fcn.C2C,
        c2c="multiplicative",
        spread={"gain": fcn.GAIN_SPREAD},
    )
    hardware = mho.Crossbar(
        algorithm=getattr(mho.algorithms, name)(**fields),
        device=device,
        io=mho.IO(),
        pulses=mho.Pulses(bl=bench.BL),
        mapping=mho.Mapping(max_in=512, max_out=512, out_scale="scalar"),
    )
    return mho.convert_(network, hardware, key=0)


if __name__ == "__main__":
    bench.TileUpdate(bench.Case("soft-bounds", 8, 8, 2))()
    protocol.serve(
        prepare, {"torch": torch.__version__, "numpy": numpy.__version__, "numba": numba.__version__}
    )
