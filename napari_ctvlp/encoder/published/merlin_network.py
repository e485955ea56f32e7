"""The network of Merlin (Blankemeier et al., Nature 2026), written anew from the names and shapes of its checkpoint.

An inflated 3D ResNet-152: the 2D network's convolutions with a third axis, 3 long in the stem and in the middle of each
bottleneck, whose mean over all places a 1 x 1 x 1 convolution maps into the space of the text. Texts go through a
Longformer, whose first token is mapped there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_ctvlp.errors import UserError

from .bert import HEAD
from .checkpoint import count, shape_of, without

EXPANSION = 4
TEXT_WINDOW = 512
"""Tokens around each that a Longformer layer looks at."""
PADDING = 1


@dataclass(frozen=True)
class MerlinSizes:
    """What the shapes of a checkpoint say of the network's size; ``blocks`` are those of the four stages."""

    stem: int
    blocks: tuple[int, ...]
    dim: int

    @classmethod
    def of(cls, state: Mapping[str, Tensor], place: str) -> MerlinSizes:
        """Read them off the tensors.

        Raises
        ------
        UserError
            When the tensors that say it are missing, or it is another model.
        """
        begin = "encode_image.i3_resnet."
        stem, channels, *kernel = shape_of(state, f"{begin}conv1.weight", 5, place)
        dim = shape_of(state, f"{begin}contrastive_head.weight", 5, place)[0]
        blocks = tuple(count(state, f"{begin}layer{number}.") for number in (1, 2, 3, 4))
        if (channels, *kernel) != (3, 3, 7, 7) or not all(blocks):
            raise UserError(f"{place} is another model: a stem of {(channels, *kernel)} and stages of {blocks} blocks.")
        return cls(stem, blocks, dim)


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, EXPANSION * width, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(EXPANSION * width)
        if stride > 1 or inputs != EXPANSION * width:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, EXPANSION * width, 1, stride, bias=False), nn.BatchNorm3d(EXPANSION * width)
            )
        else:
            self.downsample = nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu_(self.bn1(self.conv1(x)))
        inner = F.relu_(self.bn2(self.conv2(inner)))
        return F.relu_(self.bn3(self.conv3(inner)).add_(self.downsample(x)))


class _Resnet(nn.Module):
    def __init__(self, sizes: MerlinSizes) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, sizes.stem, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(sizes.stem)
        inputs = sizes.stem
        for number, blocks in enumerate(sizes.blocks):
            width = sizes.stem << number
            stage = [_Bottleneck(inputs, width, 2 if number else 1)]
            inputs = EXPANSION * width
            stage += [_Bottleneck(inputs, width, 1) for _ in range(blocks - 1)]
            self.add_module(f"layer{number + 1}", nn.Sequential(*stage))
        self.contrastive_head = nn.Conv3d(inputs, sizes.dim, 1)

    def forward(self, image: Tensor) -> Tensor:
        # three equal channels: one whose kernel is the sum of theirs gives the same, three times faster
        kernel = self.conv1.weight.sum(1, keepdim=True)
        x = F.conv3d(image, kernel, None, self.conv1.stride, self.conv1.padding)
        x = F.max_pool3d(F.relu_(self.bn1(x)), 3, 2, 1)
        for number in range(4):
            x = self.get_submodule(f"layer{number + 1}")(x)
        out: Tensor = self.contrastive_head(x.mean((2, 3, 4), keepdim=True)).flatten(1)
        return out


class _ImageEncoder(nn.Module):
    def __init__(self, sizes: MerlinSizes) -> None:
        super().__init__()
        self.i3_resnet = _Resnet(sizes)


class _TextEncoder(nn.Module):
    def __init__(self, longformer: nn.Module, dim: int) -> None:
        super().__init__()
        self.text_encoder = longformer
        self.linear_layer = nn.Linear(int(longformer.config.hidden_size), dim)  # type: ignore[union-attr, arg-type]


