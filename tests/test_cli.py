"""The command line: the same answers as the window, one sentence for bad input, nothing about the patient."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
import os
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from napari_ctvlp.cli import main
from napari_ctvlp.encoder import preprocess
from napari_ctvlp.exports import SIMILARITY_MAP, Results, answers_of
from napari_ctvlp.opening import open_paths
from napari_ctvlp.queries import Queries
from napari_ctvlp.sample import load_sample
from napari_ctvlp.saved_session import save
from napari_ctvlp.scan.nifti_out import write_straight_masks, write_straight_scan
from napari_ctvlp.session import Session


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict:
    """What ``score --sample`` writes, asked once."""
    folder = tmp_path_factory.mktemp("score")
    questions = folder / "questions.txt"
    questions.write_text("where bile is stored\n\nbanana\n", encoding="utf-8")
    asked = ["--ask", "stone in the left kidney", "--ask", "enlarged spleen", "--ask-file", str(questions)]
    main(["score", "--sample", *asked, "--json", str(folder / "a.json"), "--csv", str(folder / "a.csv")])
    with (folder / "a.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {"json": json.loads((folder / "a.json").read_text()), "csv": rows}


@pytest.fixture(scope="module")
def sample_session(tmp_path_factory):
    """The sample in files, and a session on it in which two questions were asked, saved beside."""
    folder = tmp_path_factory.mktemp("session")
    scan, masks = load_sample()
    write_straight_scan(folder / "ct.nii.gz", scan)
    write_straight_masks(folder / "seg.nii.gz", scan, masks)
    session = Session()
    open_paths(session, [folder / "ct.nii.gz", folder / "seg.nii.gz"])
    session.ask("where bile is stored")
    session.ask("stone in the left kidney")
    save(folder / "s.ctvlp.json", session)
    return folder, session


def given_of(folder):
    return [str(folder / "ct.nii.gz"), "--masks", str(folder / "seg.nii.gz")]


def test_json_has_the_documented_layout(answers):
    told = answers["json"]
    assert set(told) == {"scan", "encoder", "queries", "abnormalities", "masks", "prompts", "provenance"}
    assert told["encoder"]["name"] == "starter" and told["encoder"]["preprocessing_version"] == preprocess.VERSION
    assert [q["text"] for q in told["queries"]] == [
        "stone in the left kidney", "enlarged spleen", "where bile is stored", "banana",
    ]  # fmt: skip
    for query in told["queries"]:
        assert set(query) == {"text", "matched", "finding", "message", "organs"}
        assert all(set(o) == {"organ", "score", "visual", "name"} for o in query["organs"])
        scores = [o["score"] for o in query["organs"]]
        assert scores == sorted(scores, reverse=True)
    for row in told["abnormalities"]:
        assert set(row) == {"organ", "abnormality", "probability", "low", "high", "status"}
        if row["probability"] is None:
            assert row["status"].startswith("N/A")
        else:
            assert 0 <= row["low"] <= row["probability"] <= row["high"] <= 1


def test_questions_find_their_organs(answers):
    stone, spleen, bile, banana = answers["json"]["queries"]
    assert stone["matched"] and stone["organs"][0]["organ"] == "kidney_left"
    assert stone["finding"]["abnormality"] == "kidney_stone"
    assert spleen["matched"] and spleen["organs"][0]["organ"] == "spleen"
    assert bile["matched"] and bile["organs"][0]["organ"] == "gallbladder"
    assert not banana["matched"] and banana["finding"] is None


def test_csv_holds_the_same(answers):
    scored = [r for r in answers["csv"] if r["kind"] == "abnormality"]
    assert len(scored) == len(answers["json"]["abnormalities"])
    assert any(r["query"] == "banana" and r["status"] == "nothing matches" for r in answers["csv"])


@pytest.fixture
def small(tmp_path):
    """A scan with masks as files."""
    hu = np.full((40, 40, 30), -1000, np.int16)
    hu[5:35, 5:35] = 40
    labels = np.zeros(hu.shape, np.uint8)
    labels[8:20, 10:30, 5:25] = 5
    affine = np.diag([3.0, 3.0, 3.0, 1])
    for name, data in (("ct", hu), ("seg", labels), ("far", labels)):
        place = affine.copy()
        place[:3, 3] = 5000 if name == "far" else 0
        nib.save(nib.Nifti1Image(data, place), tmp_path / f"{name}.nii.gz")
    return tmp_path


def test_audit_prints_what_the_scan_is(small, capsys):
    main(["audit", str(small / "ct.nii.gz")])
    told = capsys.readouterr().out
    for word in ("orientation", "spacing", "field of view", "HU", "rescale", "slices", "tilt", "RAS", "3"):
        assert word in told


def test_score_prints_without_files(small, capsys):
    main(["score", str(small / "ct.nii.gz"), "--masks", str(small / "seg.nii.gz"), "--ask", "liver"])
    told = capsys.readouterr().out
    assert "liver" in told and "Research use, not for diagnosis." in told


def test_score_prints_the_sentence_of_the_window(small, capsys):
    given = [str(small / "ct.nii.gz"), "--masks", str(small / "seg.nii.gz")]
    main(["score", *given, "--ask", "liver cyst", "--ask", "enlarged spleen", "--json", str(small / "a.json")])
    capsys.readouterr()
    told = {query["text"]: query for query in json.loads((small / "a.json").read_text())["queries"]}
    main(["score", *given, "--ask", "liver cyst", "--ask", "enlarged spleen"])
    out = capsys.readouterr().out
    for query in told.values():
        assert f"  {query['message']}\n" in out
    assert "The masks hold no spleen." in out and "Liver cyst, liver: " in out
    assert told["liver cyst"]["finding"]["organ"] == "liver"


def test_hu_that_look_wrong_answer_nothing(small, capsys):
    raw = np.full((40, 40, 30), 24, np.int16)  # values as stored, without the intercept
    raw[5:35, 5:35] = 1064
    nib.save(nib.Nifti1Image(raw, np.diag([3.0, 3.0, 3.0, 1])), small / "raw.nii.gz")
    given = [str(small / "raw.nii.gz"), "--masks", str(small / "seg.nii.gz"), "--ask", "liver cyst"]
    main(["score", *given])
    said = capsys.readouterr()
    assert "Liver cyst, liver: cannot say: HU look wrong (the intercept looks not applied" in said.out
    assert "note: HU look wrong (the intercept looks not applied" in said.err
    highest = [line for line in said.out.partition("the highest:")[2].splitlines() if line.startswith("  liver ")]
    assert highest and all(line.endswith(" HU look wrong") for line in highest)
    main(["score", *given, "--json", str(small / "a.json"), "--csv", str(small / "a.csv")])
    told = json.loads((small / "a.json").read_text())
    assert told["queries"][0]["finding"]["status"] == "cannot say"
    scored = [row for row in told["abnormalities"] if row["probability"] is not None]
    assert scored and all(row["status"] == "scored; HU look wrong" for row in scored)
    main(["report", *given, "--html", str(small / "r.html")])
    page = (small / "r.html").read_text()
    assert "Liver cyst, liver: cannot say: HU look wrong" in page and "Findings worth a look" not in page


def test_what_is_not_understood_of_masks_is_told_on_standard_error(small, capsys):
    labels = np.asarray(nib.load(small / "seg.nii.gz").dataobj).astype(np.int16)
    labels[labels == 5] = 777
    nib.save(nib.Nifti1Image(labels, np.diag([3.0, 3.0, 3.0, 1])), small / "odd.nii.gz")
    main(["stats", str(small / "ct.nii.gz"), "--masks", str(small / "odd.nii.gz")])
    assert "note: not known as an organ, and not scored: label_777" in capsys.readouterr().err
    folder = small / "organs"
    folder.mkdir()
    for name in ("liver", "liver_lesion", "spleen"):
        part = (labels if name != "spleen" else labels * 0).clip(0, 1).astype(np.uint8)
        nib.save(nib.Nifti1Image(part, np.diag([3.0, 3.0, 3.0, 1])), folder / f"{name}.nii.gz")
    main(["stats", str(small / "ct.nii.gz"), "--masks", str(folder)])
    said = capsys.readouterr()
    assert "note: wholly within other masks, and so left out: liver_lesion" in said.err
    assert "note: 1 of 3 masks are empty: spleen" in said.err and "note" not in said.out


def test_masks_that_do_not_fit_are_told(small, capsys):
    labels = np.zeros((40, 40, 30), np.uint8)
    labels[0:4, 5:35, 5:25] = 5  # air
    nib.save(nib.Nifti1Image(labels, np.diag([3.0, 3.0, 3.0, 1])), small / "air.nii.gz")
    main(["score", str(small / "ct.nii.gz"), "--masks", str(small / "air.nii.gz"), "--ask", "liver"])
    assert "note: The masks do not seem to fit the scan: liver of -1000 HU." in capsys.readouterr().err
    main(["audit", str(small / "ct.nii.gz"), "--masks", str(small / "air.nii.gz")])
    assert "! fit of masks" in capsys.readouterr().out


def test_stats(small, capsys):
    given = ["stats", str(small / "ct.nii.gz"), "--masks", str(small / "seg.nii.gz")]
    main(given)
    assert "liver" in capsys.readouterr().out
    main([*given, "--csv", str(small / "a.csv"), "--json", str(small / "a.json")])
    with (small / "a.csv").open(newline="") as handle:
        (row,) = csv.DictReader(handle)
    told = json.loads((small / "a.json").read_text())
    assert row["organ"] == "liver" and float(row["volume_ml"]) == 12 * 20 * 20 * 27 / 1000
    assert (float(row["mean_hu"]), row["cut_by_field_of_view"]) == (40, "no")
    assert told["organs"][0]["volume_ml"] == float(row["volume_ml"]) and told["masks_hash"].startswith("xxh3")


def test_report_is_one_page_with_pictures(small):
    given = ["report", str(small / "ct.nii.gz"), "--masks", str(small / "seg.nii.gz"), "--ask", "liver"]
    main([*given, "--html", str(small / "r.html")])
    page = (small / "r.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 2 and "liver" in page


def test_report_as_pdf_alone(small, qapp, monkeypatch, capsys):
    monkeypatch.chdir(small)
    main(["report", "ct.nii.gz", "--masks", "seg.nii.gz", "--ask", "liver", "--pdf", "r.pdf"])
    assert (small / "r.pdf").read_bytes().startswith(b"%PDF") and not (small / "report.html").exists()
    assert capsys.readouterr().out == "Report written to r.pdf\n"


def test_export_writes_on_the_grid_of_the_scan(small):
    given = ["export", str(small / "ct.nii.gz"), "--masks", str(small / "seg.nii.gz")]
    main([*given, "--nifti", str(small / "o.nii.gz"), "--map", str(small / "m.nii.gz"), "--ask", "liver"])
    own, out, scores = (nib.load(small / f"{name}.nii.gz") for name in ("seg", "o", "m"))
    np.testing.assert_array_equal(out.dataobj, own.dataobj)
    np.testing.assert_array_equal(out.affine, own.affine)
    assert len(np.unique(scores.dataobj)) == 2 and np.asarray(scores.dataobj)[np.asarray(own.dataobj) == 5].min() > 0.5


def test_names_of_organs_need_not_count(small):
    given = [str(small / "ct.nii.gz"), "--masks", str(small / "seg.nii.gz"), "--ask", "hepatic tissue"]
    told = {}
    for flags in ((), ("--by-sight",)):
        main(["score", *given, *flags, "--json", str(small / "a.json")])
        told[flags] = json.loads((small / "a.json").read_text())
        main(["export", *given, *flags, "--map", str(small / "m.nii.gz")])
        values = np.unique(nib.load(small / "m.nii.gz").dataobj)
        (query,) = told[flags]["queries"]
        assert values.max() == pytest.approx(query["organs"][0]["score"], abs=1e-3)
    assert [t["provenance"]["use_names"] for t in told.values()] == [True, False]
    first, second = (t["queries"][0]["organs"][0] for t in told.values())
    assert second["score"] == second["visual"] and first["score"] != second["score"]
    main(["report", *given, "--by-sight", "--html", str(small / "r.html")])
    assert "do not count" in (small / "r.html").read_text(encoding="utf-8")


def test_the_map_of_the_window_is_exported(sample_session, tmp_path, capsys):
    """The very file that the menu of the window writes, on the grid of the scan's own file."""
    folder, session = sample_session
    main(["export", *given_of(folder), "--ask", session.query, "--similarity", str(tmp_path / "s.nii.gz")])
    assert capsys.readouterr().out.startswith("Map written to ")
    SIMILARITY_MAP(tmp_path / "window.nii.gz", Results.of(session))
    one, other, scan = (nib.load(p) for p in (tmp_path / "s.nii.gz", tmp_path / "window.nii.gz", folder / "ct.nii.gz"))
    np.testing.assert_array_equal(one.dataobj, other.dataobj)
    assert one.shape == scan.shape and np.allclose(one.affine, scan.affine) and np.any(one.dataobj)
    with pytest.raises(SystemExit):
        main(["export", *given_of(folder), "--ask", "banana", "--similarity", str(tmp_path / "b.nii.gz")])
    assert "organs of this scan match" in capsys.readouterr().err and not (tmp_path / "b.nii.gz").exists()


