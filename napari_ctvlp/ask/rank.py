"""Ranking the organs of a scan for a question in plain words.

Two kinds of evidence, each 0..1, kept apart in the answer and fused as ``0.7 name + 0.3 visual`` (visual alone where
names are not to be used):

name
    1 for the organs that the rules of `napari_ctvlp.anatomy.query` read in the text, 0.1 for their counterparts of the
    other side, 0.5 for organs named beside a finding that is looked for elsewhere ("gallstones near the liver"), 0.8
    where a finding named without an organ may be (with an entry or without, then unscored), 0.9 for the heart where
    masks do not hold the atrium asked for. Where no word is known, how near the text is in meaning to what each
    organ does.
visual
    what the encoder sees of the text in the organ: see `napari_ctvlp.ask.sight`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.anatomy.lexicon import tokens
from napari_ctvlp.anatomy.organs import GROUPS, ORGANS, display_name
from napari_ctvlp.anatomy.parsed import ParsedQuery
from napari_ctvlp.anatomy.query import parse_query
from napari_ctvlp.ask.abstain import beyond
from napari_ctvlp.ask.bank import bank_of, dictionary_of
from napari_ctvlp.ask.doubts import Doubts, doubts_about
from napari_ctvlp.ask.finding import finding_of, same_side, told
from napari_ctvlp.ask.remarks import absent_organs, left_out, reading, unasked
from napari_ctvlp.ask.score import members
from napari_ctvlp.ask.sight import Values, seen_in
from napari_ctvlp.ask.taught_words import as_entries
from napari_ctvlp.ask.teach import TaughtFinding
from napari_ctvlp.ask.types import OrganMatch, Ranking
from napari_ctvlp.encoder.contract import ScanEmbedding
from napari_ctvlp.scan.types import OrganStatistics

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

_Entries = tuple[Abnormality, ...]
_spread: WeakKeyDictionary[ScanEmbedding, tuple[_Entries, _Entries]] = WeakKeyDictionary()


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
    statistics: Mapping[str, OrganStatistics] | None = None,
    taught: Sequence[TaughtFinding] = (),
    doubts: Doubts | None = None,
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
    statistics : mapping of str to OrganStatistics, optional
        Of the organ masks; with them "cannot say" is answered in place of "absent" where contrast or noise hide it.
    taught : sequence of TaughtFinding, optional
        Findings that the user taught; a question that holds the name of one speaks of that, whatever else it may mean.
    doubts : Doubts, optional
        What is known against answers about this scan; by default what its encoder's card and ``statistics`` say. With
        `napari_ctvlp.ask.doubts.NO_DOUBTS` scores are told as they are.

    Raises
    ------
    UserError
        When there is no text.
    """
    entries = tuple(dictionary) if dictionary is not None else dictionary_of(embedding.encoder)
    spread = _over_organs(embedding, entries)
    own = as_entries(embedding, taught)
    query = parse_query(text, spread, own)
    entries = (*own, *entries)
    visual = seen_in(embedding, query)
    evidence = _evidence(embedding, query, (*own, *spread), visual)
    if not use_names:
        visual = seen_in(embedding, query, alone=True)
    score = NAME_WEIGHT * evidence.name + VISUAL_WEIGHT * visual if use_names else visual
    organs = tuple(
        OrganMatch(embedding.organs[i], float(score[i]), float(visual[i]), float(evidence.name[i]))
        for i in np.argsort(-score, kind="stable")
    )
    doubts = doubts_about(embedding, statistics) if doubts is None else doubts
    finding = finding_of(embedding, query, entries, statistics, taught, doubts)
    here = replace(query, organs=tuple(o for o in query.organs if o in embedding.organs) or query.organs)
    gone = absent_organs(query, embedding.organs)
    said = told(query, finding, entries) if gone is None else gone
    parts = [evidence.message, beyond(here, finding, entries, use_names), reading(query, finding, entries), said]
    if not any(parts) and organs:
        parts = [f"Best match: {display_name(organs[0].organ)}."]
    message = " ".join(part for part in (*parts, left_out(query, finding), _cut(query)) if part)
    return Ranking(query.text, evidence.matched, message, organs, finding)


def _over_organs(embedding: ScanEmbedding, entries: _Entries) -> _Entries:
    """Entries with the organs themselves in place of a name for several; made once for a scan, and the same objects
    for every question, since what their words mean is looked up by them."""
    before = _spread.get(embedding)
    if before is None or [*map(id, before[0])] != [*map(id, entries)]:
        own = tuple(replace(e, organs=tuple(o for name in e.organs for o in members(embedding, name))) for e in entries)
        before = _spread[embedding] = entries, own
    return before[1]


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
    if why := unasked(query):
        return _Evidence(name, False, why)
    if query.abnormalities:
        reach = {o for e in entries if e.key in query.abnormalities for o in e.organs}
        return _candidates(query, {o for o in reach if same_side(o, query)}, index, name)
    if query.elsewhere:
        return _candidates(query, set(query.candidates), index, name)
    if query.foreign:
        return _Evidence(name, False, _missing(query.foreign))
    return _by_meaning(embedding, query, visual)


def _candidates(query: ParsedQuery, reach: set[str], index: dict[str, int], name: Values) -> _Evidence:
    """Evidence where the text names a finding without an organ: wherever it may be."""
    here = [i for organ, i in index.items() if organ in reach]
    name[here] = CANDIDATE
    if not here:
        return _Evidence(name, False, f"The masks hold no organ in which to look for '{query.core}'.")
    known = " and ".join(f"'{_shortened(text)}'" for text in query.elsewhere[:3])
    unscored = f"I know where to look for {known}, not how to score it: the dictionary has no entry for it."
    return _Evidence(name, True, unscored if known else "")


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
    sides = [same_side(o, query) for o in embedding.organs]
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
    none = f"The masks hold no {display_name(meant[0])}, which is nearest in meaning."
    return _Evidence(name, matched, "" if matched else none)


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


def _counterpart(organ: str) -> str:
    swapped = {"left": "right", "right": "left"}
    return "_".join(swapped.get(part, part) for part in organ.split("_"))


def _shortened(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
