"""Stand-ins of a step give the bits of the tensors and arrays they stand for."""

import pytest
import torch

from mho.requests.compiled import collected
from mho.requests.numbers import Numbers


def numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def both(step, *tensors):
    """Return what `step` leaves in copies of the tensors, done at once, and by requests."""
    usual, asked = ([t.clone() for t in tensors] for _ in range(2))
    step(*usual)
    with collected() as queue:
        step(*(Numbers.of(queue, t) for t in asked))
    return usual, asked


STEPS = {
    "add": lambda h, r, c: h[:, 3].add_(r[:, 1], alpha=0.37),
    "add a row": lambda h, r, c: h[3].add_(r[2], alpha=-1.7),
    "subtract": lambda h, r, c: h[:, 0].sub_(r[:, 2], alpha=0.21),
    "difference": lambda h, r, c: h.copy_(h - r),
    "chopped": lambda h, r, c: h.copy_(h * c),
    "one chopper": lambda h, r, c: h[:, 2].copy_(c[4:5] * (h[:, 2] - r[:, 2])),
    "scale": lambda h, r, c: h.mul_(0.9),
    "product": lambda h, r, c: h[1].mul_(c),
    "lerp": lambda h, r, c: h[:, 3].lerp_(r[:, 3], 0.3),
    "lerp by a half": lambda h, r, c: h[:, 3].lerp_(r[:, 3], 0.5),
    "lerp by more": lambda h, r, c: h[0].lerp_(r[1], 0.8),
    "flip": lambda h, r, c: c[2:3].neg_(),
    "whole part": lambda h, r, c: h.copy_((h * 3.0).div(1.0, rounding_mode="trunc").clamp_(-2, 2)),
    "zeros": lambda h, r, c: h.mul_(torch.where(r.div(1.0, rounding_mode="trunc") == 0, 1.0, 0.25)),
    "transposed": lambda h, r, c: h.mT[2].add_(r.mT[1]),
    "unknown": lambda h, r, c: h.copy_(torch.tanh(h) + r.exp()),
    "unknown in place": lambda h, r, c: h.add_(r).tanh_(),
    "mixed": lambda h, r, c: h.add_(torch.sign(r) * c),
}


@pytest.mark.parametrize("shape", [(5, 7), (256, 300), (33, 5), (8, 6)], ids=str)
@pytest.mark.parametrize("name", STEPS)
def test_arithmetic_has_the_bits_of_torch(name: str, shape: tuple[int, int]) -> None:
    usual, asked = both(STEPS[name], numbers(1, *shape), numbers(2, *shape), numbers(3, shape[1]))
    for one, other in zip(usual, asked, strict=True):
        assert torch.equal(one, other)
