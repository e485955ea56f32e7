"""The audit card: what a scan, its masks and the encoder are, and what to beware of, on one page to print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from napari_ctvlp import __version__
from napari_ctvlp.anatomy.organs import display_name
from napari_ctvlp.ask.doubts import hu_wrong
from napari_ctvlp.encoder.contract import BLIND, EncoderCard, ScanEmbedding
from napari_ctvlp.files import write_whole
from napari_ctvlp.scan.fit import check_fit
from napari_ctvlp.scan.masks import OTHER_FRAME
from napari_ctvlp.scan.phase import guess_phase
from napari_ctvlp.scan.types import Audit, AuditItem, OrganMasks, Scan, Severity

MOST_NAMES = 14
CUT_ORGANS = "findings there may be called present, never absent"
COARSE = 1.5
"""A scan whose voxels are so many times the encoder's is said to be coarse for it."""
# Okabe-Ito, told apart by colour-blind readers; the word beside the light says the same
LIGHTS: dict[Severity, tuple[str, str]] = {
    "ok": ("#009E73", "ok"),
    "note": ("#0072B2", "note"),
    "warning": ("#D55E00", "look at this"),
}
CHECKED: dict[Severity, str] = {
    "ok": "The checks of scan and masks found nothing.",
    "note": "The checks of scan and masks left notes.",
    "warning": "The checks of scan and masks found something to look at.",
}
"""What the light says: how far the encoder can be trusted is no matter of these checks."""
ENCODER = "Encoder"
_RESTRICTED = ("non-commercial", "noncommercial", "-nc", " nc", "research")


@dataclass(frozen=True)
class AuditCard:
    """A title, and an `Audit` for each heading."""

    title: str
    sections: tuple[tuple[str, Audit], ...]

    @property
    def severity(self) -> Severity:
        """The worst of what was checked, which the encoder's card is not."""
        checked = (audit.items for heading, audit in self.sections if heading != ENCODER)
        return Audit(tuple(item for items in checked for item in items)).severity

    def __str__(self) -> str:
        return "\n\n".join([self.title, *(f"{heading}\n{audit}" for heading, audit in self.sections)])


def full_audit(scan: Scan, masks: OrganMasks | None) -> Audit:
    """The audit of a scan with what its organ masks add: contrast phase, organs that are cut, what to beware of."""
    if masks is None:
        return scan.audit
    beware = [item for item in _notes(masks) if item.severity == "warning"]
    return Audit((*scan.audit.items, fit_item(scan, masks), _phase(masks), _cut(masks), *beware))


def audit_card(
    scan: Scan,
    masks: OrganMasks | None = None,
    card: EncoderCard | None = None,
    embedding: ScanEmbedding | None = None,
) -> AuditCard:
    """Everything that is known of how far answers about a scan can be trusted; free of patient information.

    Parameters
    ----------
    scan : Scan
    masks : OrganMasks, optional
    card : EncoderCard, optional
        Of the encoder that answers.
    embedding : ScanEmbedding, optional
        Tells which organs the encoder could not use.
    """
    sections = [("Scan", scan.audit)]
    if masks is None:
        missing = AuditItem("organ masks", "none: answers about organs need them", "note")
        sections.append(("Organs", Audit((missing,))))
    else:
        sections.append(("Organs", Audit((*_masks(masks), fit_item(scan, masks), _phase(masks), _cut(masks)))))
    if card is not None:
        sections.append((ENCODER, Audit((*_encoder(card, scan), *_unused(embedding)))))
    return AuditCard(scan.name, tuple(sections))


def fit_item(scan: Scan, masks: OrganMasks) -> AuditItem:
    """Whether the masks can be those of the scan; where the HU are in doubt, by the places of organs alone."""
    wrong = bool(hu_wrong(scan.audit))
    fit = check_fit(masks.statistics, by_hu=not wrong)
    if fit.amiss:
        return AuditItem("fit of masks", fit.sentence, "warning")
    what = "sides and order of the organs are" if wrong else "HU, sides and order of the organs are"
    return AuditItem("fit of masks", f"{what} as in a body, as far as they can be checked")


def _phase(masks: OrganMasks) -> AuditItem:
    return AuditItem("contrast phase", f"{guess_phase(masks.statistics)}, a guess")


