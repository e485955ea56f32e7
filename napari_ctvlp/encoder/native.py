"""The project's own encoder: vision tower, sentence encoder and one linear map between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.scan.types import OrganMasks, Scan

from . import artifact
from .contract import (
    Calibration,
    Cancelled,
    EncoderCard,
    EncodingCancelled,
    FloatArray,
    ModelInput,
    OrganStatus,
    Progress,
    ScanEmbedding,
    ticker,
)
from .dense import NativeDense
from .known_texts import KnownTexts
from .native_files import NativeParts, read_folder, write_folder
from .native_model import NativeModel, Provenance
from .preprocess import VERSION, NetworkInput, grown, network_input, resample_hu, resample_labels, windowed
from .text import TextTower
from .tokens import OrganIndex

SMALLEST_ML = 0.15
"""Organs smaller than this on the network's grid are "too small": five voxels of 3 mm."""


def _labels(masks: OrganMasks) -> dict[str, int]:
    return {organ: label for label, organ in masks.names.items()}


class NativeEncoder:
    """A :class:`~napari_ctvlp.encoder.contract.ScanEncoder` of this project's own making.

    Parameters
    ----------
    model : NativeModel
        The trained part.
    text : TextTower
        The sentence encoder it was trained with.
    provenance : Provenance
        What made it.
    calibration : Calibration, optional
        Scores to probabilities.
    device : str, optional
        Where it runs; a GPU when there is one.
    known : KnownTexts, optional
        Sentence vectors that are carried along.
    """

    def __init__(
        self,
        model: NativeModel,
        text: TextTower,
        provenance: Provenance,
        calibration: Calibration | None = None,
        device: str | None = None,
        known: KnownTexts | None = None,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.eval().requires_grad_(False).to(self.device)
        self.text = text.to(self.device)
        self.known = known or KnownTexts(self.text)
        self.provenance = provenance
        self.calibration = calibration or Calibration()
        self.logit_scale = float(model.log_scale.exp())
        config = model.vision.config
        self.card = EncoderCard(
            name=provenance.name,
            revision=artifact.digest(model.state_dict()),
            licence=provenance.licence,
            trained_on=provenance.trained_on,
            summary=provenance.summary,
            organs=provenance.organs,
            abnormalities=provenance.abnormalities,
            spacing_mm=config.spacing,
            hu_windows=config.windows,
            dim=config.dim,
            max_text_tokens=text.max_tokens,
            preprocessing=VERSION,
            validated=provenance.validated,
        )

    @torch.inference_mode()
    def encode_scan(
        self,
        scan: Scan,
        masks: OrganMasks,
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScanEmbedding:
        """Embed all organs of a scan in one pass.

        Organs that vanish on the network's grid keep their place with a zero vector and status "too small".

        Raises
        ------
        EncodingCancelled
            When ``cancelled()`` turns true between two steps.
        """
        tick = ticker(progress, cancelled)
        dense, index = self._places(scan, masks, tick)
        vectors = self.model.vision.pool(dense.maps, index).cpu().numpy()
        tick(1.0)
        rows = {int(label): vector for label, vector in zip(index.label, vectors, strict=True)}
        return self._embedding(masks, rows, dense)

    @torch.inference_mode()
    def dense_again(self, scan: Scan, masks: OrganMasks, kept: Mapping[str, NDArray[Any]]) -> NativeDense:
        """The dense embedding that `encode_scan` gives, without the organs.

        Parameters
        ----------
        scan, masks
            As for `encode_scan`.
        kept : mapping of str to array
            What ``kept`` of that embedding gave, of the same scan, whatever the masks; empty where nothing was kept.
        """
        hu = kept.get("hu")
        return self._places(scan, masks, lambda _: None, None if hu is None else torch.from_numpy(hu))[0]

    def _places(
        self, scan: Scan, masks: OrganMasks, tick: Progress, resampled: Tensor | None = None
    ) -> tuple[NativeDense, OrganIndex]:
        """What the network makes of a scan, and where its organs are in that."""
        tick(0.0)
        tower = self.model.vision
        given = network_input(
            scan.hu,
            masks.labels,
            scan.spacing,
            target=tower.config.spacing,
            windows=tower.config.windows,
            tick=lambda part: tick(0.4 * part),
            resampled=resampled,
        )
        x = given.image.to(self.device)
        index = tower.index(given.labels.to(self.device), x)
        tick(0.45)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            maps = tower.features(x, lambda part: tick(0.5 + 0.4 * part))
        return NativeDense(tower, maps, index, given, _labels(masks), scan.hu.shape), index

    @torch.inference_mode()
    def update_scan(
        self,
        before: ScanEmbedding,
        scan: Scan,
        masks: OrganMasks,
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScanEmbedding | None:
        """Embed the organs of other masks of a scan that was encoded, from the feature maps that were kept.

        Organs whose voxels on the network's grid are what they were keep their vectors; the others are pooled again.

        Parameters
        ----------
        before : ScanEmbedding
            Of the same scan, by this encoder.
        scan, masks, progress, cancelled
            As for `encode_scan`, whose answer this is.

        Returns
        -------
        ScanEmbedding or None
            None where no feature maps were kept (an embedding from the cache): encode the scan.
        """
        kept = getattr(before.dense, "made", before.dense)
        if before.encoder is not self or not isinstance(kept, NativeDense) or kept.shape != scan.hu.shape:
            return None
        tower = self.model.vision
        labels = grown(resample_labels(masks.labels, scan.spacing, tower.config.spacing)[None])
        given = NetworkInput(kept.given.image, labels)
        index = tower.index(labels.to(self.device), given.image.to(self.device))
        if cancelled is not None and cancelled():
            raise EncodingCancelled
        old = kept.given.labels
        differ = old != labels
        changed = {int(n) for n in torch.cat([old[differ], labels[differ]]).unique()}
        known = dict(zip(before.organs, before.vectors, strict=True))
        vectors = {label: known[organ] for organ, label in kept.labels.items() if label not in changed}
        again = [row for row, label in enumerate(index.label.tolist()) if label not in vectors]
        if again:
            some = index.only(torch.tensor(again, device=index.label.device))
            pooled = tower.pool(kept.maps, some).cpu().numpy()
            vectors |= {int(label): vector for label, vector in zip(some.label, pooled, strict=True)}
        if progress is not None:
            progress(1.0)
        there = {label: vectors[label] for label in index.label.tolist()}
        dense = NativeDense(tower, kept.maps, index, given, _labels(masks), scan.hu.shape)
        return self._embedding(masks, there, dense)

    def _embedding(self, masks: OrganMasks, rows: Mapping[int, FloatArray], dense: NativeDense) -> ScanEmbedding:
        """The organs in the order of the masks, from the vectors of those that the network saw."""
        voxel_ml = self.model.vision.config.spacing**3 / 1000
        names, stacked, status = [], [], []
        for label, organ in masks.names.items():
            row = rows.get(label)
            names.append(organ)
            stacked.append(np.zeros(self.card.dim, np.float32) if row is None else row)
            statistics = masks.statistics.get(organ)
            volume = statistics.volume_ml if statistics else (0.0 if row is None else voxel_ml)
            if row is None or volume < SMALLEST_ML:
                status.append(OrganStatus.TOO_SMALL)
            elif organ not in self.card.organs:
                status.append(OrganStatus.UNKNOWN)
            elif statistics is not None and statistics.touches_edge:
                status.append(OrganStatus.CUT)
            else:
                status.append(OrganStatus.COMPLETE)
        matrix = np.stack(stacked) if stacked else np.zeros((0, self.card.dim), np.float32)
        return ScanEmbedding(tuple(names), matrix.astype(np.float32), tuple(status), self, dense)

    @torch.inference_mode()
    def model_input(
        self, scan: Scan, *, progress: Progress | None = None, cancelled: Cancelled | None = None
    ) -> ModelInput:
        """The image that `encode_scan` hands to the vision tower.

        Raises
        ------
        EncodingCancelled
            When ``cancelled()`` turns true between two steps.
        """
        tick = ticker(progress, cancelled)
        config = self.model.vision.config
        values = windowed(resample_hu(scan.hu, scan.spacing, config.spacing, tick=tick), config.windows).numpy()
        i, p, left = (n / out for n, out in zip(scan.hu.shape, values.shape[1:], strict=True))
        names = tuple(f"{low:g} to {high:g} HU" for low, high in config.windows)
        start = ((i - 1) / 2, (p - 1) / 2, (left - 1) / 2)  # the grids share their edges
        return ModelInput(names, values, (-1.0, 1.0), start, (i, p, left))

    @torch.inference_mode()
    def encode_text_meaning(self, texts: Sequence[str]) -> FloatArray:
        """(n, width) unit vectors of the sentence encoder alone."""
        return np.asarray(self.known(texts).numpy(), np.float32)

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """(n, dim) unit vectors in the space of the organs."""
        sentences = self.known(texts).to(self.device)
        return np.asarray(self.model.project_text(sentences).cpu().numpy(), np.float32)

    def remember(self, texts: Sequence[str]) -> None:
        """Carry the sentence vectors of these texts along, in this object and in what it saves."""
        self.known = KnownTexts(self.text, texts)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the encoder as a folder, whole or not at all.

        Parameters
        ----------
        folder : path
            Replaced when it exists.
        """

        parts = NativeParts(self.model, self.text, self.provenance, self.calibration, self.known)
        write_folder(Path(folder), parts, self.card)

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, device: str | None = None) -> NativeEncoder:
        """Load an encoder from a folder; nothing is downloaded and no pickle is read.

        Raises
        ------
        UserError
            When the folder is no encoder of this project or is damaged.
        """
        parts = read_folder(Path(folder))
        return cls(parts.model, parts.text, parts.provenance, parts.calibration, device, parts.known)
