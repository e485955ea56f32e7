"""The network of COLIPRI (Wald et al., 2025), written anew from the names and shapes of its checkpoint.

A Primus encoder (Wald et al., arXiv 2503.01835) over patches of 8 x 8 x 8 voxels: an EVA-02 transformer with rotary
positions, SwiGLU, a norm inside attention and MLP, and layer scale. A 1 x 1 x 1 projection leads into the width of the
text; what the attention pooling would do to the values is applied to every token, which makes the grid comparable with
text. Texts go through a BERT and an attention pooling whose query is the mean of the tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_ctvlp.errors import UserError

from .bert import HEAD as BERT_HEAD
from .bert import bert_for
from .checkpoint import count, shape_of, without

PATCH = 8
HEAD = 72
"""Width of one attention head of the image encoder; a third of it serves each axis."""


@dataclass(frozen=True)
class ColipriSizes:
    """What the shapes of a checkpoint say of the network's size."""

    width: int
    depth: int
    inner: int
    dim: int

    @classmethod
    def of(cls, state: Mapping[str, Tensor], place: str) -> ColipriSizes:
        """Read them off the tensors.

        Raises
        ------
        UserError
            When the tensors that say it are missing, or it is another model.
        """
        patch = shape_of(state, "image_encoder.backbone.down_projection.proj.weight", 5, place)
        inner, width = shape_of(state, "image_encoder.backbone.eva.blocks.0.mlp.fc1_g.weight", 2, place)
        dim = shape_of(state, "image_encoder.projector.weight", 5, place)[0]
        if patch[1:] != (1, PATCH, PATCH, PATCH) or width % HEAD or dim % BERT_HEAD:
            raise UserError(f"{place} is another model: patches {patch[1:]}, width {width}, {dim} numbers a text.")
        return cls(width, count(state, "image_encoder.backbone.eva.blocks."), inner, dim)


def rotations(grid: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Sine and cosine of the rotary angles, each (tokens, HEAD): an index times 10000^(-k/n) for each axis in turn."""
    bands = HEAD // 6
    frequency = 10000.0 ** -(torch.arange(bands) / bands)
    places = torch.stack(torch.meshgrid(*(torch.arange(n).float() for n in grid), indexing="ij"), -1).reshape(-1, 3)
    angle = (places[:, :, None] * frequency).flatten(1).repeat_interleave(2, -1)
    return angle.sin(), angle.cos()


def _rotated(x: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
    turned = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
    return x * cosine + turned * sine


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = (
            part(x).view(batch, tokens, width // HEAD, HEAD).transpose(1, 2)
            for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = F.scaled_dot_product_attention(_rotated(q, sine, cosine), _rotated(k, sine, cosine), v)
        out: Tensor = self.proj(self.norm(mixed.transpose(1, 2).reshape(batch, tokens, width)))
        return out


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1_g = nn.Linear(width, inner)
        self.fc1_x = nn.Linear(width, inner)
        self.norm = nn.LayerNorm(inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.norm(F.silu(self.fc1_g(x)) * self.fc1_x(x)))
        return out


class _Block(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = _Attention(width)
        self.gamma_1 = nn.Parameter(torch.zeros(width))
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Mlp(width, inner)
        self.gamma_2 = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
        x = x + self.gamma_1 * self.attn(self.norm1(x), sine, cosine)
        return x + self.gamma_2 * self.mlp(self.norm2(x))


class _Eva(nn.Module):
    def __init__(self, sizes: ColipriSizes) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(sizes.width, sizes.inner) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width)


class _Patches(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(1, width, PATCH, PATCH)


class _Primus(nn.Module):
    def __init__(self, sizes: ColipriSizes) -> None:
        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(1, 1, sizes.width))  # of its training; has no part here
        self.down_projection = _Patches(sizes.width)
        self.eva = _Eva(sizes)

    def forward(self, image: Tensor) -> Tensor:
        grid = self.down_projection.proj(image)
        shape = (int(grid.shape[2]), int(grid.shape[3]), int(grid.shape[4]))
        sine, cosine = (t.to(grid) for t in rotations(shape))
        x = grid.flatten(2).transpose(1, 2)
        for block in self.eva.blocks:
            x = block(x, sine, cosine)
        out: Tensor = self.eva.norm(x).transpose(1, 2).unflatten(2, shape)
        return out


class _Pooler(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, dim // BERT_HEAD, batch_first=True)

    def values(self, tokens: Tensor) -> Tensor:
        """What the pooling would do to each token's value: (..., dim) to (..., dim)."""
        weight, bias = self.attn.in_proj_weight.chunk(3)[2], self.attn.in_proj_bias.chunk(3)[2]
        out: Tensor = self.attn.out_proj(F.linear(tokens, weight, bias))
        return out

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        weights = mask[..., None].to(tokens.dtype)
        query = (tokens * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
        pooled, _ = self.attn(query, tokens, tokens, key_padding_mask=mask == 0, need_weights=False)
        out: Tensor = pooled[:, 0]
        return out


class _ImageEncoder(nn.Module):
    def __init__(self, sizes: ColipriSizes) -> None:
        super().__init__()
        self.backbone = _Primus(sizes)
        self.projector = nn.Conv3d(sizes.width, sizes.dim, 1)
        self.pooler = _Pooler(sizes.dim)


class _TextEncoder(nn.Module):
    def __init__(self, sizes: ColipriSizes, bert: nn.Module) -> None:
        super().__init__()
        self.backbone = bert
        self.pooler = _Pooler(sizes.dim)


class ColipriNetwork(nn.Module):
    """Image and text of COLIPRI under the names of its checkpoint."""

    softmax_temperature: Tensor

    def __init__(self, sizes: ColipriSizes, bert: nn.Module) -> None:
        super().__init__()
        self.image_encoder = _ImageEncoder(sizes)
        self.text_encoder = _TextEncoder(sizes, bert)
        self.register_buffer("softmax_temperature", torch.tensor(1.0))

    @classmethod
    def for_state(cls, state: Mapping[str, Tensor], place: str) -> ColipriNetwork:
        """A network as large as a checkpoint's tensors; not filled yet."""
        return cls(ColipriSizes.of(state, place), bert_for(state, "text_encoder.backbone.", place))

    def grid(self, image: Tensor) -> Tensor:
        """(1, 1, X, Y, Z) values in -1..1 to (dim, X/8, Y/8, Z/8), comparable with text, not of unit length."""
        tokens = self.image_encoder.projector(self.image_encoder.backbone(image))[0]
        return self.image_encoder.pooler.values(tokens.permute(1, 2, 3, 0)).permute(3, 0, 1, 2)

    def texts(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(n, tokens, width) hidden states and (n, tokens) mask to (n, dim) unit vectors."""
        return F.normalize(self.text_encoder.pooler(hidden, mask), dim=-1)


def network_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint's tensors under the names of `ColipriNetwork`, less the tables of counting numbers."""
    begin = "text_encoder.backbone.embeddings."
    return without(state, f"{begin}position_ids", f"{begin}token_type_ids")
