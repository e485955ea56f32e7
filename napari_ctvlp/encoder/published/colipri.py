"""COLIPRI behind the contract: its text-comparable grid pooled under organ masks.

Our own code after the names, shapes and preprocessing of the MIT-licensed package ``colipri``, which is not needed
here.

Orientation: RAS. The package's versions 0.1.0 and 0.1.1 turned scans to SAR; 0.1.2 changed that to RAS, and with it the
example of the model card, run anew, went from 0.995 to 0.9993 for a nodule that is there. The card's line that prints
"SAR+" was left over from before. Every encoder object compares left and right once and warns (`encoder.sides`).

Voxels are interpolated as real numbers; the package keeps a scan's integers, which cuts up to 1 HU off.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_ctvlp.encoder import artifact
from napari_ctvlp.encoder.contract import (
    Cancelled,
    ModelInput,
    Progress,
    ScanEmbedding,
    ticker,
)
from napari_ctvlp.encoder.published.colipri_grid import (
    SEEN,
    SPACING,
    ColipriGrid,
    cube_starts,
    dense_grid,
    known_organs,
    labels_on_grid,
    places_along,
    span_of,
)
from napari_ctvlp.scan.types import OrganMasks, Scan

from .base import SMALLEST_ML, Parts, PublishedEncoder, check_hounsfield, organ_status
from .bert import hidden_states, tokenizer_for
from .checkpoint import State
from .colipri_network import PATCH, ColipriNetwork, network_state
from .entries import COLIPRI
from .sampling import sample_linear

HU = (-1000.0, 1000.0)
SIZE = 192
"""Voxels a side of the cube that it was trained on."""
MAX_TOKENS = 512


class ColipriEncoder(PublishedEncoder[ColipriNetwork]):
    """A :class:`~napari_ctvlp.encoder.contract.ScanEncoder` of COLIPRI's weights, ``model.safetensors``.

    ``size`` is the voxels a side of its cube; another one than that of training serves tests.
    """

    entry = COLIPRI
    organs = SEEN
    spacing_mm = SPACING
    hu = HU
    max_text_tokens = MAX_TOKENS
    preprocessing = "colipri 1"
    size = SIZE

    def build(self, state: State, vocabulary: Path, place: str) -> Parts[ColipriNetwork]:
        """As large as the tensors say, with the WordPiece tokenizer of CXR-BERT."""
        network = ColipriNetwork.for_state(state, place)
        artifact.fill(network, network_state(state), place, "COLIPRI")
        words = int(network.text_encoder.backbone.config.vocab_size)  # type: ignore[union-attr, arg-type]
        dim = int(network.image_encoder.projector.out_channels)
        return Parts(network, tokenizer_for(vocabulary, words), dim, 1 / network.softmax_temperature.item())

    @torch.inference_mode()
    def encode_scan(
        self,
        scan: Scan,
        masks: OrganMasks,
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScanEmbedding:
        """Embed all organs from one pass of the network, or several where they do not fit one cube of 384 mm.

        Raises
        ------
        EncodingCancelled
            When ``cancelled()`` turns true between two steps.
        UserError
            When the scan is not in Hounsfield units.
        """
        tick = ticker(progress, cancelled)
        tick(0.0)
        check_hounsfield(scan)
        along = self._cubes(scan, masks)
        embedding = self._embedding(scan, masks, self._grid(scan, along, tick), along)
        self._sides(embedding)
        tick(1.0)
        return embedding

    def update_scan(
        self,
        before: ScanEmbedding,
        scan: Scan,
        masks: OrganMasks,
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScanEmbedding | None:
        """Embed the organs of other masks of a scan that was encoded, from the grid that was kept.

        Parameters
        ----------
        before : ScanEmbedding
            Of the same scan, by this encoder.
        scan, masks, progress, cancelled
            As for `encode_scan`, whose answer this is.

        Returns
        -------
        ScanEmbedding or None
            None where no grid was kept (an embedding from the cache) or the organs ask for other cubes: encode the
            scan.

        Raises
        ------
        EncodingCancelled
            When ``cancelled()`` is true at the start.
        """
        kept = getattr(before.dense, "made", before.dense)
        if before.encoder is not self or not isinstance(kept, ColipriGrid) or kept.shape != scan.hu.shape:
            return None
        along = self._cubes(scan, masks)
        if along != kept.cubes:
            return None
        tick = ticker(progress, cancelled)
        tick(0.0)
        embedding = self._embedding(scan, masks, kept.total, along)
        tick(1.0)
        return embedding

    def _cubes(self, scan: Scan, masks: OrganMasks) -> list[list[int]]:
        """First voxels of the cubes along R, A, S."""
        return [cube_starts(*span_of(scan, masks, axis), self.size) for axis in (2, 1, 0)]

    def _grid(self, scan: Scan, along: list[list[int]], tick: Progress) -> Tensor:
        """(dim, R, A, S) of all cubes together, the mean where they overlap."""
        starts = list(product(*along))
        first = [begins[0] for begins in along]
        total = torch.zeros(self.card.dim, *((begins[-1] - begins[0] + self.size) // PATCH for begins in along))
        times = torch.zeros(*total.shape[1:])
        padding = self._padding(scan)
        for number, start in enumerate(starts):
            image = self._image(scan, start, padding).to(self.device)
            tick((number + 0.3) / len(starts) * 0.95)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                grid = self.network.grid(image).float().cpu()
            at = [slice((s - f) // PATCH, (s - f + self.size) // PATCH) for s, f in zip(start, first, strict=True)]
            total[:, *at] += grid
            times[*at] += 1
            tick((number + 1) / len(starts) * 0.95)
        return total / times

    @torch.inference_mode()
    def model_input(
        self, scan: Scan, *, progress: Progress | None = None, cancelled: Cancelled | None = None
    ) -> ModelInput:
        """The resampled scan out of which the cubes are cut that the network sees.

        Raises
        ------
        EncodingCancelled
            When ``cancelled()`` turns true between two steps.
        """
        tick = ticker(progress, cancelled)
        places = [places_along(scan, axis)[0][::-1] for axis in (0, 1, 2)]
        values = sample_linear(scan.hu, places, tick).clamp_(*HU).div_(1000).numpy()
        i, p, left = (float(at[0]) for at in places)
        by_i, by_p, by_l = (SPACING / s for s in scan.spacing)
        name = f"{HU[0]:g} to {HU[1]:g} HU"
        return ModelInput((name,), values[None], (HU[0] / 1000, HU[1] / 1000), (i, p, left), (by_i, by_p, by_l))

    def _padding(self, scan: Scan) -> float:
        """What the package pads with: the smallest value of the resampled scan, in -1..1."""
        return float(np.clip(scan.hu.min(), *HU)) / 1000

    def _image(self, scan: Scan, start: Sequence[int], padding: float) -> Tensor:
        """(1, 1, R, A, S) values in -1..1 of the cube that begins at a voxel of the resampled grid."""
        image = torch.full([self.size] * 3, padding)
        inside, places = [], []
        for axis, begin in zip((2, 1, 0), start, strict=True):
            at, count = places_along(scan, axis)
            low, high = max(begin, 0), min(begin + self.size, count)
            inside.append(slice(low - begin, max(low, high) - begin))
            places.append(at[low:high])
        if all(len(at) for at in places):
            piece = sample_linear(scan.hu, places[::-1]).permute(2, 1, 0)
            image[tuple(inside)] = piece.clamp(*HU) / 1000
        return image[None, None]

    def _embedding(self, scan: Scan, masks: OrganMasks, grid: Tensor, cubes: list[list[int]]) -> ScanEmbedding:
        known = known_organs(masks)
        first = [begins[0] for begins in cubes]
        labels = labels_on_grid(scan, masks, first, [n * PATCH for n in grid.shape[1:]])
        cells = [n // PATCH for n in labels.shape]
        cell = np.ravel_multi_index(
            np.meshgrid(*(np.arange(n) // PATCH for n in labels.shape), indexing="ij", sparse=True), cells
        )
        pair = labels.astype(np.int64) * int(np.prod(cells)) + cell
        counts = np.bincount(pair.ravel(), minlength=256 * int(np.prod(cells))).reshape(256, -1)
        flat = grid.reshape(grid.shape[0], -1).numpy()
        rows, status = [], []
        for label, name in masks.names.items():
            weights = counts[label].astype(np.float32)
            vector = flat @ weights
            length = float(np.linalg.norm(vector))
            rows.append(vector / length if label in known and length > 0 else np.zeros(len(flat), np.float32))
            seen = weights.sum() * SPACING**3 / 1000 >= SMALLEST_ML
            status.append(organ_status(masks, name, known=label in known, seen=bool(seen)))
        matrix = np.stack(rows).astype(np.float32) if rows else np.zeros((0, len(flat)), np.float32)
        # R, A, S to I, P, L turns all three axes around, and their order
        flipped = np.arange(counts.shape[1]).reshape(cells).transpose(2, 1, 0)[::-1, ::-1, ::-1].ravel()
        reached = {name: np.flatnonzero(counts[label][flipped]) for label, name in masks.names.items()}
        dense = dense_grid(scan, grid, cubes, reached)
        return ScanEmbedding(tuple(masks.names.values()), matrix, tuple(status), self, dense)

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, dim) unit vectors."""
        return self.network.texts(*hidden_states(self.network.text_encoder.backbone, self.tokenizer, texts, MAX_TOKENS))
