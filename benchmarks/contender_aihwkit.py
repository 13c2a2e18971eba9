"""aihwkit as a contender, by its public interface: its simulator's tiles and its layers, in its own environment."""

import aihwkit
import fcn
import protocol
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import (
    ConstantStepDevice,
    ExpStepDevice,
    IOParameters,
    MappingParameter,
    PowStepDevice,
    SingleRPUConfig,
    SoftBoundsDevice,
    TransferCompound,
    UnitCellRPUConfig,
    UpdateParameters,
    build_config,
)

from mho.testing import bench

COMMON = {
    "w_max_dtod": 0.0,
    "w_min_dtod": 0.0,
    "up_down_dtod": 0.0,
    "w_max": bench.TAU,
    "w_min": -bench.TAU,
    "dw_min_dtod": bench.GAIN_SPREAD,
    "dw_min": bench.DW_MIN,
}
LAWS = {
    "constant": (ConstantStepDevice, {}),
    "soft-bounds": (SoftBoundsDevice, {}),
    "exp-step": (ExpStepDevice, {}),
    "pow-step": (PowStepDevice, {"pow_gamma_dtod": 0.0}),
}


def prepare(kind: str, threads: int, **case) -> protocol.Job:
    torch.set_num_threads(threads)
    return iteration(**case) if kind == "fcn" else update(bench.Case(**case))


def update(case: bench.Case) -> protocol.Job:
    """One call of the simulator's own update: no layer and no optimizer around it. The exact one even where
    this library's is the aggregated one, which aihwkit has not."""
    kind, own = LAWS[case.law]
    trains = UpdateParameters(
        desired_bl=bench.BL, update_bl_management=case.bl_management, update_management=True
    )
    config = SingleRPUConfig(
        device=kind(dw_min_std=case.sigma_c2c, **COMMON, **own),
        update=trains,
        mapping=MappingParameter(max_input_size=0, max_output_size=0),
    )
    [tile] = AnalogLinear(case.n_in, case.out, bias=False, rpu_config=config).analog_tiles()
    tile.set_learning_rate(bench.LR)
    x, d = bench.inputs(case)
    minus_d, zeros = (-d).contiguous(), torch.zeros(case.out, case.n_in)
    return protocol.Job(
        lambda: tile.tile.update(x, minus_d, False),
        lambda: tile.tile.set_weights(zeros),
        moved=lambda: tile.tile.get_weights().abs().mean().item(),
    )


def iteration(algorithm: str) -> protocol.Job:
    network = convert_to_analog(fcn.model(), config_of(algorithm))
    optimizer = AnalogSGD(network.parameters(), lr=fcn.LR)
    optimizer.regroup_param_groups(network)
    return protocol.Job(fcn.Iterations(network, optimizer), scale=1 / fcn.ITERATIONS)


def config_of(algorithm: str):
    device = SoftBoundsDevice(
        **COMMON | {"dw_min": fcn.DW_MIN, "w_max": fcn.TAU, "w_min": -fcn.TAU, "dw_min_std": fcn.C2C}
    )
    if algorithm == "analog-sgd":
        config = SingleRPUConfig(device=device)
    elif algorithm == "ttv1":
        arrays = TransferCompound(
            unit_cell_devices=[device, device], gamma=fcn.GAMMA, fast_lr=fcn.FAST_LR, scale_fast_lr=False
        )
        config = UnitCellRPUConfig(device=arrays)
    else:
        config = build_config(algorithm, device)
        config.device.units_in_mbatch = True  # one transfer a mini-batch, as the two above
        config.device.fast_lr, config.device.auto_scale = fcn.FAST_LR, False  # as many pulses as ttv1
    config.forward, config.backward, config.update = IOParameters(), IOParameters(), UpdateParameters()
    config.mapping = MappingParameter(learn_out_scaling=True, max_input_size=512, max_output_size=512)
    return config


if __name__ == "__main__":
    update(bench.Case("soft-bounds", 8, 8, 2)).run()
    protocol.serve(prepare, {"aihwkit": aihwkit.__version__, "torch": torch.__version__})
