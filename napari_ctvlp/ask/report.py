"""Everything about one scan on one page: a single HTML file that needs no other and loads nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from napari_ctvlp.anatomy import display_name
from napari_ctvlp.ask.export import answer_lines
from napari_ctvlp.ask.pictures import Plane, key_slice
from napari_ctvlp.ask.report_layout import PageLayout
from napari_ctvlp.ask.types import abnormality_text
from napari_ctvlp.files import write_whole
from napari_ctvlp.scan.types import OrganMasks, Scan

PLANES: tuple[Plane, ...] = ("axial", "coronal")
MOST_PICTURES = 4
MOST_FINDINGS = 12
WORTH_A_PICTURE = 0.5
"""Probability from which a finding that nobody asked for gets its pictures."""

PROBABILITIES = {
    True: "Probabilities were fitted on validation scans, and hold for scans like those.",
    False: "Probabilities are the model's own and not calibrated.",
}


def write_report(path: str | Path, scan: Scan, masks: OrganMasks, answers: dict[str, Any]) -> None:
    """Write the report.

    Parameters
    ----------
    path : str or Path
    scan : Scan
    masks : OrganMasks
    answers : dict
        What `answers_as_json` gave, with the masks.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    write_whole(Path(path), report_html(scan, masks, answers))


def report_html(scan: Scan, masks: OrganMasks, answers: dict[str, Any], layout: PageLayout | None = None) -> str:
    """The report as one HTML text, for browsers unless laid out otherwise; other arguments as in `write_report`."""
    layout = layout or PageLayout()
    findings = "\n".join(_section("Highest findings", _findings(answers, layout)))
    audit = "\n".join(_section("Audit of the scan", [_audit(answers)]))
    parts = [
        f"<h1>{escape(scan.name)}</h1>",
        f'<p class="quiet">{_subtitle(answers)}</p>',
        layout.notice(
            f"Research use, not for diagnosis. {PROBABILITIES[bool(answers['encoder']['calibrated'])]} "
            f"The encoder was trained on: {escape(answers['encoder']['trained_on'])}."
            + (f" <b>{escape(region)}</b>" if (region := answers["encoder"]["region_warning"]) else "")
        ),
        *_section("Questions", _queries(scan, masks, answers, layout)),
        *_section("Findings worth a look", _slices(scan, masks, answers, layout)),
        layout.pair(findings, audit),
        *_section("Organs", [_organs(answers, layout)]),
        *_section("What made this", [_provenance(answers)]),
    ]
    head = f'<meta charset="utf-8"><title>{escape(scan.name)}: CT query</title><style>{layout.style}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _subtitle(answers: dict[str, Any]) -> str:
    scan, encoder = answers["scan"], answers["encoder"]
    size = " x ".join(map(str, scan["shape"]))
    spacing = " x ".join(f"{s:.3g}" for s in scan["spacing_mm"])
    return escape(f"{size} voxels of {spacing} mm (I x P x L), encoder {encoder['name']} {encoder['revision']}")


def _section(title: str, content: Iterable[str]) -> list[str]:
    rows = [part for part in content if part]
    return [f"<h2>{title}</h2>", *rows] if rows else []


def _queries(scan: Scan, masks: OrganMasks, answers: dict[str, Any], layout: PageLayout) -> list[str]:
    cases = []
    for place, query in enumerate(answers["queries"]):
        words = [f"<h3>{escape(query['text'])}</h3>"]
        if not query["matched"]:
            cases.append(layout.case(f'{words[0]}<p class="quiet">{escape(" ".join(answer_lines(query)))}</p>', ()))
            continue
        words += [f"<p>{escape(line)}</p>" for line in answer_lines(query)]
        rows = [[display_name(o["organ"]), f"{o['score']:.2f}", layout.bar(o["score"])] for o in query["organs"][:4]]
        words.append(_table(("organ", "score", ""), rows, raw=(2,), numeric=(1,)))
        figures = _figures(scan, masks, _shown(query), layout) if place < MOST_PICTURES else ()
        cases.append(layout.case("".join(words), figures))
    return cases


def _shown(query: dict[str, Any]) -> str:
    """The organ that the sentence speaks of, else the best."""
    organs = [row["organ"] for row in query["organs"]]
    told = None if query["finding"] is None else query["finding"]["organ"]
    return str(told if told in organs else organs[0])


def _scored(answers: dict[str, Any]) -> list[dict[str, Any]]:
    """What has a probability, the highest first."""
    return sorted(
        (r for r in answers["abnormalities"] if r["probability"] is not None), key=lambda r: -r["probability"]
    )


