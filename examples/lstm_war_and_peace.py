"""A character LSTM on War and Peace: digital, with Analog SGD, and with Residual Learning.

    python examples/lstm_war_and_peace.py --data DIR          # DIR holds warpeace_input.txt
    python examples/lstm_war_and_peace.py --algorithms tiki-taka-v2 --steps 500

Two LSTM layers of 64 units and a linear readout, 75 thousand weights; all matrices are analog, biases digital. The
input is the character, one-hot. The text is read in order, and each step goes on from the states of the last one:
gradients, but not states, end after --length characters. Plain SGD without momentum everywhere, so that the curves
differ by the hardware alone. Ctrl-C stops after a step; the same command goes on.
"""

import functools

import torch
from characters import DEVICE, RESIDUAL, Text, cross_entropy, options, run_as_script, train_all
from resumable import Run
from torch import nn
from torch.nn.functional import one_hot

import mho
from mho import algorithms

ALGORITHMS: dict[str, mho.Crossbar | None] = {
    "digital": None,
    "analog-sgd": mho.Crossbar(algorithm=algorithms.AnalogSGD(), device=DEVICE),
    "residual-learning": mho.Crossbar(algorithm=RESIDUAL, device=DEVICE),
    "tiki-taka-v2": mho.Crossbar(
        algorithm=algorithms.TikiTakaV2(fast_lr=1.0, scale_fast_lr=True), device=DEVICE
    ),
}
LR = {"digital": 4.0, "analog-sgd": 1.0, "residual-learning": 4.0, "tiki-taka-v2": 4.0}
UNITS, LAYERS = 64, 2
STREAMS, HELD_OUT = 256, 256  # held-out text: places to begin at, and characters from each


class CharacterLSTM(nn.Module):
    """Characters (time, samples) -> scores of the next one (time, samples, vocabulary).

    The states of the training text are buffers, so that a checkpoint holds them.
    """

    def __init__(self, vocabulary: int, samples: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.lstm = nn.LSTM(vocabulary, UNITS, LAYERS)
        self.readout = nn.Linear(UNITS, vocabulary)
        self.register_buffer("h", torch.zeros(LAYERS, samples, UNITS))
        self.register_buffer("c", torch.zeros(LAYERS, samples, UNITS))

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        x = one_hot(characters, self.vocabulary).float()
        if not self.training:
            return self.readout(self.lstm(x)[0])
        y, (h, c) = self.lstm(x, (self.h, self.c))
        self.h, self.c = h.detach(), c.detach()
        return self.readout(y)


def make(args, text: Text, algorithm: str) -> Run:
    """The run with this algorithm."""
    torch.manual_seed(args.seed)
    hardware, lr = ALGORITHMS[algorithm], args.lr or LR[algorithm]
    model = CharacterLSTM(len(text.vocabulary), args.batch)
    if hardware is None:
        optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    else:
        mho.convert_(model, hardware, key=args.seed)
        optimizer = mho.AnalogOptimizer(model, lr=lr)
    streams = text.train[: len(text.train) // args.batch * args.batch].reshape(args.batch, -1).T
    steps_of_epoch = (len(streams) - 1) // args.length
    held_out = text.held_out.unfold(0, HELD_OUT + 1, max((len(text.held_out) - HELD_OUT) // STREAMS, 1)).T

    def loss_of(step: int) -> torch.Tensor:
        if step % steps_of_epoch == 0:
            model.h.zero_(), model.c.zero_()
        first = step % steps_of_epoch * args.length
        part = streams[first : first + args.length + 1]
        return cross_entropy(model(part[:-1]), part[1:])

    def evaluate() -> float:
        return float(cross_entropy(model(held_out[:-1]), held_out[1:]))

    config = {"algorithm": algorithm, "lr": lr, "batch": args.batch, "length": args.length, "seed": args.seed}
    return Run(
        config | {"hardware": hardware and repr(hardware)},
        model,
        optimizer,
        loss_of,
        evaluate,
    )


def main(argv: list[str] | None = None) -> None:
    defaults = {"algorithms": "digital,analog-sgd,residual-learning", "out": "runs/lstm"}
    parser = options(__doc__, ALGORITHMS, steps=6000, every=250, batch=16, length=50, **defaults)
    args = parser.parse_args(argv)
    text = Text("warpeace_input.txt", args.data)
    about = {
        "example": "lstm_war_and_peace",
        "vocabulary": len(text.vocabulary),
        "characters": len(text.train),
    }
    train_all(args, about, ALGORITHMS, functools.partial(make, args, text))


if __name__ == "__main__":
    run_as_script(main)
