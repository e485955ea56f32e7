"""What the native encoder would say of each place in an organ, in the same space as the text."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .contract import Cells, Judged
from .evidence import around as evidence_around
from .pooling import BINS, one_thread
from .preprocess import NetworkInput
from .tokens import OrganIndex, OrganTokens
from .vision import VisionTower

MOST_CELLS = 3000
"""Larger organs are looked at on every second (third, ...) token, so that each takes a fraction of a second."""


@dataclass(frozen=True)
class _Around:
    """Which tokens lie around which cell, as flat pairs: index of the cell, place of the token, voxels in it."""

    cell: Tensor
    place: Tensor
    count: Tensor


class NativeDense:
    """Embeddings of places: each is the head's answer to the 3 x 3 x 3 finest tokens around it.

    The tokens around a place that belong to the organ are pooled as an organ is. Volume, extent and the number of
    voxels stay those of the whole organ and densities are those of the place: the head knows organs, and a block of one
    with a block's size would be none (measured on the sample's findings; leaving the densities to the whole organ
    loses a stone, leaving the number of voxels to the block blurs calcifications).

    Parameters
    ----------
    tower : VisionTower
    maps : list of Tensor
        Feature maps of one scan, finest first.
    index : OrganIndex
        Its organs.
    given : NetworkInput
        What the network saw.
    labels : mapping of str to int
        Organ to label.
    shape : tuple of int
        Of the scan (I, P, L).

    Notes
    -----
    What is given stays readable: other masks of the same scan are pooled from the same maps.
    """

    def __init__(
        self,
        tower: VisionTower,
        maps: list[Tensor],
        index: OrganIndex,
        given: NetworkInput,
        labels: dict[str, int],
        shape: tuple[int, ...],
    ) -> None:
        self._tower = tower
        self.maps = maps
        self._index = index
        self.given = given
        self.labels = labels
        self.shape = shape
        self._known: dict[str, Cells] = {}
        self._said: dict[str, Tensor] = {}
        self._lock = threading.Lock()
        grid = given.labels.shape[1:]
        self._stride = tower.config.strides[0]
        self._ratio = np.array([n / out for n, out in zip(shape, grid, strict=True)])

    @property
    def kept(self) -> dict[str, NDArray[np.float32]]:
        """What `NativeEncoder.dense_again` is quicker with: the resampled scan, most of the time of an encoding."""
        return {} if self.given.hu is None else {"hu": self.given.hu.numpy()}

    def cells(self, organ: str) -> Cells:
        """The places of an organ; computed when first asked for."""
        with self._lock:
            if organ not in self._known:
                with one_thread():  # hundreds of small operations
                    self._known[organ] = self._cells(organ)
            return self._known[organ]

    def ready(self, organs: Sequence[str]) -> None:
        """Make the places of several organs: on a CPU an organ a thread, since each is hundreds of small operations."""
        with self._lock:
            missing = [organ for organ in dict.fromkeys(organs) if organ not in self._known]
            threads = torch.get_num_threads() if self.maps[0].device.type == "cpu" else 1
            if len(missing) < 2 or threads < 2:
                return
            with one_thread(), ThreadPoolExecutor(threads, thread_name_prefix="ctvlp-places") as pool:
                self._known.update(zip(missing, pool.map(self._cells, missing), strict=True))

    @torch.inference_mode()
    def _cells(self, organ: str) -> Cells:
        found = (self._index.label == self.labels.get(organ, -1)).nonzero().flatten()
        spacing: NDArray[np.float64] = self._stride * self._ratio
        if not len(found):
            return Cells(np.zeros((0, 3), np.float64), np.zeros((0, self._tower.config.dim), np.float32), spacing)
        row = int(found[0])
        tokens = self._index.levels[0]
        mine = tokens.segment == row
        grid = tuple(self.maps[0].shape[2:])
        places = _places(tokens.token[mine], grid)
        step = 1
        while len(places) > MOST_CELLS * step**3:
            step += 1
        centres = places[(places % step == step // 2).all(1)] if step > 1 else places
        if not len(centres):
            centres = places[:1]
        around = _around(centres, places, tokens.log_count[mine].exp(), grid)
        organs = self._organs(row, len(centres), around, places, grid)
        evidence = self._evidence(organ, mine.nonzero().flatten(), around)
        vectors = self._tower.pool(self.maps, organs, evidence)
        return Cells(self._middle(centres), vectors.float().cpu().numpy(), spacing * step)

    def _evidence(self, organ: str, pairs: Tensor, around: _Around) -> Tensor | None:
        """What the tower's evidence says of each cell; None where the tower has none."""
        seen = self._index.attenuation
        if self._tower.evidence is None or seen is None:
            return None
        size = torch.bincount(around.cell)
        said = self._judgements(organ, pairs)
        return evidence_around(said, seen.index_select(0, pairs), around.place, size.cumsum(0) - size, around.count)

    def _judgements(self, organ: str, pairs: Tensor) -> Tensor:
        """(pairs, kinds) of all places of an organ, computed once; the lock is held."""
        evidence = self._tower.evidence
        assert evidence is not None
        if organ not in self._said:
            self._said[organ] = evidence.at(self.maps, self._index, pairs).float()
        return self._said[organ]

    def _middle(self, places: Tensor) -> NDArray[np.float64]:
        """The middle of places on the network's grid, as voxel indices of the scan."""
        middle: NDArray[np.float64] = (places.cpu().numpy() * self._stride + self._stride / 2) * self._ratio - 0.5
        return middle

    @torch.inference_mode()
    def judged(self, organ: str, abnormality: str) -> Judged | None:
        """What the tower's evidence says of all places of an organ; None where it does not judge by the abnormality."""
        evidence, kinds = self._tower.evidence, self._tower.config.evidence
        if evidence is None or abnormality not in kinds:
            return None
        tokens = self._index.levels[0]
        pairs = (self._index.label[tokens.segment] == self.labels.get(organ, -1)).nonzero().flatten()
        with self._lock, one_thread():
            values = self._judgements(organ, pairs)[:, kinds.index(abnormality)].cpu().numpy()
        places = _places(tokens.token[pairs], tuple(self.maps[0].shape[2:]))
        return Judged(self._middle(places), values, self._stride * self._ratio)

    def _organs(self, row: int, cells: int, around: _Around, places: Tensor, grid: tuple[int, ...]) -> OrganIndex:
        """The cells as organs of their own."""
        levels = []
        for stride, features in zip(self._tower.config.strides, self.maps, strict=True):
            size = tuple(features.shape[2:])
            place = torch.div(places[around.place], stride // self._stride, rounding_mode="floor")
            tokens = size[0] * size[1] * size[2]
            key = around.cell * tokens + _flat(place, size)
            unique, inverse = torch.unique(key, return_inverse=True)
            count = around.count.new_zeros(len(unique)).index_add_(0, inverse, around.count)
            levels.append(OrganTokens(unique % tokens, torch.div(unique, tokens, rounding_mode="floor"), count.log()))
        shape = self._index.geometry[row, :5].expand(cells, -1)
        label = int(self._index.label[row])
        geometry = torch.cat([shape, self._densities(label, cells, around, places, grid)], 1)
        sample = torch.zeros(cells, dtype=torch.int64, device=shape.device)
        return OrganIndex(sample, torch.full_like(sample, label), geometry, tuple(levels))

    def _densities(self, label: int, cells: int, around: _Around, places: Tensor, grid: tuple[int, ...]) -> Tensor:
        """Shares of HU around each cell, and what their numbers would be in the whole organ; see `organ_densities`."""
        low, high = places.amin(0), places.amax(0) + 1
        box = tuple(slice(int(a) * self._stride, int(b) * self._stride) for a, b in zip(low, high, strict=True))
        labels = self.given.labels[0][box].to(places.device)
        image = self.given.image[0][(slice(None), *box)].to(places.device)
        inside = labels == label
        voxel = torch.div(inside.nonzero(), self._stride, rounding_mode="floor") + low
        lookup = places.new_full((grid[0] * grid[1] * grid[2],), -1)
        lookup[_flat(places, grid)] = torch.arange(len(places), device=places.device)
        owner = lookup[_flat(voxel, grid)]
        channels = []
        for one in image:
            place = ((one[inside] + 1) * (BINS / 2)).long().clamp_(0, BINS - 1)
            each = torch.bincount(owner * BINS + place, minlength=len(places) * BINS).view(-1, BINS).float()
            near = each.new_zeros(cells, BINS).index_add_(0, around.cell, each[around.place])
            channels.append((near / near.sum(1, keepdim=True).clamp_min(1), each.sum()))
        shares = torch.cat([share for share, _ in channels], 1)
        numbers = torch.cat([(share * total).log1p() / 8 for share, total in channels], 1)
        return torch.cat([shares, numbers], 1)


def _places(token: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Flat token indices to (n, 3)."""
    plane = grid[1] * grid[2]
    first = torch.div(token, plane, rounding_mode="floor")
    second = torch.div(token, grid[2], rounding_mode="floor") % grid[1]
    return torch.stack([first, second, token % grid[2]], 1)


def _flat(place: Tensor, grid: tuple[int, ...]) -> Tensor:
    """(n, 3) token places to flat indices."""
    return (place[:, 0] * grid[1] + place[:, 1]) * grid[2] + place[:, 2]


def _around(centres: Tensor, places: Tensor, count: Tensor, grid: tuple[int, ...]) -> _Around:
    """For each centre those of ``places`` that lie within one token of it."""
    lookup = places.new_full((grid[0] * grid[1] * grid[2],), -1)
    lookup[_flat(places, grid)] = torch.arange(len(places), device=places.device)
    steps = torch.cartesian_prod(*[torch.arange(-1, 2, device=places.device)] * 3)
    near = centres[:, None] + steps
    limits = torch.tensor(grid, device=places.device)
    within = ((near >= 0) & (near < limits)).all(2)
    flat = _flat(near.flatten(0, 1).clamp_min(0).minimum(limits - 1), grid).view(len(centres), -1)
    member = torch.where(within, lookup[flat], -1)
    cell, column = (member >= 0).nonzero(as_tuple=True)
    place = member[cell, column]
    return _Around(cell, place, count[place])
