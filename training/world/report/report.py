"""A whole report on a synthetic scan, and what it states of every organ.

The report is what a radiologist might write, not a list of the truth: mild findings may go unmentioned, some are left
in doubt, some doubts are unfounded, and of many healthy organs nothing is said. ``Report.labels`` follows the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.reports.labels import UNKNOWN, OrganLabel, labels_of
from training.world.report.front import front, spelt
from training.world.report.mention import Fact, Narrator, Sentence, denial, reach
from training.world.report.outline import COMPANIONS, EXTRINSIC, LOOSE, SECTIONS, Section, Unit, section_of
from training.world.report.places import join, place
from training.world.report.sentences import organs_in_view
from training.world.report.wordings import NOUNS
from training.world.sample import WorldSample
from training.world.scene import PaintedFinding

_NORMAL = (
    "{The} {x} {is} unremarkable.",
    "{The} {x} {is} normal.",
    "{The} {x} appear{s} normal.",
    "Unremarkable {x}.",
    "Normal {x}.",
    "{X}: unremarkable.",
    "{The} {x} {is} within normal limits.",
    "No abnormality of the {x}.",
    "Normal appearance of the {x}.",
)
_REST = (
    "The remaining {x} {is} unremarkable.",
    "Otherwise the {x} {is} normal.",
    "The remainder of the {x} {is} unremarkable.",
    "The {x} {is} otherwise unremarkable.",
)
Groups = dict[str, list[PaintedFinding]]


@dataclass(frozen=True)
class Report:
    """A report.

    Attributes
    ----------
    text : str
        All of it, with its headings.
    findings, impression : str
        The bodies of those two parts; the impression may be empty.
    labels : mapping of str to OrganLabel
        What the text states of each organ in view.
    """

    text: str
    findings: str
    impression: str
    labels: Mapping[str, OrganLabel]


def make_report(sample: WorldSample, rng: np.random.Generator) -> Report:
    """Write a report on a sample; the same generator state gives the same text."""
    view = tuple(dict.fromkeys([*organs_in_view(sample), *(o for f in sample.findings for o in f.organs)]))
    writer = _Writer(Narrator(view, rng), sample)
    return writer.report()


class _Writer:
    """What is said, left out and doubted in one report."""

    def __init__(self, narrator: Narrator, sample: WorldSample) -> None:
        self.say, self.sample, self.view = narrator, sample, narrator.view
        self.prose = narrator.chance(0.4)
        self.british = narrator.chance(0.35)
        self.thorough = float(narrator.rng.uniform(0.25, 0.95))
        self.stated: Groups = {}
        self.doubted: list[tuple[str, tuple[str, ...]]] = []
        self.silent: set[str] = set()
        self.touched: dict[str, set[str]] = {}
        for finding in sample.findings:
            self._decide(finding)
        self._unfounded()
        self.slugs = {f.abnormality for f in sample.findings} | {s for s, _ in self.doubted}

    def _decide(self, finding: PaintedFinding) -> None:
        slug = finding.abnormality
        if finding.severity == "mild" and NOUNS[slug].urgency < 3 and self.say.chance(0.12):
            self.silent.update(finding.organs)
            return
        if self.say.chance(0.1) and slug != "gallbladder_absent":
            self.doubted.append((slug, finding.organs))
        else:
            self.stated.setdefault(slug, []).append(finding)
        for organ in finding.organs:
            self.touched.setdefault(organ, set()).add(slug)

    def _unfounded(self) -> None:
        """Now and then a doubt about an organ that has nothing."""
        options = [s for s in NOUNS if s not in EXTRINSIC | LOOSE | {"gallbladder_absent"} and s not in self.stated]
        for _ in range(2):
            slug = self.say.pick(options)
            organs = [o for o in reach(slug) if o in self.view and o not in self.touched and o not in self.silent]
            if organs and self.say.chance(0.3):
                organ = self.say.pick(organs)
                self.doubted.append((slug, (organ,)))
                self.touched[organ] = {slug}

    def report(self) -> Report:
        """Put the parts together."""
        bodies = [(section, self._section(number, section)) for number, section in enumerate(SECTIONS)]
        spoken = [(section, said) for section, said in bodies if said]
        findings = self._prose(spoken) if self.prose else self._listed(spoken)
        concluded = self._impression()
        impression = self._numbered(concluded)
        parts = [*front(self.say, self.sample.phase), ("FINDINGS", findings)]
        if impression:
            parts.append((self.say.pick(("IMPRESSION", "IMPRESSION", "CONCLUSION", "OPINION")), impression))
        joint = self.say.pick((": ", ":\n"))
        text = "\n\n".join(f"{head}{joint}{body}" for head, body in parts)
        facts = [fact for _, said in spoken for s in said for fact in s.facts] + [f for s in concluded for f in s.facts]
        found = labels_of(facts)
        labels = {o: found.get(o, UNKNOWN) for o in (*self.view, *(o for o in found if o not in self.view))}
        text, findings, impression = (spelt(part, self.british) for part in (text, findings, impression))
        return Report(text, findings, impression, labels)

    def _section(self, number: int, section: Section) -> list[Sentence]:
        say = self.say
        said = [
            sentence
            for slug, findings in self.stated.items()
            if section_of(slug, findings[0].organ) == number
            for sentence in self._positives(slug, findings)
        ]
        said += [say.doubtful(s, o) for s, o in self.doubted if section_of(s, o[0]) == number]
        said = [said[k] for k in say.rng.permutation(len(said)).tolist()]
        units = [s for unit in section.units for s in self._unit(unit)]
        deniable = [s for s in section.denied if s not in self.slugs and say.implied(s, ())]
        denied: list[Sentence] = []
        if deniable and say.chance(self.thorough):
            chosen = deniable[: 1 + int(say.rng.integers(len(deniable)))]
            denied.append(denial(say, chosen))
        if deniable and say.chance(0.04):
            slug = deniable[0]
            organs = say.implied(slug, ())[:1]
            if slug not in LOOSE and organs[0] not in self.silent:
                denied.append(say.resolved(slug, organs))
        return [*said, *units, *denied] if say.chance(0.6) else [*denied, *said, *units]

    def _positives(self, slug: str, findings: Sequence[PaintedFinding]) -> list[Sentence]:
        """One sentence for all organs, or one for each; now and then another abnormality is denied in it."""
        if len(findings) > 1 and self.say.chance(0.5):
            return [self.say.present(slug, findings)]
        return [self._accompanied(slug, f) for f in findings]

    def _accompanied(self, slug: str, finding: PaintedFinding) -> Sentence:
        sentence = self.say.present(slug, [finding])
        other, words = COMPANIONS.get(slug, ("", ()))
        if not words or other in self.slugs or len(finding.organs) > 1 or not self.say.chance(0.3):
            return sentence
        text = f"{sentence.text.removesuffix('.')}{self.say.pick((' without ', ', with no '))}{self.say.pick(words)}."
        present: Fact = ([f.organ for f in sentence.facts], "present", slug)
        return self.say.sentence(text, present, (finding.organs, "absent", other))

    def _unit(self, unit: Unit) -> list[Sentence]:
        """What is said of a unit's healthy organs."""
        here = [o for o in unit.organs if o in self.view]
        ill = [o for o in here if self.touched.get(o, set()) - EXTRINSIC]
        if not here or not self.say.chance(self.thorough):
            return []
        if not ill and not set(here) & self.silent:
            if self.prose and unit.organs[0] in self._bundled():
                return []
            if unit.normal and len(here) == len(unit.organs) and self.say.chance(0.5):
                return [self.say.sentence(self.say.pick(unit.normal), (here, "normal", None))]
            word = self.say.pick(unit.words) if len(here) > 1 or not unit.plural else ""
            if not word:
                return [self._normal(place(here, self.view, self.say.rng).removeprefix("the "), False, here)]
            return [self._normal(word, unit.plural, here)]
        well = [o for o in here if o not in ill and o not in self.silent]
        if not well or not ill or set(here) & self.silent:
            return []
        if len(unit.organs) == 2 and len(well) == 1:
            return [self._normal(place(well, self.view, self.say.rng).removeprefix("the "), False, well)]
        text = self.say.pick(_REST).format(x=unit.words[0], **{"is": "are" if unit.plural else "is"})
        return [self.say.sentence(text, (well, "normal", None))]

    def _normal(self, word: str, plural: bool, organs: Sequence[str]) -> Sentence:
        the = "" if word.startswith("both") else "the"
        form = self.say.pick(_NORMAL)
        verbs = {"is": "are" if plural else "is", "s": "" if plural else "s"}
        text = form.format(x=word, X=word.capitalize(), The=the, **verbs)
        return self.say.sentence(text, (organs, "normal", None))

    def _bundled(self) -> tuple[str, ...]:
        """Organs that a report in prose calls normal in one sentence."""
        names = ("liver", "gallbladder", "spleen", "pancreas", "adrenal_gland_left", "kidney_left", "urinary_bladder")
        return names if self.thorough > 0.5 else names[:4]

    def _bundle(self) -> list[Sentence]:
        first = self._bundled()
        units = [u for s in SECTIONS for u in s.units if u.organs[0] in first and all(o in self.view for o in u.organs)]
        units = [
            u for u in units if not any(self.touched.get(o, set()) - EXTRINSIC or o in self.silent for o in u.organs)
        ]
        units = [units[k] for k in self.say.rng.permutation(len(units)).tolist() if self.say.chance(0.85)]
        if len(units) < 2:
            return []
        words = join([u.words[0] for u in units])
        form = self.say.pick(
            (
                "The {x} are unremarkable.",
                "The {x} appear normal.",
                "Normal {x}.",
                "The visualized portions of the {x} are within normal limits.",
                "The {x} show no abnormality.",
            )
        )
        return [self.say.sentence(form.format(x=words), ([o for u in units for o in u.organs], "normal", None))]

    def _prose(self, spoken: list[tuple[Section, list[Sentence]]]) -> str:
        bundle = self._bundle()
        if bundle:
            spoken.insert(len(spoken) // 2, (SECTIONS[0], bundle))
        return self.say.pick((" ", "\n")).join(" ".join(s.text for s in said) for _, said in spoken)

    def _listed(self, spoken: list[tuple[Section, list[Sentence]]]) -> str:
        upper = self.say.chance(0.6)
        lines = []
        for section, said in spoken:
            title = self.say.pick(section.titles)
            lines.append(f"{title.upper() if upper else title.capitalize()}: {' '.join(s.text for s in said)}")
        return "\n".join(lines)

    def _impression(self) -> list[Sentence]:
        say = self.say
        if say.chance(0.1):
            return []
        order = sorted(self.stated.items(), key=lambda e: -NOUNS[e[0]].urgency)
        chosen = [(s, f) for s, f in order if NOUNS[s].urgency >= 2 or say.chance(0.3 * NOUNS[s].urgency)]
        doubted = [say.doubtful(s, o) for s, o in self.doubted if say.chance(0.3)]
        if not chosen:
            return doubted or [
                say.sentence(say.pick(("No acute abnormality.", "No acute findings.", "Unremarkable CT.")))
            ]
        return [say.concluded(s, f) for s, f in chosen] + doubted

    def _numbered(self, said: list[Sentence]) -> str:
        if len(said) > 1 and self.say.chance(0.6):
            return "\n".join(f"{k}. {s.text}" for k, s in enumerate(said, 1))
        return " ".join(s.text for s in said)
