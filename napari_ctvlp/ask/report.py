"""Everything about one scan on one page: a single HTML file that needs no other and loads nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from napari_ctvlp.anatomy import display_name
from napari_ctvlp.ask.pictures import EDGES, Plane, data_uri, key_slice
from napari_ctvlp.ask.types import abnormality_text
from napari_ctvlp.files import write_whole
from napari_ctvlp.scan.types import OrganMasks, Scan

PLANES: tuple[Plane, ...] = ("axial", "coronal")
MOST_PICTURES = 4
MOST_FINDINGS = 12
WORTH_A_PICTURE = 0.5
"""Probability from which a finding that nobody asked for gets its pictures."""

_STYLE = """
body { font: 13px/1.4 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 64rem; margin: 1.5rem auto;
  padding: 0 1rem }
h1 { font-size: 1.7em; margin: 0 } h3 { font-size: 1.1em; margin: 0 0 .2em } p { margin: .2em 0 }
h2 { font-size: 1.3em; margin: .7em 0 .3em; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .1em .6em .1em 0; vertical-align: top }
th { font-weight: 600; border-bottom: 1px solid #ccc }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.quiet { color: #666 } .warning { font-weight: 600 } .notice { border: 1px solid #b26b00; padding: .2rem .6rem }
.bar { background: #e69f00; height: .7em; display: inline-block; vertical-align: middle }
.case { display: flex; gap: .6rem; margin: .4rem 0; break-inside: avoid } .case > div { flex: 1 1 auto }
.pair { display: grid; grid-template-columns: 3fr 2fr; gap: 0 2em }
figure { margin: 0; position: relative; flex: none; background: #000; color: #fff }
figure img { display: block; height: 180px }
figure span { position: absolute; font-size: 11px; line-height: 1; text-shadow: 0 0 2px #000 }
.left { left: 3px; top: 47% } .right { right: 3px; top: 47% } .top { top: 3px; left: 48% }
.bottom { bottom: 3px; left: 48% }
@media (max-width: 50rem) { .case { flex-wrap: wrap } .pair { grid-template-columns: 1fr } }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 9px } figure img { height: 31mm }
  @page { size: A4; margin: 10mm } details { display: none } }
"""


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


def report_html(scan: Scan, masks: OrganMasks, answers: dict[str, Any]) -> str:
    """The report as one HTML text; arguments as in `write_report`."""
    parts = [
        f"<h1>{escape(scan.name)}</h1>",
        f'<p class="quiet">{_subtitle(answers)}</p>',
        '<p class="notice">Research use, not for diagnosis. Probabilities are calibrated for the scans that the '
        f"encoder was trained on: {escape(answers['encoder']['trained_on'])}.</p>",
        *_section("Questions", _queries(scan, masks, answers)),
        *_section("Findings worth a look", _slices(scan, masks, answers)),
        '<div class="pair"><div>',
        *_section("Highest findings", _findings(answers)),
        "</div><div>",
        *_section("Audit of the scan", [_audit(answers)]),
        "</div></div>",
        *_section("Organs", [_organs(answers)]),
        *_section("What made this", [_provenance(answers)]),
    ]
    head = f'<meta charset="utf-8"><title>{escape(scan.name)}: CT query</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _subtitle(answers: dict[str, Any]) -> str:
    scan, encoder = answers["scan"], answers["encoder"]
    size = " x ".join(map(str, scan["shape"]))
    spacing = " x ".join(f"{s:.3g}" for s in scan["spacing_mm"])
    return escape(f"{size} voxels of {spacing} mm (I x P x L), encoder {encoder['name']} {encoder['revision']}")


def _section(title: str, content: Iterable[str]) -> list[str]:
    rows = [part for part in content if part]
    return [f"<h2>{title}</h2>", *rows] if rows else []


def _queries(scan: Scan, masks: OrganMasks, answers: dict[str, Any]) -> list[str]:
    cases = []
    for place, query in enumerate(answers["queries"]):
        words = [f"<h3>{escape(query['text'])}</h3>"]
        if not query["matched"]:
            cases.append(f'<div class="case"><div>{words[0]}<p class="quiet">Nothing here matches.</p></div></div>')
            continue
        finding = query["finding"]
        if finding is not None:
            words.append(f"<p>{escape(_plain(finding['abnormality']))}: <b>{_probability(finding)}</b></p>")
        rows = [[display_name(o["organ"]), f"{o['score']:.2f}", _bar(o["score"])] for o in query["organs"][:4]]
        words.append(_table(("organ", "score", ""), rows, raw=(2,), numeric=(1,)))
        best = query["organs"][0]["organ"]
        pictures = _pictures(scan, masks, best) if place < MOST_PICTURES else ""
        cases.append(f'<div class="case"><div>{"".join(words)}</div>{pictures}</div>')
    return cases


def _scored(answers: dict[str, Any]) -> list[dict[str, Any]]:
    """What has a probability, the highest first."""
    return sorted(
        (r for r in answers["abnormalities"] if r["probability"] is not None), key=lambda r: -r["probability"]
    )


def _slices(scan: Scan, masks: OrganMasks, answers: dict[str, Any]) -> list[str]:
    """Pictures of the likeliest findings in organs that no question has shown yet."""
    shown = {query["organs"][0]["organ"] for query in answers["queries"] if query["matched"]}
    room = MOST_PICTURES - len(shown)
    parts: list[str] = []
    for row in _scored(answers):
        if len(parts) >= room or row["probability"] < WORTH_A_PICTURE:
            break
        if row["organ"] in shown or row["organ"] not in masks.statistics:
            continue
        shown.add(row["organ"])
        title = f"<h3>{escape(_plain(row['abnormality']))}, {escape(display_name(row['organ']))}</h3>"
        words = f"<div>{title}<b>{_probability(row)}</b></div>"
        parts.append(f'<div class="case">{words}{_pictures(scan, masks, row["organ"])}</div>')
    return parts


def _findings(answers: dict[str, Any]) -> list[str]:
    rows = [
        [display_name(r["organ"]), _plain(r["abnormality"]), _probability(r), _bar(r["probability"])]
        for r in _scored(answers)[:MOST_FINDINGS]
    ]
    parts = [_table(("organ", "abnormality", "probability", ""), rows, raw=(3,), numeric=(2,))] if rows else []
    reasons = Counter(row["status"] for row in answers["abnormalities"] if row["probability"] is None)
    if reasons:
        told = "; ".join(f"{count} {reason.removeprefix('N/A: ')}" for reason, count in reasons.most_common())
        parts.append(f'<p class="quiet">{sum(reasons.values())} pairs could not be scored: {escape(told)}.</p>')
    return parts


def _pictures(scan: Scan, masks: OrganMasks, organ: str) -> str:
    if organ not in masks.statistics:
        return ""
    figures = []
    for plane in PLANES:
        picture = key_slice(scan, masks, organ, plane)
        letters = "".join(
            f'<span class="{where}">{letter}</span>'
            for where, letter in zip(("left", "right", "top", "bottom"), EDGES[plane], strict=True)
        )
        height, width = picture.shape[:2]
        what = escape(f"{plane} slice through the {display_name(organ)}, outlined")
        figures.append(
            f'<figure><img width="{width}" height="{height}" alt="{what}" src="{data_uri(picture)}">{letters}</figure>'
        )
    return "".join(figures)


def _audit(answers: dict[str, Any]) -> str:
    rows = []
    for item in answers["scan"]["audit"]:
        strong = ' class="warning"' if item["severity"] == "warning" else ""
        rows.append(f"<tr{strong}><td>{escape(item['name'])}</td><td>{escape(item['value'])}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _organs(answers: dict[str, Any]) -> str:
    if answers["masks"] is None:
        return ""
    rows = [
        [display_name(o["organ"]), *(f"{o[key]:.1f}" for key in ("volume_ml", "mean_hu", "sd_hu")), o.get("status", "")]
        for o in answers["masks"]["organs"]
    ]
    table = _table(("organ", "ml", "mean HU", "SD HU", "status"), rows, numeric=(1, 2, 3))
    count = f"{len(rows)} organs, {answers['masks']['scheme']}"
    return f"<details><summary>{escape(count)}</summary>{table}</details>"


def _provenance(answers: dict[str, Any]) -> str:
    made, encoder = answers["provenance"], answers["encoder"]
    rows = [
        ["encoder", f"{encoder['name']}, revision {encoder['revision']}, {encoder['licence']}"],
        ["preprocessing", f"version {encoder['preprocessing_version']}, {encoder['spacing_mm']:g} mm"],
        ["prompts", f"version {encoder['prompts_version']}, {made['prompts_hash']}"],
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


def _probability(row: dict[str, Any]) -> str:
    if row["probability"] is None:
        return "cannot say"
    return f"{row['probability']:.2f} ({row['low']:.2f}-{row['high']:.2f})"


def _bar(share: float) -> str:
    return f'<span class="bar" style="width: {50 * max(0.0, min(1.0, share)):.0f}px"></span>'


def _plain(key: str) -> str:
    return abnormality_text(key)
