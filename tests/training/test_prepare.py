"""From files to pairs: bad studies are told and stop nothing, kills leave nothing half, a crop is the slice it says."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch

from napari_ctvlp.errors import UserError
from tests.scan.makers import ipl_affine, write_scan, write_series
from training.data import prepared
from training.data.batch import training_batch
from training.data.ingest import body_box
from training.data.job import Settings
from training.data.manifest import SPLITS, read_manifest, split_of
from training.data.preparation import find_study, prepare_studies
from training.data.prepared import PreparedStore, StoredVolume, encoded
from training.data.records import LabelledScan
from training.prepare import PrepareConfig, main, prepare
from training.reports.llm import PROMPT, LocalReader, accepted

SPACING = 3.0
REPORT = (
    "Patient: Erika Mustermann\nFINDINGS: The liver is normal. 5 mm stone in the left kidney. No hydronephrosis. "
    "Possible splenic infarct.\nElectronically signed by Dr. Mustermann"
)
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def phantom(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """HU and v2 labels (I, P, L) at 3 x 1.5 x 2 mm: a body on a couch, liver at the right, a kidney and a spleen."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(-1000, 6, (30, 90, 90))
    hu[:, 8:68, 10:80] = rng.normal(30, 6, (30, 60, 70))
    hu[:, 78:80, 5:85] = 200  # couch
    labels = np.zeros(hu.shape, np.uint8)
    for label, box in {
        5: np.s_[4:16, 20:40, 14:40],
        1: np.s_[6:12, 40:54, 62:76],
        3: np.s_[18:30, 40:52, 56:68],
    }.items():
        labels[box] = label
        hu[box] += 20 * label
    return np.rint(hu).astype(np.int16), labels


def write_pair(folder: Path, name: str, seed: int = 0, axes: str = "RAS") -> None:
    hu, labels = phantom(seed)
    write_scan(folder / f"{name}.nii.gz", hu, axes)
    write_scan(folder / f"{name}_seg.nii.gz", labels, axes)


def write_manifest(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def row(name: str, **changes) -> dict:
    return {"study": name, "image": f"{name}.nii.gz", "masks": f"{name}_seg.nii.gz", "report": REPORT} | changes


def run(manifest: Path, **changes):
    return prepare(PrepareConfig(manifest, workers=0, **({"spacing": SPACING} | changes)))


def store_of(manifest: Path, split: str | None = None) -> PreparedStore:
    return PreparedStore(manifest.parent / "prepared", split)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """Two studies, prepared."""
    folder = tmp_path_factory.mktemp("two")
    for k, axes in enumerate(("RAS", "LPI")):
        write_pair(folder, f"s{k}", k, axes)
    manifest = write_manifest(folder / "m.jsonl", [row("s0", labels={"stone": 1, "cyst": -1}), row("s1")])
    run(manifest)
    return manifest


def test_a_study_reaches_training_with_its_organs_and_sentences(two):
    store = store_of(two)
    scan = store.load(0)
    hu, labels = np.asarray(scan.hu), np.asarray(scan.labels)
    assert store.count == 2 and hu.shape == scan.hu.shape == labels.shape and hu.dtype == np.int16
    organs = {r.organ: r for r in scan.organs.values()}
    assert (organs["liver"].known, organs["liver"].abnormalities) == (True, ())
    assert organs["kidney_left"].abnormalities == ("kidney_stone",)
    assert organs["kidney_left"].texts == ("5 mm stone in the left kidney.",)
    assert not organs["spleen"].known  # doubtful
    record = store.record(0)
    assert {o["organ"]: o["complete"] for o in record["organs"].values()} == {
        "liver": True, "spleen": True, "kidney_left": False,
    }  # fmt: skip
    assert organs["kidney_left"].known  # cut by the field of view: the report is of what this scan shows
    assert record["labels"] == {"stone": 1}
    assert np.array_equal(store.voxels(0), np.bincount(labels.ravel(), minlength=256))
    for label, organ in record["organs"].items():
        inside = np.argwhere(labels == int(label))
        assert [[int(a), int(b) + 1] for a, b in zip(inside.min(0), inside.max(0), strict=True)] == organ["box"]
        assert abs(float(hu[labels == int(label)].mean()) - 30 - 20 * int(label)) < 8


def test_the_couch_and_the_air_are_cropped_and_places_stay_true(two):
    store = store_of(two)
    record, labels = store.record(0), np.asarray(store.load(0).labels)
    whole = np.array(phantom()[0].shape) * (3.0, 1.5, 2.0) / SPACING
    assert record["shape"][0] == round(whole[0]) and record["shape"][1] < 0.87 * whole[1]
    centre = np.argwhere(labels == 5).mean(0)
    told = np.array(record["affine"]) @ [*centre, 1]
    wanted = ipl_affine() @ [9.5, 29.5, 26.5, 1]
    assert np.abs(told - wanted).max() < 0.35 * SPACING


def test_the_axes_of_a_file_make_no_difference(tmp_path):
    for name, axes in (("a", "RAS"), ("b", "PIL")):
        write_pair(tmp_path, name, 3, axes)
    run(write_manifest(tmp_path / "m.jsonl", [row("a"), row("b")]))
    store = PreparedStore(tmp_path / "prepared")
    assert np.array_equal(store.load(0).hu, store.load(1).hu)
    assert np.array_equal(store.load(0).labels, store.load(1).labels)


def test_dicom_and_a_folder_of_masks_give_the_same_as_nifti(tmp_path):
    hu, labels = phantom(5)
    write_pair(tmp_path, "a", 5)
    write_series(tmp_path / "series", hu)
    for label, name in ((5, "liver"), (1, "spleen"), (3, "kidney_left")):
        (tmp_path / "organs").mkdir(exist_ok=True)
        write_scan(tmp_path / "organs" / f"{name}.nii.gz", (labels == label).astype(np.uint8))
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        "study,patient,image,masks,findings,impression,label:stone\n"
        "a,P1,a.nii.gz,a_seg.nii.gz,The liver is normal.,Stone in the left kidney.,1\n"
        'b,P1,series,organs,"The liver\nis normal.",Stone in the left kidney.,\n'
    )
    summary = run(manifest)
    assert [p.reason for p in summary.problems] == []
    store = PreparedStore(tmp_path / "prepared")
    assert np.array_equal(store.load(0).hu, store.load(1).hu)
    assert np.array_equal(store.load(0).labels, store.load(1).labels)
    assert store.records(0) == store.records(1) and store.records(0)[3].abnormalities == ("kidney_stone",)
    assert store.record(0)["split"] == store.record(1)["split"]
    everything = b"".join(contents(tmp_path / "prepared").values())
    assert b"Mustermann" not in everything and b"PID4711" not in everything and b"P1" not in everything


