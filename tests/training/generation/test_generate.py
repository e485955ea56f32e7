"""What a writer is given of a scan, and the two commands from scans to a draft."""

from __future__ import annotations

import dataclasses
import json

import nibabel as nib
import numpy as np
import pytest
import torch

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.anatomy.schemes import V2_NAMES
from napari_ctvlp.encoder.native_files import read_folder
from napari_ctvlp.encoder.native_model import NativeModel
from napari_ctvlp.encoder.registry import SHIPPED
from napari_ctvlp.encoder.vision import VisionConfig
from napari_ctvlp.scan.types import OrganMasks
from training import generate
from training.data.store import WorldStore
from training.engine.validate import embed_store, scan_input
from training.generation.draft import Line, draft, laid_out, told_by_scores, v2_labels
from training.generation.scores import findings_in
from training.generation.slots import SLOTS, Slots, network_of, seen, slots_of
from training.generation.tokens import ORGAN, REPORT


@pytest.fixture(scope="module")
def shipped():
    return read_folder(SHIPPED / "starter")


@pytest.fixture(scope="module")
def parts(shipped):
    """An untrained tower of 6 mm with the shipped text model."""
    torch.manual_seed(0)
    config = VisionConfig(widths=(8, 24, 48), blocks=(1, 1, 1), heads=3, hidden=96, dim=64, spacing=6.0)
    model = NativeModel(config, shipped.model.text_projection.in_features)
    return dataclasses.replace(shipped, model=model)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    made = [
        WorldStore(folder / "scans" / split, split, 4, 0, 4 if split == "train" else 1, 6.0, 1.6)
        for split in ("train", "validation")
    ]
    for store in made:
        store.prepare(1)
    return folder, *made


def test_every_organ_is_in_its_slot_as_the_plugin_sees_it(parts, stores):
    _, store, _ = stores
    network = network_of(parts, "cpu")
    embedded = embed_store(parts.model, store, 1)
    vectors, there = seen(network, scan_input(parts.model.vision, store, store.load(0)))
    labels = set(np.unique(np.asarray(store.load(0).labels)).tolist()) - {0}
    assert there[0] and set(there.nonzero()[1:, 0].tolist()) <= labels
    for row, record in zip(embedded.vectors, embedded.records, strict=True):
        own = vectors[1 + V2_NAMES.index(record.organ)].float().numpy()
        np.testing.assert_allclose(own, row, atol=0.03)  # the maps are computed in bfloat16
    assert not vectors[~there].any()
    np.testing.assert_allclose(vectors[there].float().norm(dim=1), 1, atol=1e-3)


def test_slots_are_kept_and_a_damaged_file_is_made_anew(parts, stores, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("training.generation.slots.TOGETHER", 2)
    _, store, _ = stores
    network = network_of(parts, "cpu")
    first = slots_of(network, store, tmp_path)
    (tmp_path / "0-1.pt").write_bytes(b"broken")
    made = []
    monkeypatch.setattr("training.generation.slots.seen", lambda *given: made.append(1) or seen(*given))
    again = slots_of(network, store, tmp_path)
    assert len(made) == 2 and "0-1.pt" in capsys.readouterr().out
    assert torch.equal(first.vectors, again.vectors) and torch.equal(first.there, again.there)
    assert first.vectors.shape == (4, SLOTS, 64)


def test_labels_of_any_scheme_become_those_of_version_2():
    labels = np.array([[[0, 7, 9, 200]]], np.uint8)
    masks = OrganMasks(labels, {7: "kidney_left", 9: "spleen", 200: "tumour"}, "names in the file")
    assert v2_labels(masks).tolist() == [[[0, 3, 1, 0]]]


def test_scores_are_told_of_the_organ_that_has_them(shipped):
    entry = next(entry for entry in load_dictionary() if entry.key == "kidney_stone")
    positive, negative = entry.prompts("kidney_left")
    with torch.no_grad():
        texts = shipped.model.project_text(shipped.text([*positive, *negative]))
    there = torch.zeros(2, SLOTS, dtype=torch.bool)
    there[:, [0, 2, 3]] = True
    vectors = torch.zeros(2, SLOTS, texts.shape[1])
    vectors[0, 3] = torch.nn.functional.normalize(
        texts[: len(positive)].mean(0) - texts[len(positive) :].mean(0), dim=0
    )
    vectors[0, 2] = -vectors[0, 3]
    vectors[1, [2, 3]] = -vectors[0, 3]
    ill, healthy = told_by_scores(shipped, Slots(vectors.half(), there))
    assert ("kidney_left", "kidney_stone") in findings_in(ill)
    assert ("kidney_right", "kidney_stone") not in findings_in(ill)
    assert not any(key == "kidney_stone" for _, key in findings_in(healthy))


SMALL = {
    "world.train-scans": 4,
    "world.validation-scans": 4,
    "world.bodies": 4,
    "threads": 1,
    "writer.width": 32,
    "writer.layers": 1,
    "writer.heads": 2,
    "writer.most": 48,
    "fit.steps": 3,
    "fit.batch": 2,
    "fit.organs": 4,
    "fit.warmup": 1,
}


def test_a_draft_tells_findings_with_their_organs_and_names_the_others():
    lines = [
        Line("The spleen is normal.", ("spleen",)),
        Line("A stone in the left kidney.", ("kidney_left",)),
        Line("No liver lesion.", ("liver", "stomach")),
    ]
    assert laid_out(lines).splitlines() == [
        "A stone in the left kidney. [left kidney]",
        "Nothing abnormal is written of: spleen, liver, stomach.",
    ]
    assert laid_out([Line("The spleen is normal.")]) == "The spleen is normal."
    assert laid_out([]) == ""


ARGUMENTS = [part for name, value in SMALL.items() for part in (f"--{name}", str(value))]


@pytest.fixture
def phantom_files(phantom, tmp_path):
    """Of axes R, A, S, as most files are."""
    scan, masks = phantom
    place = np.diag([-2.0, -2.0, 3.0, 1.0])  # of axes L, P, S
    paths = []
    for name, data in (("ct", scan.hu), ("masks", masks.labels)):
        paths.append(tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(np.ascontiguousarray(data[::-1].transpose(2, 1, 0)), place), paths[-1])
    return paths


@pytest.fixture
def mine(parts, monkeypatch):
    monkeypatch.setattr(generate, "read_parts", lambda name: parts)
    return parts


@pytest.fixture(scope="module")
def run(parts, stores):
    folder, *_ = stores
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate, "read_parts", lambda name: parts)
        generate.main(["fit", "mine", "--out", str(folder), *ARGUMENTS])
    return folder


