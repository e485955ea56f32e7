"""What a report says of which organ, and why, in lines to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.reports.split import sentences

from .organ_texts import organ_states, spoken

_WHY = {
    "present": "states",
    "uncertain": "doubts",
    "absent": "denies",
    "normal": "calls it normal",
}


def explain_study(record: Mapping[str, Any]) -> str:
    """A prepared study's record in words: per organ its state, the sentences and what each was taken to say."""
    shape = " x ".join(map(str, record["shape"]))
    lines = [
        f"{record['study']}  {record['split']}  {shape} voxels of {record['spacing']:g} mm",
        *(f"  audit: {name}: {value}" for name, value, _ in record["audit"]),
        *(f"  note: {note}" for note in record["notes"]),
        *(f"  label: {name} {value}" for name, value in record["labels"].items()),
    ]
    organs = sorted(record["organs"].values(), key=lambda o: o["organ"])
    by_name = {o["organ"]: o for o in organs} | dict(record["elsewhere"])
    return "\n".join([*lines, *_told(by_name, record["statements"], record["report"])])


def explain_report(study: str, report: str) -> str:
    """The same from a report alone, before its study is prepared."""
    _, spoken_of, statements = organ_states(report, {})
    return "\n".join([f"{study}  (not prepared)", *_told(spoken_of, statements, spoken(report))])


def _told(organs: Mapping[str, Mapping[str, Any]], statements: Sequence[Sequence[Any]], report: str) -> list[str]:
    lines, silent = [], []
    for name, organ in organs.items():
        said = [s for s in statements if s[0] == name]
        if not said:
            silent.append(name)
            continue
        keys = ", ".join(organ["abnormalities"]) or (
            "no entry of the dictionary" if organ["state"] == "abnormal" else ""
        )
        where = "" if "voxels" in organ else "  [no mask]"
        where += "  [cut by the field of view]" if organ.get("complete") is False else ""
        use = "" if organ["known"] else "  (not learned from as normal or abnormal)"
        lines.append(f"{name}: {organ['state']}{f' ({keys})' if keys else ''}{where}{use}")
        for _, polarity, key, sentence, prior, by in said:
            why = f"{_WHY[polarity]}{f' {key}' if key else ''}{', compared with before' if prior else ''}; by {by}"
            lines.append(f'    "{sentence}"  <- {why}')
    if silent:
        lines.append(f"not mentioned: {', '.join(silent)}")
    used = {s[3] for s in statements}
    rest = [line.text for line in sentences(report) if line.text not in used]
    lines += [f'to no organ: "{text}"' for text in rest]
    return lines
