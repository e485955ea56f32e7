"""The commands of the world, and what it needs: contact sheets, the list, a dataset that pretraining reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_ctvlp.errors import UserError
from training.data.store import WorldStore
from training.world.__main__ import ListConfig, WriteConfig, list_all, main, write
from training.world.findings.catalogue import ABNORMALITIES
from training.world.show import ShowConfig, known, show_command

ONLY_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused!r}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np
from training.world.sample import make_sample
from training.world.report.report import make_report
from training.data.stream import WorldStream
sample = make_sample(3, spacing=8.0)
assert make_report(sample, np.random.default_rng(0)).text
assert WorldStream("train", 2, spacing=8.0).load(0).hu.any()
"""
REFUSED = (
    "scipy",
    "nibabel",
    "pydicom",
    "highdicom",
    "rapidfuzz",
    "pandas",
    "monai",
    "skimage",
    "PIL",
    "blosc2",
    "tyro",
)


def test_samples_and_reports_need_torch_and_numpy_alone() -> None:
    """So that they run on a GPU machine as it is."""
    done = subprocess.run([sys.executable, "-c", ONLY_TORCH.format(refused=REFUSED)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_sheet_of_samples_with_their_reports(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    show_command(ShowConfig(n=2, spacing=6.0, out=out))
    with Image.open(out) as picture:
        assert np.asarray(picture.convert("L")).std() > 20
    assert out.with_suffix(".txt").read_text().count("--- seed") == 2


def test_a_sheet_of_one_abnormality_marks_it(tmp_path: Path) -> None:
    out = tmp_path / "cyst.png"
    show_command(ShowConfig(n=1, abnormality="liver_cyst", spacing=4.0, out=out))
    with Image.open(out) as picture:
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
    assert ((colours[:, 0] - colours[:, 2]) > 120).sum() > 20
    assert "liver_cyst" in out.with_suffix(".txt").read_text()


def test_an_unknown_name_says_which_is_near() -> None:
    with pytest.raises(UserError, match="kidney_stone"):
        known("kidny stone")
    with pytest.raises(UserError, match="region"):
        show_command(ShowConfig(region="elbow"))


def test_the_list_names_every_abnormality(capsys: pytest.CaptureFixture[str]) -> None:
    list_all(ListConfig(json=True))
    rows = json.loads(capsys.readouterr().out)
    assert {r["abnormality"] for r in rows} == set(ABNORMALITIES)
    assert all(r["anatomy"] and r["painted"] and r["source"] and (r["hu"] or r["volume_factor"]) for r in rows)
    list_all(ListConfig())
    assert f"{len(ABNORMALITIES)} abnormalities" in capsys.readouterr().out


def test_a_written_dataset_is_one_that_pretraining_reads(tmp_path: Path) -> None:
    write(WriteConfig(tmp_path, n=2, validation=1, bodies=2, spacing=8.0, workers=1))
    store = WorldStore(tmp_path / "train", "train", 2, 0, 2, 8.0)
    store.prepare()  # nothing is missing, and the recipe is the same
    scan = store.load(1)
    assert scan.hu.dtype == np.int16 and scan.organs and store.report(1)
    assert (tmp_path / "validation" / "000000.json").is_file()


def test_an_error_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["world", "show", "--abnormality", "nonsense"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error and error.count("\n") == 1
