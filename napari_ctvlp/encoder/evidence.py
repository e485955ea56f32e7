"""Evidence: how much every place of a scan looks like each of some abnormalities, and the most of it in each organ.

A lesion of a few voxels is a small part of what is pooled under a liver. So every finest token is judged on its own, by
a linear map of its features and of those of the coarser tokens around it, as a fully convolutional network adds its
scores (Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015); an organ is given the largest
judgement of each kind and the share of its voxels that are judged abnormal. The features of a token are joined by the
plain intensities of its voxels, of which networks that normalise every voxel lose much.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .pooling import WORTH_A_STEP, OrganTokens, one_thread

GAIN = 8.0
"""Factor from a judge's linear map to logits: an optimiser that moves weights by its rate a step reaches logits of some
size within a run, which it did not without (measured)."""


def as_seen(image: Tensor, stride: int) -> Tensor:
    """(B, 3 C, i, p, l) mean, largest and smallest intensity of each token of a (B, C, I, P, L) windowed image.

    The image is continued at its far ends, so that every voxel is in a token.
    """
    missing = [side for n in reversed(image.shape[2:]) for side in (0, -n % stride)]
    whole = F.pad(image, missing, mode="replicate") if any(missing) else image
    mean = F.avg_pool3d(whole, stride)
    largest, smallest = F.max_pool3d(whole, stride), -F.max_pool3d(-whole, stride)
    seen = torch.cat([mean, largest, smallest], 1)
    return seen.contiguous(memory_format=torch.channels_last_3d)


def _rows(features: Tensor) -> Tensor:
    """(B, C, i, p, l) to (tokens, C), a view of what is channels-last in memory."""
    return features.permute(0, 2, 3, 4, 1).reshape(-1, features.shape[1])


def parents(token: Tensor, fine: Sequence[int], coarse: Sequence[int], ratio: int) -> Tensor:
    """Tokens of a coarser map that hold tokens of a finer one.

    Parameters
    ----------
    token : (n,) int64
        Indices into the tokens of the whole batch.
    fine, coarse : (i, p, l)
        Shapes of both maps.
    ratio : int
        Fine tokens along each side of a coarse one.
    """
    along = []
    for size in reversed(fine):
        along.append(torch.div(token % size, ratio, rounding_mode="floor"))
        token = torch.div(token, size, rounding_mode="floor")
    i, p, l = reversed(along)  # noqa: E741
    return ((token * coarse[0] + i) * coarse[1] + p) * coarse[2] + l


class OrganEvidence(nn.Module):
    """Judgements of places, and what organs get of them.

    Parameters
    ----------
    channels, strides : sequence of int
        Of the feature maps, finest first.
    kinds : int
        Abnormalities that places are judged by.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], kinds: int) -> None:
        super().__init__()
        self.kinds = kinds
        self.ratios = tuple(stride // strides[0] for stride in strides)
        self.judges = nn.ModuleList(nn.Linear(width, kinds, bias=depth == 0) for depth, width in enumerate(channels))
        for layer, width in zip(self._layers, channels, strict=True):
            nn.init.normal_(layer.weight, std=0.3 / width**0.5 / GAIN)
        nn.init.zeros_(self._layers[0].bias)

    @property
    def _layers(self) -> list[nn.Linear]:
        return [layer for layer in self.judges if isinstance(layer, nn.Linear)]

    def _weight(self, depth: int) -> Tensor:
        return GAIN * self._layers[depth].weight

    @property
    def _bias(self) -> Tensor:
        return GAIN * self._layers[0].bias

    def _above(self, maps: Sequence[Tensor], depth: int) -> Tensor | None:
        """(tokens, kinds) what the maps from ``depth`` on say, on the tokens of that one."""
        if depth == len(maps):
            return None
        judged = _rows(maps[depth]).float() @ self._weight(depth).T
        more = self._above(maps, depth + 1)
        if more is None:
            return judged
        fine, coarse = maps[depth].shape[2:], maps[depth + 1].shape[2:]
        token = torch.arange(len(judged), device=judged.device)
        ratio = self.ratios[depth + 1] // self.ratios[depth]
        return judged.add_(more.index_select(0, parents(token, fine, coarse, ratio)))

    def at(self, maps: Sequence[Tensor], token: Tensor) -> Tensor:
        """(n, kinds) judgements, in logits, of some finest tokens of the batch."""
        judged: Tensor = self._bias
        for depth, features in enumerate(maps):
            place = parents(token, maps[0].shape[2:], features.shape[2:], self.ratios[depth])
            judged = judged + _rows(features).index_select(0, place).float() @ self._weight(depth).T
        return judged

    def _each_at(self, maps: Sequence[Tensor], token: Tensor) -> Tensor:
        """(organs, kinds) judgements, each of a token of its own."""
        judged: Tensor = self._bias
        for depth, features in enumerate(maps):
            place = parents(token.flatten(), maps[0].shape[2:], features.shape[2:], self.ratios[depth])
            found = _rows(features).index_select(0, place).float().view(*token.shape, -1)
            judged = judged + (found * self._weight(depth)).sum(2)
        return judged

    @torch.no_grad()
    def _most(self, maps: Sequence[Tensor], tokens: OrganTokens, organs: int) -> tuple[Tensor, Tensor]:
        """(organs, kinds) token of the largest judgement under each organ, and the abnormal share of its voxels."""
        finest, above = _rows(maps[0]), self._above(maps, 1)
        ratio = self.ratios[1] if above is not None else 1

        def judged(token: Tensor) -> Tensor:
            found = torch.addmm(self._bias, finest.index_select(0, token).float(), self._weight(0).T)
            if above is not None:
                found += above.index_select(0, parents(token, maps[0].shape[2:], maps[1].shape[2:], ratio))
            return found

        best = tokens.token.new_zeros(organs, self.kinds)
        share = finest.new_zeros(organs, self.kinds, dtype=torch.float32)
        worth = finest.device.type == "cpu" and len(tokens.token) * self.kinds >= WORTH_A_STEP * organs
        if worth:
            with one_thread():
                for organ, (token, log_count) in enumerate(_by_organ(tokens, organs)):
                    if len(token):
                        own = judged(token)
                        best[organ] = token[own.argmax(0)]
                        share[organ] = log_count.softmax(0) @ own.sigmoid()
            return best, share
        own = judged(tokens.token)
        where = tokens.segment[:, None].expand_as(own)
        peak = own.new_full((organs, self.kinds), -torch.inf).scatter_reduce(0, where, own, "amax")
        # of equal ones the first, so that both ways agree
        pair = torch.arange(len(own), device=own.device)[:, None].expand_as(own)
        first = torch.where(own == peak.index_select(0, tokens.segment), pair, len(own))
        first = pair.new_full(peak.shape, len(own)).scatter_reduce(0, where, first, "amin")
        best = torch.where(first < len(own), tokens.token[first.clamp_max(len(own) - 1)], 0)
        count = tokens.log_count.exp()[:, None]
        total = count.new_zeros(organs, 1).index_add(0, tokens.segment, count).clamp_min(1e-6)
        return best, share.index_add(0, tokens.segment, own.sigmoid() * count) / total

    def forward(self, maps: Sequence[Tensor], tokens: OrganTokens, organs: int) -> Tensor:
        """(organs, 2 * kinds) largest judgements, in logits, then abnormal shares, which carry no gradient."""
        best, share = self._most(maps, tokens, organs)
        return torch.cat([self._each_at(maps, best), share], 1)


def _by_organ(tokens: OrganTokens, organs: int) -> Iterator[tuple[Tensor, Tensor]]:
    sizes = torch.bincount(tokens.segment, minlength=organs).tolist()
    return zip(tokens.token.split(sizes), tokens.log_count.split(sizes), strict=True)
