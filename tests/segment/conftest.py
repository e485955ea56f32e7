"""TotalSegmentator's stand-in, installed as the real one would be."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from napari_ctvlp.scan import read_scan
from tests.scan.makers import body, write_scan


@pytest.fixture
def scan(tmp_path):
    return read_scan(write_scan(tmp_path / "ct.nii.gz", body(), "PSR"))


class StandIn:
    """What the stand-in was called with, and how it shall end."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.log = folder / "calls.jsonl"
        self._set = monkeypatch.setenv
        program = folder / "TotalSegmentator"
        program.write_text(f"#!{sys.executable}\n" + Path(__file__).with_name("standin.py").read_text())
        program.chmod(0o755)
        self.weights = folder / "weights"
        for number in (291, 292, 293, 294, 295, 297):
            (self.weights / f"Dataset{number}_TotalSegmentator_x").mkdir(parents=True)
        self._set("CTVLP_TOTALSEGMENTATOR", str(program))
        self._set("TOTALSEG_WEIGHTS_PATH", str(self.weights))
        self._set("STANDIN_LOG", str(self.log))

    def ends(self, how: str) -> None:
        self._set("STANDIN", how)

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    @property
    def calls(self) -> list[dict]:
        return [line for line in self.lines if "fast" in line]


@pytest.fixture
def standin(tmp_path, monkeypatch):
    folder = tmp_path / "tool"
    folder.mkdir()
    return StandIn(folder, monkeypatch)
