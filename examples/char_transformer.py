"""A character transformer of one million parameters on tiny Shakespeare: digital, and on crossbars.

    python examples/char_transformer.py --data DIR            # DIR holds tinyshakespeare.txt
    python examples/char_transformer.py --algorithms analog-sgd --steps 400

Four blocks of PyTorch's own TransformerEncoder, 144 wide, 4 heads, context 128. `mho.convert_` makes the
projections of attention, both layers of each feed-forward part and the readout analog. Embeddings, norms, softmax
and biases stay digital, and AdamW trains them in all runs. The matrices are trained by AdamW in plain PyTorch
("adamw"), by SGD in exact numbers ("digital-sgd"), or by pulses.
Ctrl-C stops after a step; the same command goes on.
"""

import functools

import torch
from characters import DEVICE, RESIDUAL, Text, cross_entropy, options, run_as_script, train_all
from resumable import Run
from torch import nn

import mho
from mho import algorithms
from mho.nn import AnalogParameter

ALGORITHMS: dict[str, mho.Crossbar | None] = {
    "adamw": None,
    "digital-sgd": mho.Crossbar(algorithm=algorithms.DigitalSGD(), io=None),
    "analog-sgd": mho.Crossbar(algorithm=algorithms.AnalogSGD(), device=DEVICE),
    "residual-learning": mho.Crossbar(algorithm=RESIDUAL.replace(transfer_lr=1.0), device=DEVICE),
    "tiki-taka-v2": mho.Crossbar(
        algorithm=algorithms.TikiTakaV2(fast_lr=1.0, scale_fast_lr=True), device=DEVICE
    ),
}
LR = {"adamw": 1e-3, "digital-sgd": 0.2, "analog-sgd": 0.5, "residual-learning": 1.0, "tiki-taka-v2": 0.5}
WIDTH, HEADS, BLOCKS = 144, 4, 4
HELD_OUT = 64  # windows of held-out text at a point of the curve


class CharacterTransformer(nn.Module):
    """Characters (samples, time) -> scores of the next one (samples, time, vocabulary), from those before it."""

    def __init__(self, vocabulary: int, length: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(vocabulary, WIDTH)
        self.places = nn.Embedding(length, WIDTH)
        block = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, BLOCKS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.readout = nn.Linear(WIDTH, vocabulary)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length), persistent=False)

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        x = self.characters(characters) + self.places.weight
        return self.readout(self.blocks(x, self.mask, is_causal=True))


def make(args, text: Text, algorithm: str) -> Run:
    """The run with this algorithm."""
    torch.manual_seed(args.seed)
    hardware, lr = ALGORITHMS[algorithm], args.lr or LR[algorithm]
    model = CharacterTransformer(len(text.vocabulary), args.length)
    if hardware is None:
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    else:
        mho.convert_(model, hardware, key=args.seed)
        matrices = [p for p in model.parameters() if isinstance(p, AnalogParameter)]
        others = [p for p in model.parameters() if not isinstance(p, AnalogParameter)]
        groups = [{"params": matrices}, {"params": others, "lr": LR["adamw"]}]
        optimizer = mho.AnalogOptimizer(groups, lr=lr, digital=torch.optim.AdamW)
    windows = text.held_out.unfold(0, args.length + 1, max((len(text.held_out) - args.length) // HELD_OUT, 1))

    def loss_of(step: int) -> torch.Tensor:
        chance = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        first = torch.randint(len(text.train) - args.length, (args.batch, 1), generator=chance)
        part = text.train[first + torch.arange(args.length + 1)]
        return cross_entropy(model(part[:, :-1]), part[:, 1:])

    def evaluate() -> float:
        parts = windows.split(args.batch)
        sums = [cross_entropy(model(part[:, :-1]), part[:, 1:]) * len(part) for part in parts]
        return float(sum(sums)) / len(windows)

    config = {"algorithm": algorithm, "lr": lr, "batch": args.batch, "length": args.length, "seed": args.seed}
    return Run(config | {"hardware": hardware and repr(hardware)}, model, optimizer, loss_of, evaluate)


def main(argv: list[str] | None = None) -> None:
    defaults = {"algorithms": "adamw,digital-sgd,analog-sgd,residual-learning", "out": "runs/transformer"}
    parser = options(__doc__, ALGORITHMS, steps=600, every=50, batch=8, length=128, **defaults)
    args = parser.parse_args(argv)
    text = Text("tinyshakespeare.txt", args.data)
    about = {"example": "char_transformer", "vocabulary": len(text.vocabulary), "characters": len(text.train)}
    train_all(args, about, ALGORITHMS, functools.partial(make, args, text))


if __name__ == "__main__":
    run_as_script(main)
