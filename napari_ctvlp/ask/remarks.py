"""What is said beside an answer: what of the question it leaves out, and why there is none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.anatomy.organs import display_name
from napari_ctvlp.anatomy.parsed import ParsedQuery
from napari_ctvlp.ask.types import TAUGHT, Finding

_NUMBERS = "Volume and mean HU of each organ stand in the tab Organs, and in what 'napari-ctvlp stats' writes."
_NORMAL = (
    "No organ and no scan can be called normal here: findings are scored one by one, all of them in the tab Findings."
)
_NOTHING = (
    "The question names no organ and no finding; the tab Findings lists what is scored, and can be sorted by score."
)


def unasked(query: ParsedQuery) -> str:
    """Why a question in which no organ and no finding was read has no answer; empty where its meaning may tell."""
    if query.not_english:
        latin = [w for w in query.not_english if w.isascii() or any("a" <= c.lower() <= "z" for c in w)]
        return f"I read English only; not English: {_quoted(latin)}." if latin else "I read English only."
    if query.recognised:
        return ""
    if query.unspecific:
        return f"{_quoted(query.unspecific)} says too little: name a finding, or the organ to look in."
    if query.normality and not query.unread:
        return _NORMAL
    if query.idle and query.quantities:
        return f"The question names no organ. {_NUMBERS}"
    return _NOTHING if query.idle else ""


def reading(query: ParsedQuery, finding: Finding | None, entries: Sequence[Abnormality]) -> str:
    """As what a question was read where the finding told is not quite what was asked for; empty where it is.

    Parameters
    ----------
    query : ParsedQuery
    finding : Finding or None
        What is told.
    entries : sequence of Abnormality
        The dictionary.
    """
    if finding is None:
        return ""
    by_key = {e.key: e for e in entries}
    said = []
    names = list(dict.fromkeys(by_key[k].name for k in query.abnormalities if k in by_key))
    if len(names) > 1:
        several = f"{names[0]} or {names[1]}" if len(names) == 2 else f"any of {len(names)} findings"
        choose = "" if query.organs else "; name an organ to choose"
        said.append(f"{_quoted([query.core])} may mean {several}{choose}.")
    other = dict(query.related).get(finding.abnormality)
    if other:
        what = f"{_capital(other)} is not scored by itself"
        near = by_key[finding.abnormality].name
        said.append(f"{what}; what is scored in its place, {near}, is not the same.")
    beside = [display_name(o) for o in query.beside]
    if beside and not finding.abnormality.startswith(TAUGHT):  # of a taught one that is said already
        said.append(f"{_capital(' or '.join(names))}: not looked for in the {_listed(beside)}.")
    return " ".join(said)


def left_out(query: ParsedQuery, finding: Finding | None) -> str:
    """What of a question its answer takes no account of; empty where there is nothing."""
    if query.not_english:
        return ""
    said = []
    if finding is not None and query.unread and "not understood" not in finding.reason:
        said.append(f"Not read: {_quoted(query.unread)}.")
    if query.sizes:
        said.append(f"Sizes are not read: {_quoted(query.sizes)}.")
    if query.quantities and (query.organs or query.abnormalities):
        said.append(_NUMBERS)
    if query.normality and query.organs:
        said.append(_NORMAL)
    if query.unanswered:
        each = "it" if len(query.unanswered) == 1 else "each"
        said.append(f"Also asked, not answered: {_quoted(query.unanswered)}; ask {each} by itself.")
    return " ".join(said)


def absent_organs(query: ParsedQuery, here: Collection[str]) -> str | None:
    """Whether organs that are asked to be absent are in the masks; None where a question asks for something else."""
    if not query.negated or not query.organs or query.abnormalities or query.unread:
        return None
    found = [display_name(o) for o in query.organs if o in here]
    return f"Asked for absence: the masks hold the {_listed(found)}." if found else ""


def _quoted(texts: Iterable[str], most: int = 3) -> str:
    short = [t if len(t) <= 60 else f"{t[:59].rstrip()}…" for t in texts]
    more = f" and {len(short) - most} more" if len(short) > most else ""
    return ", ".join(f"'{t}'" for t in short[:most]) + more


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"
