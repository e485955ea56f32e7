"""A prior beside the open scan: opened with its masks, compared again when answers change, closed with the scan."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest

from napari_ctvlp.cli import main
from napari_ctvlp.opening import open_paths
from napari_ctvlp.prior import NO_MASKS, Prior
from napari_ctvlp.rooms import Rooms
from napari_ctvlp.session import Session
from tests.conftest import WordEncoder
from tests.scan.makers import body, write_scan, write_series


@pytest.fixture
def rooms(word_encoder):
    made = Rooms()
    made.load_encoder = lambda name: word_encoder if name == "starter" else WordEncoder()
    return made


def labels(rows=3):
    made = np.zeros((12, 14, 16), np.uint8)
    made[6 : 6 + rows, 5:9, 4:12] = 5
    made[2:4, 2:5, 2:5] = 1
    return made


@pytest.fixture
def files(tmp_path):
    """The present scan, and a folder with its prior, whose liver is smaller."""
    (tmp_path / "prior").mkdir()
    write_scan(tmp_path / "prior" / "ct.nii.gz", body(seed=4))
    write_scan(tmp_path / "prior" / "seg.nii.gz", labels(2))
    return write_scan(tmp_path / "ct.nii.gz", body()), write_scan(tmp_path / "seg.nii.gz", labels())


@pytest.fixture
def session(rooms, files):
    made = Session(rooms=rooms)
    open_paths(made, files)
    return made


@pytest.fixture
def prior(session):
    return Prior(session)


def listen(session):
    heard = []
    session.failed.connect(heard.append)
    return heard


def liver(found):
    return next(row for row in found.rows if row.organ == "liver")


def test_a_folder_with_both_is_opened_and_compared(prior, tmp_path):
    found = []
    prior.changed.connect(found.append)
    prior.open(tmp_path / "prior")
    assert found == [prior.found] and liver(prior.found).volume_change == pytest.approx(0.5)
    assert liver(prior.found).distance == pytest.approx(0, abs=1e-6)


def test_files_dropped_together_are_told_apart(prior, tmp_path):
    prior.open_paths([tmp_path / "prior" / "seg.nii.gz", tmp_path / "prior" / "ct.nii.gz"])
    assert prior.exam.scan.name == "ct" and "liver" in prior.exam.masks.statistics


def test_what_is_missing_is_said(session, prior, tmp_path):
    heard = listen(session)
    prior.open(tmp_path / "prior" / "ct.nii.gz")
    prior.open_paths([tmp_path / "prior" / "seg.nii.gz"])
    session.set_scan(None)
    prior.open(tmp_path / "prior")
    assert str(heard[0]) == NO_MASKS and "Open the present scan" in str(heard[-1]) and len(heard) == 3
    assert prior.found is None


def test_a_folder_of_which_the_masks_were_chosen_is_read_as_opening_reads_it(session, prior, tmp_path):
    heard = listen(session)
    write_scan(tmp_path / "prior" / "mask_b.nii.gz", labels(1))
    prior.open(tmp_path / "prior")
    assert "several masks are given at once" in str(heard.pop())
    prior.open(tmp_path / "prior", tmp_path / "prior" / "seg.nii.gz")
    assert not heard and liver(prior.found).volume_change == pytest.approx(0.5)
    # masks that look like a scan by name, and would be a second one
    seg = write_scan(tmp_path / "prior" / "image.nii.gz", labels(1).astype(np.float32) + np.float32(0.25))
    prior.open(tmp_path / "prior", seg)
    assert "image.nii.gz" in str(heard.pop()), "of two scans the chosen masks are none; they cannot be read, though"


def test_another_encoder_looks_at_both(session, prior, tmp_path):
    prior.open(tmp_path / "prior")
    before = prior.exam.embedding
    session.use_encoder("other")
    assert prior.exam.embedding.encoder is session.encoder is not before.encoder
    assert liver(prior.found).distance == pytest.approx(0, abs=1e-6)


def test_another_scan_closes_it(session, prior, tmp_path):
    told = []
    prior.open(tmp_path / "prior")
    prior.changed.connect(told.append)
    session.set_scan(dataclasses.replace(session.scan, name="other"), session.masks)
    assert told == [None] and prior.exam is None


def test_what_arrives_for_a_scan_that_was_closed_is_dropped(rooms, files, tmp_path):
    waiting = []

    def later(work, *, progress, done, failed):
        waiting.append((work, progress, done))

    session = Session(rooms=rooms)
    open_paths(session, files)
    prior = Prior(session)
    session._bench._runner = later
    prior.open(tmp_path / "prior")
    session.set_scan(dataclasses.replace(session.scan, name="other"), session.masks)
    for work, progress, done in waiting[:1]:
        done(work(progress))
    assert prior.exam is None


def test_a_folder_of_several_series_is_offered(session, prior, tmp_path):
    write_series(tmp_path / "dicom", body(), SeriesInstanceUID="1.1", SeriesNumber=1, names="a{:03d}")
    write_series(tmp_path / "dicom", body(seed=2), SeriesInstanceUID="1.2", SeriesNumber=2, names="b{:03d}")
    offered = []
    prior.series_offered.connect(lambda path, found: offered.append((path, found)))
    seg = tmp_path / "prior" / "seg.nii.gz"
    prior.open(tmp_path / "dicom", seg)
    ((path, found),) = offered
    assert len(found) == 2 and prior.exam is None
    prior.open(path, seg, found[1].key)
    assert prior.exam is not None


# -- the command line ----------------------------------------------------------------------------------------------


def followup(*args):
    main(["followup", *map(str, args)])


def test_command_writes_a_table(files, tmp_path, capsys):
    scan, masks = files
    followup(scan, "--masks", masks, "--prior", tmp_path / "prior", "--csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as handle:
        lines = {line["organ"]: line for line in csv.DictReader(handle)}
    assert lines["liver"]["volume_change_percent"] == "50.0"
    said = capsys.readouterr()
    assert "2 organs compared" in said.out and "note: Whether both scans are of one patient is not known" in said.err


def test_command_compares_no_scores_of_a_scan_with_wrong_hu(files, tmp_path):
    _, masks = files
    scan = write_scan(tmp_path / "wrong.nii.gz", body() + 1024)  # the intercept was not applied
    followup(scan, "--masks", masks, "--prior", tmp_path / "prior", "--csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as handle:
        lines = {line["organ"]: line for line in csv.DictReader(handle)}
    assert lines["liver"]["probability_change"] == "" and lines["liver"]["volume_change_percent"] == "50.0"
    assert lines["liver"]["remark"].startswith("scores of this scan not compared: ")


def test_command_refuses_two_patients_unless_told(tmp_path, capsys):
    seg = write_scan(tmp_path / "seg.nii.gz", labels())
    for name, number in (("a", "PID4711"), ("b", "PID0815")):
        write_series(tmp_path / name, body(), PatientID=number)
    args = [tmp_path / "a", "--masks", seg, "--prior", tmp_path / "b", "--prior-masks", seg]
    with pytest.raises(SystemExit) as caught:
        followup(*args)
    error = capsys.readouterr().err
    assert caught.value.code == 2 and "different patients" in error and "PID" not in error
    followup(*args, "--any-patient")
    said = capsys.readouterr()
    assert said.out.startswith("organ,change,") and "different patients" in said.err


def test_command_says_what_is_missing(files, capsys):
    with pytest.raises(SystemExit):
        followup(files[0], "--masks", files[1])
    assert "needs the prior with its organ masks" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        followup(files[0], "--masks", files[1], "--prior", files[0].with_name("no.nii.gz"), "--prior-masks", files[1])
    assert "no.nii.gz" in capsys.readouterr().err
