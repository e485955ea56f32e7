"""The Markdown that an evaluation prints and writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .table_of_patients import beyond
from .words import spread


def as_markdown(result: dict[str, Any]) -> str:
    """Everything of a result but its JSON's details."""
    return "\n".join(
        [
            *_head(result),
            "",
            *_rows(result),
            "",
            *_anatomy(result),
            *_calibration(result),
            *_checks(result),
            *beyond(result),
        ]
    )


def _head(result: dict[str, Any]) -> Iterator[str]:
    said = f"{result['scans']} {result['what']}, {result['organs']} organs; "
    if result["organ_accuracy"] is not None:
        said += (
            f"organs recognised by sight among {result['organ_kinds']}: {result['organ_accuracy']:.3f} "
            f"(chance {result['organ_chance']:.3f}, in the first three {result['organ_top3']:.3f}); "
        )
    yield said + (
        f"macro AUC {spread(result['macro_auc'], 3)} over {result['macro_auc']['count']}, "
        f"{spread(result['macro_auc_enough'], 3)} over the {result['macro_auc_enough']['count']} with enough scans; "
        f"mean calibration error {result['macro_calibration_error']:.3f}"
    )
    for note in result["notes"]:
        yield f"\n{note}"


def _rows(result: dict[str, Any]) -> Iterator[str]:
    yield (
        "| abnormality | AUC (95 % interval) | positives of cases | calibration error | average precision | F1 "
        "| sensitivity | specificity | AUC by single prompts | |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for r in sorted(result["abnormalities"], key=lambda r: -((r["auc"] or {}).get("value") or -1)):
        prompts = f"{r['prompts']['low']:.2f}-{r['prompts']['high']:.2f}" if "prompts" in r else "-"
        cells = [
            r["name"],
            spread(r["auc"]),
            f"{r['positives']} of {r['cases']}",
            spread(r["calibration_error"]),
            *(spread(r.get(name)) for name in ("average_precision", "f1", "sensitivity", "specificity")),
            prompts,
            r["verdict"],
        ]
        yield f"| {' | '.join(cells)} |"


def _anatomy(result: dict[str, Any]) -> Iterator[str]:
    rows = {k: v for k, v in result["by_anatomy"].items() if v["count"]}
    if rows:
        yield "| anatomy | macro AUC | abnormalities with enough scans |\n|---|---|---|"
        yield from (f"| {name} | {spread(v)} | {v['count']} |" for name, v in rows.items())
        yield ""


def _calibration(result: dict[str, Any]) -> Iterator[str]:
    if result["calibrations"]:
        yield "| calibration | expected calibration error, all cases |\n|---|---|"
        for name, entry in result["calibrations"].items():
            used = " (used here)" if name == result["calibration"] else ""
            yield f"| {name}{used} | {spread(entry, 3)} |"
        yield ""


def _checks(result: dict[str, Any]) -> Iterator[str]:
    names = {
        "organ_sides": "an organ of the named side above its counterpart, by sight",
        "finding_sides": "a one-sided finding likelier on its side",
        "negation_read": '"no X" answered as a question for absence',
        "negation_alone": '"no X" not taken for X where X is seen, by the encoder without the rules',
    }
    if result["checks"]:
        yield "| check | right | of | share |\n|---|---|---|---|"
    for key, said in names.items():
        found = result["checks"].get(key)
        if found:
            share = "-" if found["share"] is None else f"{found['share']:.3f}"
            yield f"| {said} | {found['right']} | {found['of']} | {share} |"
