"""What stands before the findings of a report, and how a report is spelt."""

from __future__ import annotations

import re

from training.world.imaging.contrast import Phase
from training.world.report.mention import Narrator
from training.world.report.places import join
from training.world.report.wordings import NOUNS

_PHASES = {
    "native": ("without intravenous contrast", "unenhanced", "noncontrast"),
    "arterial": ("in the arterial phase after intravenous contrast", "with IV contrast, arterial phase"),
    "portal": ("in the portal venous phase after 100 mL of iohexol", "with intravenous contrast, portal venous phase"),
    "delayed": ("in the delayed phase after intravenous contrast", "with IV contrast, delayed phase"),
}
_HISTORY = (
    "Abdominal pain, rule out {x}.",
    "Follow-up of {x}.",
    "Evaluate for {x}.",
    "Known {x}, restaging.",
    "Weight loss.",
    "Trauma.",
)
_BRITISH = (
    ("hemorrhag", "haemorrhag"),
    ("hemangioma", "haemangioma"),
    ("hematoma", "haematoma"),
    ("esophag", "oesophag"),
    ("edema", "oedema"),
    ("tumor", "tumour"),
    ("caliber", "calibre"),
    ("demineraliz", "demineralis"),
    ("visualized", "visualised"),
    ("ischemi", "ischaemi"),
)


def front(say: Narrator, phase: Phase) -> list[tuple[str, str]]:
    """Examination, history, technique, comparison: nothing there is a finding of this scan."""
    region = _region(say.view)
    parts = [("EXAM", f"CT {region} {say.pick(_PHASES[phase])}.")] if say.chance(0.5) else []
    if say.chance(0.6):
        slug = say.pick(list(NOUNS))
        head = say.pick(("INDICATION", "CLINICAL HISTORY", "REASON FOR EXAM"))
        parts.append((head, say.pick(_HISTORY).format(x=say.pick(NOUNS[slug].one))))
    if say.chance(0.6):
        taken = f"Axial CT images of the {region} were obtained {say.pick(_PHASES[phase])}."
        parts.append(("TECHNIQUE", taken))
    if say.chance(0.4):
        parts.append(("COMPARISON", say.pick(("None.", "CT of 12 March 2021.", "Prior CT abdomen with a liver cyst."))))
    return parts


def spelt(text: str, british: bool) -> str:
    """The text in British or in American spelling."""
    for us, uk in _BRITISH:
        old, new = (us, uk) if british else (uk, us)
        for a, b in ((old, new), (old.capitalize(), new.capitalize())):
            text = re.sub(rf"\b{a}", b, text)
    return text


def _region(view: tuple[str, ...]) -> str:
    words = [("heart", "chest"), ("liver", "abdomen"), ("urinary_bladder", "pelvis"), ("brain", "head")]
    return join([word for organ, word in words if organ in view] or ["body"])
