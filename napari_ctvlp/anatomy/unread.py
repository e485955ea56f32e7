"""What of a question nothing here reads, and which signs it does not mean although their words stand in it.

A word of size is a sign of an organ's size only where it speaks of the organ ("large spleen", "the spleen is large"),
not of something in it ("large bleed in the spleen"); what lies around an organ is no sign of the organ itself ("fat
around the liver"), unless it is a sign that lies there by nature ("stranding around the pancreas").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.anatomy.lexicon import Hit, Token, fold, phrase, tokens

Words = Sequence[str | None]


def _set(text: str) -> frozenset[str]:
    return frozenset(fold(word) for word in re.findall(r"\w+", text))


FILLERS = _set(
    """a an and any are at be been by can could ct do does evidence exam examination find for from
    get give has have having here highlight i image in is it its let list locate look looking me mild
    moderate multiple my of on one or organ organs other out patient patients please possible present
    question rule s scan see seen several severe show sign signs single small some study suspected
    tell that the there this tiny to two very was were what where which with you your"""
)
_GENERIC = _set(
    """thing things something anything spot spots area areas region regions structure structures part parts place object
    patch patches bit stuff zone site"""
)
"""Nouns that say nothing of what they are."""
_AROUND = _set(
    "around surrounding surrounds near beside adjacent outside behind beneath under underneath above below over along"
)
_NEUTRAL = _set(
    """abnormal abnormalities abnormality about across acute after again against all almost also although am
    among another anterior apex appear appearance appears as aspect away back base because before being best
    between big body border both bottom bright but case caudal center central check chronic clear close cm compare
    condition contour cortex could cranial d deep did different disease disorder display distal done down due
    each edge either else end enough entire even every everything explore extensive far female finding findings fine
    first focal focus free front general go going good great had half he head healthy help her high highlighted him
    his how hu huge hundred identify if image images inferior inner inside into jump just kind know large larger
    last lateral layer left less level like likely lobe lobes location long looks lots low lower made main make
    male man many margin marked massive may maybe medial medulla mid middle ml mm more most move much must
    navigate need new next non normal not note now number obvious off old only open ordinary our outer outline
    over own pair parenchyma pathological pathology peripheral person piece pieces point pole poles position
    posterior previous probably problem problems proximal quadrant quite rather really recent regular right rim
    scans search second section segment segmental segments shall shape she should side sided sides simple since size
    sized slice so solitary still subject such suggest suggesting superior sure surface system t tail take than
    their them then these they third those through tip tissue together too top total toward towards trace type
    typical under unremarkable until up upper us usual view visible visualise visualize want we well when who
    whole whose why will within without woman would wrong year years yes yet zoom"""
)
SIZES = _set("small large big enlarged swollen biggest largest smallest")
"""Words of size, some of them signs of an enlarged organ."""
_EMPTY = (
    FILLERS
    | SIZES
    | _GENERIC
    | _set(
        """abnormal abnormality abnormalities all body biggest case everything finding findings focal healthy here huge
        largest new normal old problem problems simple smallest solitary unremarkable want wrong"""
    )
)
"""Words beside which a bare sign ("simple cyst") is all that a question says."""
_LIES_AROUND = _set(
    """stranding fluid effusion effusions collection collections water lymphadenopathy adenopathy nodes collaterals
    perisplenic"""
)


def meant(
    signs: Sequence[Hit[Any]], words: Words, places: Sequence[Hit[Any]], names: Sequence[Hit[Any]]
) -> list[Hit[Any]]:
    """The signs that a question means.

    Parameters
    ----------
    signs, places, names : sequence of Hit
        Bare signs, mentions of organs that are part of no finding's name, and findings by name, by index of word.
    words : sequence of str or None
        The words of the question; None for a bone named by number.
    """
    at = {i for hit in places for i in range(hit.first, hit.stop)} | {i for i, w in enumerate(words) if w is None}
    told = {i for hit in (*signs, *names) for i in range(hit.first, hit.stop)}
    return [s for s in signs if _inside(s, words, at) and (not _is_size(s, words) or _of_organ(s, words, at, told))]


def _is_size(sign: Hit[Any], words: Words) -> bool:
    return all(words[i] in SIZES for i in range(sign.first, sign.stop))


def _inside(sign: Hit[Any], words: Words, at: set[int]) -> bool:
    """Whether no word puts the sign beside the organ that follows it."""
    if any(words[i] in _LIES_AROUND for i in range(sign.first, sign.stop)):
        return True
    for i in range(sign.stop, len(words)):
        if i in at:
            return True
        if words[i] in _AROUND:
            return not any(j in at for j in range(i, len(words)))
    return True


def _of_organ(sign: Hit[Any], words: Words, at: set[int], told: set[int]) -> bool:
    """Whether a word of size speaks of an organ, which stands right behind it or is what the sentence is about."""
    after = sign.stop
    while after < len(words) and words[after] in SIZES:
        after += 1
    if after in at:
        return True
    if after < len(words) and (after in told or words[after] in _GENERIC or not _idle(words[after])):
        return False
    for order in (range(sign.first - 1, -1, -1), range(after, len(words))):
        nearest = next((i for i in order if i in at or i in told or not _idle(words[i])), None)
        if nearest is not None and nearest in at:
            return True
    return False


def _idle(word: str | None) -> bool:
    return not word or word in FILLERS or word in _NEUTRAL or word in _GENERIC or word in _AROUND or word.isdigit()


def _tells(hit: Hit[Any]) -> bool:
    """Whether a hit is more than the mention of an organ."""
    return not getattr(hit.value, "organs", ())


def unread(
    found: Sequence[Token], words: Words, hits: Sequence[Hit[Any]], signs: Sequence[Hit[Any]], text: str
) -> tuple[str, ...]:
    """What of a question tells something and is in none of the hits, as written; words side by side are one phrase.

    Parameters
    ----------
    found : sequence of Token
        The words of ``text`` with their places.
    words : sequence of str or None
        The same, None for a bone named by number.
    hits : sequence of Hit
        What was read.
    signs : sequence of Hit
        All signs, meant or not: with one that lies around an organ goes the word that says so.
    text : str
        The question, what was blanked (sides, negations) as spaces.
    """
    covered = {i for hit in hits for i in range(hit.first, hit.stop)}
    left = [i for i, word in enumerate(words) if i not in covered and not _idle(word)]
    if any(words[i] not in SIZES for i in left) or any(_tells(hit) for hit in hits):
        left = [i for i in left if words[i] not in SIZES]  # the size of something that was read, or is told anyway
    left += [s.stop for s in signs if s.stop - 1 in left and s.stop < len(words) and words[s.stop] in _AROUND]
    left.sort()
    runs = [[i for _, i in run] for _, run in groupby(enumerate(left), key=lambda pair: pair[1] - pair[0])]
    return tuple(dict.fromkeys(" ".join(text[found[run[0]].start : found[run[-1]].stop].split()) for run in runs))


def nothing_else(words: Words, hits: Sequence[Hit[Any]]) -> bool:
    """Whether every word outside the hits is a mere filler, or says only of what size or how simple a thing is."""
    covered = {i for h in hits for i in range(h.first, h.stop)}
    return all(i in covered or not w or w in _EMPTY for i, w in enumerate(words))


def called(
    names: Sequence[Hit[tuple[str, ...]]],
    words: Words,
    entries: Mapping[str, Abnormality],
    others: Callable[[Abnormality], Iterable[str]],
) -> tuple[tuple[str, str], ...]:
    """Keys with the disease by whose name they were found, in the dictionary's spelling.

    Parameters
    ----------
    names : sequence of Hit
        Findings by name.
    words : sequence of str or None
        The words of the question.
    entries : mapping of str to Abnormality
    others : callable
        The diseases that stand under an entry without being what it is called.
    """
    found: dict[tuple[str, str], str] = {}
    for name in names:
        text = " ".join(w for w in words[name.first : name.stop] if w)
        for key in name.value:
            for disease in others(entries[key]):
                if phrase(disease) in (text, text.removesuffix("s")):
                    found.setdefault((key, phrase(disease)), disease)
    return tuple((key, disease) for (key, _), disease in found.items())


def core_of(working: str, found: Sequence[Token]) -> str:
    """The text without what was blanked, misspellings corrected, loose ends trimmed."""
    pieces, at = [], 0
    for token in found:
        written = working[token.start : token.stop]
        known = [t.word for t in tokens(written)]
        pieces += [working[at : token.start], written if known == [token.word] else token.word]
        at = token.stop
    text = " ".join("".join([*pieces, working[at:]]).split())
    text = re.sub(r"\s+([,.;:?!])", r"\1", text)
    text = re.sub(r"^(?:and|or|of|in|on|the|is|are|there|any|for|\W)+\b\s*(?=\w)", "", text, flags=re.I)
    return re.sub(r"(?:\s+(?:and|or|of|in|on|the|at|to|is|are|there))+\s*([?.!]*)$", r"\1", text, flags=re.I).strip()
