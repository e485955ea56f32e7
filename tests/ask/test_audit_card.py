"""The audit card: what it holds, what it warns of, and that it names nobody."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

import pytest

from napari_ctvlp.ask.audit_card import audit_card, card_html, full_audit, write_card
from napari_ctvlp.cli import main
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from napari_ctvlp.scan import read_scan
from napari_ctvlp.scan.types import Audit, AuditItem
from tests.scan.makers import body, write_scan, write_series

from ..test_prior import labels


def items(card, heading):
    return {item.name: item for item in dict(card.sections)[heading].items}


def cut(masks, *organs):
    statistics = dict(masks.statistics)
    for organ in organs:
        statistics[organ] = dataclasses.replace(statistics[organ], touches_edge=True)
    return dataclasses.replace(masks, statistics=statistics)


def test_holds_scan_organs_and_encoder(phantom, word_encoder):
    scan, masks = phantom
    card = audit_card(scan, masks, word_encoder.card)
    assert [heading for heading, _ in card.sections] == ["Scan", "Organs", "Encoder"]
    assert card.sections[0][1] is scan.audit
    organs, encoder = items(card, "Organs"), items(card, "Encoder")
    assert "4 organs" in organs["organ masks"].value and "unknown (no aorta" in organs["contrast phase"].value
    assert encoder["licence"].value == "BSD-3-Clause" and "revision test" in encoder["encoder"].value
    assert "3 mm; HU -160 to 240" in encoder["works at"].value
    assert card.severity == "ok"


def test_cut_organs_are_a_note_that_names_them(phantom):
    scan, masks = phantom
    masks = cut(masks, "liver", "kidney_left")
    item = items(audit_card(scan, masks), "Organs")["cut organs"]
    assert item.severity == "note" and item.value.startswith("2 of 4: ") and "left kidney" in item.value
    assert item.value.endswith("; findings there may be called present, never absent")
    assert "not scored" not in item.value
    assert full_audit(scan, masks).severity == "note"
    assert full_audit(scan, None).items == scan.audit.items


def test_masks_that_do_not_fit_are_a_warning(phantom):
    scan, masks = phantom
    fits = items(audit_card(scan, masks), "Organs")["fit of masks"]
    assert fits.severity == "ok" and "as far as they can be checked" in fits.value
    statistics = dict(masks.statistics)
    statistics["liver"] = dataclasses.replace(statistics["liver"], median_hu=-400.0)
    amiss = dataclasses.replace(masks, statistics=statistics)
    item = items(audit_card(scan, amiss), "Organs")["fit of masks"]
    assert item.severity == full_audit(scan, amiss).severity == "warning"
    assert item.value == "The masks do not seem to fit the scan: liver of -400 HU."


def test_the_light_speaks_of_the_checks_and_not_of_the_encoder(phantom, word_encoder):
    noncommercial = dataclasses.replace(word_encoder.card, licence="CC-BY-NC", summary="Not validated on patients.")
    card = audit_card(*phantom, noncommercial)
    assert card.severity == "ok"
    html = card_html(card)
    assert "The checks of scan and masks found nothing." in html
    told = next(row for row in html.split("<tr>") if "Not validated on patients" in row)
    assert "●" not in told and "●" in next(row for row in html.split("<tr>") if "CC-BY-NC" in row)


def test_the_worst_counts_and_stays(phantom):
    scan, masks = phantom
    warned = dataclasses.replace(scan, audit=Audit((AuditItem("HU range", "odd", "warning"),)))
    card = audit_card(warned, cut(masks, "liver"))
    assert card.severity == "warning" and "look at this" in card_html(card) and "<b>odd</b>" in card_html(card)


def test_without_masks_it_says_so(phantom):
    assert "none" in items(audit_card(phantom[0]), "Organs")["organ masks"].value


def test_what_the_encoder_cannot_use_is_named(phantom, word_encoder):
    scan, masks = phantom
    status = (OrganStatus.COMPLETE, OrganStatus.UNKNOWN, OrganStatus.TOO_SMALL)
    vectors = word_encoder.encode_text(["a", "b", "c"])
    embedding = ScanEmbedding(("liver", "spleen", "kidney_left"), vectors, status, word_encoder)
    found = items(audit_card(scan, masks, word_encoder.card, embedding), "Encoder")
    assert "spleen" in found["unknown to this encoder"].value and "left kidney" in found["too small"].value


@pytest.mark.parametrize(
    ("licence", "severity"), [("CC-BY-NC-4.0", "note"), ("MIT, non-commercial use", "note"), ("Apache-2.0", "ok")]
)
def test_a_licence_that_restricts_is_a_note(phantom, word_encoder, licence, severity):
    card = dataclasses.replace(word_encoder.card, licence=licence)
    assert items(audit_card(*phantom, card), "Encoder")["licence"].severity == severity


def test_a_scan_that_is_coarser_than_the_encoder_is_told(phantom, word_encoder):
    card = dataclasses.replace(word_encoder.card, spacing_mm=1.0)
    item = items(audit_card(*phantom, card), "Encoder")["works at"]
    assert item.severity == "note" and "voxels of 3 mm" in item.value


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open, self.text, self.loads = [], "", []

    def handle_starttag(self, tag, attrs):
        self.loads += [v for k, v in attrs if k in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_loads_nothing_and_escapes(phantom, word_encoder, tmp_path):
    scan = dataclasses.replace(phantom[0], name="a <b> & c")
    path = write_card(tmp_path / "card", audit_card(scan, phantom[1], word_encoder.card))
    checker = _Checker()
    checker.feed(path.read_text(encoding="utf-8"))
    assert path.name == "card.html" and not checker.open and not checker.loads
    assert "a <b> & c" in checker.text and "Research use, not for diagnosis" in checker.text


def test_nobody_is_named(tmp_path):
    write_series(tmp_path / "study", body())
    text = card_html(audit_card(read_scan(tmp_path / "study")))
    assert not any(word in text for word in ("Mustermann", "4711", "1970", str(tmp_path)))


# -- the command line ------------------------------------------------------------------------------------------------


def test_command_adds_masks_encoder_and_page(tmp_path, capsys):
    write_scan(tmp_path / "ct.nii.gz", body())
    write_scan(tmp_path / "seg.nii.gz", labels(9))
    main(["audit", str(tmp_path / "ct.nii.gz")])
    plain = capsys.readouterr().out
    assert "orientation" in plain and "Organs" not in plain
    args = ["--masks", str(tmp_path / "seg.nii.gz"), "--encoder", "starter", "--html", str(tmp_path / "card.html")]
    main(["audit", str(tmp_path / "ct.nii.gz"), *args])
    told = capsys.readouterr().out
    for word in ("contrast phase", "cut organs", "1 of 2", "licence", "starter, revision", "Audit card written"):
        assert word in told
    assert "starter, revision" in (tmp_path / "card.html").read_text()


def test_command_says_what_is_wrong(tmp_path, capsys):
    write_scan(tmp_path / "ct.nii.gz", body())
    with pytest.raises(SystemExit) as caught:
        main(["audit", str(tmp_path / "ct.nii.gz"), "--masks", str(tmp_path / "no.nii.gz")])
    assert caught.value.code == 2 and "no.nii.gz" in capsys.readouterr().err
