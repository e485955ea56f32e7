"""When a question about a finding is answered "cannot say", and why; what else has to be said of such an answer.

What makes a scan, its masks or the encoder doubtful in this (`napari_ctvlp.ask.doubts`) turns any answer into "cannot
say", and so do two rules. A text is *far* where words of it are left that nothing reads and its
meaning is not near to any sentence or name of the entry that the other words point to. An *absence* is not told where
the scan cannot show it: solid lesions, infarcts and clots hardly differ from their organ in HU without contrast
medium, so that CT without it is of little use for them (ACR Appropriateness Criteria on focal liver lesions, renal
masses and pancreatic masses), and noise beyond the contrast they have with it hides them as well. What is present
stays present. Scores are not touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.anatomy.lexicon import tokens
from napari_ctvlp.anatomy.organs import display_name
from napari_ctvlp.anatomy.parsed import ParsedQuery
from napari_ctvlp.ask.bank import bank_of
from napari_ctvlp.ask.doubts import NO_DOUBTS, Doubts, seen_for
from napari_ctvlp.ask.types import CANNOT_SAY, TAUGHT, Finding
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from napari_ctvlp.scan.phase import guess_phase
from napari_ctvlp.scan.types import OrganStatistics

FAR, FAR_PER_WORD, MOST_WORDS = 0.55, 0.06, 3
"""A text that names a finding is far below a similarity in meaning of `FAR`; one that only holds a sign of it needs
so much more for each word that is left, up to so many. Chosen on tests/ask/questions_far.yaml with MiniLM."""
NOISE_HU = 40.0
"""SD of HU from which noise hides what differs little: a lesion differs from its enhanced organ by some 20 to 60 HU."""
EVEN = ("liver", "spleen", "autochthon_left", "autochthon_right")
"""Organs that are even enough to measure noise in; the quietest counts, as vessels and edges only add to a SD."""


def reconsidered(
    embedding: ScanEmbedding,
    query: ParsedQuery,
    finding: Finding,
    entry: Abnormality,
    statistics: Mapping[str, OrganStatistics] | None,
    doubts: Doubts = NO_DOUBTS,
) -> Finding:
    """A finding as it may be answered: with the reason where it cannot be said, or is uncertain.

    Parameters
    ----------
    embedding : ScanEmbedding
    query : ParsedQuery
    finding : Finding
        As scored.
    entry : Abnormality
        What it is a finding of.
    statistics : mapping of str to OrganStatistics, optional
        Of the organ masks; without them neither phase nor noise is known.
    doubts : Doubts
        What is known against answers about this scan.
    """
    organs = seen_for(embedding, entry, finding.organ)
    if finding.status == f"N/A: {OrganStatus.CUT.value}" and (why := doubts.about_organs(organs)):
        return _unsaid(finding, why)  # a mask that is not the organ's says nothing of what is cut either
    if finding.probability is None or finding.low is None or finding.high is None:
        return finding
    if why := doubts.about(organs, entry.key):
        return _unsaid(finding, why)
    if finding.abnormality.startswith(TAUGHT):
        return finding
    if is_far(embedding, query, entry, finding.organ):
        left = ", ".join(_quoted(text) for text in query.unread[:3])
        return _unsaid(finding, f"the text is far from what this encoder was trained on ({left} not understood)")
    if finding.status == "absent" and (why := hidden(entry, statistics)):
        return _unsaid(finding, why)
    if finding.status == "uncertain":
        return replace(finding, reason=f"the wordings of it disagree, from {finding.low:.2f} to {finding.high:.2f}")
    return finding


def _unsaid(finding: Finding, reason: str) -> Finding:
    return replace(finding, probability=None, low=None, high=None, status=CANNOT_SAY, reason=reason)


def is_far(embedding: ScanEmbedding, query: ParsedQuery, entry: Abnormality, organ: str) -> bool:
    """Whether a text that was read in part means something else than the entry that this part points to."""
    if not query.unread:
        return False
    bank = bank_of(embedding.encoder)
    known = bank.meaning([*entry.prompts(organ)[0], *entry.said])
    near = float((known @ embedding.encoder.encode_text_meaning([query.core])[0]).max())
    if entry.key in query.by_name:
        return near < FAR
    words = sum(len(tokens(text)) for text in query.unread)
    return near < FAR + FAR_PER_WORD * min(words, MOST_WORDS)


def hidden(entry: Abnormality, statistics: Mapping[str, OrganStatistics] | None) -> str:
    """Why a scan cannot show that an entry is absent, in words; empty where it can, or where that is not known."""
    if not entry.needs_contrast or statistics is None:
        return ""
    phase = guess_phase(statistics)
    if phase.phase == "native":
        return f"unenhanced scan ({phase.reason}), on which it may look like what is around it"
    quiet = min((statistics[o] for o in EVEN if o in statistics), key=lambda s: s.sd_hu, default=None)
    if quiet is not None and quiet.sd_hu > NOISE_HU:
        return f"low contrast: noise of {quiet.sd_hu:.0f} HU in the {display_name(quiet.organ)} may hide it"
    return ""


def beyond(query: ParsedQuery, finding: Finding | None, entries: Sequence[Abnormality], use_names: bool = True) -> str:
    """What of a question has no answer of its own, in one sentence; empty where all has.

    A disease that is scored only as a broader entry, what was left unread beside an organ, or a taught finding asked
    for where it was not taught. ``use_names`` says whether the organs that are shown are those of the text.
    """
    by_key = {entry.key: entry for entry in entries}
    own = [by_key[key] for key in query.abnormalities if key.startswith(TAUGHT)]
    if own and (finding is None or set(query.organs) - set(own[0].organs)):
        return f"{_quoted(own[0].name)} was taught in {_listed(own[0].organs)} only."
    if finding is not None:
        disease = dict(query.narrower).get(finding.abnormality)
        if disease is None:
            return ""
        broader = by_key[finding.abnormality].name
        return f"{disease[0].upper()}{disease[1:]} is not scored by itself, only as the broader {broader}."
    if not query.unread or not query.organs or query.abnormalities or query.foreign:
        return ""
    told = f"I know no finding {' or '.join(_quoted(text) for text in query.unread[:3])}"
    return f"{told}; showing the {_listed(query.organs)} only." if use_names else f"{told}."


def _listed(organs: Sequence[str]) -> str:
    """Organs by name, of many the first."""
    names = [display_name(o) for o in organs]
    return " and ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"


def _quoted(text: str) -> str:
    """A text of the user's in quotes, not too long."""
    return f"'{text}'" if len(text) <= 60 else f"'{text[:59].rstrip()}…'"
