"""One training step against the way the released fVLM code takes it: same backbone, same crops, same loss.

Run: ``python -m tests.benchmarks.bench_step``. The released code stacks one full-resolution mask an organ and
max-pools it to the tokens, loops over organs and scans to pool, and calls the text encoder once an organ with every
text padded to 384 tokens (lavis/models/blip_models/blip_pretrain.py). The baseline here does that and nothing slower:
its text encoder is the same small frozen one, and it gathers nothing over processes. A second baseline is given our
cached texts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_ctvlp.encoder.native_model import NativeModel
from napari_ctvlp.encoder.text import TextTower, base_text_folder
from napari_ctvlp.encoder.vision import VisionConfig
from training.world.findings.kinds import ADRENALS, KIDNEYS, LOBES
from training.world.materials import ID
from training.world.report.sentences import dictionary_sentences
from training.world.sample import make_sample

SCANS, SHAPE, SPACING, ROUNDS = 8, (96, 96, 128), 3.0, 3
PADDED = 384
ORGANS = (
    *KIDNEYS, *ADRENALS, *LOBES, "liver", "spleen", "pancreas", "gallbladder", "stomach", "duodenum",
    "small_bowel", "colon", "aorta", "inferior_vena_cava", "portal_vein_and_splenic_vein", "heart", "esophagus",
    "spinal_cord", "autochthon_left", "autochthon_right", "iliopsoas_left", "iliopsoas_right", "vertebrae_T11",
    "vertebrae_T12", "vertebrae_L1", "vertebrae_L2", "vertebrae_L3", "rib_left_10", "rib_right_10",
    "rib_left_11", "rib_right_11",
)  # fmt: skip


def batch() -> tuple[Tensor, Tensor]:
    """(8, 3, I, P, L) images and (8, I, P, L) labels with the 36 organs alone."""
    images, labels = [], []
    keep = torch.zeros(256, dtype=torch.bool)
    keep[[ID[o] for o in ORGANS]] = True
    for seed in range(SCANS):
        sample = make_sample(seed, spacing=SPACING, shape=SHAPE, region="trunk", body=seed % 2)
        hu = sample.hu.float()
        windows = ((-160, 240), (-1000, 200), (-200, 1200))
        images.append(torch.stack([((hu - a) / (b - a) * 2 - 1).clamp(-1, 1) for a, b in windows]))
        labels.append(torch.where(keep[sample.labels.long()], sample.labels, 0))
    return torch.stack(images), torch.stack(labels)


def block_loss(vectors: Tensor, texts: Tensor, scale: float = 14.0) -> Tensor:
    """Contrast of the organs of one anatomy with their texts; every scan its own positive."""
    logits = scale * vectors @ texts.T
    own = torch.arange(len(vectors))
    return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))


def padded_texts(tower: TextTower, texts: list[str]) -> Tensor:
    """The sentence encoder with every text padded to 384 tokens."""
    tokens = tower.tokenizer(texts, padding="max_length", max_length=PADDED, truncation=True, return_tensors="pt")
    with torch.no_grad():
        states = tower.model(**tokens).last_hidden_state.float()
    mask = tokens["attention_mask"][..., None]
    return (states * mask).sum(1) / mask.sum(1)


def sentences(organ: str) -> list[str]:
    """A sentence a scan."""
    options = dictionary_sentences(organ, None)
    return [options[k % len(options)] for k in range(SCANS)]


class Steps:
    """The same step, three ways."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.tower = TextTower.from_folder(base_text_folder())
        self.model = NativeModel(VisionConfig(), self.tower.width)
        self.image, self.labels = batch()
        self.cached = {organ: self.tower(sentences(organ)) for organ in ORGANS}

    def losses(self, vectors: Tensor, scan: list[int], label: list[int], text: Callable[[str], Tensor]) -> Tensor:
        """Mean of the losses over anatomies."""
        total = []
        for organ in ORGANS:
            rows = [k for k, n in enumerate(label) if n == ID[organ]]
            if len(rows) > 1:
                own = self.model.project_text(text(organ))[[scan[k] for k in rows]]
                total.append(block_loss(vectors[rows], own))
        return torch.stack(total).mean()

    def ours(self) -> Tensor:
        """One pass, all organs pooled at once, texts embedded once."""
        index = self.model.vision.index(self.labels, self.image)
        with torch.autocast("cpu", torch.bfloat16):
            maps = self.model.vision.features(self.image)
        vectors = self.model.vision.pool(maps, index)
        return self.losses(vectors, index.sample.tolist(), index.label.tolist(), self.cached.__getitem__)

    def released(self, text: Callable[[str], Tensor]) -> Tensor:
        """A mask an organ at full resolution, max-pooled to the tokens of every depth; organs and scans one by one."""
        vision = self.model.vision
        with torch.autocast("cpu", torch.bfloat16):
            maps = vision.features(self.image)
        index = vision.index(self.labels, self.image)  # for geometry and densities, which the released code has not
        geometry = {
            (s, n): row for s, n, row in zip(index.sample.tolist(), index.label.tolist(), index.geometry, strict=True)
        }
        pooled, scans, labels = [], [], []
        for scan in range(SCANS):
            present = [n for n in torch.unique(self.labels[scan]).tolist() if n]
            stacked = torch.stack([(self.labels[scan] == n).float() for n in present])[:, None]
            rows: list[list[Tensor]] = [[] for _ in present]
            for depth, (pool, features) in enumerate(zip(vision.pools, maps, strict=True)):
                stride = 2 ** (depth + 1)
                size = features.shape[2:]
                grid = F.adaptive_max_pool3d(stacked, size) if stride > 1 else stacked
                tokens = features[scan].float().permute(1, 2, 3, 0).reshape(-1, features.shape[1])
                for organ, mask in enumerate(grid.flatten(1) > 0):
                    own = tokens[mask]
                    weights = torch.cat([own.new_zeros(len(own), 1), pool.key(own)], 1).softmax(0)
                    rows[organ].append(torch.cat([(weights.T @ own).flatten(), own.amax(0)]))
            for number, parts in zip(present, rows, strict=True):
                pooled.append(torch.cat([*parts, geometry[scan, number]]))
                scans.append(scan)
                labels.append(number)
        vectors = F.normalize(vision.head(torch.stack(pooled)), dim=-1)
        return self.losses(vectors, scans, labels, text)


def timed(step: Callable[[], Tensor], model: NativeModel) -> float:
    """Seconds of forward and backward."""
    model.zero_grad(set_to_none=True)
    began = time.perf_counter()
    step().backward()
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    steps = Steps()
    ways: dict[str, Callable[[], Tensor]] = {
        "ours": steps.ours,
        "as released": lambda: steps.released(lambda organ: padded_texts(steps.tower, sentences(organ))),
        "as released, with our cached texts": lambda: steps.released(steps.cached.__getitem__),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    timed(steps.ours, steps.model)  # warm
    for _ in range(ROUNDS):
        for name, way in ways.items():
            times[name].append(timed(way, steps.model))
            print(f"{name}: {times[name][-1]:.2f} s", flush=True)
    organs = len({n for n in torch.unique(steps.labels).tolist() if n})
    print(f"batch {SCANS}, {SHAPE} voxels, {organs} organs, forward and backward, {torch.get_num_threads()} threads\n")
    print("| step | s (median) | against ours |\n|---|---|---|")
    base = statistics.median(times["ours"])
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values):.2f} | {statistics.median(values) / base:.1f} x |")


if __name__ == "__main__":
    main()
