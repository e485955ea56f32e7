"""Texts that are asked again and again, embedded once per encoder."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np

from napari_ctvlp.anatomy.dictionary import Abnormality, load_dictionary
from napari_ctvlp.anatomy.organs import ORGANS, display_name
from napari_ctvlp.anatomy.prompts import normal_prompts
from napari_ctvlp.encoder.contract import FloatArray, ScanEncoder


class _Store:
    """Texts and their vectors in the order they came; encodes what is missing in one batch."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._vectors: FloatArray | None = None

    def rows(self, texts: Sequence[str], encode: Callable[[Sequence[str]], FloatArray]) -> FloatArray:
        missing = sorted(
            {t for t in texts if t not in self._rows}, key=lambda t: (len(t), t)
        )  # little padding in a batch
        if missing:
            new = np.asarray(encode(missing), np.float32)
            self._vectors = new if self._vectors is None else np.concatenate([self._vectors, new])
            self._rows |= {t: len(self._rows) + i for i, t in enumerate(missing)}
        if self._vectors is None:
            return np.zeros((0, 0), np.float32)
        return self._vectors[[self._rows[t] for t in texts]]


class PromptBank:
    """The prompts of one encoder, embedded on first use and kept.

    Safe to use from several threads: a worker prepares it while the window already asks.
    """

    def __init__(self, encoder: ScanEncoder) -> None:
        self._encoder = weakref.ref(encoder)  # the bank hangs on the encoder and must not keep it alive
        self._space = _Store()
        self._meaning = _Store()
        self._matrices: dict[tuple[str, tuple[str, ...]], FloatArray] = {}
        self._lock = threading.RLock()

    def _alive(self) -> ScanEncoder:
        encoder = self._encoder()
        if encoder is None:
            raise ReferenceError("the encoder of this prompt bank is gone")
        return encoder

    def space(self, texts: Sequence[str]) -> FloatArray:
        """(n, d) unit vectors of texts in the space of the scan."""
        with self._lock:
            return self._space.rows(texts, self._alive().encode_text)

    def meaning(self, texts: Sequence[str]) -> FloatArray:
        """(n, e) unit vectors of texts by meaning alone."""
        with self._lock:
            return self._meaning.rows(texts, self._alive().encode_text_meaning)

    def names(self, organs: Sequence[str]) -> FloatArray:
        """(n, d) unit vector of each organ's display name."""
        return self._matrix("names", organs, lambda: self.space([display_name(o) for o in organs]))

    def normals(self, organs: Sequence[str]) -> FloatArray:
        """(n, d) mean normal prompt of each organ; not of unit length: a product with it is a mean of cosines."""

        def means() -> FloatArray:
            lists = [normal_prompts(o) for o in organs]
            vectors = self.space([t for texts in lists for t in texts])
            ends = np.cumsum([0, *(len(texts) for texts in lists)])
            return np.stack([vectors[a:b].mean(0) for a, b in pairwise(ends)])

        return self._matrix("normals", organs, means)

    def glosses(self) -> FloatArray:
        """(n, e) meaning of what the organs of `ORGANS` are and do: all `Organ.meanings` of the first organ, and so on.

        Names are left to the rules: "stomach" alone lies nearer to "bicycle" than any gloss (measured, MiniLM).
        """
        return self._matrix("glosses", (), lambda: self.meaning([text for o in ORGANS.values() for text in o.meanings]))

    def _matrix(self, kind: str, organs: Sequence[str], build: Callable[[], FloatArray]) -> FloatArray:
        key = (kind, tuple(organs))
        with self._lock:
            if key not in self._matrices:
                self._matrices[key] = build()
            return self._matrices[key]


_BANKS: WeakKeyDictionary[ScanEncoder, PromptBank] = WeakKeyDictionary()
_BANKS_LOCK = threading.Lock()


def bank_of(encoder: ScanEncoder) -> PromptBank:
    """The one bank of an encoder."""
    with _BANKS_LOCK:
        bank = _BANKS.get(encoder)
        if bank is None:
            bank = _BANKS[encoder] = PromptBank(encoder)
        return bank


def dictionary_of(encoder: ScanEncoder, base: Sequence[Abnormality] | None = None) -> tuple[Abnormality, ...]:
    """The entries an encoder is asked: those of ``base`` (the built-in ones by default), its own in the place of those
    with the same key."""
    own = {entry.key: entry for entry in getattr(encoder, "dictionary", ())}
    rest = tuple(own.pop(entry.key, entry) for entry in (load_dictionary() if base is None else base))
    return (*rest, *own.values())


def prepare(
    encoder: ScanEncoder,
    dictionary: Sequence[Abnormality] | None = None,
    *,
    organs: Sequence[str] | None = None,
) -> None:
    """Embed every standing prompt of an encoder now (some seconds), so that questions need only their own text.

    Parameters
    ----------
    encoder : ScanEncoder
    dictionary : sequence of Abnormality, optional
        The built-in dictionary by default; entries that the encoder was not trained on are left out.
    organs : sequence of str, optional
        The organs of a scan; those that the encoder knows by default.
    """
    space, meaning = standing_prompts(encoder, dictionary, organs=organs)
    bank = bank_of(encoder)
    bank.space(space)
    bank.meaning(meaning)


def standing_prompts(
    encoder: ScanEncoder,
    dictionary: Sequence[Abnormality] | None = None,
    *,
    organs: Sequence[str] | None = None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The texts that `prepare` embeds: in the space of the scan, and by meaning alone. Arguments as there."""
    entries = dictionary_of(encoder) if dictionary is None else dictionary
    names = tuple(organs) if organs is not None else tuple(encoder.card.organs) or tuple(ORGANS)
    known, here = frozenset(encoder.card.abnormalities), frozenset(names)
    space = [display_name(o) for o in reference_organs(encoder, names)]
    space += [text for o in names for text in normal_prompts(o)]
    for entry in entries:
        for place in entry.places:
            if entry.pair_key(place) not in known:
                continue
            for organ in (o for organs, _ in entry.terms(place) for o in organs if o in here or o not in ORGANS):
                positive, negative = entry.prompts(organ)
                space += [*positive, *negative]
    return tuple(dict.fromkeys(space)), tuple(text for o in ORGANS.values() for text in o.meanings)


def reference_organs(encoder: ScanEncoder, organs: Sequence[str]) -> tuple[str, ...]:
    """Organs whose names a text has to compete with: those the encoder knows, else those of the scan."""
    return tuple(encoder.card.organs) or tuple(dict.fromkeys(organs))
