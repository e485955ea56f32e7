"""``python -m training.world.export_sample``: write the plugin's built-in sample into ``napari_ctvlp/sample``.

One body from lung bases to hips with a stone in the left kidney, gallstones and aortic calcification; everything else
is normal. Stored sharp and noise-free, since that compresses well; the plugin adds blur and noise when it opens the
sample.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from training.world.findings.catalogue import ABNORMALITIES
from training.world.imaging.contrast import Contrast, draw_contrast
from training.world.imaging.couch import add_couch
from training.world.imaging.render import fill_bowel, render
from training.world.materials import ID, Material
from training.world.sample import PROCEDURAL
from training.world.scene import PaintedFinding, Scene, as_array, label_boxes

SEED = 2024
BODY = 25
"""The first one from 23 on with its arms up."""
SPACING = 3.0
TARGET = Path(__file__).parents[2] / "napari_ctvlp" / "sample"
STEP_HU = 4
"""HU are stored in steps of this size; below the noise that is added later."""


def make_scene() -> tuple[Scene, list[PaintedFinding]]:
    """The sample's scene, rendered, with its findings."""
    body = PROCEDURAL.body(BODY, SPACING)
    liver, femur = (np.flatnonzero((body.labels == ID[o]).any((1, 2))) for o in ("liver", "femur_left"))
    rows = slice(max(0, int(liver[0] - 45 / SPACING)), int(femur[0] + 90 / SPACING))
    solid = (body.tissue[rows] != Material.AIR).any(0)
    p, x = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    margin = int(20 / SPACING)
    cut = (rows, slice(max(0, p[0] - 4), p[-1] + margin), slice(max(0, x[0] - 4), x[-1] + 5))
    labels, tissue = (torch.from_numpy(np.ascontiguousarray(a[cut])) for a in (body.labels, body.tissue))
    rng = np.random.default_rng(SEED)
    scene = Scene(labels, tissue, SPACING, _native(rng), label_boxes(labels))
    fill_bowel(tissue, labels, scene.boxes, rng)
    scene.hu = render(tissue, labels, scene.contrast, rng)
    findings = [
        _painted(scene, "kidney_stone", "kidney_left", (8.6, 9.4)),
        _painted(scene, "gallstones", "gallbladder", (7.0, 11.0)),
        _painted(scene, "aortic_calcification", "aorta", None),
    ]
    add_couch(scene.image, tissue, SPACING, rng)
    return scene, findings


def _native(rng: np.random.Generator) -> Contrast:
    """A typical native scan without oral contrast, as one is made to look for stones."""
    while True:
        contrast = draw_contrast(rng, excretion=False, phase="native")
        mean = contrast.mean
        plain = mean[Material.BILE] < 20 and mean[Material.BOWEL_LUMEN] < 60
        if plain and 110 < mean[Material.SPONGIOSA] < 190:
            return contrast


def _painted(scene: Scene, slug: str, organ: str, size: tuple[float, float] | None) -> PaintedFinding:
    """Paint with the first stream that gives one lesion of the wanted size (in mm)."""
    before = scene.image.clone(), scene.labels.clone(), scene.tissue.clone()
    for stream in range(2000):
        finding = ABNORMALITIES[slug].paint(scene, ID[organ], np.random.default_rng([SEED, stream]))
        wanted = finding is not None and (size is None or size[0] <= finding.size_mm <= size[1])
        if wanted and finding is not None and _stands_out(scene, finding, before[0]):
            return finding
        scene.image[...], scene.labels[...], scene.tissue[...] = before
    raise RuntimeError(f"no stream paints {slug} of {size} mm in {organ}")


def _stands_out(scene: Scene, finding: PaintedFinding, before: torch.Tensor) -> bool:
    change = scene.image - before
    other = (change.abs() > 30) & (scene.labels != ID[finding.organ]) & (scene.labels != 0)
    few = finding.count <= 3 or finding.abnormality == "aortic_calcification"
    return float(change.max()) > 400 and not bool(other.any()) and few


def main() -> None:
    """Write ``body.npz`` and ``findings.json``."""
    scene, findings = make_scene()
    hu = (np.rint(np.clip(as_array(scene.image), -1024, 3071) / STEP_HU) * STEP_HU).astype(np.int16)
    TARGET.mkdir(parents=True, exist_ok=True)
    path = TARGET / "body.npz"
    np.savez_compressed(path, hu=hu, labels=as_array(scene.labels), spacing=np.float64(SPACING))
    rows = [f.as_dict() for f in findings]
    (TARGET / "findings.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {hu.shape}, {len(scene.labels.unique()) - 1} organs")
    for f in findings:
        print(f"  {f.abnormality} in {f.organ}: {f.size_mm:.1f} mm at {f.centre}")


if __name__ == "__main__":
    main()
