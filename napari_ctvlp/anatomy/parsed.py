"""A question as the rules have read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MAX_CHARACTERS = 1000
"""Longer questions are cut there, at a word."""

SideWord = Literal["left", "right", "both"]


@dataclass(frozen=True)
class ParsedQuery:
    """A question, read.

    Attributes
    ----------
    text : str
        As asked, in normal form C-K with single spaces, at most `MAX_CHARACTERS` long.
    core : str
        The text for an encoder: without negation, without sides, misspellings of known words corrected.
    organs : tuple of str
        Organs it speaks of, sides applied; those that a finding implies included.
    side : "left", "right", "both" or None
        What the text says of sides.
    negated : bool
        Whether it asks for the absence of what ``core`` says, which is the clause that was read.
    abnormalities : tuple of str
        Keys of the dictionary entries it may mean; several for a bare "stone".
    foreign : tuple of str
        Structures it names that no organ here is ("coccyx", "L9 vertebra").
    truncated : bool
        Whether a longer text was cut.
    unread : tuple of str
        What of it says something and was not understood, as written.
    narrower : tuple of (str, str)
        Keys of entries with the single disease that was asked for and that is scored only as this broader entry.
    related : tuple of (str, str)
        Keys of entries with what was asked for and is no kind of them: the nearest there is, scored in its place.
    by_name : tuple of str
        Those of ``abnormalities`` that were called by a name, not meant by a mere sign.
    elsewhere : tuple of str
        Findings, as written, of which no entry but the place is known, where that is all that is known of the text.
    candidates : tuple of str
        The organs in which those are looked for, sides applied.
    beside : tuple of str
        Organs named in which none of ``abnormalities`` is looked for, but for those in the name of one.
    unanswered : tuple of str
        The other questions of the text, as written.
    not_english : tuple of str
        Words of another language, as written; nothing else was read then.
    sizes : tuple of str
        Sizes and limits, as written ("> 5 mm"), of which no account is taken.
    quantities : tuple of str
        Words that ask for a number, as written ("volume", "bigger than").
    normality : bool
        Whether it asks if something is normal rather than for a finding.
    unspecific : tuple of str
        Substances ("blood") that are named without an organ and are no finding by themselves.
    idle : bool
        Whether it names neither an organ nor a finding and holds no other word of its own.
    """

    text: str
    core: str
    organs: tuple[str, ...]
    side: SideWord | None
    negated: bool
    abnormalities: tuple[str, ...]
    foreign: tuple[str, ...] = ()
    truncated: bool = False
    unread: tuple[str, ...] = ()
    narrower: tuple[tuple[str, str], ...] = ()
    related: tuple[tuple[str, str], ...] = ()
    by_name: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    not_english: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    normality: bool = False
    unspecific: tuple[str, ...] = ()
    idle: bool = False

    @property
    def abnormality(self) -> str | None:
        """The one finding it means, where it means just one."""
        return self.abnormalities[0] if len(self.abnormalities) == 1 else None

    @property
    def recognised(self) -> bool:
        """Whether any word of it is known."""
        return bool(self.organs or self.abnormalities or self.foreign or self.elsewhere)
