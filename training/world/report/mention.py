"""One abnormality in a sentence: present, doubtful, denied, in the impression; with what the sentence states."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from napari_ctvlp.anatomy.dictionary import load_dictionary
from napari_ctvlp.anatomy.organs import ORGANS
from training.reports.labels import Polarity, Statement
from training.world.report.outline import LOOSE
from training.world.report.places import join, place
from training.world.report.sentences import fill_template, size_words
from training.world.report.wordings import MEASURED, NOUNS, PLAIN
from training.world.scene import PaintedFinding

_NUMBER = ("", "one", "two", "three", "four", "five")
_PRIOR = (
    ", unchanged from the prior examination",
    ", new since the prior study",
    ", increased compared with the previous CT",
    ", stable compared to the prior exam",
    " (previously {old})",
)
_DOUBT = (
    "Possible {np}{where}.",
    "{A} {np}{where} cannot be excluded.",
    "Questionable {np}{where}.",
    "Subtle finding{where}, which may represent {a} {np}.",
    "{A} {np}{where} is suspected.",
    "There is possibly {a} {np}{where}.",
    "Findings are equivocal for {np}{where}.",
    "{A} {np}{where} cannot be entirely ruled out.",
    "There may be {a} {np}{where}.",
)
_STATED = (
    "There is {a} {np}{where}{tail}.",
    "{A} {np}{where}{tail}.",
    "{A} {np} is seen{where}{tail}.",
    "{A} {np} is noted{where}{tail}.",
    "{A} {np}{where} is demonstrated{tail}.",
    "Again seen is {a} {np}{where}{tail}.",
    "There is evidence of {np}{where}{tail}.",
    "Imaging shows {a} {np}{where}{tail}.",
)
_RESOLVED = (
    "The previously described {np}{where} has resolved.",
    "The {np}{where} seen previously is no longer visible.",
    "Interval resolution of the {np}{where}.",
)
Fact = tuple[Sequence[str], Polarity, str | None]
"""Organs, what is said of them, and of which abnormality."""


@dataclass(frozen=True)
class Sentence:
    """A sentence with what it states."""

    text: str
    facts: tuple[Statement, ...]


@cache
def reach(slug: str) -> tuple[str, ...]:
    """The organs that a report means by an abnormality when it names none."""
    return next(a.organs for a in load_dictionary() if a.key == slug)


@dataclass(frozen=True)
class Narrator:
    """Says things of the organs in view."""

    view: tuple[str, ...]
    rng: np.random.Generator

    def pick(self, options: Sequence[str]) -> str:
        """One of several wordings."""
        return options[int(self.rng.integers(len(options)))]

    def chance(self, p: float) -> bool:
        """Whether something of probability ``p`` happens."""
        return bool(self.rng.random() < p)

    def sentence(self, text: str, *facts: Fact) -> Sentence:
        """A sentence with its statements, for organs in view."""
        text = " ".join(text.split())
        text = text[:1].upper() + text[1:]
        said = [Statement(o, polarity, slug, text) for organs, polarity, slug in facts for o in organs]
        return Sentence(text, tuple(said))

    def implied(self, slug: str, organs: Sequence[str], side: str | None = None) -> tuple[str, ...]:
        """What a sentence without an organ, or with a side only, states."""
        there = [o for o in reach(slug) if o in self.view or o in organs]
        return tuple(o for o in there if side is None or ORGANS[o].side in (None, side))

    def side(self, organs: Sequence[str]) -> str | None:
        """The one side of organs, or None."""
        sides = {ORGANS[o].side for o in organs}
        return next(iter(sides)) if len(sides) == 1 else None

    def where(self, slug: str, organs: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """ " in the left kidney" and the organs that it states; empty where the noun says it."""
        side = self.side(organs)
        if slug in LOOSE:
            return "", self.implied(slug, organs, side)
        if len(reach(slug)) == 1:
            return "", self.implied(slug, organs)
        named = place(organs, self.view, self.rng)
        if side and slug.startswith("adrenal") and self.chance(0.3):  # the noun says which organ
            return f" on the {side}", tuple(organs)
        return f" {self.pick(('in', 'of'))} {named}", tuple(organs)

    def noun(self, slug: str, organs: Sequence[str], adjective: str = "") -> str:
        """Adjective, side where it belongs there, and noun."""
        words = self.pick(NOUNS[slug].one)
        side = self.side(organs) if slug in LOOSE else None
        return " ".join(w for w in (adjective, side, words) if w)

    def present(self, slug: str, findings: Sequence[PaintedFinding]) -> Sentence:
        """A sentence that states one abnormality of one or of several organs."""
        organs = tuple(dict.fromkeys(o for f in findings for o in f.organs))
        if len(findings) == 1 and len(organs) == 1 and self.chance(0.45):
            worded = self._worded(slug, findings[0])
            if worded is not None:
                return worded
        return self._made(slug, findings, organs, self._tail(slug, findings))

    def doubtful(self, slug: str, organs: Sequence[str]) -> Sentence:
        """A sentence that leaves it open."""
        where, stated = self.where(slug, organs)
        noun = self.noun(slug, organs)
        return self.sentence(self._form(_DOUBT, slug, noun, where), (stated, "uncertain", slug))

    def resolved(self, slug: str, organs: Sequence[str]) -> Sentence:
        """A sentence on something that was there once."""
        where, stated = self.where(slug, organs)
        return self.sentence(self._form(_RESOLVED, slug, self.noun(slug, organs), where), (stated, "absent", slug))

    def concluded(self, slug: str, findings: Sequence[PaintedFinding]) -> Sentence:
        """The abnormality as the impression has it."""
        organs = tuple(dict.fromkeys(o for f in findings for o in f.organs))
        where, stated = self.where(slug, organs)
        if slug == "gallbladder_absent":
            return self.sentence("Status post cholecystectomy.", (stated, "present", slug))
        entry = NOUNS[slug]
        several = len(findings) > 1 if slug in LOOSE else sum(f.count for f in findings) > 1
        both = slug in LOOSE and self.side(organs) is None
        if several and entry.many:
            sided = "bilateral " if both and len(organs) > 1 else self._sided(slug, organs)
            text = f"{sided}{self.pick(entry.many)}{where}"
        else:
            text = f"{self.pick(('', findings[0].severity))} {self.noun(slug, organs)}{where}"
        text += self.pick(("", "", "", ", as above", ". Follow-up is recommended", ", stable"))
        return self.sentence(f"{text.strip()}.", (stated, "present", slug))

    def _sided(self, slug: str, organs: Sequence[str]) -> str:
        side = self.side(organs) if slug in LOOSE else None
        return f"{side} " if side else ""

    def _worded(self, slug: str, finding: PaintedFinding) -> Sentence | None:
        """One of the training wordings whose place is the finding's."""
        options = [*PLAIN[slug], *MEASURED[slug]]
        for index in self.rng.permutation(len(options))[:6].tolist():
            template = options[index]
            stated: tuple[str, ...] = (finding.organ,)
            if "{organ}" not in template and "{Organ}" not in template:
                stated = self.implied(slug, stated, self.side(stated) if "{side}" in template else None)
            if stated == (finding.organ,) or (slug in LOOSE and stated):
                return self.sentence(fill_template(template, finding.organ, finding), (stated, "present", slug))
        return None

    def _made(self, slug: str, findings: Sequence[PaintedFinding], organs: tuple[str, ...], tail: str) -> Sentence:
        """A sentence of the grammar: size or severity, noun, place, what follows."""
        where, stated = self.where(slug, organs)
        if slug == "gallbladder_absent":
            return self.sentence(self.pick(PLAIN[slug]).format(organ="gallbladder"), (stated, "present", slug))
        entry, largest = NOUNS[slug], max(findings, key=lambda f: f.size_mm)
        count = 1 if slug in LOOSE else sum(f.count for f in findings)
        fact: Fact = (stated, "present", slug)
        if entry.many and slug in LOOSE and len(findings) > 1 and self.side(organs) is None:
            adjective = self.pick(("small ", "moderate ", "", largest.severity + " "))
            more = self.pick((", right greater than left", ", larger on the left", "", ""))
            return self.sentence(f"{adjective}bilateral {self.pick(entry.many)}{more}{tail}.", fact)
        if entry.many and entry.counted and count > 1:
            number = self.pick((_NUMBER[count] if count < len(_NUMBER) else "multiple", "several", "multiple"))
            size = self.pick(
                (f", the largest measuring {size_words(largest.size_mm)}", f" up to {size_words(largest.size_mm)}", "")
            )
            form = self.pick(("There are {x}{w}{s}{t}.", "{x}{w}{s}{t}.", "{x} are seen{w}{s}{t}."))
            words = f"{number} {self._sided(slug, organs)}{self.pick(entry.many)}"
            return self.sentence(form.format(x=words, w=where, s=size, t=tail), fact)
        adjective = largest.severity if not entry.counted else self.pick(("", size_words(largest.size_mm)))
        noun = self.noun(slug, organs, self.pick((adjective, adjective, "")))
        return self.sentence(self._form(_STATED, slug, noun, self._site(slug, largest, where), tail), fact)

    def _site(self, slug: str, finding: PaintedFinding, where: str) -> str:
        """Now and then a part of the organ."""
        if where.startswith((" in the left kidney", " in the right kidney")) and self.chance(0.4):
            return where.replace(" in the", f" in the {self.pick(('upper', 'lower'))} pole of the")
        return where

    def _tail(self, slug: str, findings: Sequence[PaintedFinding]) -> str:
        if not self.chance(0.25):
            return ""
        old = size_words(findings[0].size_mm * float(self.rng.uniform(0.6, 1.0)))
        options = _PRIOR if NOUNS[slug].counted else _PRIOR[:-1]
        return self.pick(options).format(old=old)

    def _form(self, forms: Sequence[str], slug: str, noun: str, where: str, tail: str = "") -> str:
        article = ""
        if NOUNS[slug].counted:
            vowel = re.match(r"[aeiou]|8|11 |18 |11\.|18\.", noun) is not None
            article = "an" if vowel else "a"
        text = self.pick(forms).format(a=article, A=article, np=noun, where=where, tail=tail)
        return re.sub(r"\b(evidence of|equivocal for) (?=\S)", r"\1 " + (f"{article} " if article else ""), text)


def denial(narrator: Narrator, slugs: Sequence[str]) -> Sentence:
    """A sentence that denies abnormalities."""
    words = [narrator.pick(NOUNS[s].many or NOUNS[s].one) for s in slugs]
    listed = join(words, narrator.pick(("or", "or", "and")) if len(words) > 1 else "or")
    form = narrator.pick(
        (
            "No {x}.",
            "There {is} no {x}.",
            "There is no evidence of {x}.",
            "No {x} {is} seen.",
            "No {x} identified.",
            "Negative for {x}.",
            "{x} {is} not seen.",
            "No definite {x}.",
        )
    )
    if "not seen" in form:
        listed = join(words)
    verb = "are" if len(slugs) > 1 or NOUNS[slugs[0]].many else "is"
    facts: list[Fact] = [(narrator.implied(s, ()), "absent", s) for s in slugs]
    return narrator.sentence(form.format(x=listed, **{"is": verb}), *facts)
