"""Ranking the organs of a scan for a question in plain words.

Two kinds of evidence, each 0..1, kept apart in the answer and fused as ``0.7 name + 0.3 visual`` (visual alone where
names are not to be used):

name
    1 for the organs that the rules of `napari_ctvlp.anatomy.query` read in the text, 0.1 for their counterparts of the
    other side, 0.5 for organs named beside a finding that is looked for elsewhere ("gallstones near the liver"), 0.8
    where a finding named without an organ may be, 0.9 for the heart where masks do not hold the atrium asked for.
    Where no word is known, how near the text is in meaning to what each organ does.
visual
    what the encoder sees of the text in the organ: see `napari_ctvlp.ask.sight`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_ctvlp.anatomy.dictionary import WHOLE_SCAN, Abnormality
from napari_ctvlp.anatomy.lexicon import tokens
from napari_ctvlp.anatomy.organs import GROUPS, ORGANS, display_name
from napari_ctvlp.anatomy.query import ParsedQuery, parse_query
from napari_ctvlp.ask.bank import bank_of, dictionary_of
from napari_ctvlp.ask.score import IN_VIEW, score_pairs
from napari_ctvlp.ask.sight import Values, seen_in
from napari_ctvlp.ask.types import Finding, OrganMatch, Ranking
from napari_ctvlp.encoder.contract import ScanEmbedding

NAME_WEIGHT, VISUAL_WEIGHT = 0.7, 0.3
OTHER_SIDE, BESIDE, CANDIDATE, WHOLE = 0.1, 0.5, 0.8, 0.9

# Chosen on tests/ask/queries_dev.yaml with MiniLM: questions about organs reach 0.48 and more, others 0.41 at most.
MEANT = 0.45
"""Similarity in meaning from which a text that holds no known word is taken to speak of an organ."""
MAYBE_MEANT, SEEN = 0.40, 0.90
"""A little less is enough where the encoder sees the text in the scan so clearly."""
_MEANING_TO_NAME = (0.25, 0.65)
_MEANING_SPREAD = 0.05
_TIE = 0.02


@dataclass(frozen=True)
class _Evidence:
    """Name evidence per organ of the scan, whether the scan holds what is asked for, and what to tell."""

    name: Values
    matched: bool
    message: str


def rank_organs(
    embedding: ScanEmbedding,
    text: str,
    *,
    use_names: bool = True,
    dictionary: Sequence[Abnormality] | None = None,
) -> Ranking:
    """Rank the organs of a scan for a question.

    Parameters
    ----------
    embedding : ScanEmbedding
    text : str
        The question, in plain words.
    use_names : bool
        False ranks by sight alone; what the question speaks of, and so ``matched``, is still read from its words.
    dictionary : sequence of Abnormality, optional
        The findings to recognise; the encoder's by default.

    Raises
    ------
    UserError
        When there is no text.
    """
    entries = tuple(dictionary) if dictionary is not None else dictionary_of(embedding.encoder)
    spread = [replace(e, organs=tuple(o for name in e.organs for o in _members(embedding, name))) for e in entries]
    query = parse_query(text, spread)
    visual = seen_in(embedding, query)
    evidence = _evidence(embedding, query, spread, visual)
    if not use_names:
        visual = seen_in(embedding, query, alone=True)
    score = NAME_WEIGHT * evidence.name + VISUAL_WEIGHT * visual if use_names else visual
    organs = tuple(
        OrganMatch(embedding.organs[i], float(score[i]), float(visual[i]), float(evidence.name[i]))
        for i in np.argsort(-score, kind="stable")
    )
    finding = _finding(embedding, query, entries)
    told = [part for part in (evidence.message, _told(query, finding, entries)) if part]
    if not told and organs:
        told = [f"Best match: {display_name(organs[0].organ)}."]
    message = " ".join(part for part in (*told, _cut(query)) if part)
    return Ranking(query.text, evidence.matched, message, organs, finding)


def _evidence(
    embedding: ScanEmbedding, query: ParsedQuery, entries: Sequence[Abnormality], visual: Values
) -> _Evidence:
    name = np.zeros(len(embedding.organs))
    index = {organ: i for i, organ in enumerate(embedding.organs)}
    if not index:
        return _Evidence(name, False, "There are no organ masks to search.")
    if query.organs:
        return _named(query, entries, index, name)
    own = [i for organ, i in index.items() if _says(query, organ)]
    if own:  # an organ of the file's own naming, called by that name
        name[own] = 1.0
        return _Evidence(name, True, "")
    if query.abnormalities:
        reach = {o for e in entries if e.key in query.abnormalities for o in e.organs}
        here = [i for organ, i in index.items() if organ in reach and _same_side(organ, query)]
        name[here] = CANDIDATE
        return _Evidence(
            name, bool(here), "" if here else f"The masks hold no organ in which to look for '{query.core}'."
        )
    if query.foreign:
        return _Evidence(name, False, _missing(query.foreign))
    return _by_meaning(embedding, query, visual)


def _members(embedding: ScanEmbedding, name: str) -> tuple[str, ...]:
    """The organs themselves for a name under which the encoder sees several as one."""
    return embedding.groups.get(name) or ((name,) if name in ORGANS else GROUPS.get(name, (name,)))


def _named(query: ParsedQuery, entries: Sequence[Abnormality], index: dict[str, int], name: Values) -> _Evidence:
    """Evidence where the text names organs."""
    for organ in query.organs:
        other = _counterpart(organ)
        if other in index and query.side in ("left", "right"):
            name[index[other]] = OTHER_SIDE
    here = [organ for organ in query.organs if organ in index]
    if here:
        sought = {o for e in entries if e.key in query.abnormalities for o in e.organs} & set(query.organs)
        for organ in here:
            name[index[organ]] = 1.0 if organ in sought or not sought or len(query.abnormalities) > 1 else BESIDE
        return _Evidence(name, True, "")
    wholes = dict.fromkeys(ORGANS[o].whole for o in query.organs)
    found = [whole for whole in wholes if whole in index]
    missing = _missing(_called(query.organs))
    if not found:
        return _Evidence(name, False, missing)
    for whole in found:
        name[index[str(whole)]] = WHOLE
    stand = " and ".join(display_name(str(w)) for w in found)
    return _Evidence(name, True, f"{missing[:-1]}; the {stand} stands for it.")


def _by_meaning(embedding: ScanEmbedding, query: ParsedQuery, visual: Values) -> _Evidence:
    """Evidence where no word is known: how near the text is to what organs are for."""
    asked = embedding.encoder.encode_text_meaning([query.core])[0]
    each = (bank_of(embedding.encoder).glosses() @ asked).astype(np.float64)
    first = np.cumsum([0, *(len(o.meanings) for o in ORGANS.values())])[:-1]
    near = np.maximum.reduceat(each, first)  # the nearest description of each organ
    low, high = _MEANING_TO_NAME
    by_organ = dict(zip(ORGANS, near, strict=True))
    own = np.array([by_organ.get(o, -1.0) for o in embedding.organs])
    name = np.clip((own - low) / (high - low), 0, 1)
    # meanings lie close together: without this the liver would glow nearly as bright as what stores its bile
    name = name * np.exp((own - own.max()) / _MEANING_SPREAD)
    sides = [_same_side(o, query) for o in embedding.organs]
    name = np.where(sides, name, np.minimum(name, OTHER_SIDE))
    nothing = f"Nothing in this scan matches '{_shortened(query.text)}'."
    best = near.max()
    if best < MEANT:
        seen = bool(np.any((own >= MAYBE_MEANT) & (visual >= SEEN)))
        return _Evidence(name, seen, "" if seen else nothing)
    meant = [o for o, s in by_organ.items() if s >= best - _TIE]
    here = {organ: i for i, organ in enumerate(embedding.organs)}
    wholes = [here[w] for o in meant if o not in here and (w := ORGANS[o].whole) in here]
    name[wholes] = name.max()
    matched = bool(wholes) or any(o in here for o in meant)
    return _Evidence(name, matched, "" if matched else _missing([display_name(meant[0])]))


def _finding(embedding: ScanEmbedding, query: ParsedQuery, entries: Sequence[Abnormality]) -> Finding | None:
    """The finding that the text speaks of, where it is most likely."""
    asked = [e for e in entries if e.key in query.abnormalities]
    if not asked:
        return None
    named, here = set(query.organs), {*embedding.organs, *embedding.groups}
    named |= {o for e in asked for o in e.organs if named & set(_members(embedding, o))}
    pairs = [(organ, e) for e in asked for organ in e.places if _same_side(organ, query)]
    pairs = [p for p in pairs if p[0] in named or p[0] == WHOLE_SCAN] or ([] if named else pairs)
    if not pairs:  # the text names organs where no entry looks
        return None
    rows = score_pairs(embedding, [p for p in pairs if p[0] in here or p[0] == WHOLE_SCAN] or pairs[:1])
    best = max(rows, key=lambda r: -1.0 if r.probability is None else r.probability)
    if best.probability is None or best.low is None or best.high is None:
        return Finding(best.abnormality, best.organ, None, None, None, best.status)
    status = "present" if best.low > 0.5 else "absent" if best.high < 0.5 else "uncertain"
    return Finding(best.abnormality, best.organ, best.probability, best.low, best.high, status, best.status == IN_VIEW)


def _told(query: ParsedQuery, finding: Finding | None, entries: Sequence[Abnormality]) -> str:
    """What was understood of a finding, one sentence."""
    if finding is None:
        return f"Asked for absence: {query.core}." if query.negated else ""
    name = next(e.name for e in entries if e.key == finding.abnormality)
    where = ", in the part in view" if finding.part else ""
    what = f"{name}, {display_name(finding.organ)}: {finding.status}{where}"
    return f"Asked for absence: {what}." if query.negated else f"{what[0].upper()}{what[1:]}."


def _cut(query: ParsedQuery) -> str:
    return f"Only the first {len(query.text):,} characters were read." if query.truncated else ""


def _missing(names: Sequence[str]) -> str:
    """ "The masks hold no brain." for one or more names."""
    shown = list(dict.fromkeys(names))
    more = f" (nor {len(shown) - 3} more)" if len(shown) > 3 else ""
    return f"The masks hold no {' or '.join(shown[:3])}{more}."


def _called(organs: Sequence[str]) -> list[str]:
    """What to call organs in a message: a group by its name, no parts beside their whole."""
    groups = [group for group, members in GROUPS.items() if set(members) == set(organs)]
    if groups and len(organs) > 1:
        return [groups[0].replace("_", " ")]
    return [display_name(o) for o in organs if o not in ORGANS or ORGANS[o].whole not in organs]


def _says(query: ParsedQuery, organ: str) -> bool:
    """Whether the text holds the name of an organ that only its file knows, or a word for the same structure."""
    if organ in ORGANS:
        return False
    if display_name(organ).lower() in query.foreign:
        return True
    words = [t.word for t in tokens(display_name(organ))]
    said = [t.word for t in tokens(query.core)]
    return bool(words) and any(said[i : i + len(words)] == words for i in range(len(said)))


def _same_side(organ: str, query: ParsedQuery) -> bool:
    side = ORGANS[organ].side if organ in ORGANS else None
    return query.side not in ("left", "right") or side in (None, query.side)


def _counterpart(organ: str) -> str:
    swapped = {"left": "right", "right": "left"}
    return "_".join(swapped.get(part, part) for part in organ.split("_"))


def _shortened(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
