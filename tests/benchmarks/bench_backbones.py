"""Our ViT against the same of torch's layers and against MONAI's, and the CNN beside them: a step, and a whole scan.

Run: ``python -m tests.benchmarks.bench_backbones``; MONAI's rows need ``pip install monai einops``. All ViTs have the
same width, depth, heads and tokens. Times are processor time of one thread: a step is forward and backward of one crop,
the median of rounds that take turns; a whole scan is forward alone. Memory is the growth of the peak RSS in a fresh
process. MONAI's ViT learns a position for each token and so takes one size only: for the whole scan a second one is
made.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from napari_ctvlp.encoder.vision import VisionConfig, VisionTower
from napari_ctvlp.encoder.vit import Block, VitConfig

CROP, OTHER, WHOLE = (64, 96, 128), (56, 104, 120), (160, 128, 160)
ROUNDS = 3
SHAPE = VitConfig()
OURS, LAYERS, MONAI, FLASH, CNN = (
    "ours",
    "ours of nn.TransformerEncoderLayer",
    "MONAI ViT",
    "MONAI ViT, flash",
    "our CNN",
)


class Layer(nn.Module):
    """torch's own layer in the place of our block."""

    def __init__(self) -> None:
        super().__init__()
        width = SHAPE.width
        self.layer = nn.TransformerEncoderLayer(
            width, SHAPE.heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.layer(x.permute(0, 2, 3, 4, 1).flatten(1, 3))
        return tokens.unflatten(1, x.shape[2:]).permute(0, 4, 1, 2, 3)


def candidate(name: str, size: tuple[int, int, int]) -> nn.Module:
    """A network that has ``features``, from an image to a list of feature maps or tokens."""
    torch.manual_seed(0)
    if name in (MONAI, FLASH):
        from monai.networks.blocks import TransformerBlock
        from monai.networks.nets import ViT

        width, heads = SHAPE.width, SHAPE.heads
        net = ViT(3, size, (SHAPE.patch,) * 3, width, 4 * width, SHAPE.depth, heads, qkv_bias=True)
        if name == FLASH:  # which the ViT does not pass on to its blocks
            blocks = (
                TransformerBlock(width, 4 * width, heads, qkv_bias=True, use_flash_attention=True) for _ in net.blocks
            )
            net.blocks = nn.ModuleList(blocks)
        net.features = lambda image: net(image)[:1]
        return net
    tower = VisionTower(VisionConfig(backbone="cnn" if name == CNN else "vit", vit=SHAPE))
    if name == LAYERS:
        for stage in tower.stages:
            for place, part in enumerate(stage):
                if isinstance(part, Block):
                    stage[place] = Layer()
    return tower


def step(features: Callable[[Tensor], list[Tensor]], image: Tensor) -> float:
    """Seconds of forward and backward."""
    began = time.process_time()
    sum(each.square().mean() for each in features(image)).backward()
    return time.process_time() - began


def takes_another_size(net: nn.Module) -> str:
    """Whether a network takes a crop of another size."""
    try:
        with torch.no_grad():
            net.features(torch.zeros(1, 3, *OTHER))
    except (RuntimeError, ValueError):
        return "no"
    return "yes"


def one(name: str, what: str) -> dict[str, float]:
    """Growth of the peak RSS in MB over a step or a whole scan, and the seconds of it."""
    torch.set_num_threads(1)
    size = CROP if what == "step" else WHOLE
    net, image = candidate(name, size), torch.randn(1, 3, *size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if what == "step":
        seconds = step(net.features, image)
    else:
        net.eval().requires_grad_(False)
        began = time.process_time()
        with torch.inference_mode():
            net.features(image)
        seconds = time.process_time() - began
    return {"seconds": seconds, "mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def package_mb(name: str) -> float:
    """Size of an installed package's files."""
    return sum(file.size or 0 for file in importlib.metadata.files(name) or ()) / 1e6


def main() -> None:
    """Print the table."""
    names = [OURS, LAYERS, MONAI, FLASH, CNN]
    if importlib.util.find_spec("monai") is None or importlib.util.find_spec("einops") is None:
        print("MONAI's rows are left out: monai and einops are not installed here.")
        names = [OURS, LAYERS, CNN]
    else:
        print(f"MONAI {importlib.metadata.version('monai')} has {package_mb('monai'):.0f} MB of files.")
    apart = {}
    for name in names:  # first, as a process starts with the peak of the one that made it
        for what in ("step", "whole"):
            command = [sys.executable, "-m", __spec__.name, name, what]
            done = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
            apart[name, what] = json.loads(done)
    torch.set_num_threads(1)
    nets = {name: candidate(name, CROP) for name in names}
    image = torch.randn(1, 3, *CROP)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name, net in nets.items():
            net.zero_grad(set_to_none=True)
            times[name].append(step(net.features, image))
    tokens = [side // SHAPE.patch for side in CROP]
    print(f"width {SHAPE.width}, depth {SHAPE.depth}, {SHAPE.heads} heads, a crop of {tokens} tokens, one thread\n")
    print("| backbone | M parameters | step, s (median) | peak, MB | whole scan, s | peak, MB | other sizes |")
    print("|---|---|---|---|---|---|---|")
    for name, net in nets.items():
        parameters = sum(p.numel() for p in net.parameters()) / 1e6
        whole = apart[name, "whole"]
        print(
            f"| {name} | {parameters:.1f} | {statistics.median(times[name]):.2f} | {apart[name, 'step']['mb']:.0f} "
            f"| {whole['seconds']:.1f} | {whole['mb']:.0f} | {takes_another_size(net)} |",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one(*sys.argv[1:])))
    else:
        main()
