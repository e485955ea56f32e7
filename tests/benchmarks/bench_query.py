"""From a question to recoloured organs, with the scan encoded: median milliseconds over 117 organs.

Run it with a screen or a virtual one: ``xvfb-run -a python -m tests.benchmarks.bench_query [ENCODER]``; the starter
encoder by default, or an encoder of words where there is none (then text encoding costs next to nothing).

- text + ranking: ``rank_organs`` with a question it has not seen
- recolour: the new colormap handed to napari, as the overlay does it
- tables and jump: the rest of the dock, and the slices of the new place
- frame: drawing the canvas afterwards (apart; the machine's OpenGL)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.overlay import ranking_scores
from napari_ctvlp.anatomy import V2_NAMES, display_name
from napari_ctvlp.ask import prepare, rank_organs
from napari_ctvlp.encoder import list_encoders, load_encoder
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding, ScanEncoder
from napari_ctvlp.rooms import Rooms
from napari_ctvlp.scan.audit import audit_volume
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.scan.types import OrganMasks, Scan, StoredGrid
from napari_ctvlp.session import Session

SHAPE = (240, 320, 320)
CELL = 20
ROUNDS = 60


def crowded_scan() -> tuple[Scan, OrganMasks]:
    """A scan in which all 117 organs are boxes on a lattice."""
    hu = np.full(SHAPE, 40, np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    names = dict(enumerate(V2_NAMES, start=1))
    cells = np.stack(np.unravel_index(np.arange(len(names)), tuple(n // (2 * CELL) for n in SHAPE)), 1) * 2 * CELL
    for label, corner in zip(names, cells, strict=True):
        labels[tuple(slice(start, start + CELL) for start in corner)] = label
    spacing = (2.0, 1.5, 1.5)
    affine = np.array([[0, 0, 1.5, 0], [0, 1.5, 0, 0], [-2.0, 0, 0, 0], [0, 0, 0, 1]])
    scan = Scan(hu, spacing, affine, "crowded", StoredGrid(SHAPE, affine, "IPL"), audit_volume(hu, affine))
    return scan, OrganMasks(labels, names, "benchmark", statistics=organ_statistics(scan, labels, names))


class Encoded(Rooms):
    """A loaded encoder whose scan embedding is made up: what is timed comes after the encoding."""

    def __init__(self, encoder: ScanEncoder) -> None:
        self.encoder = encoder

    def load_encoder(self, name: str) -> ScanEncoder:
        """Give the loaded one."""
        return self.encoder


def made_up_embedding(encoder: ScanEncoder, masks: OrganMasks) -> ScanEmbedding:
    """Every organ as its own name, a little shifted."""
    names = tuple(masks.names.values())
    vectors = encoder.encode_text([display_name(name) for name in names])
    vectors = vectors + 0.1 * np.random.default_rng(0).standard_normal(vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return ScanEmbedding(names, vectors, (OrganStatus.COMPLETE,) * len(names), encoder)


def milliseconds(work: Callable[[], object]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def chosen_encoder() -> ScanEncoder:
    """The encoder named on the command line, else the starter, else the tests' encoder of words."""
    if len(sys.argv) > 1:
        return load_encoder(sys.argv[1])
    if "starter" in list_encoders():
        return load_encoder("starter")
    from tests.conftest import WordEncoder

    return WordEncoder()


def main() -> None:
    """Measure and print a table."""
    encoder = chosen_encoder()
    prepare(encoder)
    scan, masks = crowded_scan()
    viewer = napari.Viewer()
    viewer.window.resize(1500, 950)
    session = Session(rooms=Encoded(encoder))
    embedding = made_up_embedding(encoder, masks)
    encoder.encode_scan = lambda *args, **kwargs: embedding  # type: ignore[method-assign]
    widget = CtvlpWidget(viewer, session)
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    session.set_scan(scan, masks)
    QApplication.processEvents()

    rng = np.random.default_rng(1)
    organs = [display_name(name) for name in masks.names.values()]
    forms = ("show me the {}", "is the {} enlarged", "calcification of the {}", "mass near the {} today")
    parts: dict[str, list[float]] = {"text + ranking": [], "recolour": [], "tables and jump": [], "frame": []}
    for turn in range(ROUNDS):
        text = f"{forms[turn % len(forms)].format(rng.choice(organs))} {turn}"
        parts["text + ranking"].append(milliseconds(partial(rank_organs, embedding, text)))
        ranking = rank_organs(embedding, text)
        widget.overlay.show(ranking_scores(ranking, masks))
        parts["recolour"].append(milliseconds(widget.overlay.flush))
        parts["tables and jump"].append(milliseconds(partial(session.ranking_changed.emit, ranking)))
        widget.overlay.flush()
        parts["frame"].append(milliseconds(lambda: viewer.screenshot(canvas_only=True, flash=False)))
    print(f"encoder {encoder.card.name}, {len(masks.names)} organs, median of {ROUNDS} questions")
    for name, times in parts.items():
        print(f"{name:<18}{median(times):7.1f} ms   (90 %: {np.percentile(times, 90):.1f})")
    total = [a + b for a, b in zip(parts["text + ranking"], parts["recolour"], strict=True)]
    print(f"{'query to recolour':<18}{median(total):7.1f} ms   (target: 20)")
    viewer.close()


if __name__ == "__main__":
    main()