def test_a_saved_session_is_answered(sample_session, tmp_path, capsys):
    folder, session = sample_session
    path, out = folder / "s.ctvlp.json", tmp_path / "a.json"
    main(["score", "--session", str(path), "--ask", "liver", "--json", str(out)])
    told = json.loads(out.read_text())
    texts = [query["text"] for query in told["queries"]]
    assert texts == ["stone in the left kidney", "liver", "where bile is stored"]  # the open one, then the newest
    # what the window would export of it, and no more than was asked for
    own = answers_of(Results.of(session, Queries(session)))
    assert told["queries"][0] == own["queries"][0] and told["provenance"] == own["provenance"]
    assert told["abnormalities"] == own["abnormalities"] and not capsys.readouterr().err
    main(["score", "--session", str(path), "--by-sight", "--json", str(out)])
    assert json.loads(out.read_text())["provenance"]["use_names"] is False
    for wrong in (["--sample"], ["--encoder", "fvlm"]):
        with pytest.raises(SystemExit):
            main(["score", "--session", str(path), *wrong])
        assert "session" in capsys.readouterr().err


def test_a_saved_session_says_what_has_changed(sample_session, tmp_path, capsys):
    folder, _ = sample_session
    saved = json.loads((folder / "s.ctvlp.json").read_text())
    (tmp_path / "s.ctvlp.json").write_text(json.dumps({**saved, "masks_hash": "xxh3-128:0"}))
    main(["score", "--session", str(tmp_path / "s.ctvlp.json"), "--json", str(tmp_path / "a.json")])
    assert "note: " in (err := capsys.readouterr().err) and "the masks have changed" in err
    (tmp_path / "s.ctvlp.json").write_text(json.dumps({**saved, "scan": str(tmp_path / "gone.nii.gz")}))
    with pytest.raises(SystemExit):
        main(["score", "--session", str(tmp_path / "s.ctvlp.json")])
    assert capsys.readouterr().err == "error: gone.nii.gz: there is no such file or folder.\n"


