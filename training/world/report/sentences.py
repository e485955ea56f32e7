"""Report sentences about the organs of a synthetic scan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from napari_ctvlp.anatomy.organs import display_name
from training.world.materials import NAMES as ORGAN_OF
from training.world.report.wordings import HELD_OUT, MEASURED, NAMES, NORMAL, PLAIN, Templates
from training.world.sample import WorldSample
from training.world.scene import PaintedFinding

__all__ = [
    "HELD_OUT",
    "OrganText",
    "dictionary_sentences",
    "fill_template",
    "held_out_sentences",
    "organ_name_texts",
    "organ_sentences",
    "organs_in_view",
    "size_words",
]

_EXTENT = {"mild": "small", "moderate": "moderate", "severe": "large"}


@dataclass(frozen=True)
class OrganText:
    """What a report says of one organ: its state, its abnormalities (slugs) and sentences."""

    organ: str
    state: Literal["normal", "abnormal"]
    abnormalities: tuple[str, ...]
    texts: tuple[str, ...]


def organ_sentences(sample: WorldSample, rng: np.random.Generator) -> dict[str, OrganText]:
    """Sentences for every organ in the sample's labels, by organ name.

    A normal organ gets two wordings, an abnormal one gets for each abnormality two plain wordings and one with size
    or severity. Organs that share a finding, as liver and spleen do ascites, are all abnormal; an organ that is gone
    (a removed gallbladder) is listed too.
    """
    found: dict[str, list[PaintedFinding]] = {}
    for finding in sample.findings:
        for organ in finding.organs:
            found.setdefault(organ, []).append(finding)
    out = {}
    for organ in dict.fromkeys([*organs_in_view(sample), *found]):
        own = found.get(organ, [])
        texts: list[str] = []
        if own:
            for finding in own:
                measured = MEASURED[finding.abnormality]
                texts.append(fill_template(measured[rng.integers(len(measured))], organ, finding))
                texts += _draw(PLAIN[finding.abnormality], organ, 2, rng)
        else:
            texts = _draw(PLAIN[NORMAL], organ, 2, rng)
        slugs = tuple(dict.fromkeys(f.abnormality for f in own))
        out[organ] = OrganText(organ, "abnormal" if own else "normal", slugs, tuple(dict.fromkeys(texts)))
    return out


def organs_in_view(sample: WorldSample) -> tuple[str, ...]:
    """Names of the organs that have a voxel in a sample, in the order of their labels."""
    counts = torch.bincount(sample.labels.flatten().long(), minlength=256).tolist()
    return tuple(name for label, name in ORGAN_OF.items() if counts[label])


def dictionary_sentences(organ: str, abnormality: str | None) -> tuple[str, ...]:
    """All training wordings, without measurements, of an abnormality in an organ, or of the normal organ (None)."""
    return _all(PLAIN, organ, abnormality)


def held_out_sentences(organ: str, abnormality: str | None) -> tuple[str, ...]:
    """The wordings kept for evaluation, never used in training."""
    return _all(HELD_OUT, organ, abnormality)


def organ_name_texts(organ: str) -> tuple[str, ...]:
    """Texts that name an organ."""
    return tuple(fill_template(t, organ) for t in NAMES)


def _all(templates: Templates, organ: str, abnormality: str | None) -> tuple[str, ...]:
    return tuple(fill_template(t, organ) for t in templates[abnormality or NORMAL])


def _draw(templates: tuple[str, ...], organ: str, n: int, rng: np.random.Generator) -> list[str]:
    return [fill_template(templates[k], organ) for k in rng.choice(len(templates), size=n, replace=False)]


def fill_template(template: str, organ: str, finding: PaintedFinding | None = None) -> str:
    """A template's sentence for an organ, with the finding's size and severity where it asks for them."""
    name = display_name(organ)
    words = {
        "organ": name,
        "Organ": name[:1].upper() + name[1:],
        "side": "left" if "left" in organ else "right" if "right" in organ else "",
    }
    if finding is not None:
        mild = finding.severity
        words |= {
            "size": size_words(finding.size_mm),
            "severity": mild,
            "Severity": mild.capitalize(),
            "extent": _EXTENT[mild],
            "Extent": _EXTENT[mild].capitalize(),
        }
    text = " ".join(template.format(**words).split())
    text = re.sub(r"\b([Aa]) (?=8|11 |18 |11\.|18\.)", r"\1n ", text)
    starts_low = template.startswith("{organ}") or template in NAMES
    return text if starts_low else text[:1].upper() + text[1:]


def size_words(mm: float) -> str:
    """A size as reports give it: whole millimetres when small, else centimetres."""
    return f"{max(1, round(mm))} mm" if mm < 19.5 else f"{mm / 10:.1f} cm"
