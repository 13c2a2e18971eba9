"""The processes that take part: groups, meshes, and the device on which their tensors travel."""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from mho.base.errors import complaint, wrong_type

Group = dist.ProcessGroup | None
"""None stands for all processes."""


def group_of(where: str, group: object) -> Group:
    """Return a process group, that of a mesh, or None.

    Raises: MhoError, which names the caller `where`, for anything else, or if torch.distributed is not started.
    """
    if not (dist.is_available() and dist.is_initialized()):
        raise complaint(
            where,
            "this process is not connected with any other",
            fix="start the script with torchrun and call torch.distributed.init_process_group first",
        )
    if isinstance(group, DeviceMesh):
        if group.ndim != 1:
            need = "It must have one dimension"
            raise complaint(where, f"the mesh has {group.ndim} dimensions", need, 'pass mesh["name"]')
        return group.get_group()
    if group is not None and not isinstance(group, dist.ProcessGroup):
        raise wrong_type(where, "the group", group, "a process group, a DeviceMesh or None")
    return group


def carrier(where: torch.device, group: Group) -> torch.device:
    """Return the device on which tensors of the device `where` travel: gloo takes those of the CPU."""
    return torch.device("cpu") if dist.get_backend(group) == "gloo" else where
