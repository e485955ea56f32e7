"""A whole scan: windows, grids, and masks that lie where the scan lies."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import read_masks, read_scan
from training.segmentation.files import Model, read_model, write_model
from training.segmentation.network import Segmenter
from training.segmentation.predict import (
    OVERLAP,
    labels_of,
    likeliest,
    scan_features,
    segment_hu,
    segment_scan,
    window_of,
    write_masks,
)

from .conftest import SMALL


class Bright(Segmenter):
    """A network that knows no learning: class 1 is what is bright through the first window."""

    def features(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, :1].repeat(1, self.widths[0], 1, 1, 1)


@pytest.fixture
def bright() -> Bright:
    network = Bright(SMALL, 2)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.weight[1, 0] = 1.0
    return network


@given(size=st.integers(1, 2000), most=st.integers(16, 256))
def test_windows_are_as_few_and_as_small_as_they_can_be(size, most):
    window = window_of(size, most)
    assert 1 <= window <= min(size, most)
    count = 1 if size == window else int(np.ceil((size - window) / (window * (1 - OVERLAP)))) + 1
    assert count <= max(1, np.ceil((size / most - 1) / (1 - OVERLAP)) + 1) + 1


@torch.no_grad()
def test_in_windows_or_at_once_a_scan_has_the_same_features_away_from_seams():
    torch.manual_seed(0)
    network = Segmenter(SMALL, 3).eval()
    image = torch.randn(1, 3, 20, 24, 16)
    assert torch.allclose(scan_features(network, image), network.features(image)[0], atol=1e-4)


@torch.no_grad()
def test_logits_and_not_classes_are_interpolated(bright):
    """Between a dark and a bright voxel the outline lies where the logit crosses zero, and not on the coarse grid."""
    features = torch.full((16, 1, 1, 2), -1.0)
    features[..., 1] = 3.0  # crosses zero a quarter of the way
    fine = likeliest(bright, features, (1, 1, 80))[0, 0]
    first = int(np.flatnonzero(fine)[0])
    assert fine[first:].all() and first == 30  # voxel centres at 20 and 60 of 80
    assert likeliest(bright, features, (3, 2, 80)).shape == (3, 2, 80)
    same = torch.randn(16, 5, 6, 7)
    assert np.array_equal(likeliest(bright, same, (5, 6, 7)), (same[0] > 0).numpy())


def a_scan(folder, affine, shape=(20, 24, 30)):
    """A NIfTI scan that is bright in one corner, and the voxels of that corner."""
    hu = np.full(shape, -100, np.int16)
    corner = (slice(2, 9), slice(3, 12), slice(4, 20))
    hu[corner] = 200
    path = folder / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(hu, affine), path)
    return path, hu == 200


AFFINES = {
    "RAS": np.diag([6.0, 6.0, 6.0, 1.0]),
    "LPI": np.diag([-6.0, -6.0, -6.0, 1.0]),
    "SAL": np.array([[0, 0, -6.0, 40], [0, 6.0, 0, -3], [6.0, 0, 0, 7], [0, 0, 0, 1]]),
    "fine": np.diag([1.5, 1.5, 2.0, 1.0]),
}


@pytest.mark.parametrize("name", AFFINES)
def test_masks_lie_on_the_grid_of_the_file_whatever_its_axes(bright, tmp_path, name):
    path, expected = a_scan(tmp_path, AFFINES[name])
    scan = read_scan(path)
    write_masks(tmp_path / "out.nii.gz", scan, segment_scan(bright, ["liver"], scan))
    written = nibabel.load(tmp_path / "out.nii.gz")
    found = np.asarray(written.dataobj)
    np.testing.assert_allclose(written.affine, AFFINES[name], atol=1e-5)
    assert found.shape == expected.shape and set(np.unique(found)) == {0, 5}  # TotalSegmentator's liver
    if name == "fine":  # of coarser voxels: the outline moves by less than one of them
        overlap = 2 * (found.astype(bool) & expected).sum() / (found.astype(bool).sum() + expected.sum())
        assert overlap > 0.6
    else:
        assert np.array_equal(found == 5, expected)


def test_left_stays_left(bright, tmp_path):
    """A bright place on the patient's left comes back there, though axes of file and project differ."""
    hu = np.full((30, 30, 30), -100, np.int16)
    hu[2:6, 10:20, 10:20] = 200
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    affine[0, 3] = -90.0  # RAS: small x is left
    nibabel.save(nibabel.Nifti1Image(hu, affine), tmp_path / "scan.nii")
    scan = read_scan(tmp_path / "scan.nii")
    write_masks(tmp_path / "out.nii", scan, segment_scan(bright, ["kidney_left"], scan))
    masks = read_masks(tmp_path / "out.nii", scan)
    assert masks.statistics["kidney_left"].centroid[0] > 50  # LPS: left is positive
    assert np.array_equal(np.asarray(nibabel.load(tmp_path / "out.nii").dataobj) > 0, hu == 200)


def test_the_plugin_reads_the_names(bright, tmp_path):
    path, _ = a_scan(tmp_path, AFFINES["RAS"])
    scan = read_scan(path)
    write_masks(tmp_path / "out.nii.gz", scan, segment_scan(bright, ["kidney_stone"], scan))
    assert dict(read_masks(tmp_path / "out.nii.gz", scan).names) == {1: "kidney_stone"}


def test_organs_have_their_own_labels_and_others_the_free_ones():
    assert labels_of(["liver", "spleen", "kidney_left"]) == [5, 1, 3]
    assert labels_of(["kidney_stone", "spleen", "liver_cyst"]) == [2, 1, 3]


def test_a_model_is_read_as_it_was_written(tmp_path):
    torch.manual_seed(1)
    network = Segmenter(SMALL, 3).eval()
    write_model(tmp_path / "run" / "model", Model(network, ("liver", "spleen"), ("organs",), {"steps": 3}))
    for place in (tmp_path / "run", tmp_path / "run" / "model"):
        again = read_model(place)
        assert again.names == ("liver", "spleen") and again.target == ("organs",) and again.made == {"steps": 3}
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor.half().float(), again.network.state_dict()[name])
    hu = np.random.default_rng(0).integers(-200, 300, (12, 14, 10)).astype(np.int16)
    given = segment_hu(network, hu, (6.0, 6.0, 6.0)), segment_hu(again.network, hu, (6.0, 6.0, 6.0))
    assert (given[0] == given[1]).mean() > 0.99
    assert "liver, spleen" in (tmp_path / "run" / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no segmenter"),
        (lambda folder: (folder / "config.json").write_text("{}"), "no segmenter of this version"),
        (lambda folder: (folder / "config.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "damaged"),
    ],
)
def test_what_is_no_segmenter_is_told(tmp_path, damage, words):
    write_model(tmp_path / "m", Model(Segmenter(SMALL, 2), ("liver",), ("organs",)))
    damage(tmp_path / "m")
    with pytest.raises(UserError, match=words):
        read_model(tmp_path / "m")