def _cut(masks: OrganMasks) -> AuditItem:
    cut = [name for name, s in masks.statistics.items() if s.touches_edge]
    if not cut:
        return AuditItem("cut organs", "none: the field of view holds every organ of the masks whole")
    text = f"{len(cut)} of {len(masks.statistics)}: {_names(cut)}; {CUT_ORGANS}"
    return AuditItem("cut organs", text, "note")


def _masks(masks: OrganMasks) -> list[AuditItem]:
    count = len(masks.names)
    items = [AuditItem("organ masks", f"{count} organ{'' if count == 1 else 's'}, {masks.scheme}")]
    return items + _notes(masks)


def _notes(masks: OrganMasks) -> list[AuditItem]:
    """What was done to the masks on the way; that they may be another scan's is a warning."""
    return [
        AuditItem("organ masks", note, "warning") if note == OTHER_FRAME else AuditItem("note", note, "note")
        for note in masks.notes
    ]


def _encoder(card: EncoderCard, scan: Scan) -> list[AuditItem]:
    restricted = any(word in card.licence.lower() for word in _RESTRICTED)
    windows = ", ".join(f"{low:g} to {high:g}" for low, high in card.hu_windows)
    coarse = max(scan.spacing) > COARSE * card.spacing_mm
    grid = f"{card.spacing_mm:g} mm; HU {windows}"
    if coarse:
        grid += f"; this scan has voxels of {max(scan.spacing):.3g} mm, finer detail is not there to be seen"
    return [
        AuditItem("encoder", f"{card.name}, revision {card.revision}"),
        AuditItem("what it is", card.summary),
        AuditItem("trained on", card.trained_on),
        AuditItem("licence", card.licence, "note" if restricted else "ok"),
        AuditItem("works at", grid, "note" if coarse else "ok"),
        AuditItem(
            "knows",
            f"{len(card.organs)} organs, {len(card.abnormalities)} pairs of an organ and an abnormality"
            if card.organs
            else "any organ by its name",
        ),
    ]


def _unused(embedding: ScanEmbedding | None) -> list[AuditItem]:
    if embedding is None:
        return []
    items = []
    for status in BLIND:
        names = [o for o, s in zip(embedding.organs, embedding.status, strict=True) if s is status]
        if names:
            items.append(AuditItem(status.value, f"{len(names)}, not scored: {_names(names)}", "note"))
    return items


def _names(organs: Sequence[str]) -> str:
    names = ", ".join(display_name(organ) for organ in organs[:MOST_NAMES])
    return f"{names} and {len(organs) - MOST_NAMES} more" if len(organs) > MOST_NAMES else names


def card_html(card: AuditCard) -> str:
    """One HTML page that needs no other; plain enough for Qt's text documents to show and print."""
    colour, _ = LIGHTS[card.severity]
    parts = [
        f"<h2>Audit: {escape(card.title)}</h2>",
        f'<p><span style="color: {colour}">●</span> <b>{escape(CHECKED[card.severity])}</b></p>',
    ]
    for heading, audit in card.sections:
        rows = "".join(_row(item, checked=heading != ENCODER) for item in audit.items)
        parts.append(f'<h3>{escape(heading)}</h3><table cellspacing="0" cellpadding="3" width="100%">{rows}</table>')
    parts.append(f"<p>napari-ctvlp {escape(__version__)}. Research use, not for diagnosis.</p>")
    style = "body { font-family: sans-serif } td { vertical-align: top } @page { size: A4; margin: 15mm }"
    head = f'<meta charset="utf-8"><title>{escape(card.title)}: audit</title><style>{style}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _row(item: AuditItem, checked: bool) -> str:
    """A line of the table; what was not ``checked`` is only told, and gets no green light."""
    colour, word = LIGHTS[item.severity]
    value = escape(item.value)
    light = "" if item.severity == "ok" and not checked else f'<span style="color: {colour}">●</span> {word}'
    return (
        f'<tr><td width="16%" style="white-space: nowrap">{light}</td>'
        f'<td width="18%">{escape(item.name)}</td><td>{f"<b>{value}</b>" if item.severity == "warning" else value}</td>'
        "</tr>"
    )


def write_card(path: str | Path, card: AuditCard) -> Path:
    """Write `card_html`; the file is complete or not there.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        path = path.with_name(path.name + ".html")
    write_whole(path, card_html(card))
    return path
