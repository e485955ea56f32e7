"""Sentences for the encoder's text side: an organ by name, an organ that is normal."""

from __future__ import annotations

from napari_ctvlp.anatomy.organs import ORGANS, display_name

PROMPTS_VERSION = "1"
"""Changes whenever a prompt here or in the dictionary changes; written into every export."""

# The same five that the built-in dictionary compares with, so that they are embedded once.
# Sentence encoders barely tell "no stone" from "stone" (measured), so that normal is said without a negation.
NORMAL_TEMPLATES: tuple[str, ...] = (
    "The {organ} is unremarkable.",
    "Normal {organ}.",
    "The {organ} appears normal.",
    "The {organ} is normal in size, shape and attenuation.",
    "Normal appearance of the {organ}.",
)
NAME_TEMPLATES: tuple[str, ...] = ("{organ}", "The {organ}.", "CT of the {organ}.", "A CT scan showing the {organ}.")


def fill(template: str, organ: str) -> str:
    """The template with the organ's display name in place of "{organ}"."""
    return template.replace("{organ}", display_name(organ))


def name_prompts(organ: str) -> tuple[str, ...]:
    """Texts that name an organ: templates with its display name, then its own synonyms."""
    own = ORGANS[organ].nouns if organ in ORGANS else ()
    return tuple(dict.fromkeys([*(fill(t, organ) for t in NAME_TEMPLATES), *own]))


def normal_prompts(organ: str) -> tuple[str, ...]:
    """Texts that call an organ normal, free of negations."""
    return tuple(fill(t, organ) for t in NORMAL_TEMPLATES)
