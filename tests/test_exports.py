"""Every kind of file that the window can write."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from napari_ctvlp.ask.locate import SimilarityMap
from napari_ctvlp.errors import UserError
from napari_ctvlp.exports import EXPORTS, Results, write
from napari_ctvlp.opening import open_scan
from napari_ctvlp.session import Rooms, Session
from tests.scan.makers import body, write_series


@pytest.fixture
def session(word_encoder, tmp_path):
    write_series(tmp_path / "study", body())
    rooms = Rooms()
    rooms.load_encoder = lambda name: word_encoder
    session = Session(rooms=rooms)
    open_scan(session, tmp_path / "study")
    labels = np.zeros(session.scan.hu.shape, np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    from napari_ctvlp.scan.statistics import organ_statistics
    from napari_ctvlp.scan.types import OrganMasks

    names = {5: "liver"}
    session.set_masks(OrganMasks(labels, names, "made", statistics=organ_statistics(session.scan, labels, names)))
    session.ask("liver")
    values = np.full((3, 4, 8), 255, np.uint8)
    values[0, 0, 0] = 1
    session.located = SimilarityMap("liver", "similarity", ("liver",), values, (6, 5, 4), 1, -0.2, 0.6, ())
    return session


@pytest.mark.parametrize("export", EXPORTS, ids=lambda e: e.title)
def test_each_is_written_under_its_ending(session, tmp_path, export):
    assert export.possible(Results.of(session))
    written = []
    session.written.connect(written.append)
    write(session, lambda: export(tmp_path / "out", Results.of(session)))
    assert written == [f"out{export.suffix}"]
    path = tmp_path / written[0]
    if export.suffix == ".json":
        assert json.loads(path.read_text())["queries"][0]["text"] == "liver"
    elif export.suffix == ".nii.gz":
        image = nib.load(path)
        assert image.shape == (16, 14, 12) and np.count_nonzero(image.dataobj) == 3 * 4 * 8
        if export.needs == "map":
            assert np.unique(image.dataobj)[[1, -1]] == pytest.approx([1 / 255, 1], abs=1e-6)
            assert b"1/255 is -0.2, 1 is 0.6" in image.header["descrip"].tobytes()
    elif export.suffix == ".dcm":
        import highdicom

        assert highdicom.seg.segread(path).get_segment_description(1).segment_label == "liver"
    else:
        assert "liver" in path.read_text(encoding="utf-8")
    write(session, lambda: export(path, Results.of(session)))
    assert written[1] == written[0]  # the ending is not given twice


@pytest.mark.parametrize("export", EXPORTS, ids=lambda e: e.title)
def test_nothing_to_write_is_told(session, tmp_path, export):
    assert not export.possible(Results())
    with pytest.raises(UserError, match="first"):
        export(tmp_path / "out", Results(session.scan))
    failures = []
    session.failed.connect(failures.append)
    write(session, lambda: export(tmp_path / "no" / "out", Results.of(session)))
    assert len(failures) == 1 and "cannot be written" in str(failures[0])
