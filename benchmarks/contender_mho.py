"""This library as a contender."""

import fcn
import numba
import numpy
import protocol
import torch

import mho
from mho import bench

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
    name, fields = ALGORITHMS[algorithm]
    if not hasattr(mho.algorithms, name):
        raise protocol.Unsupported(f"there is no mho.algorithms.{name} yet")
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
    network = mho.convert_(fcn.model(), hardware, key=0)
    passes = fcn.Iterations(network, mho.AnalogOptimizer(network, lr=fcn.LR))
    return protocol.Job(passes, scale=1 / fcn.ITERATIONS)


if __name__ == "__main__":
    bench.TileUpdate(bench.Case("soft-bounds", 8, 8, 2))()
    protocol.serve(
        prepare, {"torch": torch.__version__, "numpy": numpy.__version__, "numba": numba.__version__}
    )
