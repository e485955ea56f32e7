"""What a report states of an organ: single statements, and the label that they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Polarity = Literal["present", "uncertain", "absent", "normal"]
State = Literal["abnormal", "uncertain", "normal", "unknown"]


@dataclass(frozen=True)
class Statement:
    """One thing said of one organ.

    Attributes
    ----------
    organ : str
        TotalSegmentator v2 name.
    polarity : str
        "present", "uncertain" or "absent" of an abnormality; "normal" of the organ as a whole.
    abnormality : str, optional
        Key of the abnormality dictionary; None where no entry fits, and for "normal".
    sentence : str
        Where it is said, verbatim.
    prior : bool
        Whether the sentence compares with an earlier examination.
    """

    organ: str
    polarity: Polarity
    abnormality: str | None
    sentence: str
    prior: bool = False


@dataclass(frozen=True)
class OrganLabel:
    """What a report as a whole states of an organ.

    Attributes
    ----------
    state : str
        "abnormal" when something is present, else "uncertain" when something may be, else "normal" when the organ is
        said to be, alone or among others. A denied finding alone ("no hydronephrosis") leaves the organ "unknown",
        as does silence: what else there may be is not said.
    abnormalities, uncertain, absent : tuple of str
        Keys of the dictionary entries that are present, doubtful, denied.
    """

    state: State
    abnormalities: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


UNKNOWN = OrganLabel("unknown")


def labels_of(statements: Iterable[Statement]) -> Mapping[str, OrganLabel]:
    """The label of every organ that is spoken of."""
    by_organ: dict[str, list[Statement]] = {}
    for statement in statements:
        by_organ.setdefault(statement.organ, []).append(statement)
    return {organ: _label(said) for organ, said in by_organ.items()}


def _label(said: list[Statement]) -> OrganLabel:
    keys: dict[str, list[str]] = {"present": [], "uncertain": [], "absent": [], "normal": []}
    for s in said:
        if s.abnormality is not None:
            keys[s.polarity].append(s.abnormality)
    present = tuple(dict.fromkeys(keys["present"]))
    doubtful = tuple(k for k in dict.fromkeys(keys["uncertain"]) if k not in present)
    denied = tuple(k for k in dict.fromkeys(keys["absent"]) if k not in present and k not in doubtful)
    kinds = {s.polarity for s in said}
    state: State = "unknown"
    if "present" in kinds:
        state = "abnormal"
    elif "uncertain" in kinds:
        state = "uncertain"
    elif "normal" in kinds:
        state = "normal"
    return OrganLabel(state, present, doubtful, denied)
