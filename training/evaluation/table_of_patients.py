"""The Markdown of what an evaluation says beyond synthetic scans' organs: lesions located, real patients, questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .words import spread


def beyond(result: dict[str, Any]) -> Iterator[str]:
    """What there is of it."""
    if result.get("located", {}).get("share") is not None:
        yield from _located(result["located"])
    if result.get("twins", {}).get("value") is not None:
        yield from _twins(result["twins"])
    for name, found in result.get("real_scans", {}).items():
        yield from _patient(name, found)
    if "asked" in result:
        yield from _asked(result["asked"])
    for more in ("asked_second", "asked_third"):
        if more in result:
            yield "\nMore questions, by another writer who had seen neither words nor answers:"
            yield from _asked(result[more])
    if result.get("painted", {}).get("macro"):
        yield from _painted(result["painted"])


def _located(found: dict[str, Any]) -> Iterator[str]:
    share = f"{found['share']:.2f} ({found['low']:.2f}-{found['high']:.2f})"
    yield (
        f"\nBest place of the map in the lesion or within 8 mm: {share} of {found['lesions']} focal lesions (inside: "
        f"{found['inside']:.2f}; a random place of the organ: {found['chance']:.2f})."
    )
    kinds = sorted(found["by_kind"].items(), key=lambda item: -item[1]["hit"] / item[1]["of"])
    yield "Right of all: " + ", ".join(f"{kind} {row['hit']} of {row['of']}" for kind, row in kinds) + "."


def _twins(found: dict[str, Any]) -> Iterator[str]:
    yield (
        f"\nScans against the same scans without a finding: it scores higher where it is in {spread(found)} of the "
        "cases, mean "
        f"over {len(found['by_kind'])} abnormalities (chance 0.50; {found['findings']} findings of {found['pairs']} "
        "scans)."
    )
    kinds = sorted(found["by_kind"].items(), key=lambda item: -item[1]["right"] / item[1]["of"])
    yield "Higher of all: " + ", ".join(f"{kind} {row['right']} of {row['of']}" for kind, row in kinds) + "."


def _patient(name: str, found: dict[str, Any]) -> Iterator[str]:
    sight, control, known = found["by_sight"], found["control"], found["known"]
    yield (
        f"\n**{name}**: {sight['organs']} organs by sight: {sight['top1']:.2f}, in the first three {sight['top3']:.2f} "
        f"(chance {sight['chance']:.3f}; with the image made constant {control['top1']:.2f}, {control['top3']:.2f}); "
        f"sides swapped in {len(sight['swapped'])} of {sight['pairs']} pairs. Alarms: {known['alarms']} of "
        f"{known['entries']} entries of organs without a known finding."
    )
    if known["rows"]:
        yield "\n| known | is | probability | with it erased | place in its organ's list | |\n|---|---|---|---|---|---|"
    for row in known["rows"]:
        value, without = ("-" if p is None else f"{p:.2f}" for p in (row["probability"], row.get("without")))
        place = "-" if row["place"] is None else f"{row['place']} of {row['of']}"
        said = {True: "right", False: "wrong", None: "the encoder does not know it"}[row["right"]]
        said += ", cut by the field of view" if row["cut"] else ""
        state = "present" if row["present"] else "absent"
        yield f"| {row['finding']} | {state} | {value} | {without} | {place} | {said} |"


def _asked(found: dict[str, Any]) -> Iterator[str]:
    right = (
        f"{found['fused']:.2f} with names, {found['sight']:.2f} by sight alone (a random order: {found['chance']:.2f})"
    )
    yield (
        f"\n{found['questions']} questions: right first answer {right}; "
        f'"nothing matches" right in {found["nothing"]:.2f}.'
    )
    yield "\n| kind | asked | with names | by sight |\n|---|---|---|---|"
    for kind, row in found["by_kind"].items():
        yield f"| {kind} | {row['asked']} | {row['fused']} | {'-' if row['sight'] is None else row['sight']} |"


def _painted(found: dict[str, Any]) -> Iterator[str]:
    yield (
        f"\nPainted into real scans, AUC within organs: {spread(found['macro'])} over {found['count']} abnormalities "
        "(intervals over placements, not over patients); above the same organ of the untouched scan in "
        f"{spread(found['above_untouched'])} (chance 0.50)."
    )
    rows = sorted(found["rows"].items(), key=lambda item: -item[1]["auc"])
    yield "AUC, and the share above the untouched scan: " + (
        ", ".join(f"{kind} {row['auc']:.2f} ({row['above_untouched']:.2f})" for kind, row in rows) + "."
    )