def test_bad_studies_are_told_with_their_reason_and_stop_nothing(tmp_path):
    hu, labels = phantom()
    write_pair(tmp_path, "good")
    whole = (tmp_path / "good.nii.gz").read_bytes()
    (tmp_path / "Mustermann_Erika.nii.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.nii.gz").write_text("no scan")
    write_scan(tmp_path / "far.nii.gz", labels, affine=ipl_affine(origin=(5000, 5000, 5000)))
    write_scan(tmp_path / "empty.nii.gz", np.zeros_like(labels))
    write_scan(tmp_path / "mr.nii.gz", (np.abs(hu) // 3).astype(np.int16))
    rows = [
        row("good"),
        row("cut", image="Mustermann_Erika.nii.gz", masks="good_seg.nii.gz"),
        row("text", masks="good_seg.nii.gz"),
        row("far", image="good.nii.gz", masks="far.nii.gz"),
        row("empty", image="good.nii.gz", masks="empty.nii.gz"),
        row("mr", masks="good_seg.nii.gz"),
        row("nowhere"),
        row("good"),
        {"study": "half"},
        row("splitless", split="tomorrow"),
    ]
    manifest = write_manifest(tmp_path / "m.jsonl", rows)
    manifest.write_text(manifest.read_text() + "{not json\n")
    summary = run(manifest)
    assert summary.ready == 1 and store_of(manifest).count == 1
    with (tmp_path / "prepared" / "problems.csv").open() as handle:
        table = list(csv.DictReader(handle))
    assert all("Mustermann" not in cell for r in table for cell in r.values())
    reasons = {int(r["line"]): r["reason"] for r in table if r["left_out"] == "yes"}
    assert set(reasons) == set(range(2, 12))
    for line, part in {
        2: "image: ends before its last slice",
        3: "NIfTI",
        4: "does not meet the scan",
        5: "no organ inside",
        6: "HU range",
        7: "no such file",
        8: "stands on line 1",
        9: "line 9: has no image",
        10: "'tomorrow'",
        11: "line 11: is no JSON",
    }.items():
        assert part in reasons[line], (line, reasons[line])
    assert run(manifest, keep_doubtful=True, to=tmp_path / "all").ready == 2  # the one that is no CT may be forced


def problems_of(manifest: Path) -> dict[tuple[str, str], str]:
    with (manifest.parent / "prepared" / "problems.csv").open() as handle:
        return {(r["study"], r["severity"]): r["reason"] for r in csv.DictReader(handle)}


def test_what_may_be_wrong_with_a_study_is_in_the_table_of_every_run(tmp_path, capsys):
    write_pair(tmp_path, "own")
    write_scan(tmp_path / "coarse.nii.gz", phantom()[1][:, ::2], affine=ipl_affine((3, 3, 2)))
    silent = row("silent", image="own.nii.gz", masks="own_seg.nii.gz", report="")
    rows = [row("own"), row("grid", image="own.nii.gz", masks="coarse.nii.gz"), silent]
    manifest = write_manifest(tmp_path / "m.jsonl", rows)
    for _ in range(2):  # also of studies that are up to date
        assert run(manifest).ready == 3 and "2 with warnings" in (said := capsys.readouterr().out)
        table = problems_of(manifest)
        assert ("own", "warning") not in table
        assert "another grid" in table["grid", "warning"] and "no report" in table["silent", "warning"]
        assert "warning: grid (line 2): masks lie on another grid" in said


def test_masks_that_may_be_another_patients_are_told(tmp_path, shared_data):
    ct = shared_data / "ct" / "ts_abdomen_top30"
    own, other = ct / "seg_v2_multilabel.nii.gz", ct.parent / "ts_abdomen" / "seg_v2_multilabel.nii.gz"
    rows = [row(n, image=str(ct / "ct.nii.gz"), masks=str(m)) for n, m in (("own", own), ("other", other))]
    manifest = write_manifest(tmp_path / "m.jsonl", rows)
    assert run(manifest).ready == 2
    table = problems_of(manifest)
    assert ("own", "warning") not in table and "may be those of another scan: " in table["other", "warning"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "study,masks\na,b\n", "line 1: lacks the column image"),
        ("m.csv", "", "lacks the columns"),
        ("m.csv", "study,image,masks\n", "no studies"),
        ("m.txt", "x", "a manifest is"),
        ("m.csv", "study,image,masks,study_id\na,b,c,d\n", "two columns study"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_told_in_one_sentence(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        read_manifest(tmp_path / name)


def test_rows_of_a_csv_are_told_by_the_line_they_begin_on(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text('study,image,masks,report,label:x\na,i,m,"two\nlines",1\nb,i,,text,0\nc,i,m,text,7\nd,i\n')
    read = read_manifest(path)
    assert [(s.study, s.line, s.labels) for s in read.studies] == [("a", 2, {"x": 1})]
    assert [p.line for p in read.problems] == [4, 5, 6]
    assert read.studies[0].image == tmp_path / "i"


def test_parquet_without_its_library_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "m.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match="needs pandas and pyarrow"):
        read_manifest(tmp_path / "m.parquet")


def test_parquet_says_what_a_csv_says(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    text = 'study_id,image,masks,report,split,label:x\n007,i,m,"two\nlines",,1\nb,i,m,,,\nc,i,,text,,0\n'
    (tmp_path / "m.csv").write_text(text)
    frame = pandas.read_csv(tmp_path / "m.csv", dtype={"study_id": str})
    frame.to_parquet(tmp_path / "m.parquet")
    read, plain = read_manifest(tmp_path / "m.parquet"), read_manifest(tmp_path / "m.csv")
    assert [replace(s, line=0) for s in read.studies] == [replace(s, line=0) for s in plain.studies]
    assert [(s.study, s.labels) for s in read.studies] == [("007", {"x": 1}), ("b", {})]
    assert [p.study for p in read.problems] == [p.study for p in plain.problems] == ["c"]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"bad\.parquet: is no Parquet file"):
        read_manifest(tmp_path / "bad.parquet")


def test_splits_are_of_patients_and_do_not_move(tmp_path):
    patients = [f"p{k}" for k in range(2000)]
    found = {p: split_of(p, (0.8, 0.1, 0.1)) for p in patients}
    shares = [sum(s == split for s in found.values()) / len(found) for split in SPLITS]
    assert np.allclose(shares, (0.8, 0.1, 0.1), atol=0.03)
    assert found != {p: split_of(p, (0.8, 0.1, 0.1), seed=1) for p in patients}
    rows = [row("a", patient="p", split="test"), row("b", patient="p"), row("c", patient="q", split="train")]
    rows += [row("d", patient="q", split="val"), row("e", patient="r")]
    read = read_manifest(write_manifest(tmp_path / "m.jsonl", rows))
    assert {s.study: s.split for s in read.studies} == {"a": "test", "b": "test", "e": ""}
    assert [(p.study, p.line) for p in read.problems] == [("c", 3), ("d", 4)]
    assert all("train (line 3) and validation (line 4)" in p.reason for p in read.problems)


def test_the_same_manifest_twice_does_nothing_and_what_changed_is_made_anew(tmp_path, monkeypatch):
    for k in range(2):
        write_pair(tmp_path, f"s{k}", k)
    manifest = write_manifest(tmp_path / "m.jsonl", [row("s0"), row("s1")])
    assert (run(manifest).made, run(manifest).made) == (2, 0)
    studies = tmp_path / "prepared" / "studies"
    before = {p.name: p.stat().st_mtime_ns for p in studies.iterdir()}
    run(manifest)
    assert before == {p.name: p.stat().st_mtime_ns for p in studies.iterdir()}
    write_manifest(manifest, [row("s0"), row("s1", report="The spleen is normal.")])
    summary = run(manifest)
    assert (summary.made, summary.reread) == (0, 1)
    after = {p.name: p.stat().st_mtime_ns for p in studies.iterdir()}
    assert [n for n in before if before[n] != after[n]] == [n for n in before if n.startswith("s1") and "json" in n]
    write_pair(tmp_path, "s0", 7)
    assert run(manifest).made == 1
    assert len(list(studies.iterdir())) == 6  # the old volumes are gone
    (next(studies.glob("s0*.hu.*"))).write_bytes(b"short")
    assert run(manifest).made == 1
    with pytest.raises(UserError, match="another spacing"):
        run(manifest, spacing=5.0)
    monkeypatch.setattr("training.data.preparation.reader_version", lambda: "newer rules")
    assert run(manifest).reread == 2


@pytest.mark.parametrize("old", [False, True])
def test_a_volume_damaged_at_its_size_is_found_and_made_anew(tmp_path, old):
    write_pair(tmp_path, "s0")
    write_pair(tmp_path, "s1")
    manifest = write_manifest(tmp_path / "m.jsonl", [row("s0"), row("s1")])
    run(manifest)
    studies = tmp_path / "prepared" / "studies"
    record, volume = next(studies.glob("s0*.json")), next(studies.glob("s0*.hu.*"))
    wanted = contents(studies)
    if old:  # a store from before there were checksums is read through
        value = json.loads(record.read_text())
        value["files"] = {kind: file[:2] for kind, file in value["files"].items()}
        record.write_text(json.dumps(value))
    data = volume.read_bytes()
    volume.write_bytes(data[: len(data) // 2] + b"\xff" * (len(data) - len(data) // 2))
    assert run(manifest).made == 0
    with pytest.raises(UserError, match="again with --check"):
        np.asarray(store_of(manifest).load(0).hu)
    assert run(manifest, check=True).made == 1 and run(manifest, check=True).made == 0
    assert contents(studies) == wanted


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"margin": -50.0}, "margin of -50 mm"),
        ({"workers": -1}, "give --workers 0 or more"),
        ({"to": Path("m.jsonl") / "store"}, "store' cannot be written"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_study_is_read(tmp_path, monkeypatch, changes, said):
    monkeypatch.chdir(tmp_path)
    write_manifest(tmp_path / "m.jsonl", [row("s0")])
    with pytest.raises(UserError, match=said):
        prepare(PrepareConfig(Path("m.jsonl"), **({"workers": 0} | changes)))


def test_help_tells_the_columns_of_a_manifest(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["prepare", "--help"])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().out
    assert all(column in said for column in ("study", "masks", "series", "label:NAME", "validation", "impression"))


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


def test_a_kill_at_any_write_leaves_nothing_half(tmp_path, monkeypatch):
    """The run is stopped before, within and after each file it writes; the next run always ends at the same bytes."""
    write_pair(tmp_path, "s0", 1)
    write_pair(tmp_path, "before", 0)
    manifest = write_manifest(tmp_path / "m.jsonl", [row("s0")])
    run(write_manifest(tmp_path / "before.jsonl", [row("before", study="s0")]), to=tmp_path / "old")
    run(manifest, to=tmp_path / "new")
    states = [PreparedStore(tmp_path / name) for name in ("old", "new")]
    scans = {s.record(0)["volume_hash"]: np.asarray(s.load(0).hu) for s in states}
    wanted = contents(tmp_path / "new")
    for fresh in (True, False):
        stops = 0
        while True:
            target = tmp_path / f"{fresh}{stops}"
            if not fresh:  # an older state of the study is there, and must stay whole until the new one is
                copytree(tmp_path / "old", target)
            left = iter(range(stops, -1, -1))

            def stop(*_: object, left=left) -> None:
                if next(left, -1) == 0:
                    raise Killed

            with monkeypatch.context() as patch:
                real_fsync, real_replace = os.fsync, Path.replace

                def fsync(handle: int, stop=stop, real=real_fsync) -> None:
                    stop()  # the temporary file is there, the final one is not
                    real(handle)

                def rename(self: Path, to: Path, stop=stop, real=real_replace) -> Path:
                    stop()
                    return real(self, to)

                patch.setattr(os, "fsync", fsync)
                patch.setattr(Path, "replace", rename)
                try:
                    run(manifest, to=target)
                    done = True
                except Killed:
                    done = False
            if (target / "index.json").is_file():
                store = PreparedStore(target)  # a record's volumes are those that it was written for
                assert np.array_equal(store.load(0).hu, scans[store.record(0)["volume_hash"]])
            run(manifest, to=target)
            found = contents(target)
            assert not [name for name in found if name.endswith(".tmp")]
            assert found == wanted, stops
            stops += 1
            if done:
                break
        assert stops > 10


def test_a_crop_is_the_slice_of_the_whole(two):
    store, rng = store_of(two), np.random.default_rng(0)
    for index in range(2):
        hu, labels = np.asarray(store.load(index).hu), np.asarray(store.load(index).labels)
        for size in ((8, 16, 24), (60, 70, 64), (5, 100, 3)):
            start = [int(rng.integers(-10, n)) for n in hu.shape]
            got, said = store.crop(index, start, size)
            assert got.shape == said.shape == size and got.dtype == np.int16 and said.dtype == np.uint8
            padded = np.pad(hu, 120, constant_values=-1024)
            cut = tuple(slice(s + 120, s + 120 + n) for s, n in zip(start, size, strict=True))
            assert np.array_equal(got, padded[cut])
            assert np.array_equal(said, np.pad(labels, 120)[cut])


@pytest.mark.parametrize("kind", prepared.FORMATS)
def test_a_volume_comes_back_bit_by_bit_and_in_parts(tmp_path, kind):
    rng = np.random.default_rng(0)
    volume = rng.integers(-1024, 3000, (150, 40, 30)).astype(np.int16)
    path = tmp_path / ("v.npy" if kind == "npy" else "v.b2nd")
    path.write_bytes(encoded(volume, kind))
    stored = StoredVolume(path, volume.shape, volume.dtype)
    assert np.array_equal(stored, volume)
    assert np.array_equal(stored[3:9, :, 4:31], volume[3:9, :, 4:31])
    data = bytearray(path.read_bytes())
    data[int(len(data) * 0.9) : int(len(data) * 0.95)] = b"\xff" * (int(len(data) * 0.95) - int(len(data) * 0.9))
    path.write_bytes(data)  # the last slices are damaged: a crop of the first never reads them
    assert np.array_equal(stored[:100], volume[:100])
    path.unlink()
    with pytest.raises(UserError, match="missing or damaged"):
        stored[:4]


def test_without_blosc2_the_store_is_plain_and_a_compressed_one_says_what_is_missing(two, tmp_path, monkeypatch):
    write_pair(tmp_path, "s0", 0)
    manifest = write_manifest(tmp_path / "m.jsonl", [row("s0")])
    monkeypatch.setitem(sys.modules, "blosc2", None)
    run(manifest)
    assert list((tmp_path / "prepared" / "studies").glob("*.npy"))
    plain = store_of(manifest).crop(0, (1, 2, 3), (9, 9, 9))
    with pytest.raises(UserError, match="pip install blosc2"):
        store_of(two).crop(0, (0, 0, 0), (4, 4, 4))
    monkeypatch.undo()
    assert all(np.array_equal(a, b) for a, b in zip(plain, store_of(two).crop(0, (1, 2, 3), (9, 9, 9)), strict=True))


def test_a_training_batch_is_the_same_as_from_whole_volumes(two):
    store = store_of(two)

    class Whole:
        count, spacing, voxels, twins = store.count, store.spacing, staticmethod(store.voxels), False

        def load(self, index: int) -> LabelledScan:
            scan = store.load(index)
            return LabelledScan(np.asarray(scan.hu), np.asarray(scan.labels), scan.organs)

    for step in range(2):
        a, b = (training_batch(s, 0, step, 2, [(-160, 240)]) for s in (store, Whole()))
        assert torch.equal(a.image, b.image) and torch.equal(a.labels, b.labels) and a.organs == b.organs


def test_the_box_holds_the_body_and_every_organ():
    hu, labels = (torch.from_numpy(a) for a in phantom())
    labels[:, 0:2, 88] = 7  # an organ outside the body that was found
    (_, _), (p0, p1), (l0, l1) = body_box(hu, labels, 2.0, 4.0)
    assert p0 == 0 and l1 == 90 and 68 <= p1 <= 76 and 3 <= l0 <= 9
    nothing = torch.full((20, 20, 20), -1000, dtype=torch.int16)
    assert body_box(nothing, torch.zeros_like(nothing).to(torch.uint8), 2.0, 4.0) == ((0, 20),) * 3


def test_show_tells_what_went_where_and_why(two, capsys):
    prepare(PrepareConfig(two, show="s0"))
    text = capsys.readouterr().out
    assert "kidney_left: abnormal (kidney_stone)  [cut by the field of view]" in text
    assert '"No hydronephrosis."  <- denies hydronephrosis; by rules' in text
    assert "spleen: uncertain" in text and "Mustermann" not in text
    with pytest.raises(UserError, match="holds a study 'x'"):
        prepare(PrepareConfig(two, show="x"))
    prepare(PrepareConfig(two, to=two.parent / "not there yet", show="s1"))
    assert "(not prepared)" in capsys.readouterr().out


def write_table(path: Path, header: str, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((header, *rows)) + "\n")


def test_a_tree_like_ct_rates_becomes_a_manifest_that_prepares(tmp_path):
    data = tmp_path / "CT-RATE" / "dataset"
    hu, labels = (a[::2] for a in phantom())
    for name in ("train_1_a_1", "train_1_a_2", "train_2_a_1", "valid_1_a_1"):
        split, number, scan, _ = name.split("_")
        for base in (data, data / "ts_seg" / "ts_total"):
            folder = base / f"{split}_fixed" / f"{split}_{number}" / f"{split}_{number}_{scan}"
            folder.mkdir(parents=True, exist_ok=True)
            write_scan(folder / f"{name}.nii.gz", hu if base == data else labels)
    (data / "train" / "train_1" / "train_1_a").mkdir(parents=True)
    write_scan(data / "train" / "train_1" / "train_1_a" / "train_1_a_1.nii.gz", (hu * 0))
    texts = data / "radiology_text_reports"
    header = "VolumeName,ClinicalInformation_EN,Technique_EN,Findings_EN,Impressions_EN"
    write_table(
        texts / "train_reports.csv", header, "train_1_a_1.nii.gz,,,The liver is normal.,Renal stone on the left."
    )
    write_table(texts / "validation_reports.csv", header, 'valid_1_a_1.nii.gz,,,"The liver, it is normal.",')
    write_table(
        data / "multi_abnormality_labels" / "train_predicted_labels.csv",
        "VolumeName,Lung nodule,Hiatal hernia",
        "train_1_a_1.nii.gz,0,1",
    )
    manifest = tmp_path / "out" / "m.csv"
    prepare(PrepareConfig(manifest, init=tmp_path / "CT-RATE"))
    studies = {s.study: s for s in read_manifest(manifest).studies}
    assert set(studies) == {"train_1_a_1", "train_1_a_2", "train_2_a_1", "valid_1_a_1"}
    first = studies["train_1_a_1"]
    assert first.patient == studies["train_1_a_2"].patient == "train_1" and first.split == studies["train_1_a_2"].split
    assert studies["valid_1_a_1"].split == "test" and "test" not in {
        s.split for n, s in studies.items() if "train" in n
    }
    assert "train_fixed" in str(first.image) and "ts_total" in str(first.masks)
    assert first.labels == {"Lung nodule": 0, "Hiatal hernia": 1}
    assert first.report == "FINDINGS: The liver is normal.\nIMPRESSION: Renal stone on the left."
    assert run(manifest, to=tmp_path / "p").ready == 4
    with pytest.raises(UserError, match="is there already"):
        prepare(PrepareConfig(manifest, init=tmp_path / "CT-RATE"))


def test_a_tree_like_merlins_becomes_a_manifest(tmp_path):
    tree = tmp_path / "merlinabdominalctdataset"
    hu, labels = phantom()
    for folder, data in (("merlin_data", hu), ("segmentations", labels)):
        (tree / folder).mkdir(parents=True)
        for name in ("AC01", "AC02"):
            write_scan(tree / folder / f"{name}.nii.gz", data)
    write_table(
        tree / "reports_final.csv", "study id,Findings,Split,Few Shot", "AC01,Normal liver.,val,0", "AC02,x,train,0"
    )
    write_table(tree / "zero_shot_findings_disease_cls.csv", "study id,ascites,gallstones", "AC01,-1,1", "AC02,0,-1")
    manifest = tmp_path / "m.jsonl"
    prepare(PrepareConfig(manifest, init=tree))
    first, second = read_manifest(manifest).studies
    assert (first.study, first.split, first.report, first.labels) == (
        "AC01",
        "validation",
        "Normal liver.",
        {"gallstones": 1},
    )
    assert (second.split, second.labels) == ("train", {"ascites": 0})
    assert first.image.is_file() and first.masks.parent.name == "segmentations"


def test_any_tree_pairs_what_lies_together(tmp_path):
    hu, labels = phantom()
    tree = tmp_path / "tree"
    for case in ("case1", "case2"):
        (tree / case / "segmentations").mkdir(parents=True)
        write_scan(tree / case / "segmentations" / "liver.nii.gz", (labels == 5).astype(np.uint8))
        write_scan(tree / case / "segmentations" / "spleen.nii.gz", (labels == 1).astype(np.uint8))
    write_scan(tree / "case1" / "ct.nii.gz", hu)
    write_series(tree / "case2" / "dicom", hu[:4])
    (tree / "case1" / "report.txt").write_text("Normal liver.")
    manifest = tmp_path / "m.csv"
    prepare(PrepareConfig(manifest, init=tree))
    first, second = read_manifest(manifest).studies
    assert (first.study, first.image.name, first.masks.name) == ("case1", "ct.nii.gz", "segmentations")
    assert first.report == "Normal liver." and second.study == "case2" and second.image.name == "dicom"
    other = tmp_path / "flat"
    for folder, data in (("images", hu), ("masks", labels)):
        (other / folder).mkdir(parents=True)
        write_scan(other / folder / "x.nii.gz", data)
    prepare(PrepareConfig(tmp_path / "n.csv", init=other))
    (only,) = read_manifest(tmp_path / "n.csv").studies
    assert (only.study, only.masks.parent.name) == ("x", "masks")


def test_a_real_scan_with_an_invented_report(shared_data, tmp_path):
    ct = shared_data / "ct" / "ts_abdomen"
    manifest = write_manifest(
        tmp_path / "m.jsonl",
        [
            row("real", image=str(ct / "ct.nii.gz"), masks=str(ct / "seg_v2_multilabel.nii.gz"), report=REPORT),
            row("v1", image=str(ct / "ct.nii.gz"), masks=str(ct / "seg_v1_fast_folder")),
        ],
    )
    summary = run(manifest)
    assert summary.ready == 2, summary.problems
    store = store_of(manifest)
    record = store.record(0)
    assert len(record["organs"]) == 61 and record["organs"]["3"]["state"] == "abnormal"
    assert not record["organs"]["5"]["complete"] and record["organs"]["3"]["complete"]
    kidney = np.asarray(store.load(0).hu)[np.asarray(store.load(0).labels) == 3]
    assert kidney.max() > 800  # its stone is still there
    assert store.records(1)[5].organ == "liver"


LETTERS = "".join(chr(c) for c in range(32, 127)) + "\n"
ANSWER = (
    'Sure: [{"organ": "kidney_left", "state": "abnormal", "finding": "kidney_stone", "quote": "A stone on the left."},'
    ' {"organ": "spleen", "state": "abnormal", "finding": "splenic_infarct", "quote": "The spleen is infarcted."}]'
)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory) -> tuple[Path, str]:
    """A language model of one layer that has learned to answer one report with ANSWER, by heart."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    torch.set_num_threads(1)
    words = {letter: i for i, letter in enumerate([*LETTERS, "<end>"])}
    raw = Tokenizer(models.WordLevel(words, unk_token="<end>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    raw.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>", pad_token="<end>")
    report = "A stone on the left. The spleen is normal."
    prompt = tokenizer(f"{PROMPT}{report}\n\nJSON:\n")["input_ids"]
    answer = [*tokenizer(ANSWER)["input_ids"], words["<end>"]]
    ids = torch.tensor([prompt + answer])
    config = GPT2Config(
        vocab_size=len(words), n_positions=1024, n_embd=48, n_layer=1, n_head=2,
        eos_token_id=words["<end>"], bos_token_id=words["<end>"], resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    told = ids.clone()
    told[:, : len(prompt)] = -100
    for _ in range(60):
        loss = model(ids, labels=told).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("language")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, report


def test_a_language_model_is_believed_only_where_it_quotes_the_report(tiny_model, tmp_path, capsys):
    folder, report = tiny_model
    reader = LocalReader.from_folder(folder)
    assert reader.answer(report) == ANSWER
    (only,) = reader.statements(report)
    assert (only.organ, only.polarity, only.abnormality) == ("kidney_left", "present", "kidney_stone")
    write_pair(tmp_path, "s0")
    manifest = write_manifest(tmp_path / "m.jsonl", [row("s0", report=report)])
    run(manifest)
    assert store_of(manifest).records(0)[3].abnormalities == ()
    assert run(manifest, llm=folder).reread == 1
    assert store_of(manifest).records(0)[3].abnormalities == ("kidney_stone",)
    assert store_of(manifest).records(0)[1].known and not store_of(manifest).records(0)[1].abnormalities
    prepare(PrepareConfig(manifest, show="s0"))
    assert "by language model" in capsys.readouterr().out
    with pytest.raises(UserError, match="no language model"):
        run(manifest, llm=tmp_path)


@pytest.mark.parametrize(
    ("entry", "organs"),
    [
        ({"organ": "left kidney", "state": "abnormal", "finding": "kidney_stone", "quote": "Stone, left  kidney."}, 1),
        ({"organ": "kidney_left", "state": "abnormal", "finding": "kidney_stone", "quote": "Stone in the kidney."}, 0),
        ({"organ": "kidney_left", "state": "broken", "quote": "Stone, left kidney."}, 0),
        ({"organ": "soul", "state": "normal", "quote": "Stone, left kidney."}, 0),
        ({"organ": "kidney_left", "state": "normal", "quote": ""}, 0),
        ({"organ": "kidney_left", "state": "normal", "quote": "kidney."}, 0),
    ],
)
def test_answers_are_checked_entry_by_entry(entry, organs):
    assert len(accepted(f"[{json.dumps(entry)}, {{broken", "Stone, left\nkidney.")) == organs


def test_findings_are_named_in_any_wording_and_kept_only_where_they_fit():
    text = "A calculus is seen in both kidneys."
    entry = {"organ": "kidneys", "state": "abnormal", "finding": "Renal calculus", "quote": text}
    found = accepted(json.dumps([entry, entry | {"organ": "liver"}]), text)
    assert {s.organ: s.abnormality for s in found} == {
        "kidney_left": "kidney_stone", "kidney_right": "kidney_stone", "liver": None,
    }  # fmt: skip


def test_two_runs_do_not_write_one_store_at_once(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    write_pair(tmp_path, "s0")
    manifest = write_manifest(tmp_path / "m.jsonl", [row("s0")])
    run(manifest)
    with (tmp_path / "prepared" / "prepare.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="by another process"):
            run(manifest)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_killed_at_work_goes_on_where_it_was(tmp_path):
    for k in range(12):
        write_pair(tmp_path, f"s{k}", k)
    manifest = write_manifest(tmp_path / "m.jsonl", [row(f"s{k}") for k in range(12)])
    run(manifest, to=tmp_path / "whole")
    command = [sys.executable, "-m", "training.prepare", str(manifest), "--to", str(tmp_path / "killed")]
    command += ["--workers", "2", "--spacing", str(SPACING)]
    studies, done = tmp_path / "killed" / "studies", 0
    for _ in range(3):
        running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(list(studies.glob("*.json"))) <= done and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
        time.sleep(0.5)  # its workers end themselves
        done = len(list(studies.glob("*.json")))
        assert done >= 1
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


class Deadly:
    """Kills the process that it is sent to."""

    def __reduce__(self):
        return os._exit, (9,)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_study_that_kills_its_process_is_told_and_the_others_are_made(tmp_path):
    for k in range(4):
        write_pair(tmp_path, f"s{k}", k)
    read = read_manifest(write_manifest(tmp_path / "m.jsonl", [row(f"s{k}") for k in range(4)]))
    poisoned = replace(read.studies[1], labels=Deadly())
    read = replace(read, studies=(read.studies[0], poisoned, *read.studies[2:]))
    summary = prepare_studies(read, tmp_path / "p", Settings(SPACING, "npy"), workers=2)
    assert [p.reason for p in summary.problems if p.left_out] == [
        "the process that read it was killed (out of memory?)"
    ]
    assert summary.ready == 3 and {find_study(tmp_path / "p", f"s{k}")["study"] for k in (0, 2, 3)} == {
        "s0",
        "s2",
        "s3",
    }
