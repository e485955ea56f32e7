"""The finding that a question speaks of: where it is likeliest, what may be said of it, and in which words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from napari_ctvlp.anatomy.dictionary import WHOLE_SCAN, Abnormality
from napari_ctvlp.anatomy.organs import ORGANS
from napari_ctvlp.anatomy.parsed import ParsedQuery
from napari_ctvlp.ask.abstain import hidden, reconsidered
from napari_ctvlp.ask.doubts import NO_DOUBTS, Doubts
from napari_ctvlp.ask.places import others, sentence, together
from napari_ctvlp.ask.score import IN_VIEW, Pair, members, score_pairs
from napari_ctvlp.ask.taught_words import score_words
from napari_ctvlp.ask.teach import TaughtFinding
from napari_ctvlp.ask.types import TAUGHT, AbnormalityScore, Finding
from napari_ctvlp.encoder.contract import ScanEmbedding
from napari_ctvlp.scan.types import OrganStatistics

_Judge = Callable[[AbnormalityScore], Finding]


def finding_of(
    embedding: ScanEmbedding,
    query: ParsedQuery,
    entries: Sequence[Abnormality],
    statistics: Mapping[str, OrganStatistics] | None = None,
    taught: Sequence[TaughtFinding] = (),
    doubts: Doubts = NO_DOUBTS,
) -> Finding | None:
    """The finding that the text speaks of, where it is most likely.

    Parameters
    ----------
    embedding : ScanEmbedding
    query : ParsedQuery
    entries : sequence of Abnormality
        The dictionary, with the taught findings as entries.
    statistics, taught, doubts
        As of `napari_ctvlp.ask.rank.rank_organs`.
    """
    asked = [e for e in entries if e.key in query.abnormalities]
    if not asked:
        return None
    named, here = set(query.organs), {*embedding.organs, *embedding.groups}
    named |= {o for e in asked for o in e.organs if named & set(members(embedding, o))}
    pairs = [(organ, e) for e in asked for organ in e.places if same_side(organ, query)]
    pairs = [p for p in pairs if p[0] in named or p[0] == WHOLE_SCAN] or ([] if named else pairs)
    if not pairs:  # the text names organs where no entry looks
        return None
    rows = _scored(embedding, [p for p in pairs if p[0] in here or p[0] == WHOLE_SCAN] or pairs[:1], taught)
    by_key = {e.key: e for e in asked}

    def judged(row: AbnormalityScore) -> Finding:
        return reconsidered(embedding, query, _as_finding(row), by_key[row.abnormality], statistics, doubts)

    best = max(rows, key=_likely)
    if _status(best) == "absent":  # what the scan cannot show is not denied because it shows something else
        best = max(
            (r for r in rows if hidden(by_key[r.abnormality], statistics) or r.abnormality in doubts.weak),
            key=_likely,
            default=best,
        )
    kinds = [_together(best, rows, judged)]
    for key in dict.fromkeys(r.abnormality for r in sorted(rows, key=_likely, reverse=True)):
        if key != best.abnormality:
            kinds.append(_together(max((r for r in rows if r.abnormality == key), key=_likely), rows, judged))
    return replace(kinds[0], kinds=tuple(kinds)) if len(kinds) > 1 else kinds[0]


def _together(best: AbnormalityScore, rows: Sequence[AbnormalityScore], judged: _Judge) -> Finding:
    """What may be said of one entry, wherever it was asked for."""
    beside = [r for r in rows if r.abnormality == best.abnormality and r is not best]
    return together([judged(row) for row in (best, *sorted(beside, key=_likely, reverse=True))])


def _scored(embedding: ScanEmbedding, pairs: Sequence[Pair], taught: Sequence[TaughtFinding]) -> list[AbnormalityScore]:
    own = [p for p in pairs if p[1].key.startswith(TAUGHT)]
    rest = [p for p in pairs if not p[1].key.startswith(TAUGHT)]
    return [*score_words(embedding, own, taught), *score_pairs(embedding, rest)]


def _likely(row: AbnormalityScore) -> float:
    return -1.0 if row.probability is None else row.probability


def _status(row: AbnormalityScore) -> str:
    if row.probability is None or row.low is None or row.high is None:
        return row.status
    return "present" if row.low > 0.5 else "absent" if row.high < 0.5 else "uncertain"


def _as_finding(row: AbnormalityScore) -> Finding:
    return Finding(
        row.abnormality,
        row.organ,
        row.probability,
        row.low,
        row.high,
        _status(row),
        row.probability is not None and row.status == IN_VIEW,
        row.note,
    )


def told(query: ParsedQuery, finding: Finding | None, entries: Sequence[Abnormality]) -> str:
    """What is said of a finding, a line for each of a few organs, and last what else the question may mean."""
    if finding is None:
        return f"Asked for absence: {query.core}." if query.negated else ""
    names = {e.key: f"{e.name}{' (taught)' if e.key.startswith(TAUGHT) else ''}" for e in entries}
    what = sentence(names[finding.abnormality], finding)
    what = f"Asked for absence: {what}" if query.negated else f"{what[0].upper()}{what[1:]}"
    return "\n".join([what, *others(finding, names)])


def same_side(organ: str, query: ParsedQuery) -> bool:
    """Whether an organ is on the side that a question asks for, or has none."""
    side = ORGANS[organ].side if organ in ORGANS else None
    return query.side not in ("left", "right") or side in (None, query.side)
