"""Merlin behind the contract: organs of an abdomen by masked crops.

Our own code after the names, shapes and preprocessing of the MIT-licensed package ``merlin-vlm``, which is not needed
here: nothing is written into site-packages, and no weights of a 2D ResNet are fetched.

Merlin was trained on whole volumes and has one vector for each. The vector of an organ here is that of the volume in
which the organ was kept and all else is background, which Merlin never saw in training: answers by organ are an
extension of ours, and the card says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.anatomy.organs import GROUPS
from napari_ctvlp.encoder import artifact
from napari_ctvlp.encoder.contract import (
    Cancelled,
    FloatArray,
    ModelInput,
    Progress,
    ScanEmbedding,
    ticker,
)
from napari_ctvlp.scan.types import OrganMasks, Scan

from .base import Parts, PublishedEncoder, check_hounsfield, organ_status
from .checkpoint import State
from .entries import MERLIN
from .longformer import longformer_tokenizer
from .merlin_masks import masked, share_within
from .merlin_network import MerlinNetwork, network_state
from .sampling import sample_linear, sample_nearest

SPACING = (1.5, 1.5, 3.0)
"""mm along R, A, S."""
HU = (-1000.0, 1000.0)
SHAPE = (224, 224, 160)
MAX_TOKENS = 1024
SEEN: tuple[str, ...] = (
    "liver", "spleen", "kidney_left", "kidney_right", "gallbladder", "pancreas", "stomach", "duodenum", "small_bowel",
    "colon", "adrenal_gland_left", "adrenal_gland_right", "urinary_bladder", "prostate", "aorta", "inferior_vena_cava",
    "portal_vein_and_splenic_vein", "esophagus", "heart", "sacrum", *GROUPS["lumbar spine"], *GROUPS["iliac vessels"],
    "hip_left", "hip_right", "femur_left", "femur_right", "iliopsoas_left", "iliopsoas_right",
    "lung_lower_lobe_left", "lung_lower_lobe_right",
)  # fmt: skip
"""Organs that reports of abdominal CT speak of."""
_WORDS = re.compile(r"\w+|[^\w\s]+")


@dataclass(frozen=True, eq=False)
class _Masked:
    """The masks that an embedding was made of: (R, A, S) on the network's grid, and the shape that they came in."""

    labels: NDArray[np.uint8]
    names: dict[int, str]
    stored_shape: tuple[int, ...]


