"""What every encoder is to the rest of the project, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.scan.types import OrganMasks, Scan

FloatArray = NDArray[np.float32]
Progress = Callable[[float], None]
Cancelled = Callable[[], bool]


class OrganStatus(StrEnum):
    """Whether an organ's embedding can be trusted, in the words the window shows."""

    COMPLETE = "complete"
    CUT = "cut by field of view"
    TOO_SMALL = "too small"
    UNKNOWN = "unknown to this encoder"
    OUTSIDE = "outside of what this encoder sees"


BLIND = (OrganStatus.TOO_SMALL, OrganStatus.UNKNOWN, OrganStatus.OUTSIDE)
"""States of an organ whose vector says nothing."""


class EncodingCancelled(Exception):
    """Raised by ``encode_scan`` when ``cancelled()`` became true."""


@dataclass(frozen=True)
class EncoderCard:
    """What an encoder is: shown in the window, written into every export.

    Attributes
    ----------
    name, revision, licence, trained_on, summary : str
        ``revision`` changes whenever the weights do (a digest of them).
    organs : tuple of str
        TotalSegmentator v2 names it was trained on.
    abnormalities : tuple of str
        "organ/abnormality" keys of the dictionary it was trained on; others are unknown to it.
    spacing_mm : float
        Isotropic voxel size that a scan is resampled to.
    hu_windows : tuple of (low, high)
        HU ranges, one input channel each.
    dim : int
        Length of an embedding.
    max_text_tokens : int
        Longer texts are cut there.
    preprocessing : str
        Version of the way from a scan to the network's input.
    validated : mapping of str to float
        AUC of each abnormality on the encoder's own validation scans, where it tells any.
    """

    name: str
    revision: str
    licence: str
    trained_on: str
    summary: str
    organs: tuple[str, ...]
    abnormalities: tuple[str, ...]
    spacing_mm: float
    hu_windows: tuple[tuple[float, float], ...]
    dim: int
    max_text_tokens: int
    preprocessing: str = ""
    validated: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Calibration:
    """Map from a score to a probability, per "organ/abnormality" key: ``sigmoid(slope * score + offset)`` (Platt 1999).

    ``default`` serves keys without a line of their own. Fitted on validation scans, never on what is reported. ``note``
    says why one that is there is not used.
    """

    default: tuple[float, float] = (1.0, 0.0)
    by_key: dict[str, tuple[float, float]] = field(default_factory=dict)
    note: str = field(default="", compare=False)

    @property
    def fitted(self) -> bool:
        """Whether it was fitted on any scans; else probabilities are the model's own."""
        return self != Calibration()

    def probability(self, key: str, score: float) -> float:
        """Calibrated probability in 0..1 for a score in logits."""
        slope, offset = self.by_key.get(key, self.default)
        return float(1.0 / (1.0 + np.exp(-np.clip(slope * score + offset, -30, 30))))


@dataclass(frozen=True, eq=False)
class Judged:
    """How much every place of an organ shows one abnormality, by an encoder that judges places themselves.

    Attributes
    ----------
    places : (n, 3) float64
        Middle of each place as a voxel index (I, P, L) of the scan.
    values : (n,) float32
        Logits.
    size : (3,) float64
        Voxels of the scan from one place to the next, along I, P, L.
    """

    places: NDArray[np.float64]
    values: FloatArray
    size: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Embeddings of places in one organ.

    Attributes
    ----------
    places : (n, 3) float64
        Middle of each cell as a voxel index (I, P, L) of the scan.
    vectors : (n, d) float32
        Unit length, in the space of the text.
    size : (3,) float64
        Voxels of the scan from one cell to the next, along I, P, L.
    """

    places: NDArray[np.float64]
    vectors: FloatArray
    size: NDArray[np.float64]


def ticker(progress: Progress | None, cancelled: Cancelled | None) -> Progress:
    """A function that reports a fraction done and raises `EncodingCancelled` where that was asked for."""

    def tick(done: float) -> None:
        if cancelled is not None and cancelled():
            raise EncodingCancelled
        if progress is not None:
            progress(done)

    return tick


@dataclass(frozen=True, eq=False)
class ModelInput:
    """What an encoder's network is fed of a scan: resampled, windowed, perhaps cropped or padded.

    Attributes
    ----------
    channels : tuple of str
        What each channel is, in a few words ("-160 to 240 HU").
    values : (channels, I, P, L) float32
        As the network gets them.
    limits : (low, high)
        The least and the largest value there can be.
    start : tuple of float
        Middle of the first voxel as a voxel index (I, P, L) of the scan.
    step : tuple of float
        Voxels of the scan from one voxel to the next, along I, P, L.
    """

    channels: tuple[str, ...]
    values: FloatArray
    limits: tuple[float, float]
    start: tuple[float, float, float]
    step: tuple[float, float, float]


class Dense(Protocol):
    """Embeddings of places rather than organs.

    One that also judges places by abnormalities may have a method ``judged(organ, abnormality)``, which gives a
    `Judged`, or None for what it does not judge by: it tells better where a finding is than embeddings do. One that is
    made when first asked for has ``made``, which is None until then. One that is quicker to make from something small
    may have ``kept``, a mapping of names to arrays: the encoder's ``dense_again`` gets it back in a later session. One
    that makes the places of several organs in less time than one after the other may have ``ready(organs)``.
    """

    def cells(self, organ: str) -> Cells:
        """The places of an organ, none where it is not in the masks; may take a moment when first asked for."""
        ...


@dataclass(frozen=True, eq=False)
class ScanEmbedding:
    """The organs of one scan in the space of the text.

    Attributes
    ----------
    organs : tuple of str
        In the order of ``vectors``.
    vectors : (n_organs, d) float32
        Unit length.
    status : tuple of OrganStatus
        One per organ.
    encoder : ScanEncoder
        What made it; gives the text side of every question.
    dense : Dense or None
        Embeddings of places, where the encoder gives them.
    groups : mapping of str to tuple of str
        Names under which the encoder sees several organs as one ("lung", with the lobes), for findings that it scores
        once for all of them; each of the organs holds the vector of the whole.
    """

    organs: tuple[str, ...]
    vectors: FloatArray
    status: tuple[OrganStatus, ...]
    encoder: ScanEncoder
    dense: Dense | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@runtime_checkable
class ScanEncoder(Protocol):
    """An encoder of scans and of text into one space.

    One that can show what it is fed may also have a method ``model_input(scan, *, progress=None, cancelled=None)`` that
    gives a `ModelInput`. One that was trained on wordings of its own may also have a ``dictionary``, a tuple of
    `napari_ctvlp.anatomy.dictionary.Abnormality`: its entries take the place of the built-in ones of the same key. One
    that can do with less work what it did for other masks of the same scan may have ``update_scan(before, scan, masks,
    *, progress, cancelled)``, which takes an embedding of its own and gives one, or None where it cannot. One that can
    make embeddings of places alone may have ``dense_again(scan, masks, kept)``.
    """

    card: EncoderCard
    calibration: Calibration
    logit_scale: float
    """Factor from a difference of cosines to a score in logits."""

    def encode_scan(
        self,
        scan: Scan,
        masks: OrganMasks,
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScanEmbedding:
        """Embed all organs of ``masks`` in one pass; ``progress`` gets 0..1."""
        ...

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts into the space of the scan: (n, d) float32, unit length."""
        ...

    def encode_text_meaning(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts by meaning alone, before the projection: (n, e) float32, unit length.

        Serves name evidence and the question whether a text is far from anything known.
        """
        ...
