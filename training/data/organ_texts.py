"""What a study's report says of each organ in its masks: the state, the sentences, and why."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from training.reports.labels import UNKNOWN, OrganLabel, Statement, labels_of
from training.reports.parse import parse_report

_PERSONAL = re.compile(
    r"^\s*(?:patient|name|mrn|medical record|date of birth|d\.?o\.?b|birth|accession|referr|physician|radiologist|"
    r"attending|resident|dictated|electronically|signed|transcribed|reported by|read by|cc)\b[^:\n]{0,40}:.*$|"
    r"^.*\b(?:electronically signed|dictated by|signed by|transcribed by)\b.*$",
    re.I | re.M,
)


def spoken(report: str) -> str:
    """A report without the lines that name people: they are no findings, and they must not be stored."""
    return re.sub(r"\n{3,}", "\n\n", _PERSONAL.sub("", report)).strip()


@cache
def reader_version() -> str:
    """Changes whenever the rules that read reports, or the words they know, do."""
    code = hashlib.blake2b(digest_size=8)
    for package in ("training.reports", "napari_ctvlp.anatomy", "training.data"):
        for file in sorted(files(package).iterdir(), key=lambda f: f.name):
            is_ours = package != "training.data" or file.name == "organ_texts.py"
            if is_ours and file.name.endswith((".py", ".yaml", ".json")):
                code.update(file.name.encode() + file.read_bytes())
    return code.hexdigest()


def organ_states(
    report: str, organs: Mapping[str, str], extra: Iterable[Statement] = ()
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]], list[list[Any]]]:
    """Read a report for the organs of a scan.

    Parameters
    ----------
    report : str
    organs : mapping
        Label to organ name.
    extra : iterable of Statement
        What a language model read; it counts for organs that the rules leave unknown.

    Returns
    -------
    by_label : dict
        Per label ``state`` ("abnormal", "uncertain", "normal", "unknown"), ``abnormalities``, ``uncertain``,
        ``absent``, ``texts`` and ``known``: whether the organ can be learned from as normal or as having exactly these
        abnormalities. An organ of which anything is doubtful, or abnormal in a way that no dictionary entry names, is
        not known: beside a stone that is certain, a possible cyst would count as no cyst.
    elsewhere : dict
        The same by name for organs that the report speaks of and the masks do not hold.
    statements : list
        (organ, polarity, abnormality, sentence, prior, by whom) in the order of the text.
    """
    ruled = parse_report(spoken(report)).statements
    settled = {organ for organ, label in labels_of(ruled).items() if label.state != "unknown"}
    flat = " ".join(spoken(report).split())
    more = tuple(s for s in extra if s.organ not in settled and " ".join(s.sentence.split()) in flat)
    labels = labels_of((*ruled, *more))
    said_of: dict[str, list[Statement]] = {}
    for statement in (*ruled, *more):
        said_of.setdefault(statement.organ, []).append(statement)
    by_label = {label: _entry(labels.get(organ, UNKNOWN), said_of.get(organ, ())) for label, organ in organs.items()}
    present = set(organs.values())
    elsewhere = {o: _entry(label, said_of[o]) for o, label in labels.items() if o not in present}
    said = [[s.organ, s.polarity, s.abnormality, s.sentence, s.prior, "rules"] for s in ruled]
    said += [[s.organ, s.polarity, s.abnormality, s.sentence, s.prior, "language model"] for s in more]
    return by_label, elsewhere, said


def _entry(label: OrganLabel, said: Sequence[Statement]) -> dict[str, Any]:
    named = {s.sentence for s in said if s.polarity == "present" and s.abnormality}
    open_ = any(s.polarity == "present" and s.sentence not in named for s in said)  # a lesion, of whatever kind
    known = label.state in ("normal", "abnormal") and not open_ and not label.uncertain
    # of an abnormal organ only what says so: "no hydronephrosis" is no text for a kidney with a stone
    telling = [s for s in said if label.state != "abnormal" or s.polarity == "present"]
    return {
        "state": label.state,
        "known": known,
        "abnormalities": list(label.abnormalities),
        "uncertain": list(label.uncertain),
        "absent": list(label.absent),
        "texts": list(dict.fromkeys(s.sentence for s in telling)),
    }
