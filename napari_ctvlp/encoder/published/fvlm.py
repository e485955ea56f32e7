"""fVLM behind the contract: lung, heart, esophagus and aorta of a chest CT, sixteen findings with its own prompts.

Independent of the released code: from its shapes, names and preprocessing. Its weights belong to their authors, who
state no licence; the user brings the checkpoint.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.anatomy.organs import GROUPS
from napari_ctvlp.encoder import artifact
from napari_ctvlp.encoder.contract import (
    Cancelled,
    Cells,
    FloatArray,
    ModelInput,
    OrganStatus,
    Progress,
    ScanEmbedding,
    ticker,
)
from napari_ctvlp.encoder.published.fvlm_items import items
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.types import OrganMasks, OrganStatistics, Scan

from . import fvlm_windows as windows
from .base import SMALLEST_ML, Parts, PublishedEncoder, check_hounsfield
from .bert import hidden_states, tokenizer_for
from .checkpoint import State, read_state
from .entries import FVLM
from .fvlm_network import ORGANS, FvlmNetwork, network_state
from .fvlm_places import FvlmPlaces, cells_of

MEMBERS: dict[str, tuple[str, ...]] = {
    "lung": GROUPS["lung"],
    "heart": (*GROUPS["heart"], "atrial_appendage_left"),
    "esophagus": ("esophagus",),
    "aorta": ("aorta",),
}
"""Masks that make up each of its organs."""
THROUGH = ("esophagus", "aorta")
"""Organs that leave every chest scan at its top or bottom, in training too: being cut there takes nothing away."""
MAX_TOKENS = 384


Levels = Mapping[tuple[tuple[int, ...], ...], tuple[Tensor, ...]]
"""Tokens of windows, by what decides their image."""


@dataclass(frozen=True)
class _Kept:
    """The windows of a scan of a shape."""

    levels: Levels
    shape: tuple[int, ...]


class FvlmEncoder(PublishedEncoder[FvlmNetwork]):
    """A :class:`~napari_ctvlp.encoder.contract.ScanEncoder` of fVLM's weights, the checkpoint's ``model``.

    ``passes`` is how many windows the last scan took.
    """

    @cached_property
    def _kept(self) -> WeakKeyDictionary[ScanEmbedding, _Kept]:
        """The windows behind each embedding that is still in use; about 13 MB each at the published size."""
        return WeakKeyDictionary()

    entry = FVLM
    organs = tuple(organ for members in MEMBERS.values() for organ in members)
    spacing_mm = 1.0
    hu = windows.HU
    max_text_tokens = MAX_TOKENS
    preprocessing = "fvlm 2"
    dictionary = items()
    passes = 0

    def build(self, state: State, vocabulary: Path, place: str) -> Parts[FvlmNetwork]:
        """As large as the tensors say, with the WordPiece tokenizer of CXR-BERT."""
        network = _network(state, place)
        words = int(network.text_encoder.config.vocab_size)  # type: ignore[union-attr, arg-type]
        dim = int(network.text_proj.out_features)
        return Parts(network, tokenizer_for(vocabulary, words), dim, 1 / network.temp.item())

    def findings(self) -> list[tuple[Abnormality, str]]:
        """Its own sixteen, each of one of its four organs."""
        return [(entry, organ) for entry in self.dictionary for organ in entry.organs]

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, vocabulary: str | Path, *, device: str | None = None, unpickle: bool = False
    ) -> FvlmEncoder:
        """Load from the ``.pth`` that its authors give out, read with ``weights_only=True`` unless told otherwise."""
        advice = "If you trust its makers, pass unpickle=True."
        state = read_state(Path(path), unpickle=unpickle, advice=advice)
        return cls(state, Path(vocabulary), None, device, f"'{Path(path).name}'")

    @torch.inference_mode()
    def encode_scan(
        self,
        scan: Scan,
        masks: OrganMasks,
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
        shared: bool = True,
    ) -> ScanEmbedding:
        """Embed the four organs, in one pass where their boxes fit one window.

        Parameters
        ----------
        scan, masks, progress, cancelled
            As in the contract.
        shared : bool
            False runs the network once an organ, as the released code does.

        Returns
        -------
        ScanEmbedding
            All organs of ``masks``; those that fVLM does not know hold zeros. The lobes share the vector of the lung.

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
        return self._encode(scan, masks, {}, tick, shared=shared)

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
        """Embed the organs of other masks of a scan that was encoded: windows that stay where they were run no network.

        Parameters
        ----------
        before : ScanEmbedding
            Of the same scan, by this encoder.
        scan, masks, progress, cancelled
            As for `encode_scan`, whose answer this is.

        Returns
        -------
        ScanEmbedding or None
            None where no windows were kept (an embedding from the cache): encode the scan.

        Raises
        ------
        EncodingCancelled
            When ``cancelled()`` turns true between two steps.
        """
        kept = self._kept.get(before)
        if kept is None or kept.shape != scan.hu.shape:
            return None
        tick = ticker(progress, cancelled)
        tick(0.0)
        return self._encode(scan, masks, kept.levels, tick)

    def _encode(
        self, scan: Scan, masks: OrganMasks, known: Levels, tick: Progress, *, shared: bool = True
    ) -> ScanEmbedding:
        """``known`` are the tokens of windows that need not be made again."""
        table = np.zeros(256, np.uint8)
        for label, name in masks.names.items():
            for number, organ in enumerate(ORGANS):
                if name in MEMBERS[organ]:
                    table[label] = number + 1
        resized = windows.resize_labels(masks.labels, table, scan.spacing)
        vectors: dict[int, FloatArray] = {}
        plan = windows.plan_windows(resized, shared=shared) if resized is not None else []
        self.passes, made = 0, {}
        cells: dict[str, Cells] = {}
        for done, window in enumerate(plan):
            assert resized is not None
            begin, share = 0.05 + 0.9 * done / len(plan), 0.9 / len(plan)
            sight = windows.sight(resized, window)
            if sight in known:
                levels = known[sight]
            else:
                image = windows.window_image(scan.hu, resized, window, partial(_tick_part, tick, begin, 0.4 * share))
                levels = self.network.levels(image.to(self.device))
                self.passes += 1
            made[sight] = levels
            tokens = [windows.window_tokens(resized, window, organ).to(self.device) for organ in window.organs]
            seen = self.network.organs(levels, window.organs, tokens).float().cpu().numpy()
            vectors |= dict(zip(window.organs, seen, strict=True))
            for number, reached in zip(window.organs, tokens, strict=True):
                places = self.network.places(levels, number, reached).float().cpu().numpy()
                cells |= cells_of(masks, MEMBERS[ORGANS[number]], resized, window, number, places)
            tick(begin + share)
        tick(1.0)
        embedding = self._embedding(masks, vectors, FvlmPlaces(cells))
        self._kept[embedding] = _Kept(made, scan.hu.shape)
        return embedding

    def _embedding(self, masks: OrganMasks, vectors: dict[int, FloatArray], places: FvlmPlaces) -> ScanEmbedding:
        names = tuple(masks.names.values())
        matrix = np.zeros((len(names), self.card.dim), np.float32)
        status = [OrganStatus.UNKNOWN] * len(names)
        groups = {}
        for number, organ in enumerate(ORGANS):
            here = [i for i, name in enumerate(names) if name in MEMBERS[organ]]
            if not here:
                continue
            known = [masks.statistics[names[i]] for i in here if names[i] in masks.statistics]
            volume = sum(s.volume_ml for s in known)
            state = OrganStatus.COMPLETE
            if number not in vectors or volume < SMALLEST_ML:
                state = OrganStatus.TOO_SMALL
            elif any(_cut(s, organ, masks.labels.shape) for s in known):
                state = OrganStatus.CUT
            for i in here:
                matrix[i] = vectors.get(number, 0.0)
                status[i] = state
            groups[organ] = tuple(names[i] for i in here)
        return ScanEmbedding(names, matrix, tuple(status), self, places, groups)

    def model_input(
        self, scan: Scan, *, progress: Progress | None = None, cancelled: Cancelled | None = None
    ) -> ModelInput:
        """The resampled scan out of which the windows are cut that the network sees.

        Raises
        ------
        EncodingCancelled
            When ``cancelled()`` turns true between two steps.
        """
        values = windows.whole_image(scan.hu, scan.spacing, ticker(progress, cancelled)).numpy()
        i, p, left = (n / m for n, m in zip(scan.hu.shape, values.shape, strict=True))
        name = f"{windows.HU[0]:g} to {windows.HU[1]:g} HU"
        start = ((i - 1) / 2, (p - 1) / 2, (left - 1) / 2)  # the grids share their edges
        return ModelInput((name,), values[None], (0.0, 1.0), start, (i, p, left))

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, dim) unit vectors."""
        return self.network.texts(hidden_states(self.network.text_encoder, self.tokenizer, texts, MAX_TOKENS)[0])


def _network(state: State, place: str) -> FvlmNetwork:
    """As large as the tensors say, and filled with them."""
    network = FvlmNetwork.for_state(state, place)
    artifact.fill(network, network_state(state), place, "fVLM")
    return network


def _tick_part(tick: Progress, begin: float, share: float, part: float) -> None:
    tick(begin + share * part)


def _cut(statistics: OrganStatistics, organ: str, shape: tuple[int, ...]) -> bool:
    """Whether the field of view takes something of an organ away that fVLM was used to see."""
    if not statistics.touches_edge:
        return False
    if organ not in THROUGH:
        return True
    return any(start == 0 or stop == n for (start, stop), n in zip(statistics.box[1:], shape[1:], strict=True))


def convert(checkpoint: Path, target: Path, *, unpickle: bool = False) -> None:
    """Write the tensors of a ``.pth`` of fVLM as safetensors, after every name and shape was checked.

    Raises
    ------
    UserError
        When the file is damaged, is another model's, or holds objects and ``unpickle`` is False.
    """
    from .checkpoint import without, write_state

    command = f"napari-ctvlp install fvlm --checkpoint {shlex.quote(str(checkpoint))} --unpickle"
    advice = f"If you trust its makers, write its tensors as safetensors once: {command}"
    state = read_state(checkpoint, unpickle=unpickle, advice=advice)
    _network(state, f"'{checkpoint.name}'")
    if target.suffix != ".safetensors":
        raise UserError(f"'{target.name}' should end in .safetensors.")
    write_state(target, without(state, "text_encoder.cls."))
