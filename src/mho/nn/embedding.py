"""The analog embedding: rows of arrays by their numbers, those of an analog head with tied weights among them."""

from typing import Any, Self

import torch
from torch import nn

from mho.base.errors import complaint
from mho.crossbar import Crossbar
from mho.nn.core import compiled_gather, export, gather
from mho.nn.core.assigned import is_own
from mho.nn.core.layer import TIED_OF, AnalogLayer, checked, words_of
from mho.nn.core.matrix import Affine, AnalogMatrix
from mho.nn.core.programmed import Programmed
from mho.nn.core.values import checked_values


class AnalogEmbedding(AnalogLayer):
    """`torch.nn.Embedding` on crossbars: row i is the array driven backward with a one on output line i alone.

    So it reads the arrays of an analog head whose weight it has (tied weights, `mho.convert_`), and both train
    them together. With perfect backward converters a row is exactly that of `weight`, at the cost of a copy. With
    real ones it is a backward product with noise of its own in each call. A call reads each different row once,
    however often it occurs. Digital scales of the row come after the read-out.

    A sample leaves the factors x = dL/dy and d = minus the unit vector of its row. The samples of a call come
    before those of the head in the same pass. Outputs have the dtype of the layer, which `to(dtype)` sets.

    Args:
        num_embeddings, embedding_dim, padding_idx: as in torch.nn.Embedding; initial weights too. A call leaves no
            gradient in row padding_idx; a tied head does.
        hardware: of the layer, see `mho.Crossbar`.
        key: 64-bit name of its randomness; None draws one from torch's generator, see `mho.nn`.
    Raises: MhoError for numbers that are not int32 or int64; IndexError, as torch does, for a row that does not
        exist.
    """

    matrix: AnalogMatrix

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        hardware: Crossbar,
        key: int | None = None,
    ) -> None:
        self._born(nn.Embedding(num_embeddings, embedding_dim, padding_idx), hardware, key)

    @classmethod
    def tied(cls, digital: nn.Embedding, head: Affine, key: int) -> Self:
        """Make the embedding of a digital one that has the weight of a head: on the arrays of the head, not copied.

        key: of the head.
        Raises: MhoError if the digital one has max_norm, sparse or scale_grad_by_freq.
        """
        layer = cls.__new__(cls)
        layer._build(digital, head.hardware, head.matrix)
        layer.key, layer.is_tied = key, True
        return layer

    def _begin(self, digital: nn.Embedding, hardware: Crossbar, key: int) -> None:
        _check(digital)
        self._build(digital, hardware, AnalogMatrix(digital.weight.detach(), checked(self, hardware), key))

    def _build(self, digital: nn.Embedding, hardware: Crossbar, matrix: AnalogMatrix) -> None:
        _check(digital)
        super().__init__()
        self.hardware, self.matrix = hardware, matrix
        self.num_embeddings, self.embedding_dim = digital.num_embeddings, digital.embedding_dim
        self.padding_idx, self.is_tied = digital.padding_idx, False
        self.register_buffer(
            "like", digital.weight.new_empty(0), persistent=False
        )  # `to(dtype)` changes its dtype

    def to_digital(self) -> nn.Embedding:
        digital = nn.Embedding(self.num_embeddings, self.embedding_dim, self.padding_idx, device="meta")
        digital.weight = nn.Parameter(self._read())
        return digital

    @property
    def weight(self) -> Programmed:
        """(num_embeddings, embedding_dim): the rows, digital scales included.

        A copy; a write to it programs the arrays, and so does an assignment. Torch takes it for a parameter, so
        that code that ties weights may tie them again; the parameters of the arrays are those of `parameters()`.
        """
        weights = self.matrix.weights()
        return Programmed.of(self._read, self.program_, self.matrix.version, weights).as_parameter()

    @weight.setter
    def weight(self, value: torch.Tensor) -> None:
        if not is_own(value, (self.num_embeddings, self.embedding_dim), self.matrix.version):
            self.program_(value)

    def program_(self, weight: torch.Tensor) -> Self:
        """Program the arrays with `weight` (num_embeddings, embedding_dim); see `AnalogMatrix.program_`.

        A column of a head's analog bias stays.
        """
        weight = checked_values("program_", "weight", weight, (self.num_embeddings, self.embedding_dim))
        column = self.matrix.read()[:, self.embedding_dim :]
        self.matrix.program_(torch.cat([weight.to(column), column], dim=1))
        return self

    def reset_parameters(self) -> None:
        """Program new initial weights; on arrays of its own, the layer is as new, see `AnalogLayer`."""
        if self.is_tied:
            self.program_(self._drawn().weight)  # type: ignore[arg-type]
        else:
            super().reset_parameters()

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        """Return the rows with the numbers `index` (...), as (..., embedding_dim)."""
        if not isinstance(index, torch.Tensor):
            return export.leaf(self, index)
        if index.dtype not in (torch.int64, torch.int32):
            what, need = f"the input has dtype {index.dtype}", "Rows have numbers of dtype int64 or int32"
            raise complaint("AnalogEmbedding.forward", what, need, "pass x.long()")
        flat, skip = index.reshape(-1).long(), -1 if self.padding_idx is None else self.padding_idx
        if torch.compiler.is_compiling():
            if torch.compiler.is_exporting():
                raise export.refused("torch.export")
            y = compiled_gather.look_up(flat, self.matrix.handle, self.training, skip)
        else:
            export.check()
            y = gather.look_up(flat, self.matrix.layout, self.training, skip)
        y = y[:, : self.embedding_dim]  # without the column of an analog bias
        return y.reshape(*index.shape, self.embedding_dim).to(self.like.dtype)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        words = f"{self.num_embeddings}, {self.embedding_dim}"
        words += "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{words}{', tied' if self.is_tied else ''}, {words_of(self.hardware)}"

    def _read(self) -> torch.Tensor:
        return self.matrix.read()[:, : self.embedding_dim].contiguous()

    def _matrices(self) -> dict[str, list[Any]]:
        return {"": [self.matrix]}


TIED_OF[nn.Embedding] = AnalogEmbedding.tied


def _check(digital: nn.Embedding) -> None:
    """Check the options. Raises: MhoError for those that write to the weight or make its gradient otherwise."""
    for name, off in (("max_norm", None), ("sparse", False), ("scale_grad_by_freq", False)):
        value = getattr(digital, name)
        if value != off:
            need = "An analog embedding writes to no row in forward, and its gradient is one factor a sample"
            raise complaint("AnalogEmbedding", f"{name} is {value!r}", need, f"make it with {name}={off!r}")