def test_the_audit_card_as_pdf(small, qapp, capsys):
    main(["audit", str(small / "ct.nii.gz"), "--masks", str(small / "seg.nii.gz"), "--pdf", str(small / "card.pdf")])
    assert (small / "card.pdf").read_bytes().startswith(b"%PDF") and "Audit card written" in capsys.readouterr().out


def corrupt(folder):
    (folder / "empty.nii.gz").write_bytes(b"")
    (folder / "text.nii.gz").write_bytes(gzip.compress(b"not a scan"))
    whole = (folder / "ct.nii.gz").read_bytes()
    (folder / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4, 3), np.int16), np.eye(4)), folder / "four.nii.gz")
    nib.save(nib.Nifti1Image(np.full((4, 4, 4), np.nan, np.float32), np.eye(4)), folder / "nan.nii.gz")
    (folder / "folder").mkdir()
    (folder / "model.pt").write_bytes(b"\x80\x04.")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["audit", "missing.nii.gz"], "missing.nii.gz"),
        (["audit", "empty.nii.gz"], "empty"),
        (["audit", "text.nii.gz"], "text.nii.gz"),
        (["audit", "cut.nii.gz"], "cut.nii.gz"),
        (["audit", "four.nii.gz"], "four.nii.gz"),
        (["audit", "nan.nii.gz"], "nan.nii.gz"),
        (["audit", "folder"], "folder"),
        (["score"], "masks"),
        (["score", "ct.nii.gz"], "masks"),
        (["score", "--sample", "ct.nii.gz"], "--sample"),
        (["stats", "ct.nii.gz"], "stats SCAN --masks MASKS"),
        (["stats", "ct.nii.gz", "--masks", "seg.nii.gz", "--csv", "no/a.csv"], "a.csv"),
        (["report", "ct.nii.gz", "--masks", "seg.nii.gz", "--html", "no/a.html"], "a.html"),
        (["report", "ct.nii.gz", "--masks", "far.nii.gz"], "far.nii.gz"),
        (["export", "ct.nii.gz", "--masks", "seg.nii.gz"], "--nifti"),
        (["export", "ct.nii.gz", "--masks", "seg.nii.gz", "--map", "a.nii"], "--ask"),
        (["export", "ct.nii.gz", "--masks", "seg.nii.gz", "--nifti", "a.png"], "a.png"),
        (["export", "ct.nii.gz", "--masks", "seg.nii.gz", "--seg", "a.dcm"], "not read from DICOM"),
        (["--masks", "seg.nii.gz"], "scan"),
        (["bogus"], "neither a file or folder nor a command"),
        (["scores", "ct.nii.gz", "--masks", "seg.nii.gz"], "did you mean score?"),
        (["scoer"], "did you mean score?"),
        (["missing/ct.nii.gz", "--ask", "liver"], "missing/ct.nii.gz"),
        (["ct.nii.gz", "--session", "s.ctvlp.json"], "--session"),
        (["dictionary", "--check", "none.yaml"], "none.yaml"),
        (["segment", "missing.nii.gz", "--out", "a.nii.gz"], "missing.nii.gz"),
        (["score", "ct.nii.gz", "--masks", "far.nii.gz"], "far.nii.gz"),
        (["score", "ct.nii.gz", "--masks", "missing"], "missing"),
        (["score", "ct.nii.gz", "--masks", "seg.nii.gz", "--ask", " "], "empty"),
        (["score", "ct.nii.gz", "--masks", "seg.nii.gz", "--ask-file", "none.txt"], "none.txt"),
        (["score", "ct.nii.gz", "--masks", "seg.nii.gz", "--encoder", "nobody"], "known are starter, colipri"),
        (["score", "ct.nii.gz", "--masks", "seg.nii.gz", "--also", "nope"], "known are starter, colipri"),
        (["score", "ct.nii.gz", "--masks", "seg.nii.gz", "--encoder", "model.pt"], "pickle"),
        (["score", "ct.nii.gz", "--masks", "seg.nii.gz", "--json", "no/such/folder/a.json"], "a.json"),
        (["score", "missing.nii.gz", "--json", "no/such/folder/a.json"], "a.json"),  # told before anything is read
        (["score", "--session", "none.ctvlp.json"], "none.ctvlp.json"),
        (["audit", "ct.nii.gz", "--pdf", "no/card.pdf"], "card.pdf"),
        (["export", "ct.nii.gz", "--masks", "missing", "--ask", "liver", "--similarity", "a.png"], "a.png"),
    ],
)
def test_bad_input_ends_with_one_sentence(small, args, words, capsys, monkeypatch):
    corrupt(small)
    monkeypatch.chdir(small)
    with pytest.raises(SystemExit) as ended:
        main(args)
    told = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert told.startswith("error: ") and words in told
    assert "\n" not in told and "Traceback" not in told


