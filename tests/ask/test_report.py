"""One page, complete in itself, with the right slice in it."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_ctvlp.ask import answers_as_json, rank_organs, score_abnormalities
from napari_ctvlp.ask.pictures import EDGES, OUTLINE, WIDEST, key_slice, lettered
from napari_ctvlp.ask.report import MOST_PICTURES, report_html, write_report
from napari_ctvlp.ask.report_layout import PICTURE_HEIGHT, PaperLayout
from napari_ctvlp.encoder.contract import Calibration
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.scan.types import OrganMasks
from tests.conftest import WordEncoder


class Page(HTMLParser):
    """What a browser would find: tags that are closed, addresses, text."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open, self.addresses, self.words = [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href", "action", "poster", "srcset")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def answers_of(scan, masks, questions=("renal stone on the left", "banana")):
    encoder = WordEncoder(abnormalities=("kidney_left/kidney_stone",))
    embedding = encoder.encode_scan(scan, masks)
    rankings = [rank_organs(embedding, text) for text in questions]
    return answers_as_json(scan, embedding, rankings, score_abnormalities(embedding), masks)


def test_paper_holds_the_same_words_in_plainer_html(phantom):
    answers = answers_of(*phantom)
    page, paper = Page(report_html(*phantom, answers)), Page(html := report_html(*phantom, answers, PaperLayout()))
    assert len(paper.addresses) == len(page.addresses) > 0
    for words in (
        "renal stone on the left",
        "Nothing in this scan matches",
        "left kidney",
        "for diagnosis",
        "LPI",
        "4 organs",
    ):
        assert words in paper.text and words in page.text
    for unknown in ("flex", "grid", "position", "<figure", "<details"):
        assert unknown not in html


def slab(phantom, axis, start, stop):
    """A few slices of a phantom across an axis, as wide or as high as before otherwise."""
    scan, masks = phantom
    part = tuple(slice(start, stop) if k == axis else slice(None) for k in range(3))
    thin = dataclasses.replace(scan, hu=np.ascontiguousarray(scan.hu[part]))
    labels = np.ascontiguousarray(masks.labels[part])
    names = {label: name for label, name in masks.names.items() if (labels == label).any()}
    made = organ_statistics(thin, labels, names)
    return thin, OrganMasks(labels, names, "phantom", statistics=made)


@pytest.mark.parametrize(("axis", "start", "stop"), [(0, 12, 15), (1, 36, 39), (2, 53, 56)])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_pictures_of_flat_scans_fit_their_box_undistorted(phantom, axis, start, stop, plane):
    scan, masks = slab(phantom, axis, start, stop)
    organ = next(iter(masks.statistics))
    picture = key_slice(scan, masks, organ, plane)
    seen = [k for k in range(3) if k != ("axial", "coronal", "sagittal").index(plane)]
    rows, columns = (scan.hu.shape[k] * scan.spacing[k] for k in seen)
    assert picture.shape[0] <= 260 and picture.shape[1] <= WIDEST * 260
    assert picture.shape[1] == pytest.approx(picture.shape[0] * columns / rows, rel=0.05)
    image = re.search(r'<img width="(\d+)" height="(\d+)"', PaperLayout().figure(picture, plane, "x"))
    width, height = map(int, image.groups())
    drawn = lettered(picture, plane)
    assert height <= PICTURE_HEIGHT and width <= WIDEST * PICTURE_HEIGHT
    assert width / height == pytest.approx(drawn.shape[1] / drawn.shape[0], rel=0.05)


@pytest.mark.parametrize("shape", [(20, 300), (300, 20), (10, 10)])
def test_letters_stand_beside_a_picture_that_is_low_or_narrow(shape):
    """None lies over another one or over the picture's middle."""
    picture = np.zeros((*shape, 3), np.uint8)
    picture[..., 2] = 200
    drawn = lettered(picture, "coronal")
    blue = (drawn == (0, 0, 200)).all(-1)
    assert np.count_nonzero(blue) > 0.9 * picture.shape[0] * picture.shape[1]
    _, count = ndimage.label(drawn[..., 0] > 100, np.ones((3, 3)))
    assert count == 4


