"""What published encoders share: the way from files to an encoder, its texts, the checks of sides and of HU."""

from __future__ import annotations

import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from napari_ctvlp.anatomy.dictionary import Abnormality, load_dictionary
from napari_ctvlp.encoder import artifact
from napari_ctvlp.encoder.contract import (
    Calibration,
    Cancelled,
    EncoderCard,
    FloatArray,
    OrganStatus,
    Progress,
    ScanEmbedding,
)
from napari_ctvlp.encoder.registry import EncoderEntry
from napari_ctvlp.encoder.sides import tell_sides
from napari_ctvlp.encoder.text import TextTower, base_text_folder
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import geometry
from napari_ctvlp.scan.audit import rescale_suspicion
from napari_ctvlp.scan.types import OrganMasks, Scan

from .bert import batches, pick_device
from .checkpoint import State, read_state
from .remembered import RememberedTexts

Network = TypeVar("Network", bound=nn.Module)

SMALLEST_ML = 0.15
"""Organs smaller than this are "too small", for any encoder."""


LOST = 0.01
"""Share of an organ beyond what an encoder sees from which it counts as cut; less is a matter of rounding."""


def organ_status(masks: OrganMasks, name: str, *, known: bool, seen: bool, inside: float = 1.0) -> OrganStatus:
    """Whether an organ's embedding can be trusted.

    Parameters
    ----------
    masks : OrganMasks
    name : str
    known : bool
        Whether the encoder is asked for it.
    seen : bool
        Whether enough of it reached the network.
    inside : float
        Share of it that lies in what the encoder takes of the scan.
    """
    statistics = masks.statistics.get(name)
    if not known:
        return OrganStatus.UNKNOWN
    if statistics is not None and statistics.volume_ml < SMALLEST_ML:
        return OrganStatus.TOO_SMALL
    if inside == 0 or (statistics is not None and statistics.volume_ml * inside < SMALLEST_ML):
        return OrganStatus.OUTSIDE
    if not seen:
        return OrganStatus.TOO_SMALL
    cut = inside < 1 - LOST or (statistics is not None and statistics.touches_edge)
    return OrganStatus.CUT if cut else OrganStatus.COMPLETE


class Meaning:
    """Texts by meaning alone, by the sentence model that the package ships, loaded on first use.

    The thresholds of name evidence (`napari_ctvlp.ask.rank`) were chosen with it, so that they hold for every encoder.
    """

    def __init__(self) -> None:
        self._tower: TextTower | None = None

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """(n, 384) float32 unit vectors."""
        if self._tower is None:
            self._tower = TextTower.from_folder(base_text_folder())
        return np.asarray(self._tower(list(texts)).numpy(), np.float32)


class SideCheck:
    """Compares left and right texts with the organs of the first scan that has pairs; warns where they look swapped."""

    def __init__(self) -> None:
        self._done = False

    def __call__(self, embedding: ScanEmbedding) -> None:
        """Look at one embedding; does nothing once a scan was compared."""
        if self._done:
            return
        sides = tell_sides(embedding)
        self._done = sides is not None
        if sides is not None and sides.swapped:
            warnings.warn(
                f"{embedding.encoder.card.name} takes left for right in {sides.pairs - sides.right} of {sides.pairs} "
                "pairs of organs of this scan: its weights may expect another orientation.",
                stacklevel=3,
            )


def check_hounsfield(scan: Scan) -> None:
    """Refuse a scan whose rescaling looks wrong: a published encoder would answer all the same.

    Raises
    ------
    UserError
        Saying what is suspected.
    """
    low, high = float(scan.hu.min()), float(scan.hu.max())
    suspicion = rescale_suspicion(geometry.sparse(scan.hu), low, high)
    if suspicion:
        raise UserError(f"{scan.name}: {suspicion}; this encoder needs Hounsfield units, so correct the file first.")


@dataclass(frozen=True)
class Parts(Generic[Network]):
    """What the files of an encoder hold: a network filled with the weights, and what is read off it.

    ``dim`` is the length of an embedding, ``logit_scale`` the factor from a difference of cosines to logits.
    """

    network: Network
    tokenizer: Any
    dim: int
    logit_scale: float


