"""The doctor: what is missing, left against right, Hounsfield units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.cli import main
from napari_ctvlp.doctor import examine, left_right, self_checks
from napari_ctvlp.encoder import list_entries
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from napari_ctvlp.encoder.registry import PLACE
from tests.conftest import WordEncoder


class SideEncoder(WordEncoder):
    """Sees on which half of the network's input an organ lies, and how dense it is; may get the scan mirrored."""

    def __init__(self, mirrored: bool = False, clips: bool = True, blind: bool = False) -> None:
        super().__init__()
        self.card = replace(self.card, dim=3, hu_windows=((-1000.0, 1000.0),))
        self.mirrored, self.clips, self.blind = mirrored, clips, blind

    def encode_text(self, texts):
        side = [1.0 if "left" in t else -1.0 if "right" in t else 0.0 for t in texts]
        rows = np.stack([side, np.zeros(len(texts)), np.ones(len(texts))], 1).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def encode_scan(self, scan, masks, *, progress=None, cancelled=None):
        hu = np.clip(scan.hu, -1000, 1000) if self.clips else scan.hu
        rows = []
        for label in masks.names:
            at = np.argwhere(masks.labels == label).mean(0)[2] / scan.hu.shape[2] - 0.5
            seen = 0.0 if self.blind else hu[scan.hu > -3000].mean() / 1000
            rows.append([-at if self.mirrored else at, seen, 1.0])
        vectors = np.asarray(rows, np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        names = tuple(masks.names.values())
        return ScanEmbedding(names, vectors, (OrganStatus.COMPLETE,) * len(names), self)


def verdicts(encoder, phantom) -> dict[str, str]:
    return {check.name: check.verdict for check in self_checks(encoder, *phantom)}


def test_a_sound_encoder_passes(phantom):
    found = verdicts(SideEncoder(), phantom)
    assert found["left/right"] == "ok" and found["HU"] == "ok"
    assert found["calibration"] == "note"  # nothing was fitted


def test_a_mirrored_scan_is_told(phantom):
    (check,) = [c for c in self_checks(SideEncoder(mirrored=True), *phantom) if c.name == "left/right"]
    assert check.verdict == "warning" and "swapped" in check.told


def test_an_encoder_without_sides_is_told(phantom):
    class Sideless(SideEncoder):
        def encode_text(self, texts):
            return super().encode_text(["" for _ in texts])

    assert verdicts(Sideless(), phantom)["left/right"] == "warning"


def test_no_pair_is_no_verdict(phantom):
    embedding = SideEncoder().encode_scan(*phantom)
    keep = [i for i, o in enumerate(embedding.organs) if "left" not in o]
    one = replace(
        embedding, organs=tuple(embedding.organs[i] for i in keep), vectors=embedding.vectors[keep],
        status=tuple(embedding.status[i] for i in keep),
    )  # fmt: skip
    assert left_right(one).verdict == "note"


@pytest.mark.parametrize("wrong", [{"clips": False}, {"blind": True}])
def test_hounsfield_units_that_are_read_wrong_are_told(phantom, wrong):
    scan, masks = phantom
    scan.hu[:, :25] = 3000  # metal, beyond the window
    assert verdicts(SideEncoder(**wrong), (scan, masks))["HU"] == "warning"


def test_a_scan_without_known_organs_ends_early(phantom):
    class Knows(SideEncoder):
        def encode_scan(self, scan, masks, **_):
            found = super().encode_scan(scan, masks)
            return replace(found, status=(OrganStatus.UNKNOWN,) * len(found.organs))

    found = verdicts(Knows(), phantom)
    assert found["organs"] == "warning" and "HU" not in found


def test_the_shipped_encoder_is_examined_on_the_sample(capsys):
    main(["doctor", "starter"])
    told = capsys.readouterr().out
    assert "everything it needs is here" in told and "!" not in told
    for word in ("licence", "place", "calibration", "left/right", "HU"):
        assert word in told


class Counted(SideEncoder):
    """Counts the organs that it encodes."""

    def __init__(self, organs=()):
        super().__init__()
        self.card = replace(self.card, organs=tuple(organs))
        self.asked = []

    def encode_scan(self, scan, masks, *, progress=None, cancelled=None):
        self.asked.append(set(masks.names.values()))
        assert set(np.unique(masks.labels)) <= {0, *masks.names}
        for done in (0.0, 1.0):
            if progress is not None:
                progress(done)
        return super().encode_scan(scan, masks)


def test_a_few_organs_are_examined_and_how_far_is_told(phantom):
    """Merlin takes minutes an organ: the kidneys are enough for both checks."""
    encoder, told = Counted(), []
    (line,) = [
        c.told for c in self_checks(encoder, *phantom, lambda what, done: told.append(done)) if c.name == "organs"
    ]
    assert encoder.asked == [{"kidney_left", "kidney_right"}] * 4
    assert "4 of 4 organs" in line and "examined on kidney_left, kidney_right" in line
    assert told == sorted(told) and told[0] == 0 and told[-1] == 1


def test_without_a_pair_it_is_the_largest_that_are_known(phantom):
    encoder = Counted(("liver", "spleen", "kidney_left"))
    assert {c.name: c.verdict for c in self_checks(encoder, *phantom)}["left/right"] == "note"
    assert encoder.asked[0] == {"liver", "spleen"}
    nothing = Counted(("heart",))
    assert [c.name for c in self_checks(nothing, *phantom)][-1] == "organs" and nothing.asked == []


def test_a_pair_that_is_seen_as_one_cannot_be_checked(phantom):
    embedding = SideEncoder().encode_scan(*phantom)
    check = left_right(replace(embedding, groups={"kidneys": ("kidney_left", "kidney_right")}))
    assert check.verdict == "note" and "cannot be checked" in check.told and "kidneys" in check.told


def test_software_and_missing_files_are_told_and_the_status_is_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(PLACE, str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "merlin"])
    told = capsys.readouterr().out
    assert ended.value.code == 1
    for words in (
        "merlin.pt, vocab.json, merges.txt",
        f"would lie in {tmp_path / 'merlin'} (about 1,085 MB",
        "torch 2",
    ):
        assert words in told
    assert list_entries()["fvlm"].size_mb == pytest.approx(820, abs=1)


def test_what_is_missing_ends_the_examination(tmp_path, monkeypatch):
    monkeypatch.setenv(PLACE, str(tmp_path))
    checks = list(examine("fvlm"))
    assert [c.name for c in checks if c.verdict == "warning"] == ["missing", "missing"]
    assert "install fvlm" in [c for c in checks if c.name == "missing"][-1].told


def test_unknown_names_and_half_a_scan_are_refused(capsys):
    for args in (["doctor", "nope"], ["doctor", "starter", "--scan", "x.nii"]):
        with pytest.raises(SystemExit) as caught:
            main(args)
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_encoders_are_listed(capsys):
    main(["encoders"])
    told = capsys.readouterr().out
    assert "starter" in told and "fvlm  [unstated]  chest" in told
