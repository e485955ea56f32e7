"""Two or more encoders on one scan: whose score belongs beside whose, and where they disagree.

Encoders may see several organs as one ("lung"): such a score stands beside those of its members, and beside it stands
the highest of its members' scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding

DISAGREE = 0.3
"""Difference of two probabilities from which encoders are said to disagree."""
Key = tuple[str, str]


@dataclass(frozen=True)
class Opinion:
    """What one encoder says of one scan.

    ``scores`` is by (organ, abnormality); ``groups`` names the organs that it sees as one; ``calibrated`` tells whether
    its probabilities were fitted on any scans.
    """

    encoder: str
    licence: str
    calibrated: bool
    scores: Mapping[Key, AbnormalityScore]
    groups: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, embedding: ScanEmbedding, scores: Sequence[AbnormalityScore]) -> Opinion:
        """The opinion of the encoder that made an embedding."""
        encoder = embedding.encoder
        return cls(
            encoder.card.name,
            encoder.card.licence,
            encoder.calibration.fitted,
            {(s.organ, s.abnormality): s for s in scores},
            embedding.groups,
        )

    def on(self, organ: str, abnormality: str, members: Sequence[str] = ()) -> AbnormalityScore | None:
        """Its score for an organ, for the group that holds it, or the highest of ``members``; None without any."""
        if (found := self.scores.get((organ, abnormality))) is not None and found.probability is not None:
            return found
        for group, organs in self.groups.items():
            if organ in organs and (seen := self.scores.get((group, abnormality))) is not None:
                return seen
        inside = [s for m in members if (s := self.scores.get((m, abnormality))) is not None]
        scored = [s for s in inside if s.probability is not None]
        return max(scored, key=lambda s: s.probability or 0.0) if scored else found or next(iter(inside), None)


@dataclass(frozen=True)
class ComparedRow:
    """One row of the table: the chosen encoder's score, and the others' in their order (None where one has none).

    ``place`` is an organ of the masks to go to, the first of those that are seen as one.
    """

    score: AbnormalityScore
    others: tuple[AbnormalityScore | None, ...] = ()
    place: str = ""

    @property
    def spread(self) -> float | None:
        """Highest minus lowest probability; None with fewer than two."""
        said = [s.probability for s in (self.score, *self.others) if s is not None and s.probability is not None]
        return max(said) - min(said) if len(said) > 1 else None

    @property
    def disagree(self) -> bool:
        """Whether the encoders are further apart than `DISAGREE`."""
        return (self.spread or 0.0) >= DISAGREE


def compare(
    scores: Sequence[AbnormalityScore], groups: Mapping[str, tuple[str, ...]], others: Sequence[Opinion]
) -> list[ComparedRow]:
    """Rows of the chosen encoder with the others' scores beside them, then what only the others score.

    Parameters
    ----------
    scores : sequence of AbnormalityScore
        The chosen encoder's.
    groups : mapping
        Names under which it sees several organs as one.
    others : sequence of Opinion
    """
    rows = []
    for s in scores:
        members = groups.get(s.organ, ())
        beside = tuple(o.on(s.organ, s.abnormality, members) for o in others)
        rows.append(ComparedRow(s, beside, members[0] if members else s.organ))
    shown = {(s.organ, s.abnormality) for s in scores}
    shown |= {(m, s.abnormality) for s in scores for m in groups.get(s.organ, ())}
    for opinion in others:
        for key, score in opinion.scores.items():
            covered = [(m, key[1]) for m in (key[0], *opinion.groups.get(key[0], ()))]
            if score.probability is None or any(k in shown for k in covered):
                continue
            shown.add(key)
            unknown = AbnormalityScore(*key, None, None, None, f"N/A: {OrganStatus.UNKNOWN.value}")
            members = opinion.groups.get(key[0], ())
            beside = tuple(o.on(*key, members) for o in others)
            rows.append(ComparedRow(unknown, beside, members[0] if members else key[0]))
    return rows


def disagreements(rows: Sequence[ComparedRow]) -> Iterator[ComparedRow]:
    """Rows on which the encoders disagree, the widest apart first."""
    yield from sorted((r for r in rows if r.disagree), key=lambda r: -(r.spread or 0.0))
