"""Random weights in the layouts that were published, large or small, and vocabularies that fit them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

SIGNS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "-", "/"]
PIECES = [*"abcdefghijklmnopqrstuvwxyz0123456789", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789")]


def write_vocabulary(folder: Path) -> Path:
    """A WordPiece vocabulary in which every lower-case word can be spelt."""
    path = folder / "vocab.txt"
    path.write_text("\n".join([*SIGNS, *PIECES]) + "\n", encoding="utf-8")
    return path


class Random:
    """Tensors of one seed, scaled so that deep networks neither explode nor fade."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def linear(self, out: int, inputs: int) -> Tensor:
        return torch.randn(out, inputs, generator=self._generator) / inputs**0.5

    def vector(self, size: int, mean: float = 0.0, spread: float = 0.1) -> Tensor:
        return mean + spread * torch.randn(size, generator=self._generator)

    def tensor(self, *shape: int, spread: float = 1.0) -> Tensor:
        return spread * torch.randn(*shape, generator=self._generator)

    def layer(self, name: str, out: int, inputs: int) -> dict[str, Tensor]:
        return {f"{name}.weight": self.linear(out, inputs), f"{name}.bias": self.vector(out)}

    def norm(self, name: str, size: int) -> dict[str, Tensor]:
        return {f"{name}.weight": self.vector(size, 1.0), f"{name}.bias": self.vector(size)}


def bert_state(
    make: Random, begin: str, width: int, depth: int, inner: int, words: int, types: bool
) -> dict[str, Tensor]:
    """A BERT without pooler."""
    state = {
        f"{begin}embeddings.word_embeddings.weight": make.tensor(words, width),
        f"{begin}embeddings.position_embeddings.weight": make.tensor(512, width, spread=0.2),
        **make.norm(f"{begin}embeddings.LayerNorm", width),
    }
    if types:
        state[f"{begin}embeddings.token_type_embeddings.weight"] = make.tensor(2, width)
    for number in range(depth):
        layer = f"{begin}encoder.layer.{number}"
        for part in ("query", "key", "value"):
            state |= make.layer(f"{layer}.attention.self.{part}", width, width)
        state |= make.layer(f"{layer}.attention.output.dense", width, width)
        state |= make.norm(f"{layer}.attention.output.LayerNorm", width)
        state |= make.layer(f"{layer}.intermediate.dense", inner, width)
        state |= make.layer(f"{layer}.output.dense", width, inner)
        state |= make.norm(f"{layer}.output.LayerNorm", width)
    return state


def fvlm_state(*, small: bool = True, seed: int = 0) -> dict[str, Tensor]:
    """fVLM's ``ckpt['model']``: the published names and, unless small, the published shapes."""
    make = Random(seed)
    width, inner, dim = (64, 128, 32) if small else (768, 3072, 256)
    text_width, text_depth, text_inner, words = (64, 2, 128, 200) if small else (768, 12, 3072, 30522)
    state = {
        "temp": torch.tensor(0.07),
        "query_tokens": make.tensor(4, width),
        "visual_encoder.patch_embedding.patch_embeddings.weight": make.tensor(width, 1, 16, 16, 32, spread=0.02),
        "visual_encoder.patch_embedding.patch_embeddings.bias": make.vector(width),
        "visual_encoder.patch_embedding.position_embeddings": make.tensor(1, 1232, width, spread=0.3),
    }
    for number in range(12):
        block = f"visual_encoder.blocks.{number}"
        state |= make.norm(f"{block}.norm1", width) | make.norm(f"{block}.norm2", width)
        state |= make.layer(f"{block}.attn.qkv", 3 * width, width) | make.layer(f"{block}.attn.out_proj", width, width)
        state |= make.layer(f"{block}.mlp.linear1", inner, width) | make.layer(f"{block}.mlp.linear2", width, inner)
    state |= make.norm("visual_encoder.norm", width)
    state |= {
        "attention.in_proj_weight": make.linear(3 * width, width),
        "attention.in_proj_bias": make.vector(3 * width),
        **make.layer("attention.out_proj", width, width),
    }
    for number in range(4):
        state |= make.layer(f"vision_projs.{number}", dim, width)
    state |= make.layer("text_proj", dim, text_width)
    state |= bert_state(make, "text_encoder.", text_width, text_depth, text_inner, words, types=False)
    state["text_encoder.embeddings.position_ids"] = torch.arange(512)[None]
    return state


