"""The ViT behind the tower's interface, mean pooling, activations computed again, compiled blocks."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_ctvlp.encoder import EncodingCancelled, OrganStatus, ScanEncoder, load_encoder
from napari_ctvlp.encoder.native import NativeEncoder
from napari_ctvlp.encoder.native_model import NativeModel, Provenance
from napari_ctvlp.encoder.text import TextTower, base_text_folder
from napari_ctvlp.encoder.vision import VisionConfig, VisionTower
from napari_ctvlp.encoder.vit import Position, VitConfig
from napari_ctvlp.errors import UserError

TINY = VitConfig(patch=4, width=16, depth=4, heads=2)
CNN = VisionConfig(widths=(8, 16), blocks=(1, 1), heads=2, hidden=32, dim=32)
VIT = replace(CNN, backbone="vit", vit=TINY)
BACKBONES = {"cnn": CNN, "vit": VIT, "mean": replace(CNN, pooling="mean"), "vit-mean": replace(VIT, pooling="mean")}


def awake(config: VisionConfig) -> VisionTower:
    """A tower whose blocks are no identities."""
    torch.manual_seed(0)
    tower = VisionTower(config)
    with torch.no_grad():
        for parameter in tower.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05)
    return tower


def given(size=(18, 21, 27), batch=2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(batch, 3, *size, generator=generator) * 2 - 1
    labels = torch.zeros(batch, *size, dtype=torch.uint8)
    labels[:, 2:9, 3:12, 4:14] = 5
    labels[:, 10:16, 3:12, 4:14] = 9
    return image, labels


@pytest.mark.parametrize("size", [(18, 21, 27), (5, 40, 8), (32, 32, 32)])
@pytest.mark.parametrize("config", BACKBONES.values(), ids=BACKBONES)
def test_scans_of_any_size(config, size):
    tower = awake(config)
    image, labels = given(size)
    maps = tower.features(image)
    for features, channels, stride in zip(maps, config.channels, config.strides, strict=True):
        assert features.shape == (2, channels, *(-(-n // stride) for n in size))
    vectors, index = tower(image, labels)
    assert vectors.shape == (len(index.label), 32) and len(index.label) > 0
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))


def test_a_vit_does_not_care_which_scans_are_beside():
    tower = awake(VIT).eval()
    image, labels = given()
    both, index = tower(image, labels)
    alone, _ = tower(image[1:], labels[1:])
    torch.testing.assert_close(both[index.sample == 1], alone)


def test_a_token_of_a_vit_sees_the_whole_scan_and_where_it_lies():
    tower = awake(VIT)
    image = given((16, 16, 32), 1)[0].requires_grad_()
    last = tower.features(image)[-1]
    (seen,) = torch.autograd.grad(last[0, :, 0, 0, 0].square().sum(), image)
    assert seen[..., -4:].abs().max() > 0
    first = tower.stages[0]
    mirrored = copy.deepcopy(first)
    assert isinstance(first[1], Position) and first[1].conv.groups == TINY.width
    with torch.no_grad():
        mirrored[1].conv.weight.copy_(first[1].conv.weight.flip(4))
        assert not torch.allclose(first(image), mirrored(image))


def test_depths_of_one_stride_share_their_tokens_and_geometry_is_as_fine_as_the_cnns():
    image, labels = given()
    vit, cnn = VisionTower(VIT).index(labels, image), VisionTower(CNN).index(labels, image)
    assert len(vit.levels) == 4 and all(level is vit.levels[0] for level in vit.levels)
    assert torch.equal(vit.geometry, cnn.geometry)
    assert torch.equal(vit.levels[0].token, cnn.levels[1].token)
    assert torch.equal(vit.levels[0].log_count, cnn.levels[1].log_count)


def test_the_blocks_that_are_pooled():
    assert VitConfig().taps == (2, 4, 6, 8) and VitConfig(depth=2).taps == (1, 2) and VitConfig(depth=1).taps == (1,)
    assert VitConfig(depth=7).taps == (2, 4, 6, 7)
    tower = VisionTower(replace(VIT, vit=replace(TINY, depth=5, pooled=(1, 5))))
    assert tower.config.channels == (16, 16) and [len(stage.parts) for stage in tower.stages] == [3, 5]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: VitConfig(patch=6), "6 voxels a side"),
        (lambda: VitConfig(patch=1), "1 voxels a side"),
        (lambda: VitConfig(width=20, heads=3), "20 channels"),
        (lambda: VitConfig(depth=4, pooled=(1, 3)), "depth 4"),
        (lambda: VitConfig(depth=4, pooled=(3, 1, 4)), "must rise"),
        (lambda: VitConfig(depth=0), "must rise"),
        (lambda: VisionConfig(backbone="swin"), "no backbone 'swin': choose cnn or vit"),
        (lambda: VisionConfig(pooling="max"), "no pooling 'max'"),
    ],
)
def test_shapes_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        wrong()


def test_a_mean_pooled_tower_has_no_queries():
    tower = VisionTower(BACKBONES["mean"])
    assert not list(tower.pools.parameters())
    assert tower.head[1].in_features == 8 + 16 + tower.index(*reversed(given())).geometry.shape[1]


@pytest.mark.parametrize("config", BACKBONES.values(), ids=BACKBONES)
def test_activations_computed_again_give_the_same_gradients(config):
    tower, (image, labels) = awake(config), given()
    found, kept = [], []
    for tower.checkpointing in (False, True):
        sizes: dict[int, int] = {}

        def keep(tensor: torch.Tensor, sizes=sizes) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            vectors, _ = tower(image, labels)
        found.append([vectors, *torch.autograd.grad(vectors.sin().sum(), list(tower.parameters()), allow_unused=True)])
        kept.append(sum(sizes.values()))
    for plain, again in zip(*found, strict=True):
        assert (plain is None and again is None) or torch.equal(plain, again)
    assert kept[1] < 0.6 * kept[0]


@pytest.fixture
def compiler() -> None:
    """Skip where nothing can be compiled."""
    try:
        torch.compile(lambda x: x + 1)(torch.ones(2))
    except torch._dynamo.exc.BackendCompilerFailed as error:
        pytest.skip(f"no compiler works here: {str(error).splitlines()[0]}")


@pytest.mark.slow
def test_compiled_blocks_give_the_same_and_leave_no_trace(compiler):
    # two sizes, so that the second takes what was compiled for any size
    for config in (VIT, replace(CNN, widths=(8, 8))):
        plain = awake(config)
        compiled = copy.deepcopy(plain)
        compiled.compile_blocks()
        assert list(compiled.state_dict()) == list(plain.state_dict())
        for size in ((18, 21, 27), (20, 24, 23)):
            results = []
            for tower in (plain, compiled):
                tower.zero_grad()
                vectors, _ = tower(*given(size))
                vectors.sin().sum().backward()
                results.append([vectors, *(p.grad for p in tower.parameters())])
            torch.testing.assert_close(results[0], results[1], rtol=1e-3, atol=1e-5)
        blocks = [m for m in compiled.modules() if m._compiled_call_impl is not None]
        assert len(blocks) == (4 if config is VIT else 2)
        assert all(m._compiled_call_impl is None for m in copy.deepcopy(compiled).modules())


@pytest.fixture(scope="module")
def text() -> TextTower:
    return TextTower.from_folder(base_text_folder())


def encoder_of(config: VisionConfig, text: TextTower) -> NativeEncoder:
    model = NativeModel(config, text.width)
    model.vision = awake(config)
    return NativeEncoder(
        model, text, Provenance("tiny", "BSD-3-Clause", "nothing", "For tests.", ("liver",)), None, "cpu"
    )


@pytest.mark.parametrize("config", [VIT, BACKBONES["mean"]], ids=["vit", "mean"])
def test_an_encoder_goes_to_a_folder_and_back(config, text, phantom, tmp_path):
    encoder = encoder_of(config, text)
    encoder.save_pretrained(tmp_path / "enc")
    again = load_encoder(tmp_path / "enc", device="cpu")
    assert again.card == encoder.card and again.model.vision.config == config
    before, after = (each.encode_scan(*phantom).vectors for each in (encoder, again))
    assert np.abs(before - after).max() < 5e-3  # stored in half precision


def test_a_vit_keeps_the_contract(text, phantom):
    encoder, seen = encoder_of(VIT, text), []
    embedding = encoder.encode_scan(*phantom, progress=seen.append)
    assert isinstance(encoder, ScanEncoder)
    np.testing.assert_allclose(np.linalg.norm(embedding.vectors, axis=1), 1, atol=1e-5)
    assert seen[0] == 0 and seen[-1] == 1 and seen == sorted(seen)
    assert len([s for s in seen if 0.5 < s <= 0.9]) == 4 + 4 + 1  # blocks, positions and the stem
    assert dict(zip(embedding.organs, embedding.status, strict=True))["liver"] is OrganStatus.COMPLETE
    stopped = [0.0]
    with pytest.raises(EncodingCancelled):
        encoder.encode_scan(*phantom, progress=stopped.append, cancelled=lambda: stopped[-1] > 0.5)
    assert 0.5 < stopped[-1] < 0.9


def test_a_damaged_vit_is_refused_in_one_sentence(text, tmp_path):
    encoder_of(VIT, text).save_pretrained(tmp_path / "enc")
    config = tmp_path / "enc" / "config.json"
    whole = config.read_text()
    for right, wrong in (
        ('"patch": 4', '"patch": 5'),
        ('"pooled": []', '"pooled": [9]'),
        ('"width": 16', '"width": 32'),
    ):
        assert whole.count(right) == 1
        config.write_text(whole.replace(right, wrong))
        with pytest.raises(UserError) as caught:
            load_encoder(tmp_path / "enc")
        assert "\n" not in str(caught.value) and "config.json" in str(caught.value)


def test_an_encoder_from_before_these_settings_has_the_first_ones():
    config = load_encoder("starter", device="cpu").model.vision.config
    assert (config.backbone, config.pooling, config.strides) == ("cnn", "attention", (2, 4, 8, 16))