@pytest.mark.parametrize("plane", EDGES)
def test_letters_are_written_at_the_edges_alone(plane):
    picture = lettered(np.zeros((120, 160, 3), np.uint8), plane)
    rows, columns = np.nonzero(picture.max(2))
    assert not picture[30:90, 40:120].any()
    for at, end in ((rows, 120), (columns, 160)):
        assert at.min() < 8 and at.max() > end - 9


def test_the_page_holds_everything(phantom):
    scan, masks = phantom
    page = Page(report_html(scan, masks, answers := answers_of(scan, masks)))
    for words in (
        "renal stone on the left", "Nothing in this scan matches", "Kidney stone, left kidney: ", "not for diagnosis",
        "LPI", answers["provenance"]["scan_hash"], answers["provenance"]["masks_hash"], "not in the masks", "words",
    ):  # fmt: skip
        assert words in page.text
    assert "100.8" in page.text  # millilitres of the liver


@pytest.mark.parametrize("fitted", [True, False])
def test_probabilities_are_called_fitted_only_where_they_are(phantom, monkeypatch, fitted):
    if fitted:
        monkeypatch.setattr(WordEncoder, "calibration", Calibration((2.0, 0.0)))
    answers = answers_of(*phantom)
    text = Page(report_html(*phantom, answers)).text
    assert answers["encoder"]["calibrated"] is fitted
    assert ("fitted on validation scans" in text) is fitted and ("not calibrated" in text) is not fitted


def test_the_page_needs_no_other_file(phantom):
    page = Page(html := report_html(*phantom, answers_of(*phantom)))
    assert len(page.addresses) >= 2 and all(a.startswith("data:image/png;base64,") for a in page.addresses)
    assert not re.search(r"https?:|url\(|@import|<script|<link", html)
    image = Image.open(io.BytesIO(base64.b64decode(page.addresses[0].split(",")[1])))
    assert image.size == (347, 260)  # 80 x 2 mm wide, 60 x 2 mm high


def test_it_fits_one_page(phantom):
    scan, masks = phantom
    questions = [f"left kidney number {n}" for n in range(9)]
    page = Page(report_html(scan, masks, answers_of(scan, masks, questions)))
    assert len(page.addresses) == 2 * MOST_PICTURES and "number 8" in page.text


def test_hostile_names_stay_text(phantom):
    scan, masks = phantom
    bad = "<script>alert(1)</script>"
    named = dataclasses.replace(scan, name=bad)
    names = {**masks.names, 1: "<b>spleen"}
    statistics = {names[s.label]: dataclasses.replace(s, organ=names[s.label]) for s in masks.statistics.values()}
    odd = dataclasses.replace(masks, names=names, statistics=statistics)
    page = Page(html := report_html(named, odd, answers_of(named, odd, (bad, "<i>liver"))))
    assert "<script" not in html and "<b>spleen" not in html and "<i>" not in html
    assert bad in page.text


@pytest.mark.parametrize(("plane", "shape"), [("axial", (60, 80)), ("coronal", (40, 80)), ("sagittal", (40, 60))])
def test_the_outline_is_where_the_organ_is(phantom, plane, shape):
    scan, masks = phantom
    axis = ("axial", "coronal", "sagittal").index(plane)
    steps = [s for k, s in enumerate(scan.spacing) if k != axis]
    height = int(shape[0] * steps[0] * 2)  # two pixels a mm
    picture = key_slice(scan, masks, "kidney_left", plane, height)
    assert picture.shape == (height, round(shape[1] * steps[1] * 2), 3)
    rows, columns = np.nonzero((picture == OUTLINE).all(-1))
    box = [b for k, b in enumerate(masks.statistics["kidney_left"].box) if k != axis]
    for found, (start, stop), step in zip((rows, columns), box, steps, strict=True):
        assert found.min() == pytest.approx(start * step * 2, abs=2)
        assert found.max() == pytest.approx(stop * step * 2, abs=2)


def test_left_is_on_the_right_of_the_picture(phantom):
    picture = key_slice(*phantom, "kidney_left")
    assert np.nonzero((picture == OUTLINE).all(-1))[1].mean() > picture.shape[1] / 2


def test_files(phantom, tmp_path):
    write_report(tmp_path / "r.html", *phantom, answers_of(*phantom))
    Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    with pytest.raises(UserError, match=r"^r\.html cannot be written"):
        write_report(tmp_path / "no" / "r.html", *phantom, answers_of(*phantom))
