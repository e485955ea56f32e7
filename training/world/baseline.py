"""How hard is each abnormality? The best single hand-made feature of its organ, so that nobody takes a trivial task for
a hard one."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

FEATURES = (
    "mean HU",
    "SD of HU",
    "minimum HU",
    "1st percentile",
    "5th percentile",
    "25th percentile",
    "median HU",
    "75th percentile",
    "95th percentile",
    "99th percentile",
    "maximum HU",
    "share below -950 HU",
    "share in -10..20 HU",
    "share above 130 HU",
    "share above 300 HU",
    "volume",
    "height",
    "depth",
    "width",
    "fill of its box",
    "mean HU just outside",
    "SD of HU just outside",
    "maximum HU just outside",
    "minimum HU just outside",
)
"""What is measured under every organ's mask."""
FORCED = 7
"""Abnormalities painted into every scan beside those of the plan, so that rare ones are judged on enough scans."""
LEAST = 12
"""Fewest positives, in each half, on which a feature is judged."""


def organ_features(hu: NDArray[np.int16], mask: NDArray[np.bool_], spacing: float) -> NDArray[np.float32]:
    """(len(FEATURES),) of one organ; ``hu`` and ``mask`` are (i, p, l) of its box, widened by some voxels."""
    inside = hu[mask].astype(np.float32)
    near = mask.copy()
    for axis in range(3):
        for step in (1, -1):
            near |= np.roll(near, step, axis)
    outside = hu[near & ~mask].astype(np.float32)
    outside = outside if len(outside) else np.zeros(1, np.float32)
    spans = [int(np.ptp(np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != k))))) + 1 for k in range(3)]
    percentiles = np.percentile(inside, (0, 1, 5, 25, 50, 75, 95, 99, 100))
    shares = [(inside < -950), (inside > -10) & (inside < 20), inside > 130, inside > 300]
    return np.array(
        [
            inside.mean(),
            inside.std(),
            *percentiles,
            *(float(s.mean()) for s in shares),
            len(inside) * spacing**3 / 1000,
            *(s * spacing for s in spans),
            len(inside) / np.prod(spans),
            outside.mean(),
            outside.std(),
            outside.max(),
            outside.min(),
        ],
        np.float32,
    )


def _measured(task: tuple[int, float]) -> list[tuple[str, tuple[str, ...], NDArray[np.float32]]]:
    """(organ, abnormalities, features) of every organ of one scan."""
    import torch

    from training.world.findings.catalogue import ABNORMALITIES, BY_ORGAN
    from training.world.findings.plan import plan_for
    from training.world.materials import ID
    from training.world.sample import PROCEDURAL, make_sample
    from training.world.scene import as_array, label_boxes

    seed, spacing = task
    torch.set_num_threads(1)
    rng = np.random.default_rng([seed, 17])
    number = seed // 8  # eight scans of each body: building one takes longer than a scan
    body = PROCEDURAL.body(number, spacing)
    choices = plan_for(set(ID), body.age, body.sex, rng, 1.0)
    taken = {organ for _, organ in choices}
    for slug in rng.choice(list(ABNORMALITIES), FORCED, replace=False):
        organ = str(rng.choice(ABNORMALITIES[slug].organs))
        if organ not in taken:
            choices.append((str(slug), organ))
            taken.add(organ)
    region = ("trunk", "trunk", "chest", "abdomen and pelvis", "neck", "head")[seed % 6]
    sample = make_sample(seed, spacing=spacing, body=number, region=region, choices=choices)
    hu, labels = as_array(sample.hu), as_array(sample.labels)
    found: dict[str, set[str]] = {}
    for f in sample.findings:
        for organ in f.organs:
            found.setdefault(organ, set()).add(f.abnormality)
    rows = []
    boxes = label_boxes(sample.labels)
    for organ in BY_ORGAN:
        box = _wider(boxes[ID[organ] - 1], labels.shape)
        if box is None:
            continue
        mask = labels[box] == ID[organ]
        if mask.sum() >= 20:
            features = organ_features(hu[box], mask, spacing)
            rows.append((organ, tuple(sorted(found.get(organ, ()))), features))
    return rows