def test_a_run_tells_its_figures_beside_the_baselines(run):
    found = json.loads((run / "scores.json").read_text())
    rows = {
        "written",
        "organ by organ",
        "scores above one half",
        "report of the most alike",
        "report of another by lot",
    }
    assert set(found) == rows
    for figures in found.values():
        assert set(figures) == {"bleu1", "bleu4", "precision", "recall", "f1"}
        assert all(0 <= low <= value <= high <= 1 for value, low, high in figures.values())
    assert [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()] == [3]


def test_a_run_that_is_there_is_not_overwritten(run, mine, capsys):
    with pytest.raises(SystemExit):
        generate.main(["fit", "mine", "--out", str(run), *ARGUMENTS])
    assert "--resume" in capsys.readouterr().err


def test_a_run_with_other_settings_does_not_go_on(run, mine, capsys):
    with pytest.raises(SystemExit):
        generate.main(["fit", "mine", "--out", str(run), "--resume", *ARGUMENTS, "--fit.learning-rate", "0.1"])
    assert "other settings" in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--world.stream"], ["--world.first", "2"]])
def test_scans_that_are_not_kept_are_refused(mine, tmp_path, capsys, more):
    with pytest.raises(SystemExit):
        generate.main(["fit", "mine", "--out", str(tmp_path), *ARGUMENTS, *more])
    assert "--world.stream" in capsys.readouterr().err


def test_places_that_cannot_be_written_are_told_before_the_work(run, mine, phantom_files, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        generate.main(["fit", "mine", "--out", str(tmp_path / "file" / "run"), *ARGUMENTS])
    assert "choose another --out" in capsys.readouterr().err
    scan, masks = phantom_files
    where = str(tmp_path / "nowhere" / "draft.txt")
    with pytest.raises(SystemExit):
        generate.main(["write", str(run / "writer"), str(scan), "--masks", str(masks), "--to", where])
    assert "draft.txt cannot be written" in capsys.readouterr().err


def test_scans_that_were_prepared_anew_are_seen_anew():
    class Prepared:
        count = 2

        def __init__(self, last):
            self._last = last

        def record(self, index):
            return {"volume_hash": ["a", self._last][index]}

    assert generate._volumes(Prepared("b")) == generate._volumes(Prepared("b")) != generate._volumes(Prepared("c"))


def test_a_draft_of_a_real_file(run, mine, phantom_files, tmp_path, capsys):
    scan, masks = phantom_files
    generate.main(["write", str(run / "writer"), str(scan), "--masks", str(masks), "--to", str(tmp_path / "draft.txt")])
    assert "research" in (tmp_path / "draft.txt").read_text()
    generate.main(["write", str(run / "writer"), str(scan), "--masks", str(masks), "--whole"])
    assert "research" in capsys.readouterr().out


def test_a_writer_of_another_encoder_is_refused(run, mine, shipped, phantom_files, monkeypatch, capsys):
    monkeypatch.setattr(generate, "read_parts", lambda name: shipped)
    scan, masks = phantom_files
    with pytest.raises(SystemExit):
        generate.main(["write", str(run / "writer"), str(scan), "--masks", str(masks)])
    assert "another encoder" in capsys.readouterr().err


def test_both_begin_as_they_were_told(run, mine):
    """Whole reports and single organs are told apart by what they begin with."""
    kept = generate.read_writer(run / "writer")
    begun = []
    real = kept.writer.language.generate
    kept.writer.language.generate = lambda **given: begun.append(given["input_ids"][0, 0].item()) or real(**given)
    vectors, there = torch.zeros(SLOTS, 64), torch.zeros(SLOTS, dtype=torch.bool)
    there[[0, 1]] = True
    draft(kept.writer, kept.tokens, vectors, there)
    draft(kept.writer, kept.tokens, vectors, there, by_organ=True)
    assert begun == [REPORT, ORGAN]
    there[1] = False
    assert draft(kept.writer, kept.tokens, vectors, there, by_organ=True) == []