@pytest.mark.parametrize("display", [None, ":987"])
def test_a_window_without_a_display_is_refused_in_a_sentence(small, display):
    """Qt would end the process with an abort."""
    where = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    if display is not None:
        where["DISPLAY"] = display
    command = [sys.executable, "-m", "napari_ctvlp.cli", str(small / "ct.nii.gz")]
    done = subprocess.run(command, capture_output=True, text=True, env=where, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: No window can be opened: ")
    assert done.stderr.strip().count("\n") == 0 and (display or "DISPLAY") in done.stderr


def test_help_names_all_commands():
    told = subprocess.run(
        [sys.executable, "-m", "napari_ctvlp.cli", "--help"], capture_output=True, text=True, check=True
    )
    for word in ("audit", "score", "stats", "report", "export", "--sample"):
        assert word in told.stdout


def test_stats_are_printed_or_written(tmp_path, capsys):
    main(["stats", "--sample"])
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) > 50
    assert {"liver", "kidney_left"} <= {row["organ"] for row in rows}
    main(["stats", "--sample", "--csv", str(tmp_path / "organs.csv")])
    with (tmp_path / "organs.csv").open(newline="") as handle:
        assert list(csv.DictReader(handle)) == rows


def test_stats_without_masks_say_what_is_missing(capsys):
    with pytest.raises(SystemExit):
        main(["stats", "ct.nii.gz"])
    assert "napari-ctvlp stats SCAN --masks MASKS" in capsys.readouterr().err


