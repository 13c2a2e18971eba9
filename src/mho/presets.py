"""Published devices, ready to use: `mho.Device` objects, with their source.

    hardware = mho.Crossbar(algorithm=mho.algorithms.AGAD(), device=mho.presets.ReRamArrayHfO2)

The first ten are the fits that aihwkit ships; the others are the devices of arXiv 2502.06309 and arXiv 2602.21321.
`mho device list` prints all of them, `mho device plot NAME` draws one.
"""

from typing import Any, NamedTuple

from mho import aihwkit
from mho.device.device import Device
from mho.responses.exponential import Exponential
from mho.responses.power import Power
from mho.tile.one_sided import OneSided


class Preset(NamedTuple):
    """A device, and the origin of its numbers."""

    device: Any  # a Device, or a cell made of several
    source: str
    note: str


PRESETS: dict[str, Preset] = {}


def _preset(name: str, device: Any, source: str, note: str = "") -> Any:
    PRESETS[name] = Preset(device, source, note)
    return device


_GONG = "Gong et al., Nat. Commun. 9, 2102 (2018)"
_ARRAY = "Gong, Rasch et al., IEDM 2022"
_PER_PAPER = "as fitted in aihwkit 1.2.0, presets/devices.py"

ReRamES: Device = _preset(
    "ReRamES",
    aihwkit.exp_step(
        dw_min=0.00135,
        dw_min_dtod=0.2,
        dw_min_std=5.0,
        up_down=0.259359,
        up_down_dtod=0.05,
        w_max=1.0,
        w_min=-1.0,
        w_max_dtod=0.3,
        w_min_dtod=0.3,
        A_up=-1.18445,
        A_down=-0.081404,
        gamma_up=5.0,
        gamma_down=5.0,
        a=-0.5,
        b=-0.5,
        write_noise_std=75.0,
    ),
    f"{_GONG}, {_PER_PAPER}",
    "ReRAM, exponential step",
)

ReRamSB: Device = _preset(
    "ReRamSB",
    aihwkit.soft_bounds_reference(
        dw_min=0.002,
        dw_min_dtod=0.3,
        dw_min_std=3.75,
        up_down_dtod=0.01,
        w_max=1.25,
        w_min=-0.75,
        w_max_dtod=0.3 / 1.25,
        w_min_dtod=0.3 / 0.75,
        write_noise_std=56.0,
    ),
    f"{_GONG}, loosely, {_PER_PAPER}",
    "ReRAM, soft bounds; taken to be corrected for its symmetric point",
)

ReRamArrayOM: Device = _preset(
    "ReRamArrayOM",
    aihwkit.soft_bounds_reference(
        dw_min=0.0949,
        dw_min_dtod=0.7829,
        dw_min_dtod_log_normal=True,
        dw_min_std=0.4158,
        up_down_dtod=0.01,
        w_max=1.0,
        w_min=-1.0,
        w_max_dtod=0.3499,
        w_min_dtod=0.5695,
        write_noise_std=1.4113,
        corrupt_devices_range=0.01,
        subtract_symmetry_point=True,
        reference_std=0.05,
    ),
    f"{_ARRAY}, optimised material, {_PER_PAPER}",
    "ReRAM array, about 21 states; 13.5 % of the array's cells were stuck: replace(corrupt=0.1348)",
)

ReRamArrayHfO2: Device = _preset(
    "ReRamArrayHfO2",
    aihwkit.soft_bounds_reference(
        dw_min=0.4622,
        dw_min_dtod=0.7125,
        dw_min_dtod_log_normal=True,
        dw_min_std=0.2174,
        up_down_dtod=0.01,
        w_max=1.0,
        w_min=-1.0,
        w_max_dtod=0.4295,
        w_min_dtod=0.5990,
        write_noise_std=0.5841,
        corrupt_devices_range=0.01,
        subtract_symmetry_point=True,
        reference_std=0.05,
    ),
    f"{_ARRAY}, baseline HfO2, {_PER_PAPER}; arXiv 2602.21321 uses it with other references",
    "ReRAM array, 4 to 5 states; 9.8 % of the array's cells were stuck: replace(corrupt=0.0977)",
)

Capacitor: Device = _preset(
    "Capacitor",
    aihwkit.linear_step(
        dw_min=0.005,
        dw_min_dtod=0.1,
        dw_min_std=0.3,
        up_down_dtod=0.06,
        w_max=1.0,
        w_min=-1.0,
        w_max_dtod=0.07,
        w_min_dtod=0.07,
        gamma_up=0.05,
        gamma_down=0.05,
        gamma_up_dtod=0.01,
        gamma_down_dtod=0.01,
        mult_noise=False,
        lifetime=1e6,
        lifetime_dtod=0.3,
    ),
    f"Li et al., VLSI 2018, {_PER_PAPER}",
    "CMOS capacitor; it leaks with each mini-batch, adapt its lifetime to yours",
)

