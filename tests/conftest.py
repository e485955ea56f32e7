"""Fixtures that several rooms share: where real scans lie, a phantom scan, an encoder that needs no weights."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # a worker has a core to itself; read when numpy and torch are imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["NAPARI_CONFIG"] = ""  # settings of napari are neither read from nor written to the user's file

import numpy as np
import pytest

from napari_ctvlp._qt.own_process import share_arenas
from napari_ctvlp.encoder.contract import Calibration, EncoderCard, OrganStatus, ScanEmbedding
from napari_ctvlp.scan.types import Audit, AuditItem, OrganMasks, Scan, StoredGrid

share_arenas()  # as our own window does, before there are threads that work

SHARED = Path(os.environ.get("CTVLP_TEST_DATA") or Path(__file__).parents[1].parent / "shared" / "data")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real scans; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("no folder of real scans (set CTVLP_TEST_DATA)")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def no_folder_of_the_user(tmp_path_factory) -> None:
    """As below, for fixtures that live longer than a test."""
    os.environ["CTVLP_CACHE_DIR"] = str(tmp_path_factory.getbasetemp() / "own" / "cache")
    os.environ["CTVLP_CONFIG_DIR"] = str(tmp_path_factory.getbasetemp() / "own" / "config")


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path_factory, request) -> None:
    """Nothing is read from or written to the folders of whoever runs the tests."""
    own = tmp_path_factory.getbasetemp() / "own" / hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    monkeypatch.setenv("CTVLP_CACHE_DIR", str(own / "cache"))
    monkeypatch.setenv("CTVLP_CONFIG_DIR", str(own / "config"))


class WordEncoder:
    """An encoder without weights: a text is a bag of hashed words, an organ is its own name in words.

    Serves the tests of everything around an encoder; whether a real one sees anything is tested with real ones.
    """

    logit_scale = 20.0
    calibration = Calibration()

    def __init__(self, organs: Sequence[str] = (), abnormalities: Sequence[str] = ()) -> None:
        self.card = EncoderCard(
            name="words",
            revision="test",
            licence="BSD-3-Clause",
            trained_on="nothing",
            summary="bag of words, for tests",
            organs=tuple(organs),
            abnormalities=tuple(abnormalities),
            spacing_mm=3.0,
            hu_windows=((-160.0, 240.0),),
            dim=64,
            max_text_tokens=128,
        )

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), 64), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()) or ["-"]:
                seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little")
                row += np.random.default_rng(seed).standard_normal(64).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    encode_text_meaning = encode_text

    def encode_scan(self, scan, masks, *, progress=None, cancelled=None) -> ScanEmbedding:
        names = tuple(masks.names.values())
        if progress is not None:
            progress(1.0)
        vectors = self.encode_text([n.replace("_", " ") for n in names])
        return ScanEmbedding(names, vectors, (OrganStatus.COMPLETE,) * len(names), self)


@pytest.fixture
def word_encoder() -> WordEncoder:
    return WordEncoder()


@pytest.fixture
def phantom() -> tuple[Scan, OrganMasks]:
    """A small scan with a liver (patient right), a spleen and two kidneys as boxes, axes I, P, L, 3 x 2 x 2 mm."""
    from napari_ctvlp.scan.masks import organ_statistics

    hu = np.full((40, 60, 80), -1000, np.int16)
    hu[2:38, 5:55, 5:75] = 20
    labels = np.zeros(hu.shape, np.uint8)
    boxes = {
        5: ("liver", np.s_[8:20, 12:40, 10:35], 60),
        1: ("spleen", np.s_[10:18, 30:45, 60:70], 50),
        3: ("kidney_left", np.s_[20:30, 35:45, 52:62], 30),
        2: ("kidney_right", np.s_[20:30, 35:45, 18:28], 30),
    }
    for label, (_, box, value) in boxes.items():
        labels[box] = label
        hu[box] = value
    spacing = (3.0, 2.0, 2.0)
    affine = np.array([[0, 0, 2, -80], [0, 2, 0, -60], [-3, 0, 0, 60], [0, 0, 0, 1]], float)
    stored = StoredGrid((80, 60, 40), affine @ np.eye(4)[[2, 1, 0, 3]], "LPI")
    audit = Audit((AuditItem("orientation", "LPI"),))
    scan = Scan(hu, spacing, affine, "phantom", stored, audit)
    names = {label: name for label, (name, _, _) in boxes.items()}
    return scan, OrganMasks(labels, names, "phantom", statistics=organ_statistics(scan, labels, names))