def test_a_folder_with_scan_and_masks_is_enough(small, capsys):
    (small / "far.nii.gz").unlink()
    main(["stats", str(small)])
    assert "liver" in capsys.readouterr().out


def test_several_encoders_are_asked_of_one_scan(tmp_path, monkeypatch, capsys):
    """The density encoder of the example package beside the shipped one: whole answers, and where they disagree."""
    from napari_ctvlp import encoder as room
    from tests.encoder.example.density_encoder import DensityEncoder

    class Knowing(DensityEncoder):
        card = dataclasses.replace(DensityEncoder.card, abnormalities=("liver/liver_steatosis", "liver/liver_cyst"))

    plain = room.load_encoder
    monkeypatch.setattr(room, "load_encoder", lambda name: Knowing() if name == "density" else plain(name))
    main(["score", "--sample", "--also", "density", "--ask", "fatty liver", "--json", str(tmp_path / "a.json")])
    told = json.loads((tmp_path / "a.json").read_text())
    (other,) = told["others"]
    assert other["encoder"]["name"] == "density" and not other["calibrated"]
    assert [q["text"] for q in other["queries"]] == ["fatty liver"] and other["abnormalities"]
    for row in told["disagreements"]:
        said = [p for p in row["probabilities"].values() if p is not None]
        assert max(said) - min(said) >= 0.3 and set(row["probabilities"]) == {"starter", "density"}
    main(["score", "--sample", "--also", "density"])
    assert ("disagree most on" in capsys.readouterr().out) == bool(told["disagreements"])