EcRam: Device = _preset(
    "EcRam",
    aihwkit.linear_step(
        dw_min=0.002,
        dw_min_dtod=0.1,
        dw_min_std=0.3,
        up_down_dtod=0.01,
        w_max=1.1724,
        w_min=-0.8276,
        w_max_dtod=0.05,
        w_min_dtod=0.05,
        gamma_up=0.1153,
        gamma_down=0.5085,
    ),
    f"Tang et al., IEDM 2018, {_PER_PAPER}",
    "lithium ECRAM; its range is shifted so that the symmetric point is at zero",
)

EcRamMO: Device = _preset(
    "EcRamMO",
    aihwkit.linear_step(
        dw_min=2.8214e-4,
        dw_min_dtod=0.1,
        dw_min_std=2.0,
        up_down_dtod=0.01,
        w_max=1.1714,
        w_min=-0.8286,
        w_max_dtod=0.05,
        w_min_dtod=0.05,
        gamma_up=0.4152,
        gamma_down=0.7342,
    ),
    f"Kim et al., IEDM 2019, {_PER_PAPER}",
    "metal-oxide ECRAM",
)

Idealized: Device = _preset(
    "Idealized",
    aihwkit.constant_step(dw_min=2e-4, up_down_dtod=0.0, w_max=1.0, w_min=-1.0),
    f"Rasch, Gokmen and Haensch, IEEE Design and Test 2019 (arXiv 1906.02698), {_PER_PAPER}",
    "10,000 states, symmetric on average",
)

GokmenVlasov: Device = _preset(
    "GokmenVlasov",
    aihwkit.constant_step(dw_min=0.0016, up_down_dtod=0.01, w_max=1.0, w_min=-1.0),
    f"Gokmen and Vlasov, Front. Neurosci. 10:333 (2016), {_PER_PAPER}",
    "about 1200 states",
)

PCM: Device = _preset(
    "PCM",
    aihwkit.exp_step(
        dw_min=0.01,
        dw_min_dtod=0.2,
        dw_min_std=0.6,
        dw_min_std_add=0.042,
        dw_min_std_slope=0.108,
        up_down_dtod=0.05,
        w_max=2.0,
        w_min=0.0,
        w_max_dtod=0.1,
        w_min_dtod=0.0,
        A_up=-27.235,
        A_down=-2.235,
        gamma_up=2.5,
        gamma_down=2.5,
        a=-1.0,
        b=0.0,
        reset=0.01,
        reset_dtod=0.02,
    ),
    f"Nandakumar et al., Front. Neurosci. 14:406 (2020), {_PER_PAPER}",
    "phase change memory, one direction only: use PCMPair",
)

PCMPair = _preset(
    "PCMPair",
    OneSided(PCM, refresh_every=1),
    f"Nandakumar et al., Front. Neurosci. 14:406 (2020), {_PER_PAPER}, PCMPresetUnitCell",
    "two PCM cells, refreshed",
)

_AS_SCRIPT: dict[str, Any] = {"sigma_c2c": 0.3, "c2c": "multiplicative", "spread": {"gain": 0.3}}

PowerWu: Device = _preset(
    "PowerWu",
    Device(Power(tau=0.6, gamma_res=0.5), dw_min=1e-3, **_AS_SCRIPT),
    "arXiv 2502.06309, appendix K.1 and table 8; noise as in the authors' script",
    "1200 states",
)

ExponentialWu: Device = _preset(
    "ExponentialWu",
    Device(Exponential(tau=0.6, gamma_res=0.5), dw_min=1e-3, **_AS_SCRIPT),
    "arXiv 2502.06309, appendix K.1 and table 8; noise as in the authors' script",
    "1200 states",
)

SoftBoundsXiao: Device = _preset(
    "SoftBoundsXiao",
    aihwkit.soft_bounds_reference(
        dw_min=0.001,
        dw_min_dtod=0.02,
        dw_min_std=0.0,
        up_down=0.4,
        up_down_dtod=0.08,
        w_max=1.0,
        w_min=-1.0,
        w_max_dtod=0.0,
        w_min_dtod=0.0,
    ),
    "arXiv 2602.21321, figures 1, 2 and 4 (left), the authors' SP_train.py",
    "2000 states, symmetric points about 0.25",
)