def colipri_state(*, small: bool = True, seed: int = 1) -> dict[str, Tensor]:
    """COLIPRI's ``model.safetensors``: the names that the package gives it and, unless small, its shapes."""
    make = Random(seed)
    width, depth, inner, dim = (72, 2, 192, 128) if small else (864, 16, 2304, 768)
    text_depth, text_inner, words = (2, 128, 200) if small else (12, 3072, 30522)
    begin = "image_encoder.backbone"
    state = {
        f"{begin}.mask_token": torch.zeros(1, 1, width),
        f"{begin}.down_projection.proj.weight": make.tensor(width, 1, 8, 8, 8, spread=0.05),
        f"{begin}.down_projection.proj.bias": make.vector(width),
    }
    for number in range(depth):
        block = f"{begin}.eva.blocks.{number}"
        state |= {f"{block}.gamma_{part}": make.vector(width, 0.3) for part in (1, 2)}
        state |= make.norm(f"{block}.norm1", width) | make.norm(f"{block}.norm2", width)
        state |= make.layer(f"{block}.attn.q_proj", width, width) | make.layer(f"{block}.attn.v_proj", width, width)
        state[f"{block}.attn.k_proj.weight"] = make.linear(width, width)
        state |= make.norm(f"{block}.attn.norm", width) | make.layer(f"{block}.attn.proj", width, width)
        state |= make.layer(f"{block}.mlp.fc1_g", inner, width) | make.layer(f"{block}.mlp.fc1_x", inner, width)
        state |= make.norm(f"{block}.mlp.norm", inner) | make.layer(f"{block}.mlp.fc2", width, inner)
    state |= make.norm(f"{begin}.eva.norm", width)
    state["image_encoder.projector.weight"] = make.linear(dim, width)[..., None, None, None]
    state["image_encoder.projector.bias"] = make.vector(dim)
    for side in ("image", "text"):
        state[f"{side}_encoder.pooler.attn.in_proj_weight"] = make.linear(3 * dim, dim)
        state[f"{side}_encoder.pooler.attn.in_proj_bias"] = make.vector(3 * dim)
        state |= make.layer(f"{side}_encoder.pooler.attn.out_proj", dim, dim)
    state |= bert_state(make, "text_encoder.backbone.", dim, text_depth, text_inner, words, types=True)
    state["softmax_temperature"] = torch.tensor(0.02)
    return state


def write_bytes_vocabulary(folder: Path) -> None:
    """A byte-level vocabulary without merges: every letter is a token."""
    from tokenizers.pre_tokenizers import ByteLevel

    words = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")


def merlin_state(*, small: bool = True, seed: int = 2) -> dict[str, Tensor]:
    """Merlin's checkpoint for image and text: the published names and, unless small, the published shapes."""
    make = Random(seed)
    stem, blocks, dim = (8, (1, 2, 2, 1), 32) if small else (64, (3, 8, 36, 3), 512)
    width, depth, inner, words = (64, 1, 96, 300) if small else (768, 12, 3072, 50265)
    begin, state = "encode_image.i3_resnet.", {"logit_scale": torch.tensor(2.0)}

    def conv(name: str, out: int, inputs: int, *kernel: int) -> dict[str, Tensor]:
        size = inputs * kernel[0] * kernel[1] * kernel[2]
        return {f"{begin}{name}.weight": make.linear(out, size).reshape(out, inputs, *kernel) * 1.4}

    def batch_norm(name: str, size: int, mean: float = 1.0) -> dict[str, Tensor]:
        return {
            f"{begin}{name}.weight": make.vector(size, mean),
            f"{begin}{name}.bias": make.vector(size),
            f"{begin}{name}.running_mean": make.vector(size),
            f"{begin}{name}.running_var": make.vector(size, 1.0).abs(),
            f"{begin}{name}.num_batches_tracked": torch.tensor(7),
        }

    state |= conv("conv1", stem, 3, 3, 7, 7) | batch_norm("bn1", stem)
    inputs = stem
    for number, count in enumerate(blocks):
        narrow = stem * 2**number
        for block in range(count):
            at = f"layer{number + 1}.{block}"
            state |= conv(f"{at}.conv1", narrow, inputs, 1, 1, 1) | batch_norm(f"{at}.bn1", narrow)
            state |= conv(f"{at}.conv2", narrow, narrow, 3, 3, 3) | batch_norm(f"{at}.bn2", narrow)
            state |= conv(f"{at}.conv3", 4 * narrow, narrow, 1, 1, 1) | batch_norm(f"{at}.bn3", 4 * narrow, 0.2)
            if block == 0:
                state |= conv(f"{at}.downsample.0", 4 * narrow, inputs, 1, 1, 1)
                state |= batch_norm(f"{at}.downsample.1", 4 * narrow)
            inputs = 4 * narrow
    for head, out in (("classifier", 1692), ("contrastive_head", dim)):
        state |= conv(head, out, inputs, 1, 1, 1) | {f"{begin}{head}.bias": make.vector(out)}
    text = "encode_text.text_encoder."
    state |= bert_state(make, text, width, depth, inner, words, types=False)
    state[f"{text}embeddings.position_embeddings.weight"] = make.tensor(4098, width, spread=0.2)
    state[f"{text}embeddings.token_type_embeddings.weight"] = make.tensor(1, width)
    for number in range(depth):
        for part in ("query_global", "key_global", "value_global"):
            state |= make.layer(f"{text}encoder.layer.{number}.attention.self.{part}", width, width)
    state |= make.layer(f"{text}pooler.dense", width, width)
    state |= make.layer("encode_text.linear_layer", dim, width)
    return state
