"""fVLM's tokens as places of organs: where they lie, and that they are pooled as organs are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ctvlp.ask import rank_organs
from napari_ctvlp.ask.locate import locate
from napari_ctvlp.encoder.published.fvlm import MEMBERS, FvlmEncoder
from napari_ctvlp.encoder.published.fvlm_network import ORGANS
from tests.encoder.published.states import fvlm_state, write_vocabulary


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> FvlmEncoder:
    return FvlmEncoder(fvlm_state(), write_vocabulary(tmp_path_factory.mktemp("fvlm")), device="cpu")


@pytest.fixture(scope="module")
def embedding(encoder, chest):
    return encoder.encode_scan(*chest)


def test_every_voxel_of_a_mask_lies_in_a_place_of_it_and_every_place_holds_one(embedding, chest):
    scan, masks = chest
    checked = 0
    for label, name in masks.names.items():
        cells = embedding.dense.cells(name)
        if not any(name in members for members in MEMBERS.values()):
            assert not len(cells.places)
            continue
        voxels = np.argwhere(masks.labels == label)
        apart = np.abs(voxels[:, None] - cells.places[None]) / cells.size  # in cells; resizing moves by up to a voxel
        slack = 0.5 + 1.01 / cells.size
        assert (apart <= slack).all(2).any(1).all(), name
        assert (apart <= slack).all(2).any(0).all(), name
        np.testing.assert_allclose(cells.size * scan.spacing, (48, 16, 32), rtol=0.02)
        checked += 1
    assert checked >= 5


def test_a_place_is_what_an_organ_of_that_place_alone_is(encoder):
    network = encoder.network
    levels = [torch.randn(1, 6, network.query_tokens.shape[1], generator=torch.manual_seed(n)) for n in range(4)]
    reached = torch.tensor([False, True, False, False, True, True])
    for organ in range(len(ORGANS)):
        places = network.places(levels, organ, reached)
        for row, token in enumerate(reached.nonzero().ravel()):
            alone = torch.arange(6) == token
            torch.testing.assert_close(places[row], network.organs(levels, [organ], [alone])[0])


def test_a_question_is_located_in_the_lobes_that_answer(embedding, chest):
    scan, masks = chest
    found = locate(embedding, masks, rank_organs(embedding, "nodule in the left lung", use_names=True), scan.spacing)
    assert found is not None
    assert set(found.organs) <= set(MEMBERS["lung"])
    assert found.values.max() > 0
