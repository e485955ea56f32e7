"""The network of fVLM (Shui et al., ICLR 2025), written anew from the names and shapes of its checkpoint.

A ViT over patches of 16 x 16 x 32 voxels (D, H, W), whose tokens at four depths are the keys and values of one
attention with a learnt query an organ; a linear map an organ leads into the space of the text. Texts go through a
BERT without token type embeddings, whose first token is mapped into the same space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_ctvlp.errors import UserError

from .bert import HEAD, bert_for
from .checkpoint import count, shape_of, without

ORGANS = ("lung", "heart", "esophagus", "aorta")
"""In the order of the queries and of the projections."""
PATCH = (16, 16, 32)
GRID = (7, 16, 11)
"""Tokens of the window it was trained on, 112 x 256 x 352 voxels."""
POOLED = (3, 6, 9)
"""Blocks after which tokens are taken as they are; the last ones are taken after the norm."""
HEADS = 4
"""Of the attention that pools an organ."""


@dataclass(frozen=True)
class FvlmSizes:
    """What the shapes of a checkpoint say of the network's size."""

    width: int
    depth: int
    inner: int
    dim: int

    @classmethod
    def of(cls, state: Mapping[str, Tensor], place: str) -> FvlmSizes:
        """Read them off the tensors.

        Raises
        ------
        UserError
            When the tensors that say it are missing, or it is another model.
        """
        patch = shape_of(state, "visual_encoder.patch_embedding.patch_embeddings.weight", 5, place)
        inner, width = shape_of(state, "visual_encoder.blocks.0.mlp.linear1.weight", 2, place)
        dim, _ = shape_of(state, "text_proj.weight", 2, place)
        depth = count(state, "visual_encoder.blocks.")
        if patch[1:] != (1, *PATCH) or depth <= max(POOLED) or width % HEAD:
            raise UserError(f"{place} is another model: patches {patch[1:]} and {depth} blocks of width {width}.")
        return cls(width, depth, inner, dim)


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        heads = self.qkv(x).view(batch, tokens, 3, width // HEAD, HEAD).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return out


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, inner)
        self.linear2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear2(F.gelu(self.linear1(x)))
        return out


class _Block(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = _Attention(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Mlp(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class _Patches(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.patch_embeddings = nn.Conv3d(1, width, PATCH, PATCH)
        self.position_embeddings = nn.Parameter(torch.zeros(1, GRID[0] * GRID[1] * GRID[2], width))

    def forward(self, x: Tensor) -> Tensor:
        grid = self.patch_embeddings(x)
        place: Tensor = self.position_embeddings
        if tuple(grid.shape[2:]) != GRID:
            place = place.transpose(1, 2).reshape(1, -1, *GRID)
            place = F.interpolate(place, size=grid.shape[2:], mode="trilinear", align_corners=False)
            place = place.flatten(2).transpose(1, 2)
        out: Tensor = grid.flatten(2).transpose(1, 2) + place
        return out


class _Vit(nn.Module):
    def __init__(self, sizes: FvlmSizes) -> None:
        super().__init__()
        self.patch_embedding = _Patches(sizes.width)
        self.blocks = nn.ModuleList(_Block(sizes.width, sizes.inner) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.patch_embedding(x)
        levels = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in POOLED:
                levels.append(x)
        return [*levels, self.norm(x)]


class FvlmNetwork(nn.Module):
    """Vision, pooling and text of fVLM under the names of its checkpoint."""

    def __init__(self, sizes: FvlmSizes, text_encoder: nn.Module) -> None:
        super().__init__()
        self.temp = nn.Parameter(torch.tensor(0.07))
        self.query_tokens = nn.Parameter(torch.zeros(len(ORGANS), sizes.width))
        self.visual_encoder = _Vit(sizes)
        self.attention = nn.MultiheadAttention(sizes.width, HEADS, batch_first=True)
        self.vision_projs = nn.ModuleList(nn.Linear(sizes.width, sizes.dim) for _ in ORGANS)
        self.text_proj = nn.Linear(int(text_encoder.config.hidden_size), sizes.dim)  # type: ignore[union-attr, arg-type]
        self.text_encoder = text_encoder

    @classmethod
    def for_state(cls, state: Mapping[str, Tensor], place: str) -> FvlmNetwork:
        """A network as large as a checkpoint's tensors; not filled yet."""
        return cls(FvlmSizes.of(state, place), bert_for(state, "text_encoder.", place))

    def levels(self, image: Tensor) -> tuple[Tensor, ...]:
        """(1, 1, D, H, W) values 0..1, sides multiples of the patch, to (1, L, width) tokens of several depths."""
        return tuple(self.visual_encoder(image))

    def organs(self, levels: Sequence[Tensor], organs: Sequence[int], tokens: Sequence[Tensor]) -> Tensor:
        """Embed organs of one window.

        Parameters
        ----------
        levels : sequence of (1, L, width)
            As `levels` gives them.
        organs : sequence of int
            Indices into `ORGANS`.
        tokens : sequence of (L,) bool
            Tokens that each of them reaches; L counts D slowest, W fastest.

        Returns
        -------
        Tensor
            (len(organs), dim), unit length.
        """
        rows = []
        for organ, reached in zip(organs, tokens, strict=True):
            seen = torch.cat([level[0, reached] for level in levels])[None]
            pooled, _ = self.attention(self.query_tokens[organ][None, None], seen, seen, need_weights=False)
            rows.append(self.vision_projs[organ](pooled[0, 0]))
        return F.normalize(torch.stack(rows), dim=-1)

    def places(self, levels: Sequence[Tensor], organ: int, reached: Tensor) -> Tensor:
        """Embed each place of an organ: what `organs` would give if the organ were that token alone.

        Parameters
        ----------
        levels : sequence of (1, L, width)
            As `levels` gives them.
        organ : int
            Index into `ORGANS`.
        reached : (L,) bool
            Tokens that it reaches.

        Returns
        -------
        Tensor
            (n, dim), unit length, of the n tokens that are reached.
        """
        seen = torch.stack([level[0, reached] for level in levels], 1)
        query = self.query_tokens[organ].expand(len(seen), 1, -1)
        pooled, _ = self.attention(query, seen, seen, need_weights=False)
        return F.normalize(self.vision_projs[organ](pooled[:, 0]), dim=-1)

    def texts(self, hidden: Tensor) -> Tensor:
        """(n, tokens, width) hidden states of the BERT to (n, dim) unit vectors."""
        return F.normalize(self.text_proj(hidden[:, 0]), dim=-1)


def network_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint's tensors under the names of `FvlmNetwork`, less what has no part in a score.

    The head that guesses words and the table of positions may be there or not. Token type embeddings were never added
    in training: they are set to zero, which is what leaving them out means.
    """
    kept = without(state, "text_encoder.cls.", "text_encoder.embeddings.position_ids")
    kept = without(kept, "text_encoder.embeddings.token_type_ids", "text_encoder.embeddings.token_type_embeddings")
    width = state.get("text_encoder.embeddings.word_embeddings.weight", torch.zeros(1, 1)).shape[-1]
    return kept | {"text_encoder.embeddings.token_type_embeddings.weight": torch.zeros(2, width)}