class MerlinNetwork(nn.Module):
    """Image and text of Merlin under the names of its checkpoint, without its head for diagnosis codes."""

    def __init__(self, sizes: MerlinSizes, longformer: nn.Module) -> None:
        super().__init__()
        self.logit_scale = nn.Parameter(torch.tensor(1.0))
        self.encode_image = _ImageEncoder(sizes)
        self.encode_text = _TextEncoder(longformer, sizes.dim)
        self._short: tuple[nn.Module] | None = None

    def _roberta(self) -> nn.Module:
        """The Longformer's weights as a RoBERTa; shared, not copied."""
        if self._short is None:
            from transformers import RobertaConfig, RobertaModel

            longformer = self.encode_text.text_encoder
            said = longformer.config.to_dict()  # type: ignore[union-attr, operator]
            keys = (
                "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "pad_token_id", "bos_token_id",
                "eos_token_id",
            )  # fmt: skip
            with torch.device("meta"):
                made = RobertaModel(RobertaConfig(**{k: said[k] for k in keys}), add_pooling_layer=False)
            weights = {k: v for k, v in longformer.state_dict().items() if "_global." not in k}
            made.load_state_dict(weights, strict=True, assign=True)
            for name in ("position_ids", "token_type_ids"):  # tables that are no weights, still on "meta"
                length = (1, int(said["max_position_embeddings"]))
                counted = torch.arange(length[1])[None]
                table = counted if name == "position_ids" else torch.zeros_like(counted)
                made.embeddings.register_buffer(name, table.to(self.logit_scale.device), persistent=False)
            self._short = (made.eval(),)  # in a tuple: no part of the state
        return self._short[0]

    @classmethod
    def for_state(cls, state: Mapping[str, Tensor], place: str) -> MerlinNetwork:
        """A network as large as a checkpoint's tensors; not filled yet."""
        return cls(MerlinSizes.of(state, place), _longformer_for(state, "encode_text.text_encoder.", place))

    def images(self, volumes: Tensor) -> Tensor:
        """(n, 1, R, A, S) values in 0..1 to (n, dim) unit vectors."""
        return F.normalize(self.encode_image.i3_resnet(volumes.permute(0, 1, 4, 2, 3)), dim=-1)

    def texts(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Token ids and mask, (n, tokens) each, to (n, dim) unit vectors.

        In a text that fits half a window every token sees every other, and a Longformer is a RoBERTa with the same
        weights, which need not be padded to a whole window: 25 times fewer tokens for a prompt.
        """
        if tokens["input_ids"].shape[1] <= TEXT_WINDOW // 2:
            hidden = self._roberta()(**tokens).last_hidden_state[:, 0]
        else:
            missing = -tokens["input_ids"].shape[1] % TEXT_WINDOW
            padded = {
                "input_ids": F.pad(tokens["input_ids"], (0, missing), value=PADDING),
                "attention_mask": F.pad(tokens["attention_mask"], (0, missing)),
            }
            hidden = self.encode_text.text_encoder(**padded).last_hidden_state[:, 0]
        return F.normalize(self.encode_text.linear_layer(hidden), dim=-1)


def _longformer_for(state: Mapping[str, Tensor], begin: str, place: str) -> nn.Module:
    from transformers import LongformerConfig, LongformerModel

    words, width = shape_of(state, f"{begin}embeddings.word_embeddings.weight", 2, place)
    positions, _ = shape_of(state, f"{begin}embeddings.position_embeddings.weight", 2, place)
    types, _ = shape_of(state, f"{begin}embeddings.token_type_embeddings.weight", 2, place)
    inner, _ = shape_of(state, f"{begin}encoder.layer.0.intermediate.dense.weight", 2, place)
    depth = count(state, f"{begin}encoder.layer.")
    config = LongformerConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=max(1, width // HEAD),
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        attention_window=[TEXT_WINDOW] * depth,
        layer_norm_eps=1e-5,
        pad_token_id=PADDING,
        bos_token_id=0,
        eos_token_id=2,
        sep_token_id=2,
    )
    return LongformerModel(config, add_pooling_layer=False)


def network_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint's tensors under the names of `MerlinNetwork`, less what has no part in comparing image and text."""
    text = "encode_text.text_encoder."
    return without(state, "encode_image.i3_resnet.classifier.", f"{text}pooler.", f"{text}embeddings.position_ids")
