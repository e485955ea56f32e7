"""Evidence, comparison and prompts without a window: what the window shows, and one sentence for bad input."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from napari_ctvlp import asking_commands
from napari_ctvlp.anatomy.dictionary import BUILT_IN
from napari_ctvlp.ask.taught_file import write_taught
from napari_ctvlp.ask.teach import EncoderKey, Example, TaughtFinding
from napari_ctvlp.cli import main
from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.sample import load_sample
from napari_ctvlp.teaching import anonymous_scan

STONE = ["--organ", "kidney_left", "--abnormality", "kidney_stone"]


@pytest.fixture(scope="module")
def embedding():
    return load_encoder("starter").encode_scan(*load_sample())


@pytest.fixture
def sample(embedding, monkeypatch):
    """The sample, encoded once for all tests."""
    monkeypatch.setattr(asking_commands, "_encoded", lambda encoder, scan, masks: embedding)


def test_evidence_is_printed_and_written(sample, tmp_path, capsys):
    main(["evidence", "--sample", *STONE, "--quick"])
    out = capsys.readouterr().out
    assert out.startswith("kidney_left, kidney_stone: 0.") and "Where it comes from" in out and "What if" not in out
    assert "There is a stone in the left kidney." in out and "Research use" in out
    path = tmp_path / "why.json"
    main(["evidence", "--sample", *STONE, "--quick", "--json", str(path)])
    told = json.loads(path.read_text())
    assert told["encoder"]["name"] == "starter" and told["scan_hash"] and told["masks_hash"]
    assert {"organ", "abnormality", "score", "regions", "changes", "sentences", "notes"} <= told.keys()
    place = np.linalg.inv(load_sample()[0].affine) @ [*told["regions"][0]["place_lps_mm"], 1]
    i, p, left = np.rint(place[:3]).astype(int)
    assert load_sample()[0].hu[i - 3 : i + 4, p - 3 : p + 4, left - 3 : left + 4].max() > 300


def test_evidence_shows_the_nearest_of_a_case_library(sample, embedding, tmp_path, capsys):
    left, right = (embedding.vectors[embedding.organs.index(f"kidney_{side}")] for side in ("left", "right"))
    own = anonymous_scan(load_sample()[0])
    rows = [("a" * 16, True, left), ("b" * 16, False, right), (own, True, left)]
    examples = tuple(Example("kidney_left", present, scan, vector) for scan, present, vector in rows)
    write_taught(tmp_path / "a", [TaughtFinding("stag horn", EncoderKey.of(embedding.encoder.card), examples)])
    given = ["evidence", "--sample", *STONE, "--quick", "--library", str(tmp_path)]
    main(given)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "stag horn" in line]
    assert [line[-1] for line in lines] == ["yes", "no"] and lines[0][0] == "+1.000"
    main([*given, "--json", str(tmp_path / "out")])
    known = json.loads((tmp_path / "out").read_text())["known_cases"]
    assert known["among"] == 2 and [row["scan"] for row in known["examples"]] == ["a" * 16, "b" * 16]
    assert known["examples"][0]["findings"] == [{"name": "stag horn", "present": True}]


@pytest.mark.slow
def test_evidence_tells_what_becomes_of_the_score(sample, capsys):
    main(["evidence", "--sample", "--organ", "gallbladder", "--abnormality", "gallstones"])
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("What if:")
    rows = lines[start + 1 : lines.index("", start)]  # as many as there are regions, and the other changes
    by_name = {line.strip().split("  ")[0]: float(line.split()[-1]) for line in rows}
    assert "region 1 erased" in by_name and "mask shrunk by 3 mm" in by_name
    assert by_name["region 1 erased"] < -0.05 < by_name["another place erased"]
    assert by_name["organ made even"] < -0.3


def test_two_questions_are_set_side_by_side(sample, tmp_path, capsys):
    main(["compare", "--sample", "--ask", "stone in the left kidney", "--against", "liver"])
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines() if line.startswith("  ")]
    assert {rows[1][0], rows[2][0]} == {"kidney_left", "liver"}
    path = tmp_path / "two.json"
    main(["compare", "--sample", "--ask", "liver", "--against", "spleen", "--json", str(path)])
    told = json.loads(path.read_text())
    assert [q["text"] for q in told["queries"]] == ["liver", "spleen"]
    liver = next(row for row in told["organs"] if row["organ"] == "liver")
    assert liver["difference"] == pytest.approx(liver["first"] - liver["second"], abs=2e-4)
    assert liver["difference"] > 0.5


def test_prompts_of_another_dictionary_are_tried(sample, tmp_path, capsys):
    mine = tmp_path / "mine.yaml"
    text = BUILT_IN.read_text(encoding="utf-8")
    mine.write_text(text.replace("Nephrolithiasis of the {organ}.", "Something else, {organ}."), encoding="utf-8")
    path = tmp_path / "tried.json"
    main(["prompts", "--sample", "--abnormality", "kidney_stone", "--dictionary", str(mine), "--json", str(path)])
    told = {row["organ"]: row for row in json.loads(path.read_text())["organs"]}
    assert told.keys() == {"kidney_left", "kidney_right"}
    left = told["kidney_left"]
    assert left["probability"] != left["in_use"]["probability"]
    assert "Something else, left kidney." in {s["text"] for s in left["sentences"]}
    main(["prompts", "--sample", "--abnormality", "kidney_stone"])
    out = capsys.readouterr().out
    assert "Nephrolithiasis of the left kidney." in out and "in use" not in out


def test_the_encoders_input_is_written_on_its_own_grid(tmp_path):
    main(["export", "--sample", "--input", str(tmp_path / "seen.nii.gz")])
    scan, _ = load_sample()
    encoder = load_encoder("starter")
    given = encoder.model_input(scan)
    files = sorted(tmp_path.glob("*"))
    assert [f.name for f in files] == [f"seen_{n}.nii.gz" for n in range(1, len(given.channels) + 1)]
    image = nib.load(files[0])
    np.testing.assert_array_equal(np.asarray(image.dataobj), given.values[0])
    ras = image.affine @ [0, 0, 0, 1]
    expected = scan.affine @ [*given.start, 1]
    np.testing.assert_allclose(ras[:3], expected[:3] * [-1, -1, 1], atol=1e-3)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["evidence", "--sample"], "Say whose score"),
        (
            ["evidence", "--sample", "--organ", "kidney_left", "--abnormality", "kidney_ston"],
            "did you mean kidney_stone",
        ),
        (["evidence", "--sample", "--organ", "liver", "--abnormality", "kidney_stone"], "looked for in kidney_"),
        (["evidence", "--organ", "liver", "--abnormality", "liver_cyst"], "need a scan and its organ masks"),
        (["compare", "--sample", "--ask", "liver"], "Two questions are needed"),
        (["prompts", "--sample"], "Say which finding"),
        (["evidence", "--sample", *STONE, "--quick", "--library", "tests"], "tests: holds no examples for starter"),
        (["prompts", "--sample", "--abnormality", "xyzxyz"], "says which file is in use"),
        (["export", "--sample", "--input", "seen.txt"], ".nii or .nii.gz"),
    ],
)
def test_bad_input_is_one_sentence(sample, args, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(args)
    told = capsys.readouterr()
    assert ended.value.code == 2 and said in told.err and told.err.count("\n") == 1