class MerlinEncoder(PublishedEncoder[MerlinNetwork]):
    """A :class:`~napari_ctvlp.encoder.contract.ScanEncoder` of Merlin's weights, its checkpoint for image and text.

    ``shape`` is the voxels along R, A, S; another one than that of training serves tests.
    """

    entry = MERLIN
    organs = SEEN
    spacing_mm = SPACING[0]
    hu = HU
    max_text_tokens = MAX_TOKENS
    preprocessing = "merlin 2"
    weights = ("model.safetensors", "merlin.pt")
    vocabulary = ""  # the folder itself, of two files
    texts_at_once = 32
    shape: tuple[int, int, int] = SHAPE

    @cached_property
    def _masked(self) -> WeakKeyDictionary[ScanEmbedding, _Masked]:
        """What each embedding that is still in use was made of."""
        return WeakKeyDictionary()

    def build(self, state: State, vocabulary: Path, place: str) -> Parts[MerlinNetwork]:
        """As large as the tensors say, with the tokenizer of Clinical-Longformer."""
        network = MerlinNetwork.for_state(state, place)
        artifact.fill(network, network_state(state), place, "Merlin")
        words = int(network.encode_text.text_encoder.config.vocab_size)  # type: ignore[union-attr, arg-type]
        dim = int(network.encode_image.i3_resnet.contrastive_head.out_channels)
        return Parts(
            network, longformer_tokenizer(vocabulary, words), dim, network.logit_scale.exp().clamp(max=100).item()
        )

    @classmethod
    def vocabulary_files(cls, vocabulary: Path) -> tuple[Path, ...]:
        """Words, and how they are put together."""
        return (vocabulary / "vocab.json", vocabulary / "merges.txt")

    @cached_property
    def batch(self) -> int:
        """Organs that go through the network together; may be set."""
        return 8 if self.device.type == "cuda" else 2

    @torch.inference_mode()
    def encode_scan(
        self,
        scan: Scan,
        masks: OrganMasks,
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScanEmbedding:
        """Embed the organs that Merlin knows, several masked volumes at a time.

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
        return self._encode(scan, masks, self._labels(scan, masks), {}, tick)

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
        """Embed the organs of other masks of a scan that was encoded: only those whose voxels are other ones.

        Parameters
        ----------
        before : ScanEmbedding
            Of the same scan, by this encoder.
        scan, masks, progress, cancelled
            As for `encode_scan`, whose answer this is.

        Returns
        -------
        ScanEmbedding or None
            None where it is not known what the masks were (an embedding from the cache): encode the scan.

        Raises
        ------
        EncodingCancelled
            When ``cancelled()`` turns true between two steps.
        """
        kept = self._masked.get(before)
        if kept is None or kept.stored_shape != masks.labels.shape:
            return None
        tick = ticker(progress, cancelled)
        tick(0.0)
        labels = self._labels(scan, masks)
        differ = kept.labels != labels
        changed = set(np.unique(np.concatenate([kept.labels[differ], labels[differ]])).tolist())
        known = {
            label: before.vectors[row]
            for row, (label, name) in enumerate(kept.names.items())
            if label not in changed and masks.names.get(label) == name
        }
        return self._encode(scan, masks, labels, known, tick)

    def _encode(
        self, scan: Scan, masks: OrganMasks, labels: NDArray[np.uint8], known: dict[int, FloatArray], tick: Progress
    ) -> ScanEmbedding:
        """``known`` are vectors by label that need not be made again."""
        present = set(np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist())
        seen = [n for n, name in masks.names.items() if name in SEEN and n in present]
        vectors = {label: known[label] for label in seen if label in known}
        wanted = [label for label in seen if label not in known]
        volume = self.volume(scan) if wanted else torch.empty(0)
        for start in range(0, len(wanted), self.batch):
            tick(0.05 + 0.9 * start / len(wanted))
            part = wanted[start : start + self.batch]
            crops = torch.stack([masked(volume, labels, label) for label in part])[:, None].to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                rows = self.network.images(crops).float().cpu().numpy()
            vectors |= dict(zip(part, rows, strict=True))
        nothing = np.zeros(self.card.dim, np.float32)
        matrix = [vectors.get(label, nothing) for label in masks.names]
        inside = self._inside(scan, masks)
        status = [
            organ_status(masks, name, known=name in SEEN, seen=label in vectors, inside=inside[label])
            for label, name in masks.names.items()
        ]
        stacked = np.stack(matrix) if matrix else np.zeros((0, self.card.dim), np.float32)
        embedding = ScanEmbedding(tuple(masks.names.values()), stacked, tuple(status), self)
        self._masked[embedding] = _Masked(labels, dict(masks.names), masks.labels.shape)
        self._sides(embedding)
        tick(1.0)
        return embedding

    @torch.inference_mode()
    def encode_volume(self, scan: Scan) -> FloatArray:
        """(dim,) unit vector of the whole scan, as the package gives it."""
        image = self.volume(scan)[None, None].to(self.device)
        return np.asarray(self.network.images(image).float().cpu().numpy()[0], np.float32)

    def model_input(
        self, scan: Scan, *, progress: Progress | None = None, cancelled: Cancelled | None = None
    ) -> ModelInput:
        """The whole volume before it is masked to one organ after the other, turned to I, P, L.

        Raises
        ------
        EncodingCancelled
            When ``cancelled()`` is true at the start.
        """
        tick = ticker(progress, cancelled)
        tick(0.0)
        values = np.ascontiguousarray(self.volume(scan).numpy().transpose(2, 1, 0)[::-1, ::-1, ::-1])
        inside, places = self._places(scan)
        starts, steps = [], []
        for axis, size in zip((2, 1, 0), reversed(self.shape), strict=True):  # I, P, L
            steps.append(SPACING[axis] / scan.spacing[2 - axis])
            starts.append(float(places[axis][0]) - (size - 1 - inside[axis].start) * steps[-1])
        tick(1.0)
        (i, p, left), (by_i, by_p, by_l) = starts, steps
        name = f"{HU[0]:g} to {HU[1]:g} HU"
        return ModelInput((name,), values[None], (0.0, 1.0), (i, p, left), (by_i, by_p, by_l))

    def volume(self, scan: Scan) -> Tensor:
        """(R, A, S) values in 0..1: resampled, windowed, padded with 0 or cropped in the middle to its shape."""
        image = torch.zeros(self.shape)
        inside, places = self._places(scan)
        piece = sample_linear(scan.hu, places[::-1]).permute(2, 1, 0)
        image[inside] = ((piece - HU[0]) / (HU[1] - HU[0])).clamp(0, 1)
        return image

    def _labels(self, scan: Scan, masks: OrganMasks) -> NDArray[np.uint8]:
        out = np.zeros(self.shape, np.uint8)
        inside, places = self._places(scan)
        out[inside] = sample_nearest(masks.labels, places[::-1]).transpose(2, 1, 0)
        return out

    def _inside(self, scan: Scan, masks: OrganMasks) -> dict[int, float]:
        """Share of each label that the crop to its shape leaves.

        Counted on the scan's own voxels, among those that a voxel of the crop reaches: on the network's grid a small
        organ would gain or lose by rounding.
        """
        _, places = self._places(scan)
        kept = []
        for axis in (2, 1, 0):  # I, P, L
            half = SPACING[axis] / scan.spacing[2 - axis] / 2 + 1e-6
            low, high = float(places[axis].min()) - half, float(places[axis].max()) + half
            kept.append((max(0, int(np.ceil(low))), int(np.floor(high)) + 1))
        return {label: share_within(masks, label, kept) for label in masks.names}

    def _places(self, scan: Scan) -> tuple[tuple[slice, ...], list[NDArray[np.float64]]]:
        """Where along R, A, S the scan lies in the volume, and the index along L, P, I of each of those voxels.

        The grids share their first voxel (MONAI's ``Spacing``), of which R, A and S count upwards.
        """
        inside, places = [], []
        for axis, step, size in zip((2, 1, 0), SPACING, self.shape, strict=True):
            count = max(1, round((scan.hu.shape[axis] - 1) * scan.spacing[axis] / step + 1))
            before, first = max(0, size - count) // 2, max(0, count // 2 - size // 2)
            taken = np.arange(first, first + min(size, count))
            inside.append(slice(before, before + len(taken)))
            places.append(scan.hu.shape[axis] - 1 - taken * step / scan.spacing[axis])
        return tuple(inside), places

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, dim) unit vectors."""
        return self.network.texts(self._tokens(texts))

    def _tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        clean = [" ".join(_WORDS.findall(text.lower())) for text in texts]
        given = self.tokenizer(clean, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        return {key: given[key].to(self.device) for key in ("input_ids", "attention_mask")}