def _wider(box: tuple[slice, ...] | None, shape: tuple[int, ...]) -> tuple[slice, ...] | None:
    """An organ's box, two voxels wider; None where the organ is not in view."""
    if box is None:
        return None
    return tuple(slice(max(0, s.start - 2), min(n, s.stop + 2)) for s, n in zip(box, shape, strict=True))


def best_features(scans: int, seed: int, spacing: float, workers: int | None = None) -> list[dict[str, Any]]:
    """For every abnormality, the feature that tells it best in one half of the scans, and its AUC in the other half.

    An organ counts as negative when it does not have the abnormality, whatever else it has; organs of one kind on both
    sides or at several levels are judged together.

    Returns
    -------
    list of dict
        abnormality, anatomy, feature, auc, positives, negatives; auc is None with too few positives.
    """
    from training.world.findings.catalogue import ABNORMALITIES

    tasks = [(seed * 1_000_000 + k, spacing) for k in range(scans)]
    with ProcessPoolExecutor(workers or os.cpu_count() or 1, mp_context=get_context("spawn")) as pool:
        made = list(tqdm(pool.map(_measured, tasks, chunksize=8), total=scans, unit="scan"))
    halves = [[row for scan in made[k::2] for row in scan] for k in range(2)]
    rows = []
    for slug, kind in ABNORMALITIES.items():
        sides = []
        for half in halves:
            own = [(slug in names, values) for organ, names, values in half if organ in kind.organs]
            present = np.array([p for p, _ in own], bool)
            table = np.stack([v for _, v in own]) if own else np.zeros((0, len(FEATURES)), np.float32)
            sides.append((present, table))
        (p0, t0), (p1, t1) = sides
        row: dict[str, Any] = {
            "abnormality": slug,
            "anatomy": kind.anatomy,
            "positives": int(p0.sum() + p1.sum()),
            "negatives": int((~p0).sum() + (~p1).sum()),
            "feature": None,
            "auc": None,
        }
        if min(p0.sum(), p1.sum(), (~p0).sum(), (~p1).sum()) >= LEAST:
            first = np.array([auc(t0[:, k], p0) for k in range(len(FEATURES))])
            best = int(np.abs(first - 0.5).argmax())
            other = auc(t1[:, best], p1)
            row |= {
                "feature": ("high " if first[best] > 0.5 else "low ") + FEATURES[best],
                "auc": round(other if first[best] > 0.5 else 1 - other, 3),
            }
        rows.append(row)
    return rows


def auc(values: NDArray[np.float32], present: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often a positive's value is above a negative's, ties counted half."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(1, len(values) + 1)
    _, group = np.unique(values, return_inverse=True)
    ranks = (np.bincount(group, ranks) / np.bincount(group))[group]
    n = int(present.sum())
    return float((ranks[present].sum() - n * (n + 1) / 2) / (n * (len(values) - n)))


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The table, hardest first."""
    judged = sorted((r for r in rows if r["auc"] is not None), key=lambda r: r["auc"])
    hard = sum(r["auc"] < 0.9 for r in judged)
    lines = [
        f"{len(judged)} abnormalities judged; for {hard} of them no single feature reaches an AUC of 0.9.",
        "",
        "| abnormality | best single feature | its AUC | positives of organs |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {r['abnormality']} | {r['feature']} | {r['auc']:.2f} "
        f"| {r['positives']} of {r['positives'] + r['negatives']} |"
        for r in judged
    ]
    few = [f"{r['abnormality']} ({r['positives']})" for r in rows if r["auc"] is None]
    if few:
        lines += ["", f"Too few positives to judge: {', '.join(few)}."]
    return "\n".join(lines)
