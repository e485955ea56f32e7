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


class _Bottleneck2d:
    """What torchvision's 2D bottleneck is made of; the package inflates it."""

    def __init__(self, inputs, width, stride):
        from torch import nn

        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride > 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )
        self.stride = stride


def _resnet2d(stem: int, blocks: list[int]):
    from torch import nn

    net = types.SimpleNamespace(
        conv1=nn.Conv2d(3, stem, 7, 2, 3, bias=False),
        bn1=nn.BatchNorm2d(stem),
        maxpool=nn.MaxPool2d(3, 2, 1),
        avgpool=nn.AdaptiveAvgPool2d(1),
    )
    inputs = stem
    for number, depth in enumerate(blocks):
        width, made = stem * 2**number, []
        for block in range(depth):
            made.append(_Bottleneck2d(inputs, width, 2 if number and not block else 1))
            inputs = 4 * width
        setattr(net, f"layer{number + 1}", made)
    return net


def merlin(given, state_path: str) -> dict[str, np.ndarray]:
    import nibabel
    import torch
    from merlin.data.monai_transforms import ImageTransforms
    from merlin.models import i3res
    from merlin.models.build import sanitize_report
    from safetensors.torch import load_file
    from transformers import LongformerConfig, LongformerModel

    state, begin, text = load_file(state_path), "encode_image.i3_resnet.", "encode_text.text_encoder."

    def parts(under: str) -> int:
        return len({k.removeprefix(under).split(".")[0] for k in state if k.startswith(under)})

    def under(name: str) -> dict[str, torch.Tensor]:
        return {k.removeprefix(name): v for k, v in state.items() if k.startswith(name)}

    stem = state[f"{begin}conv1.weight"].shape[0]
    net = i3res.I3ResNet(
        _resnet2d(stem, [parts(f"{begin}layer{n}.") for n in (1, 2, 3, 4)]), class_nb=1692, conv_class=True
    )
    net.classifier = torch.nn.Conv3d(32 * stem, 1692, 1)
    net.contrastive_head = torch.nn.Conv3d(32 * stem, state[f"{begin}contrastive_head.weight"].shape[0], 1)
    net.load_state_dict(under(begin), strict=True)
    net.eval()
    path = Path(state_path).with_name("scan.nii.gz")
    nibabel.save(nibabel.Nifti1Image(given["ras"].astype(np.int16), given["affine"]), path)
    image = torch.as_tensor(np.asarray(ImageTransforms({"image": str(path)})["image"]))
    middle = [slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(image.shape[1:], given["part"], strict=True)]
    with torch.no_grad():
        features, _ = net(image[:, *middle][None])
    words, width = state[f"{text}embeddings.word_embeddings.weight"].shape
    depth = parts(f"{text}encoder.layer.")
    config = LongformerConfig(
        vocab_size=words, hidden_size=width, num_hidden_layers=depth, num_attention_heads=width // 64,
        intermediate_size=state[f"{text}encoder.layer.0.intermediate.dense.weight"].shape[0],
        max_position_embeddings=4098, type_vocab_size=1, attention_window=[512] * depth, layer_norm_eps=1e-5,
        pad_token_id=1,
    )  # fmt: skip
    longformer = LongformerModel(config).eval()
    longformer.load_state_dict(under(text), strict=True)
    with torch.no_grad():
        ids, mask = torch.from_numpy(given["ids"]), torch.from_numpy(given["mask"])
        hidden = longformer(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
    rows = hidden @ state["encode_text.linear_layer.weight"].T + state["encode_text.linear_layer.bias"]
    clean = np.array([sanitize_report(str(t)) for t in given["said"]])
    return {"image": image[0].numpy(), "features": features.numpy(), "texts": rows.numpy(), "clean": clean}


def main() -> None:
    name, given, state, out = sys.argv[1:]
    sys.path.insert(0, str(FOLDER))
    sys.meta_path.insert(0, _StandIn())
    with np.load(given) as stored:
        made = {"colipri": colipri, "merlin": merlin}[name](dict(stored), state)
    np.savez(out, **made)


if __name__ == "__main__":
    main()