@pytest.fixture
def chest_encoder(monkeypatch):
    """The density encoder of the example package, as one of the chest; the sample is an abdomen."""
    from napari_ctvlp import encoder as room
    from napari_ctvlp.encoder import region
    from tests.encoder.example.density_encoder import DensityEncoder, entry

    plain, known = room.load_encoder, region.list_entries() | {"density": dataclasses.replace(entry, region="chest")}
    monkeypatch.setattr(room, "load_encoder", lambda name: DensityEncoder() if name == "density" else plain(name))
    monkeypatch.setattr(region, "list_entries", lambda: known)


SAID = "note: density was trained on CT of the chest; this scan shows only a part of it"


def test_a_scan_outside_of_the_region_is_told_of_every_encoder(chest_encoder, tmp_path, capsys):
    given = ["score", "--sample", "--json", str(tmp_path / "a.json")]
    main([*given, "--also", "density"])
    assert SAID in capsys.readouterr().err
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["encoder"]["region_warning"] is None
    assert SAID.removeprefix("note: ") in told["others"][0]["encoder"]["region_warning"]
    main(given)
    assert "note" not in capsys.readouterr().err


def test_all_commands_that_ask_tell_it(chest_encoder, tmp_path, capsys):
    page, why = tmp_path / "r.html", tmp_path / "w.json"
    main(["report", "--sample", "--encoder", "density", "--html", str(page)])
    assert SAID in capsys.readouterr().err and SAID.removeprefix("note: ") in page.read_text()
    questions = ["--ask", "fluid", "--against", "bone"]
    main(["compare", "--sample", "--encoder", "density", *questions, "--json", str(why)])
    assert SAID in capsys.readouterr().err
    assert "chest" in json.loads(why.read_text())["encoder"]["region_warning"]
    main(["export", "--sample", "--encoder", "density", "--map", str(tmp_path / "m.nii"), "--ask", "fluid"])
    assert SAID in capsys.readouterr().err


def test_of_several_masks_in_a_folder_the_sentence_names_the_option(small, capsys):
    with pytest.raises(SystemExit):
        main(["score", str(small), "--ask", "liver"])
    told = capsys.readouterr().err
    assert "several masks are given at once (far.nii.gz, seg.nii.gz); give one of them with --masks." in told