def _slices(scan: Scan, masks: OrganMasks, answers: dict[str, Any], layout: PageLayout) -> list[str]:
    """Pictures of the likeliest findings in organs that no question has shown yet."""
    shown = {_shown(query) for query in answers["queries"] if query["matched"]}
    room = MOST_PICTURES - len(shown)
    parts: list[str] = []
    for row in _scored(answers):
        if len(parts) >= room or row["probability"] < WORTH_A_PICTURE:
            break
        if row["organ"] in shown or row["organ"] not in masks.statistics or _doubt(row):
            continue
        shown.add(row["organ"])
        title = f"<h3>{escape(_plain(row['abnormality']))}, {escape(display_name(row['organ']))}</h3>"
        parts.append(layout.case(f"{title}<b>{_probability(row)}</b>", _figures(scan, masks, row["organ"], layout)))
    return parts


def _findings(answers: dict[str, Any], layout: PageLayout) -> list[str]:
    rows = [
        [
            display_name(r["organ"]),
            _plain(r["abnormality"]) + (f" ({doubt})" if (doubt := _doubt(r)) else ""),
            _probability(r),
            layout.bar(r["probability"]),
        ]
        for r in _scored(answers)[:MOST_FINDINGS]
    ]
    parts = [_table(("organ", "abnormality", "probability", ""), rows, raw=(3,), numeric=(2,))] if rows else []
    reasons = Counter(row["status"] for row in answers["abnormalities"] if row["probability"] is None)
    if reasons:
        told = "; ".join(f"{count} {reason.removeprefix('N/A: ')}" for reason, count in reasons.most_common())
        parts.append(f'<p class="quiet">{sum(reasons.values())} pairs could not be scored: {escape(told)}.</p>')
    return parts


def _figures(scan: Scan, masks: OrganMasks, organ: str, layout: PageLayout) -> list[str]:
    if organ not in masks.statistics:
        return []
    what = f"slice through the {display_name(organ)}, outlined"
    return [layout.figure(key_slice(scan, masks, organ, plane), plane, f"{plane} {what}") for plane in PLANES]


def _audit(answers: dict[str, Any]) -> str:
    rows = []
    for item in answers["scan"]["audit"]:
        strong = ' class="warning"' if item["severity"] == "warning" else ""
        rows.append(f"<tr{strong}><td>{escape(item['name'])}</td><td>{escape(item['value'])}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _organs(answers: dict[str, Any], layout: PageLayout) -> str:
    if answers["masks"] is None:
        return ""
    rows = [
        [display_name(o["organ"]), *(f"{o[key]:.1f}" for key in ("volume_ml", "mean_hu", "sd_hu")), o.get("status", "")]
        for o in answers["masks"]["organs"]
    ]
    table = _table(("organ", "ml", "mean HU", "SD HU", "status"), rows, numeric=(1, 2, 3))
    count = f"{len(rows)} organs, {answers['masks']['scheme']}"
    return layout.folded(count, table)


def _provenance(answers: dict[str, Any]) -> str:
    made, encoder = answers["provenance"], answers["encoder"]
    rows = [
        ["encoder", f"{encoder['name']}, revision {encoder['revision']}, {encoder['licence']}"],
        ["preprocessing", f"version {encoder['preprocessing_version']}, {encoder['spacing_mm']:g} mm"],
        ["prompts", f"version {encoder['prompts_version']}, {made['prompts_hash']}"],
        ["organ names", "count in the answers" if made["use_names"] else "do not count in the answers"],
        ["scan", made["scan_hash"]],
        ["masks", made["masks_hash"] or ""],
        ["software", ", ".join(f"{name} {number}" for name, number in made["software"].items())],
    ]
    return _table(("", ""), rows)


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], raw: Sequence[int] = (), numeric: Sequence[int] = ()
) -> str:
    """An HTML table; columns of ``raw`` hold HTML, all others are escaped."""

    def cell(tag: str, place: int, text: str) -> str:
        kind = ' class="n"' if place in numeric else ""
        return f"<{tag}{kind}>{text if place in raw else escape(text)}</{tag}>"

    lines = ["".join(cell("td", i, text) for i, text in enumerate(row)) for row in rows]
    top = "".join(cell("th", i, text) for i, text in enumerate(head)) if any(head) else ""
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in [top, *lines] if line) + "</table>"


def _doubt(row: dict[str, Any]) -> str:
    """Why a score is not to be relied on; empty where nothing is said against it."""
    return str(row["status"].partition("; ")[2])


def _probability(row: dict[str, Any]) -> str:
    if row["probability"] is None:
        return "cannot say"
    return f"{row['probability']:.2f} ({row['low']:.2f}-{row['high']:.2f})"


def _plain(key: str) -> str:
    return abnormality_text(key)
