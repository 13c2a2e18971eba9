"""Analog multi-head attention: projections on crossbars, attention itself digital."""

import math
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from mho.base.errors import complaint, wrong_type
from mho.crossbar import Crossbar
from mho.nn.core.assigned import is_own
from mho.nn.core.export import leaf
from mho.nn.core.layer import ANALOG_OF, AnalogLayer, checked, words_of
from mho.nn.core.programmed import Programmed
from mho.nn.core.values import checked_values
from mho.nn.linear import AnalogLinear, linear_of
from mho.nn.masks import Masks, wrong
from mho.numerics.rng import child_key


class AnalogMultiheadAttention(AnalogLayer):
    """`torch.nn.MultiheadAttention` on crossbars: projections are analog, softmax and sums over values digital.

    The projections of queries, keys and values (`q_proj`, `k_proj`, `v_proj`) and of the output (`out_proj`) are an
    `AnalogLinear` each.

    Args:
        embed_dim, num_heads, dropout, bias, add_bias_kv, add_zero_attn, kdim, vdim, batch_first: as in
            torch.nn.MultiheadAttention; initial weights too.
        hardware: of the projections, see `mho.Crossbar`; key: 64-bit name of their randomness; None
            draws one from torch's generator, see `mho.nn`.
    Raises: MhoError for inputs and masks of other shapes.
    """

    q_proj: AnalogLinear
    k_proj: AnalogLinear
    v_proj: AnalogLinear
    out_proj: AnalogLinear

    # Torch's encoder layers look at this before they multiply with the weights of their parts themselves, past the
    # hardware. They leave an attention with three separate matrices alone.
    _qkv_same_embed_dim = False

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        hardware: Crossbar,
        key: int | None = None,
    ) -> None:
        options = dropout, bias, add_bias_kv, add_zero_attn, kdim, vdim, batch_first
        self._born(nn.MultiheadAttention(embed_dim, num_heads, *options), hardware, key)

    def _begin(self, digital: nn.MultiheadAttention, hardware: Crossbar, key: int) -> None:
        super().__init__()
        attention, self.hardware = digital, checked(self, hardware)
        self.embed_dim, self.kdim, self.vdim = attention.embed_dim, attention.kdim, attention.vdim
        self.num_heads, self.head_dim = attention.num_heads, attention.head_dim
        self.dropout, self.batch_first = attention.dropout, attention.batch_first
        self.add_zero_attn = attention.add_zero_attn
        for name, linear in _projections(attention).items():
            part = AnalogLinear.from_digital(linear, hardware, child_key(key, name))
            part.is_part = name != "out_proj"  # which is a layer of its own in torch's attention, too
            self.add_module(name, part)
        self.bias_k, self.bias_v = _copy(attention.bias_k), _copy(attention.bias_v)

    def to_digital(self) -> nn.MultiheadAttention:
        parts = self.q_proj, self.k_proj, self.v_proj, self.out_proj
        weights: Any
        biases: Any
        weights, biases = zip(*(part.weight_and_bias() for part in parts), strict=True)
        has_bias = biases[0] is not None
        attention = nn.MultiheadAttention(
            self.embed_dim, self.num_heads, self.dropout, has_bias, self.bias_k is not None,
            self.add_zero_attn, self.kdim, self.vdim, self.batch_first, device="meta",
        )  # fmt: skip
        found = {"out_proj.weight": weights[3]}
        if attention._qkv_same_embed_dim:
            found["in_proj_weight"] = torch.cat(weights[:3])
        else:
            found |= dict(zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), weights[:3], strict=True))
        if has_bias:
            found |= {"in_proj_bias": torch.cat(biases[:3]), "out_proj.bias": biases[3]}
        if self.bias_k is not None and self.bias_v is not None:
            found |= {"bias_k": self.bias_k.detach().clone(), "bias_v": self.bias_v.detach().clone()}
        attention.load_state_dict(found, assign=True)
        return attention

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        key_padding_mask: torch.Tensor | None = None,
        need_weights: bool = True,
        attn_mask: torch.Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the outputs, and the attention weights or None; see torch.nn.MultiheadAttention.forward.

        query: (L, N, embed_dim), key (S, N, kdim), value (S, N, vdim), or without N; with `batch_first` N is first.
        """
        if not isinstance(query, torch.Tensor):
            options = {"average_attn_weights": average_attn_weights, "is_causal": is_causal}
            return leaf(self, query, key, value, key_padding_mask, need_weights, attn_mask, **options)
        masks = self._masks(query, key, value, key_padding_mask, attn_mask)
        if is_causal and attn_mask is None:
            fix = "make it with torch.nn.Transformer.generate_square_subsequent_mask"
            raise wrong("is_causal is given without attn_mask", "It is a hint that attn_mask is causal", fix)
        q, k, v = (
            self._heads(project(x))
            for project, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        if self.bias_k is not None and self.bias_v is not None:
            k, v = self._with_one_more(k, self.bias_k), self._with_one_more(v, self.bias_v)
        if self.add_zero_attn:
            k, v = functional.pad(k, (0, 0, 0, 1)), functional.pad(v, (0, 0, 0, 1))
        more = k.shape[2] - masks.keys
        is_causal = is_causal and key_padding_mask is None and not need_weights and not more
        mask = None if is_causal else masks.sum(q.dtype, more)
        if not need_weights:
            dropout = self.dropout if self.training else 0.0
            y = functional.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal)
            return self._output(y, query), None
        scores = (q * math.sqrt(1 / self.head_dim)) @ k.mT
        weights = (scores if mask is None else scores + mask).softmax(dim=-1)
        weights = functional.dropout(weights, self.dropout, self.training)
        y = self._output(weights @ v, query)
        weights = weights.mean(dim=1) if average_attn_weights else weights
        return y, weights if query.ndim == 3 else weights[0]

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        """Return the projection of an input as (N, heads, positions, head_dim)."""
        x = x.unflatten(-1, (self.num_heads, self.head_dim))
        if x.ndim == 3:
            return x.transpose(0, 1)[None]
        return x.transpose(1, 2) if self.batch_first else x.permute(1, 2, 0, 3)

    def _output(self, y: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        """Return (N, heads, L, head_dim) as the output, of the query's shape."""
        if query.ndim == 2:
            y = y[0].transpose(0, 1)
        else:
            y = y.transpose(1, 2) if self.batch_first else y.permute(2, 0, 1, 3)
        return self.out_proj(y.flatten(-2))

    def _with_one_more(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Return x (N, heads, S, head_dim) with the bias (1, 1, embed_dim) as a position S + 1."""
        one = bias.to(x.dtype).reshape(1, self.num_heads, 1, self.head_dim)
        return torch.cat([x, one.expand(len(x), -1, -1, -1)], dim=2)

    def _masks(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        padding: torch.Tensor | None,
        attention: torch.Tensor | None,
    ) -> Masks:
        """Check the inputs and make their masks."""
        named = ("query", query, self.embed_dim), ("key", key, self.kdim), ("value", value, self.vdim)
        sizes = []
        for name, x, width in named:
            if not isinstance(x, torch.Tensor):
                raise wrong_type("AnalogMultiheadAttention.forward", name, x, "a tensor")
            if x.is_nested:
                fix = "set use_nested_tensor = False of the torch.nn.TransformerEncoder, as mho.convert_ does"
                raise wrong(f"{name} is a nested tensor", fix=fix)
            if x.ndim not in (2, 3) or x.ndim != query.ndim or x.shape[-1] != width:
                order = "N, positions" if self.batch_first else "positions, N"
                need = f"It must be ({order}, {width}) or (positions, {width}), like the others"
                raise wrong(f"{name} has shape {tuple(x.shape)}", need)
            leading = x.shape[:2] if self.batch_first else x.shape[1::-1]
            sizes.append((1, len(x)) if x.ndim == 2 else tuple(leading))
        (n, length), (n_keys, keys), of_values = sizes
        if n != n_keys or (n, keys) != of_values:
            words = (
                f"{name} has {n} samples of {k} positions"
                for (name, *_), (n, k) in zip(named, sizes, strict=True)
            )
            need = "Samples must agree, and the positions of key and value"
            raise wrong(", ".join(words), need)
        masks = Masks(attention, padding, n, self.num_heads, length, keys)
        masks.check(single=query.ndim == 2)
        return masks

    @property
    def in_proj_weight(self) -> Programmed | None:
        """(3 embed_dim, embed_dim): the weights of q_proj, k_proj and v_proj below each other; a copy, writes to
        which program them. None if kdim or vdim differs."""
        if not self.embed_dim == self.kdim == self.vdim:
            return None
        weights = [w for part in self._inputs() for w in part.matrix.weights()]
        return Programmed.of(self._read_weight, self._program_weight, self._writes, weights)

    @in_proj_weight.setter
    def in_proj_weight(self, value: torch.Tensor) -> None:
        shape = 3 * self.embed_dim, self.embed_dim
        if not self.embed_dim == self.kdim == self.vdim:
            what, fix = (
                "kdim or vdim differs from embed_dim",
                "assign q_proj_weight, k_proj_weight, v_proj_weight",
            )
            raise complaint("in_proj_weight = ...", what, fix=fix)
        checked_values("in_proj_weight = ...", "it", value, shape)
        if not is_own(value, shape, self._writes):
            self._program_weight(value)

    @property
    def in_proj_bias(self) -> Programmed | None:
        """(3 embed_dim,): the biases of q_proj, k_proj and v_proj; a copy, writes to which write them. Or None."""
        parts = self._inputs()
        if parts[0].bias is None:
            return None
        trained = [p for part in parts for p in (part.matrix.weights() if part.has_column else [part.bias])]
        return Programmed.of(self._read_bias, self._program_bias, self._writes, trained)  # type: ignore[arg-type]

    @in_proj_bias.setter
    def in_proj_bias(self, value: torch.Tensor | None) -> None:
        shape = (3 * self.embed_dim,)
        if value is None:
            for part in self._inputs():
                part.bias = None
            return
        checked_values("in_proj_bias = ...", "it", value, shape)
        if not is_own(value, shape, self._writes):
            self._program_bias(value)

    def _inputs(self) -> list[AnalogLinear]:
        return [self.q_proj, self.k_proj, self.v_proj]

    def _read_weight(self) -> torch.Tensor:
        return torch.cat([part.read_weight() for part in self._inputs()])

    def _program_weight(self, weight: torch.Tensor) -> None:
        pairs = zip(self._inputs(), weight.chunk(3), strict=True)
        verbs = [part.programming(own, None) for part, own in pairs]
        for verb in verbs:  # all parts are right
            verb()

    def _read_bias(self) -> torch.Tensor:
        return torch.cat([cast(torch.Tensor, part.weight_and_bias()[1]) for part in self._inputs()])

    def _program_bias(self, bias: torch.Tensor) -> None:
        pairs = zip(self._inputs(), bias.chunk(3), strict=True)
        verbs = [part.programming(None, own) for part, own in pairs]
        for verb in verbs:
            verb()

    def _writes(self) -> int:
        parts = self._inputs()
        biases = (part._parameters.get("bias") for part in parts)
        return sum(part.matrix.version() for part in parts) + sum(b._version for b in biases if b is not None)

    def _reset_parameters(self) -> None:
        """Do as `reset_parameters`; torch's attention has this name."""
        self.reset_parameters()

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, num_heads={self.num_heads}, {words_of(self.hardware)}"

    def _matrices(self) -> dict[str, list[Any]]:
        names = "q_proj", "k_proj", "v_proj", "out_proj"
        return {f"{name}.": [getattr(self, name).matrix] for name in names}


ANALOG_OF[nn.MultiheadAttention] = AnalogMultiheadAttention.from_digital


def _weight_of(name: str) -> property:
    """Return the property `q_proj_weight` and the like: the weight of a projection."""

    def put(self: AnalogMultiheadAttention, value: torch.Tensor) -> None:
        getattr(self, name).weight = value

    return property(lambda self: getattr(self, name).weight, put, doc=f"The weight of {name}.")


for _name in ("q_proj", "k_proj", "v_proj"):
    setattr(AnalogMultiheadAttention, f"{_name}_weight", _weight_of(_name))


def _projections(attention: nn.MultiheadAttention) -> dict[str, nn.Linear]:
    """Return the four matrices of a digital attention with their biases."""
    weights: list[Any] = [attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight]
    biases: list[Any] = [None] * 3
    if attention._qkv_same_embed_dim:
        weights = list(attention.in_proj_weight.chunk(3))
    if attention.in_proj_bias is not None:
        biases = list(attention.in_proj_bias.chunk(3))
    weights, biases = [*weights, attention.out_proj.weight], [*biases, attention.out_proj.bias]
    names = "q_proj", "k_proj", "v_proj", "out_proj"
    return {name: linear_of(w, b) for name, w, b in zip(names, weights, biases, strict=True)}


def _copy(parameter: torch.Tensor | None) -> nn.Parameter | None:
    return None if parameter is None else nn.Parameter(parameter.detach().clone())
