"""What makes answers about a scan doubtful before anything is asked: its HU, its masks, what the encoder cannot tell.

Scores are not touched. A question about what is in doubt is answered "cannot say" with the reason, and a row of the
table of findings keeps its number with a status that says so. That an encoder does not tell an abnormality apart is
taken from the validation figures on its card alone: scans that it is tested on must not decide what it answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.ask.score import members
from napari_ctvlp.ask.types import AbnormalityScore, abnormality_text
from napari_ctvlp.encoder.contract import ScanEmbedding
from napari_ctvlp.scan.fit import NOT_FITTING, Fit, check_fit
from napari_ctvlp.scan.types import Audit, OrganStatistics

TOLD_APART = 0.70
"""AUC on validation scans from which an encoder is believed to tell an abnormality apart at all."""
HU_WRONG = "HU look wrong"
_HU_ITEMS = ("rescale", "HU range")


@dataclass(frozen=True)
class Doubts:
    """Reasons not to believe a score.

    Attributes
    ----------
    scan : str
        Why no HU of the scan are believed; empty where they are.
    fit : Fit
        What speaks against the masks.
    weak : mapping of str to float
        Abnormalities that the encoder does not tell apart, with their AUC on validation scans.
    """

    scan: str = ""
    fit: Fit = field(default_factory=Fit)
    weak: Mapping[str, float] = field(default_factory=dict)

    def about(self, organs: Sequence[str], abnormality: str) -> str:
        """Why a score that rests on these organs is not believed, as the end of a sentence; empty where it is."""
        if why := self.about_organs(organs):
            return why
        if abnormality in self.weak:
            name, auc = abnormality_text(abnormality), self.weak[abnormality]
            return f"on its validation scans this encoder does not tell {name} apart (AUC {auc:.2f})"
        return ""

    def about_organs(self, organs: Sequence[str]) -> str:
        """The same as far as the scan and its masks are concerned."""
        return self.scan or next((why for organ in organs if (why := self.fit.against(organ))), "")

    def short(self, organs: Sequence[str], abnormality: str) -> str:
        """The same in a few words, for a column of a table."""
        if self.scan:
            return HU_WRONG
        if self.about_organs(organs):
            return NOT_FITTING
        return f"not told apart (validation AUC {self.weak[abnormality]:.2f})" if abnormality in self.weak else ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is to be known of the scan and its masks; that an encoder is weak is told where it matters."""
        if self.scan:
            return (f"{self.scan}: questions about findings are answered “cannot say”.",)
        return (self.fit.sentence,) if self.fit.amiss else ()


NO_DOUBTS = Doubts()
"""For who judges the scores themselves."""


def doubts_about(
    embedding: ScanEmbedding,
    statistics: Mapping[str, OrganStatistics] | None = None,
    audit: Audit | None = None,
) -> Doubts:
    """What is to be doubted of the answers about a scan.

    Parameters
    ----------
    embedding : ScanEmbedding
    statistics : mapping of str to OrganStatistics, optional
        Of the organ masks; without them nothing is said of the masks.
    audit : Audit, optional
        Of the scan; without it nothing is said of its HU.
    """
    weak = {key: auc for key, auc in embedding.encoder.card.validated.items() if auc < TOLD_APART}
    return replace(scan_doubts(statistics or {}, audit), weak=weak)


def scan_doubts(statistics: Mapping[str, OrganStatistics], audit: Audit | None) -> Doubts:
    """What is to be doubted of a scan and its masks, whoever looks at them."""
    wrong = "" if audit is None else hu_wrong(audit)
    return Doubts(wrong, check_fit(statistics, by_hu=not wrong))


def hu_wrong(audit: Audit) -> str:
    """Why the HU of a scan are not believed; empty where its audit does not warn of them."""
    warned = {item.name: item.value for item in audit.items if item.name in _HU_ITEMS and item.severity == "warning"}
    for name, start in zip(_HU_ITEMS, ("; ", ": "), strict=True):
        if name in warned:
            return f"{HU_WRONG} ({warned[name].partition(start)[2] or warned[name]})"
    return ""


def marked(
    scores: Sequence[AbnormalityScore], doubts: Doubts, embedding: ScanEmbedding, entries: Sequence[Abnormality]
) -> list[AbnormalityScore]:
    """Scores whose status says what is to be doubted of them, with the reason as their note.

    Parameters
    ----------
    scores : sequence of AbnormalityScore
    doubts : Doubts
    embedding : ScanEmbedding
        What they were scored on.
    entries : sequence of Abnormality
        The dictionary that they were scored with.
    """
    by_key = {entry.key: entry for entry in entries}

    def told(row: AbnormalityScore) -> AbnormalityScore:
        if row.probability is None:
            return row
        organs = seen_for(embedding, by_key.get(row.abnormality), row.organ)
        short = doubts.short(organs, row.abnormality)
        if not short:
            return row
        why = doubts.about(organs, row.abnormality)
        note = f"{row.note}\n" if row.note else ""
        return replace(row, status=f"{row.status}; {short}", note=f"{note}Not to be relied on: {why}.", doubted=True)

    return [told(row) for row in scores]


def seen_for(embedding: ScanEmbedding, entry: Abnormality | None, place: str) -> tuple[str, ...]:
    """The organs of a scan that a score for a place rests on."""
    named = [place] if entry is None else [organ for organs, _ in entry.terms(place) for organ in organs]
    return tuple(dict.fromkeys(organ for name in named for organ in members(embedding, name)))
