"""What a question asks that no finding answers: sizes and numbers, whether all is normal, words that say too little."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from napari_ctvlp.anatomy.clauses import Span
from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.anatomy.lexicon import Hit, fold

_NUMBER = r"\d+(?:[.,]\d+)?"
_SIZE = re.compile(
    r"(?:(?:[<>≤≥]=?|\b(?:(?:larger|bigger|greater|more|less|smaller|wider|longer)\s+than|at\s+least|at\s+most|over|under"
    r"|above|below|exceeding|up\s+to))\s*)?"
    rf"(?<![\w.,]){_NUMBER}(?:\s*[x×*-]\s*{_NUMBER})*\s*(?:mm|cm|ml|cc|hu|percent|%)(?:[²³23])?(?!\w)",
    re.I,
)
_QUANTITY = re.compile(
    r"\b(?:volumes?|diameters?|calib(?:er|re)|lengths?|widths?|weights?|sizes?|hounsfield(?:\s+units?)?|HU|measure(?:s|ments?|d)?"
    r"|how\s+(?:big|large|wide|long|heavy|dense|thick)|(?:bigger|larger|greater|smaller|wider|denser|heavier|longer)\s+than"
    r")\b",
    re.I,
)
_MOST = re.compile(r"\b(?:biggest|largest|smallest)\b", re.I)
_NORMAL = re.compile(
    r"\b(?:(?:ab)?normal(?:ity|ities)?|healthy|unremarkable|pathological|pathology|wrong|ok|okay|in\s+order)\b", re.I
)
_SUBSTANCES = frozenset(["blood", "gas", "air", "fluid", "fat", "water", "liquid", "calcium", "pus"])
"""What lies in a healthy body too: by itself no finding, unless several entries speak of it."""
_KINDS = frozenset(["mass", "lesion", "tumor", "nodule", "polyp", "malignancy", "cancer"])
"""Words of an entry's name by which it stands for unspecific ones."""
_MORE_KINDS = [
    "masses",
    "lesions",
    "tumors",
    "cancers",
    "growth",
    "growths",
    "spot",
    "spots",
    "stool",
    "faeces",
    "feces",
]
_UNSPECIFIC = _KINDS - {"nodule", "polyp"} | frozenset(fold(w) for w in _MORE_KINDS)


def sizes_in(text: str, superlatives: bool = False) -> list[Span]:
    """Sizes and limits with a unit ("12 mm", "> 5 mm", "larger than 5.5 cm"); "biggest" as well if wanted."""
    hits = [*_SIZE.finditer(text), *(_MOST.finditer(text) if superlatives else ())]
    return [Span(*m.span()) for m in hits]


def quantities_in(text: str) -> list[Span]:
    """Words that ask for a number ("volume", "how big", "HU", "smaller than"), those of sizes left out."""
    sizes = sizes_in(text)
    found = [Span(*m.span()) for m in _QUANTITY.finditer(text)]
    return [s for s in found if not any(s.meets(size) for size in sizes)]


def normal_in(text: str) -> list[Span]:
    """Words that ask whether something is normal, or call it so."""
    return [Span(*m.span()) for m in _NORMAL.finditer(text)]


def as_written(text: str, spans: Iterable[Span]) -> tuple[str, ...]:
    """The words of spans."""
    return tuple(dict.fromkeys(" ".join(text[s.start : s.stop].split()) for s in spans))


def substances(words: Sequence[str | None], signs: Sequence[Hit[tuple[str, ...]]]) -> tuple[str, ...]:
    """The substances that a text names; none where a sign is more than that, or several entries speak of it."""
    said = {words[i] for s in signs for i in range(s.first, s.stop)}
    if not said <= _SUBSTANCES or len({k for s in signs for k in s.value}) > 1:
        return ()
    return tuple(dict.fromkeys(w for w in words if w in _SUBSTANCES))


def stands_for(
    signs: Sequence[Hit[tuple[str, ...]]], words: Sequence[str | None], entries: Mapping[str, Abnormality]
) -> tuple[tuple[str, str], ...]:
    """Keys with the unspecific word ("lesion") under which a narrower entry was found ("liver metastasis")."""
    found = []
    for sign in signs:
        text = " ".join(w for w in words[sign.first : sign.stop] if w)
        if text.split() and set(text.split()) & _UNSPECIFIC:
            found += [(k, text) for k in sign.value if not _KINDS & set(map(fold, re.findall(r"\w+", entries[k].name)))]
    return tuple(dict.fromkeys(found))
