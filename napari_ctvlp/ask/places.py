"""Several answers to one question, by organ or by finding: what may be said of all of them, and in which words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from napari_ctvlp.anatomy.organs import display_name
from napari_ctvlp.ask.types import CANNOT_SAY, Finding

NONE = "N/A: "
"""How the status of what has no score begins; in a sentence it cannot be said."""
FEW = 4
"""So many organs get a line each; of more their number is told."""
_NOUNS = (("rib_", "ribs"), ("vertebrae_", "vertebrae"), ("lung_", "lung lobes"))


def together(found: Sequence[Finding]) -> Finding:
    """The answer to a question about the organs of these findings, the likeliest of which comes first.

    Of many organs "absent" is not said where at least half could not be judged.
    """
    first, *others = found
    if not others:
        return first
    whole = replace(first, places=tuple(found))
    judged = sum(f.probability is not None for f in found)
    if len(found) > FEW and first.status == "absent" and 2 * judged <= len(found):
        return replace(whole, probability=None, low=None, high=None, status=CANNOT_SAY, reason=counted(whole.places))
    return whole


def sentence(name: str, finding: Finding) -> str:
    """What is said of a finding called ``name``; a line an organ where there are a few."""
    places = finding.places
    if not places:
        number = _number(finding) if finding.kinds else ""  # one number beside those of other findings needs its place
        return f"{name}, {display_name(finding.organ)}: {_status(finding, number)}."
    if len({(f.status, f.reason) for f in places}) == 1 and finding.probability is None:
        organs = sorted(display_name(f.organ) for f in places)
        where = _noun(places) if len(places) > FEW else f"{', '.join(organs[:-1])} and {organs[-1]}"
        return f"{name}, {where}: {_status(places[0])}."
    if len(places) <= FEW:
        lines = [f"{display_name(f.organ)}: {_status(f, _number(f))}." for f in places]
        return "\n".join([f"{name}, {lines[0]}", *(f"{line[0].upper()}{line[1:]}" for line in lines[1:])])
    if finding.status in ("absent", CANNOT_SAY):
        reason = counted(places)
        return f"{name}: {reason}." if finding.status == "absent" else f"{name}: {CANNOT_SAY}: {reason}."
    return f"{name}, {display_name(finding.organ)}: {_status(finding, _number(finding))} ({counted(places)})."


def others(finding: Finding, names: Mapping[str, str]) -> list[str]:
    """What is said of the other findings that a question may mean, in one line; none where it means one.

    Parameters
    ----------
    finding : Finding
        That of the question.
    names : mapping of str to str
        What to call a finding, by the key of its entry.
    """
    by_status: dict[str, list[str]] = {status: [] for status in _SAID}
    for kind in finding.kinds[1:]:
        if kind.status in by_status:
            number = f" ({display_name(kind.organ)}{_number(kind)})" if kind.status == "present" else ""
            by_status[kind.status].append(f"{names[kind.abnormality]}{number}")
    told = [f"{status}: {_few(called)}" for status, called in by_status.items() if called]
    if unjudged := len(finding.kinds[1:]) - sum(map(len, by_status.values())):
        told.append(f"{unjudged} not judged")
    return [f"Else {'; '.join(told)}."] if told else []


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")


def counted(places: Sequence[Finding]) -> str:
    """In how many organs what was found, and why the others could not be judged."""
    noun, total = _noun(places), len(places)
    found = Counter(f.status for f in places if f.probability is not None)
    parts = [f"{status} in {n} of {total} {noun}" for status in _SAID if (n := found[status])]
    for why, n in Counter(_why(f) for f in places if f.probability is None).most_common():
        parts.append(f"{n} {'is' if n == 1 else 'are'} {why}")
    return "; ".join(parts)


_SAID = ("present", "uncertain", "absent")


def _why(finding: Finding) -> str:
    """Why an organ was not judged, to follow "are"."""
    if finding.status == CANNOT_SAY:
        return f"not to be told ({finding.reason})"
    why = finding.status.removeprefix(NONE)
    return why.replace("by field", "by the field")


def _status(finding: Finding, number: str = "") -> str:
    where = ", in the part in view" if finding.part else ""
    none = finding.status.startswith(NONE)
    status = f"{CANNOT_SAY}: {finding.status.removeprefix(NONE)}" if none else finding.status
    return f"{status}{where}{number}" + (f": {finding.reason}" if finding.reason else "")


def _number(finding: Finding) -> str:
    if finding.probability is None:
        return ""
    if finding.low is None or finding.high is None:
        return f", {finding.probability:.2f}"
    return f", {finding.probability:.2f} ({finding.low:.2f}–{finding.high:.2f})"


def _noun(places: Sequence[Finding]) -> str:
    """What to call these organs together."""
    return next((noun for start, noun in _NOUNS if all(re.match(start, f.organ) for f in places)), "organs")
