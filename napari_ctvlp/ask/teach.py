"""Findings that a user taught by examples: organs that have it, and organs that have not.

An example is an organ's embedding with what it takes to use it again: the encoder's revision, the organ, whether the
finding is there, and a hash that tells one scan from another. No name of a patient, of a file or of a folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.anatomy.organs import ORGANS, display_name
from napari_ctvlp.ask.probe import Probe, Quality, cross_validate, fit_leaving_out, fit_probe
from napari_ctvlp.ask.score import NOT_IN_MASKS, rows_of
from napari_ctvlp.ask.types import TAUGHT, AbnormalityScore
from napari_ctvlp.encoder.contract import EncoderCard, FloatArray, OrganStatus, ScanEmbedding
from napari_ctvlp.errors import UserError

ENOUGH = 2
"""Examples of each kind from which a probe is fitted."""
LONGEST_NAME = 80


@dataclass(frozen=True)
class EncoderKey:
    """Which encoder made an embedding; embeddings of different ones cannot be compared."""

    name: str
    revision: str
    preprocessing: str

    @classmethod
    def of(cls, card: EncoderCard) -> EncoderKey:
        """The key of an encoder with this card."""
        return cls(card.name, card.revision, card.preprocessing)

    def __str__(self) -> str:
        version = f", preprocessing {self.preprocessing}" if self.preprocessing else ""
        return f"{self.name} (revision {self.revision}{version})"


@dataclass(frozen=True, eq=False)
class Example:
    """One organ of one scan that has the finding or has not.

    ``vector`` is its (d,) embedding of unit length; ``scan`` is a hash.
    """

    organ: str
    present: bool
    scan: str
    vector: FloatArray


@dataclass(frozen=True, eq=False)
class TaughtFinding:
    """A finding by name, its examples, and the probe that they make (fitted when first asked for, then kept)."""

    name: str
    encoder: EncoderKey
    examples: tuple[Example, ...] = ()

    @property
    def key(self) -> str:
        """What scores call it; no entry of a dictionary is called so."""
        return TAUGHT + self.name

    @property
    def present(self) -> int:
        """How many examples have it."""
        return sum(e.present for e in self.examples)

    @property
    def absent(self) -> int:
        """How many examples have it not."""
        return len(self.examples) - self.present

    @property
    def ready(self) -> bool:
        """Whether there are enough examples of both kinds."""
        return min(self.present, self.absent) >= ENOUGH

    @property
    def organs(self) -> tuple[str, ...]:
        """Where it was taught, and is scored."""
        return tuple(dict.fromkeys(e.organ for e in self.examples))

    @property
    def dim(self) -> int:
        """Length of its embeddings; 0 without any."""
        return self.examples[0].vector.size if self.examples else 0

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """The probe of all examples, then those that lack one each; none where there are too few."""
        if not self.ready:
            return ()
        return (fit_probe(*self._table), *fit_leaving_out(*self._table))

    @cached_property
    def quality(self) -> Quality | None:
        """How well it orders pairs that it has not seen; None where there are too few examples."""
        if not self.ready:
            return None
        return cross_validate(*self._table, [e.scan for e in self.examples], [e.organ for e in self.examples])

    @property
    def _table(self) -> tuple[FloatArray, NDArray[np.bool_]]:
        return np.stack([e.vector for e in self.examples]), np.array([e.present for e in self.examples])

    @property
    def fitted(self) -> bool:
        """Whether `note` is at hand, without work."""
        return not self.ready or "quality" in self.__dict__

    @property
    def note(self) -> str:
        """What is to be known of it, in words: how many examples, and how far its score can be trusted."""
        told = f"{self.present} with and {self.absent} without"
        quality = self.quality
        if quality is None:
            return f"{told}; a score needs {ENOUGH} of each"
        parts = [told, f"cross-validated AUC {quality.auc:.2f} on {quality.pairs} pairs"]
        if quality.auc > 0.5:
            parts.append(f"chance alone gives that in {_percent(quality.chance)} of cases")
        else:
            parts.append("no better than chance")
        if not quality.one_organ:
            parts.append("with and without are different organs: it may only tell these apart")
        if not quality.apart:
            parts.append("too few scans to leave whole ones out")
        return "; ".join(parts)

    def called_in(self, text: str) -> bool:
        """Whether a question may speak of it."""
        return self.name.casefold().removesuffix("s") in text.casefold()

    def with_example(self, example: Example) -> TaughtFinding:
        """With one more; of one organ of one scan the last word counts."""
        kept = tuple(e for e in self.examples if (e.organ, e.scan) != (example.organ, example.scan))
        return replace(self, examples=(*kept, example))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"


def checked_name(text: str) -> str:
    """The name of a finding, on one line and without blanks around it.

    Raises
    ------
    UserError
        When it is empty or too long.
    """
    name = " ".join(text.split())
    if not name:
        raise UserError("The finding needs a name: type what it is called.")
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise UserError(f"The name of a finding may have at most {LONGEST_NAME} printable signs.")
    return name


def example_of(embedding: ScanEmbedding, organ: str, present: bool, scan: str) -> Example:
    """An organ of an encoded scan as an example.

    Parameters
    ----------
    embedding : ScanEmbedding
    organ : str
    present : bool
    scan : str
        Hash that tells the scan from others.

    Raises
    ------
    UserError
        When the organ is not there, is cut or too small, or is none that others know.
    """
    row = rows_of(embedding).get(organ)
    if row is None:
        raise UserError(f"{display_name(organ)}: is not in the masks of this scan, so it cannot be an example.")
    status = embedding.status[row]
    if status is not OrganStatus.COMPLETE:
        raise UserError(f"{display_name(organ)}: is {status.value}, so it cannot be an example.")
    if organ not in ORGANS:
        raise UserError(f"{organ}: has a name of its own, which nobody else would know; name it as TotalSegmentator.")
    return Example(organ, present, scan, np.array(embedding.vectors[row], np.float32))


def score_taught(embedding: ScanEmbedding, findings: Sequence[TaughtFinding]) -> list[AbnormalityScore]:
    """Score every organ in which a finding was taught.

    Parameters
    ----------
    embedding : ScanEmbedding
    findings : sequence of TaughtFinding
        Those with too few examples, or of another encoder, are left out.

    Returns
    -------
    list of AbnormalityScore
        ``low`` and ``high`` span the probes that each lack one example: how much one example matters. What cannot be
        scored has the reason as its status.
    """
    index, here = rows_of(embedding), EncoderKey.of(embedding.encoder.card)
    rows = []
    for finding in findings:
        if finding.encoder != here or not finding.ready or finding.dim != embedding.vectors.shape[1]:
            continue
        for organ in finding.organs:
            row = index.get(organ)
            why = NOT_IN_MASKS if row is None else embedding.status[row].value
            if row is None or embedding.status[row] is not OrganStatus.COMPLETE:
                rows.append(AbnormalityScore(organ, finding.key, None, None, None, f"N/A: {why}", finding.note))
                continue
            said = [float(p.probability(embedding.vectors[row : row + 1])[0]) for p in finding.probes]
            rows.append(
                AbnormalityScore(organ, finding.key, said[0], min(said), max(said), "scored", finding.note),
            )
    return rows
