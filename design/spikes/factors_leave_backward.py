"""Spike for design/001: how (x, d) leave the backward pass, eager and under torch.compile(fullgraph=True).

Run it: `python design/spikes/factors_leave_backward.py`. It prints what was recorded in four situations.
The compiled run needs a C++ compiler (aot_eager does not).
"""

import sys

import torch

RECORDED: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {0: [], 1: []}


@torch.library.custom_op("spike::record", mutates_args=())
def record(x: torch.Tensor, d: torch.Tensor, handle: int) -> torch.Tensor:
    """The side effect hides in an opaque operator; its result is the tap's gradient, so it cannot be dropped."""
    RECORDED[handle].append((x.clone(), d.clone()))
    return torch.zeros(())


@record.register_fake
def _(x, d, handle):
    return x.new_zeros(())


@torch.library.custom_op("spike::mvm", mutates_args=())
def mvm(x: torch.Tensor, weight: torch.Tensor, tap: torch.Tensor, handle: int) -> torch.Tensor:
    return x @ weight.T


@mvm.register_fake
def _(x, weight, tap, handle):
    return x.new_empty(*x.shape[:-1], weight.shape[0])


def backward(ctx, grad):
    x, weight = ctx.saved_tensors
    return grad @ weight, None, record(x, -grad, ctx.handle), None


def setup(ctx, inputs, output):
    ctx.save_for_backward(inputs[0], inputs[1])
    ctx.handle = inputs[3]


mvm.register_autograd(backward, setup_context=setup)


class Layer(torch.nn.Module):
    def __init__(self, n_in, n_out, handle):
        super().__init__()
        self.register_buffer("w", torch.randn(n_out, n_in))
        self.tap = torch.nn.Parameter(torch.zeros(()))
        self.handle = handle

    def forward(self, x):
        return mvm(x, self.w, self.tap, self.handle)


def run(backend: str | None) -> list[tuple[int, ...]]:
    torch.manual_seed(0)
    net = torch.nn.Sequential(Layer(4, 3, 0), torch.nn.Tanh(), Layer(3, 3, 1))

    def loss(x):  # the second layer is used twice, as in a recurrent network
        h = net(x)
        return net[2](h.tanh()).square().mean()

    step = torch.compile(loss, fullgraph=True, backend=backend) if backend else loss
    for stored in RECORDED.values():
        stored.clear()
    for _ in range(2):  # two micro-batches: accumulation
        step(torch.randn(5, 4)).backward()
    return [(h, len(f), float(sum((d.mT @ x).sum() for x, d in f))) for h, f in RECORDED.items()]


if __name__ == "__main__":
    for backend in [None, "aot_eager", "inductor"]:
        print(backend or "eager", [(h, n, round(v, 6)) for h, n, v in run(backend)])
    sys.exit(0)
