"""Runs the published packages themselves in a process of their own, for comparison; they are not needed otherwise.

They lie in a folder that ``make reference`` fills (``CTVLP_REFERENCE`` names another one), without what they ask for
but do not use here: torchvision and peft are stood in for by empty modules; a torch without CUDA has no torchvision.

``python -m tests.encoder.published.packages colipri|merlin INPUT.npz STATE OUTPUT.npz``
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("CTVLP_REFERENCE", ROOT / ".venv" / "reference"))


def run_package(name: str, given: dict[str, np.ndarray], state: Path, work: Path) -> dict[str, np.ndarray]:
    """What a published package makes of an input and a file of weights; skips the test where it is not installed."""
    if not (FOLDER / name).is_dir():
        pytest.skip(f"the package {name} is not in {FOLDER.name} (make reference)")
    np.savez(work / "given.npz", **given)
    command = [sys.executable, "-m", __name__, name, str(work / "given.npz"), str(state), str(work / "made.npz")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(work / "made.npz") as made:
        return dict(made)


class _Anything(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Empty(types.ModuleType):
    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name, (), {})


class _StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        known = name.split(".")[0] in ("torchvision", "peft")
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if known else None

    def create_module(self, spec):
        return _Empty(spec.name)

    def exec_module(self, module):
        pass


def colipri(given, state_path: str) -> dict[str, np.ndarray]:
    import torch
    import torchio as tio
    from colipri.checkpoint import load_processor_config
    from colipri.model.image import ImageEncoder
    from colipri.model.multimodal import Model
    from colipri.model.text import TextEncoder
    from colipri.pooling import AttentionPool1D
    from dynamic_network_architectures.architectures.primus import Primus
    from hydra.utils import instantiate
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    state, size = load_file(state_path), int(given["size"])
    width = state["image_encoder.backbone.mask_token"].shape[2]
    dim = state["image_encoder.projector.weight"].shape[0]
    depth = 1 + max(int(k.split(".")[4]) for k in state if k.startswith("image_encoder.backbone.eva.blocks."))
    primus = Primus(
        input_channels=1, num_classes=1, eva_depth=depth, eva_numheads=width // 72, embed_dim=width,
        patch_embed_size=(8, 8, 8), input_shape=(size,) * 3, use_rot_pos_emb=True, use_abs_pos_embed=False,
        drop_path_rate=0.2, init_values=0.1, scale_attn_inner=True, num_register_tokens=0,
    )  # fmt: skip
    words, text_width = state["text_encoder.backbone.embeddings.word_embeddings.weight"].shape
    layers = 1 + max(int(k.split(".")[4]) for k in state if k.startswith("text_encoder.backbone.encoder.layer."))
    inner = state["text_encoder.backbone.encoder.layer.0.intermediate.dense.weight"].shape[0]
    config = BertConfig(
        vocab_size=words, hidden_size=text_width, num_hidden_layers=layers, num_attention_heads=text_width // 64,
        intermediate_size=inner,
    )  # fmt: skip
    text = TextEncoder(BertModel(config, add_pooling_layer=False), AttentionPool1D(dim, dim // 64))
    image = ImageEncoder(primus, torch.nn.Conv3d(width, dim, 1), AttentionPool1D(dim, dim // 64))
    model = Model(image, text).eval()
    model.load_state_dict(state, strict=True)
    transform = instantiate(load_processor_config(overrides=[f"input_size={size}"])["image_transform"])
    scan = tio.ScalarImage(tensor=torch.from_numpy(given["ras"]).float()[None], affine=given["affine"])
    seen = transform(scan).data[None]
    with torch.no_grad():
        grid = model.encode_image(seen, project=True, pool=False, normalize=False)[0]
        texts = model.encode_text(torch.from_numpy(given["ids"]), torch.from_numpy(given["mask"]))
    return {"image": seen[0, 0].numpy(), "grid": grid.numpy(), "texts": texts.numpy()}


def main() -> None:
    name, given, state, out = sys.argv[1:]
    sys.path.insert(0, str(FOLDER))
    sys.meta_path.insert(0, _StandIn())
    with np.load(given) as stored:
        made = {"colipri": colipri}[name](dict(stored), state)
    np.savez(out, **made)


if __name__ == "__main__":
    main()
