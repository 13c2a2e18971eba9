"""Keeps torch's transformers off their fused inference, which multiplies with the weights of layers itself.

`nn.TransformerEncoderLayer` has one for eval mode without gradients, where it reads `linear1.weight` and the like,
past the hardware. It does not take it if any module inside of it has a hook. And `nn.TransformerEncoder` packs
padded sequences into a nested tensor for it, which only the fused inference understands.
"""

from torch import nn


def close(module: nn.Module) -> None:
    """Closes the fused inference of every encoder layer that has, or will have, this module inside; wherever it is
    copied to. The module should be one that is never called, so that its hook costs nothing."""
    module.register_forward_pre_hook(_nothing)


def unpack(encoder: nn.TransformerEncoder, is_analog: bool) -> None:
    """Leaves padded sequences as they are while there is an analog layer in the encoder, and then goes back to what
    was set before."""
    before = vars(encoder).setdefault("used_nested_tensor", getattr(encoder, "use_nested_tensor", False))
    encoder.use_nested_tensor = before and not is_analog


def _nothing(module: nn.Module, inputs: tuple) -> None:
    """The hook."""
