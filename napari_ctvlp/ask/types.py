"""The answers: what a question gives back. Values only."""

from __future__ import annotations

from dataclasses import dataclass

TAUGHT = "taught:"
"""Begins the key of a finding that a user taught by examples; what follows is its name."""
CANNOT_SAY = "cannot say"
"""Status of a finding that was scored, where the score does not tell."""


def abnormality_text(key: str) -> str:
    """A key as people read it; a taught finding is marked as one."""
    return f"{key.removeprefix(TAUGHT)} (taught)" if key.startswith(TAUGHT) else key.replace("_", " ")


@dataclass(frozen=True)
class OrganMatch:
    """How well one organ answers a query; all parts in 0..1.

    ``visual`` is what the encoder sees, ``name`` what the organ's name says, ``score`` both fused.
    """

    organ: str
    score: float
    visual: float
    name: float


@dataclass(frozen=True)
class Finding:
    """How likely the finding that a query speaks of is present in the best organ.

    ``probability``, ``low`` and ``high`` are None where the encoder cannot say; ``status`` then holds the reason, else
    "present", "absent" or "uncertain". ``organ`` is where it was looked for, ``part`` whether only in the part of it
    that is in view. The status is "cannot say" where it was scored but cannot be told from the score; ``reason`` then
    says why, as it does where the answer is uncertain, and what is to be known of a taught finding.

    A question about several organs is answered by the likeliest, and ``places`` holds the answer for each of them, the
    likeliest first; it is empty where there is one. Of more than a few organs "absent" speaks of all, and is not said
    where most could not be judged.

    A word for several findings ("mass") is answered by the likeliest of them, and ``kinds`` holds the answer for each,
    the likeliest first; it is empty where the question means one.
    """

    abnormality: str
    organ: str
    probability: float | None
    low: float | None
    high: float | None
    status: str
    part: bool = False
    reason: str = ""
    places: tuple[Finding, ...] = ()
    kinds: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """The answer to one query: organs best first.

    ``matched`` says whether the scan holds what the query speaks of; ``message`` is one sentence for the user (why
    nothing matches, or what was understood). ``organs`` is ordered best first even when nothing matched.
    """

    text: str
    matched: bool
    message: str
    organs: tuple[OrganMatch, ...]
    finding: Finding | None = None

    @property
    def shown(self) -> str:
        """The organ to look at: the one that the sentence about a finding speaks of, else the best; "" without any."""
        if self.best is None:
            return ""
        told = "" if self.finding is None else self.finding.organ
        return told if any(match.organ == told for match in self.organs) else self.best.organ

    @property
    def best(self) -> OrganMatch | None:
        """The first organ when the query matched, else None."""
        return self.organs[0] if self.matched and self.organs else None


@dataclass(frozen=True)
class AbnormalityScore:
    """One organ and one dictionary entry.

    ``probability`` is None when it cannot be scored; ``status`` is "scored", "scored: in the part in view" for what is
    present in an organ that the field of view cuts, or the reason ("N/A: cut by field of view"). ``low`` and ``high``
    span the entry's prompts (spread over prompts, not a confidence interval over patients). ``note`` says what else is
    to be known of the score; a taught finding tells its examples there. ``doubted`` is True of a score that is not to
    be relied on; its status then ends in the reason.
    """

    organ: str
    abnormality: str
    probability: float | None
    low: float | None
    high: float | None
    status: str
    note: str = ""
    doubted: bool = False
