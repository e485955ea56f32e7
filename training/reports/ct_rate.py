"""CT-RATE's 18 labels of a chest report, by rule: which dictionary entries and which words stand for each.

The labels are coarser or finer than the dictionary ("Medical material" is any foreign body, a mosaic pattern has no
entry), so each is a few dictionary keys, a pattern for words without an entry, or both. A label holds where one of
them is stated, also where it is only suspected: the labels, unlike ours, know no doubt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from training.reports.cues import clause_of, clauses, polarity
from training.reports.link import link
from training.reports.parse import parse_report
from training.reports.split import sentences


@dataclass(frozen=True)
class Label:
    """How a label is read.

    Attributes
    ----------
    keys : tuple of str
        Entries of the abnormality dictionary that mean it.
    words : re.Pattern, optional
        Words that mean it and have no entry of their own.
    lung : bool
        Whether the words mean it only in sentences that name a lung, or no organ at all.
    """

    keys: tuple[str, ...] = ()
    words: re.Pattern[str] | None = None
    lung: bool = False


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})", re.I)


LABELS: Mapping[str, Label] = MappingProxyType(
    {
        "Medical material": Label(
            ("pacemaker_lead", "aortic_stent_graft", "metal_implant"),
            _words(
                r"catheters?|ports?\b|stents?\b|prosthe(?:sis|tic|ses)|sternotomy|sutures?\b|(?:surgical|metallic) "
                r"(?:clips?|materials?|staples?)|tracheostomy|(?:endotracheal|nasogastric|chest|drainage) tubes?|"
                r"cannula|valve replacement|bypass|implants?\b|hardware"
            ),
        ),
        "Arterial wall calcification": Label(("aortic_calcification",)),
        "Cardiomegaly": Label(("cardiomegaly",)),
        "Pericardial effusion": Label(("pericardial_effusion",)),
        "Coronary artery wall calcification": Label(("coronary_calcification",)),
        "Hiatal hernia": Label(("hiatal_hernia",)),
        "Lymphadenopathy": Label(
            ("mediastinal_lymphadenopathy", "retroperitoneal_lymphadenopathy"),
            _words(r"lymph nodes?\b|LAPs?\b|lymphadeno\w+|adenopath\w+"),  # of any size, as the labels have it
        ),
        "Emphysema": Label(("emphysema",)),
        "Atelectasis": Label(("atelectasis",)),
        "Lung nodule": Label(("lung_nodule", "lung_granuloma")),
        "Lung opacity": Label(
            ("ground_glass_opacity", "lung_consolidation"),
            _words(r"opacit\w+|opacif\w+|densit\w+ increases?|increased? densit\w+|infiltrat\w+"),
            lung=True,
        ),
        "Pulmonary fibrotic sequela": Label(
            words=_words(r"fibro\w+|sequel\w*|scar(?:s|ring|red)?\b|parenchymal bands?|honeycomb\w*|reticula\w+"),
            lung=True,
        ),
        "Pleural effusion": Label(("pleural_effusion",)),
        "Mosaic attenuation pattern": Label(words=_words(r"mosaic")),
        "Peribronchial thickening": Label(
            words=_words(
                r"peribronch\w+ (?:\w+ )?(?:thick|cuff)\w+|bronch\w+ wall\w* (?:\w+ ){0,3}thick\w+|"
                r"thick\w+ (?:\w+ ){0,3}bronch\w+"
            )
        ),
        "Consolidation": Label(words=_words(r"consolidat\w+")),
        "Bronchiectasis": Label(("bronchiectasis",)),
        "Interlobular septal thickening": Label(
            words=_words(
                r"(?:interlobular )?sept(?:al|a|um)\b[^.;]{0,30}\bthick\w+|thick\w+\b[^.;]{0,30}\bsept(?:al|a)\b"
            )
        ),
    }
)
"""By the name of the label's column."""


def read_labels(text: str) -> Mapping[str, bool]:
    """Which of the 18 labels a report states.

    Parameters
    ----------
    text : str
        A whole report.
    """
    stated = ("present", "uncertain")
    keys = {s.abnormality for s in parse_report(text).statements if s.polarity in stated}
    lines = [line.text for line in sentences(text)]
    return {
        name: not keys.isdisjoint(label.keys) or any(_says(line, label) for line in lines)
        for name, label in LABELS.items()
    }


def _says(sentence: str, label: Label) -> bool:
    """Whether a sentence states something that a label's words name."""
    matches = list(label.words.finditer(sentence)) if label.words else []
    if not matches:
        return False
    organs = {o for m in link(sentence).mentions for o in m.organs} if label.lung else set()
    if organs and not any(o.startswith("lung") for o in organs):
        return False
    spans = clauses(sentence)
    return any(polarity(sentence, clause_of(spans, m.start()), m.start(), m.end()) != "absent" for m in matches)
