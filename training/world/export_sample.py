"""``python -m training.world.export_sample``: write the plugin's built-in sample into ``napari_ctvlp/sample``.

One body from lung bases to hips with a stone in the left kidney, gallstones and aortic calcification; everything else
is normal. Stored sharp and noise-free, since that compresses well; the plugin adds blur and noise when it opens the
sample.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from scipy import ndimage as ndi

from training.world import physics
from training.world.abnormalities import ABNORMALITIES, PaintedFinding, Scene
from training.world.body import make_body
from training.world.materials import ID, Material

SEED = 2024
BODY = 23
SPACING = 3.0
TARGET = Path(__file__).parents[2] / "napari_ctvlp" / "sample"
STEP_HU = 4
"""HU are stored in steps of this size; below the noise that is added later."""


def make_scene() -> tuple[Scene, list[PaintedFinding]]:
    """The sample's scene, rendered, with its findings."""
    body = make_body(np.random.default_rng(BODY), SPACING)
    labels, tissue = (np.ascontiguousarray(a[_slab(body.labels)]) for a in (body.labels, body.tissue))
    rng = np.random.default_rng(SEED)
    contrast = _native(rng)
    boxes = ndi.find_objects(labels, max_label=255)
    scene = Scene(labels, tissue, SPACING, contrast, boxes)
    physics.fill_bowel(tissue, labels, boxes, rng)
    scene.hu = physics.render(tissue, labels, contrast, rng)
    findings = [
        _painted(scene, "kidney_stone", "kidney_left", (8.6, 9.4)),
        _painted(scene, "gallstones", "gallbladder", (7.0, 11.0)),
        _painted(scene, "aortic_calcification", "aorta", None),
    ]
    physics.add_table(tissue, scene.image, SPACING, rng)
    return scene, findings


def _slab(labels: np.ndarray) -> slice:
    """From a little above the liver's dome to the upper femurs."""
    liver = np.flatnonzero((labels == ID["liver"]).any((1, 2)))
    femur = np.flatnonzero((labels == ID["femur_left"]).any((1, 2)))
    return slice(max(0, int(liver[0] - 45 / SPACING)), int(femur[0] + 90 / SPACING))


def _native(rng: np.random.Generator) -> physics.Contrast:
    """A typical native scan without oral contrast, as one is made to look for stones."""
    while True:
        contrast = physics.draw_contrast(rng, excretion=False)
        mean = contrast.mean
        plain = mean[Material.BILE] < 20 and mean[Material.BOWEL_LUMEN] < 60
        if contrast.phase == "native" and plain and 110 < mean[Material.SPONGIOSA] < 190:
            return contrast


def _painted(scene: Scene, slug: str, organ: str, size: tuple[float, float] | None) -> PaintedFinding:
    """Paint with the first stream that gives one lesion of the wanted size (in mm)."""
    before = scene.image.copy(), scene.labels.copy()
    for stream in range(2000):
        finding = ABNORMALITIES[slug].paint(scene, ID[organ], np.random.default_rng([SEED, stream]))
        wanted = finding is not None and (size is None or size[0] <= finding.size_mm <= size[1])
        if wanted and finding is not None and _stands_out(scene, finding, before[0]):
            return finding
        scene.image[...], scene.labels[...] = before
    raise RuntimeError(f"no stream paints {slug} of {size} mm in {organ}")


def _stands_out(scene: Scene, finding: PaintedFinding, before: np.ndarray) -> bool:
    change = scene.image - before
    inside = np.abs(change) > 30
    other = inside & (scene.labels != ID[finding.organ]) & (scene.labels != 0)
    return bool(
        change.max() > 400 and not other.any() and (finding.count <= 3 or finding.abnormality == "aortic_calcification")
    )


def main() -> None:
    """Write ``body.npz`` and ``findings.json``."""
    scene, findings = make_scene()
    hu = (np.rint(np.clip(scene.image, -1024, 3071) / STEP_HU) * STEP_HU).astype(np.int16)
    TARGET.mkdir(parents=True, exist_ok=True)
    path = TARGET / "body.npz"
    np.savez_compressed(path, hu=hu, labels=scene.labels, spacing=np.float64(SPACING))
    rows = [asdict(replace(f, size_mm=round(f.size_mm, 1))) for f in findings]
    (TARGET / "findings.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {hu.shape}, {len(np.unique(scene.labels)) - 1} organs")
    for f in findings:
        print(f"  {f.abnormality} in {f.organ}: {f.size_mm:.1f} mm at {f.centre}")


if __name__ == "__main__":
    main()
