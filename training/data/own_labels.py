"""The manifest's own labels as what is known of single organs.

A label is of a whole study. 0 says that every organ that its entry of the dictionary looks at is without it. 1 says it
of the one organ of the scan that the entry looks at; where there are several (the left and the right kidney) it says
that one of them has it, and not which. Of an abnormality that is not labelled nothing is known: it is not absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.errors import UserError

from .records import OrganRecord

BY_ORGAN = ("organ", "union")
"""Entries that are scored in one organ each: of the others no organ can be taught by itself."""


def plain(name: str) -> str:
    """A name as it is compared: lower case, words apart by one space."""
    return " ".join(re.sub(r"[^a-z0-9]+", " ", name.lower()).split())


@cache
def entries_called(*, loosely: bool = False) -> Mapping[str, Abnormality]:
    """Entries of the dictionary by key, name and synonym, as of :func:`plain`; of two with one synonym the first.

    ``loosely`` also by diseases that an entry is broader than, or only near to: who has none of these may still have
    what the entry says.
    """
    return {
        plain(said): entry
        for entry in reversed(load_dictionary())
        for said in (*((*entry.related, *entry.narrower) if loosely else ()), *entry.synonyms, entry.name, entry.key)
    }


def _taught(name: str) -> Abnormality | None:
    entry = entries_called().get(plain(name))
    return entry if entry is not None and entry.region in BY_ORGAN else None


def records_of_labels(labels: Mapping[str, int], organs: Mapping[int, str]) -> dict[int, OrganRecord]:
    """What a study's labels say of its organs.

    Parameters
    ----------
    labels : mapping of str to int
        1 or 0 by name; names that no entry is called are left out, and of two names of one entry 1 counts.
    organs : mapping of int to str
        Organ names by label of the masks.

    Returns
    -------
    dict
        A record for each organ; one of which nothing is said is not known.
    """
    said: dict[Abnormality, int] = {}
    for name, value in labels.items():
        entry = _taught(name)
        if entry is not None:
            said[entry] = max(value, said.get(entry, 0))
    present = set(organs.values())
    has: dict[str, list[str]] = {}
    told: dict[str, list[str]] = {}
    one_of: dict[str, list[str]] = {}
    for entry, value in sorted(said.items(), key=lambda item: item[0].key):
        here = [organ for organ in entry.organs if organ in present]
        for organ in here:
            if value and len(here) > 1:
                one_of.setdefault(organ, []).append(entry.key)
                continue
            told.setdefault(organ, []).append(entry.key)
            if value:
                has.setdefault(organ, []).append(entry.key)
    return {
        label: OrganRecord(
            organ,
            tuple(has.get(organ, ())),
            (),
            known=organ in told or organ in one_of,
            told=tuple(told.get(organ, ())),
            one_of=tuple(one_of.get(organ, ())),
        )
        for label, organ in organs.items()
    }


def labels_told(names: Iterable[str]) -> str:
    """Which labels are learned from and which are not, in words.

    Raises
    ------
    UserError
        When none is.
    """
    names = sorted(set(names))
    learned = [name for name in names if _taught(name)]
    unknown = [name for name in names if plain(name) not in entries_called()]
    beyond = [name for name in names if name not in learned and name not in unknown]
    said = [f"Labels learned from: {', '.join(learned)}."] if learned else []
    if unknown:
        said.append(f"No entry of the abnormality dictionary is called {', '.join(unknown)}: not learned from.")
    if beyond:
        said.append(f"No organ is scored by itself for {', '.join(beyond)}: not learned from.")
    if not learned:
        said = said or ["There are no label:NAME columns in the manifest."]
        raise UserError(
            f"--labels own finds nothing to learn from. {' '.join(said)} Name label:NAME columns by keys of the "
            "dictionary, such as label:kidney_stone, and prepare the studies again."
        )
    return " ".join(said)