class PublishedEncoder(ABC, Generic[Network]):
    """A :class:`~napari_ctvlp.encoder.contract.ScanEncoder` of weights that others have published.

    A subclass says what it is, builds its network, and knows the way from a scan and from texts to vectors.

    Parameters
    ----------
    state : dict of str to Tensor
        The checkpoint; every name and shape is checked.
    vocabulary : Path
        What its tokenizer is made of: `vocabulary`, in its folder.
    calibration : Calibration, optional
        Scores to probabilities; without one they are the model's own softmax of two prompts.
    device : str, optional
        A GPU when there is one.
    place : str
        What to call the checkpoint in messages.
    keep : Path, optional
        Folder in which embedded texts are kept.

    Raises
    ------
    UserError
        Naming the first missing, unexpected or misshapen tensor, or what is wrong with the vocabulary.
    """

    entry: ClassVar[EncoderEntry]
    organs: ClassVar[tuple[str, ...]]
    spacing_mm: ClassVar[float]
    hu: ClassVar[tuple[float, float]]
    max_text_tokens: ClassVar[int]
    preprocessing: ClassVar[str]
    weights: ClassVar[tuple[str, ...]] = ("model.safetensors",)
    """Names that the checkpoint may have in its folder; the first one that is there is read."""
    vocabulary: ClassVar[str] = "vocab.txt"
    texts_at_once: ClassVar[int] = 64

    def __init__(
        self,
        state: State,
        vocabulary: Path,
        calibration: Calibration | None = None,
        device: str | None = None,
        place: str = "the checkpoint",
        keep: Path | None = None,
    ) -> None:
        parts = self.build(state, vocabulary, place)
        self.device = pick_device(device)
        self.network: Network = parts.network.eval().requires_grad_(False).to(self.device)
        self.tokenizer = parts.tokenizer
        self.logit_scale = parts.logit_scale
        self.calibration = calibration or Calibration()
        self.encode_text_meaning = Meaning()
        self.card = EncoderCard(
            name=self.entry.name,
            revision=artifact.digest(self.network.state_dict()),
            licence=self.entry.licence,
            trained_on=self.entry.trained_on,
            summary=self.entry.summary,
            organs=self.organs,
            abnormalities=tuple(entry.pair_key(organ) for entry, organ in self.findings()),
            spacing_mm=self.spacing_mm,
            hu_windows=(self.hu,),
            dim=parts.dim,
            max_text_tokens=self.max_text_tokens,
            preprocessing=self.preprocessing,
        )
        self._sides = SideCheck()
        words = hashlib.sha256(b"".join(path.read_bytes() for path in self.vocabulary_files(vocabulary))).hexdigest()
        self._texts = RememberedTexts(self._embed, parts.dim, f"{self.card.revision} {words[:12]}", keep)

    @classmethod
    def from_folder(cls, folder: str | Path, *, device: str | None = None) -> Self:
        """Load from a folder with a checkpoint, its vocabulary, and perhaps ``calibration.json``."""
        place = Path(folder)
        path = next((place / name for name in cls.weights if (place / name).is_file()), place / cls.weights[-1])
        told = f"'{path.name}' in '{place.name}'"
        name = cls.entry.name
        advice = (
            f"It is not what {name}'s makers published: delete it and download it again, napari-ctvlp install {name}"
        )
        encoder = cls(read_state(path, advice=advice), place / cls.vocabulary, None, device, told, place)
        encoder.calibration = artifact.read_calibration(place, encoder.card.revision)
        return encoder

    @classmethod
    def vocabulary_files(cls, vocabulary: Path) -> tuple[Path, ...]:
        """What decides how a text becomes tokens."""
        return (vocabulary,)

    @abstractmethod
    def build(self, state: State, vocabulary: Path, place: str) -> Parts[Network]:
        """Network and tokenizer, as the constructor takes and raises it."""

    @abstractmethod
    def encode_scan(
        self,
        scan: Scan,
        masks: OrganMasks,
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScanEmbedding:
        """Embed the organs that it knows, as in the contract."""

    @abstractmethod
    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, dim) unit vectors of at most `texts_at_once` texts, by the network."""

    def findings(self) -> list[tuple[Abnormality, str]]:
        """What the card names, each with the organ it is asked of: the dictionary's findings of `organs`."""
        return [(entry, organ) for entry in load_dictionary() for organ in entry.organs if organ in self.organs]

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """(n, dim) unit vectors; texts longer than ``card.max_text_tokens`` are cut."""
        return self._texts(texts)

    @torch.inference_mode()
    def _embed(self, texts: Sequence[str]) -> FloatArray:
        parts = [self.text_vectors(part) for part in batches(texts, self.texts_at_once)]
        return np.asarray(torch.cat(parts).cpu().numpy(), np.float32)
