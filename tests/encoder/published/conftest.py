"""A chest phantom."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.scan.types import Audit, AuditItem, OrganMasks, Scan, StoredGrid

CHEST = {
    10: ("lung_upper_lobe_left", (np.s_[6:30], np.s_[15:60], np.s_[62:95]), -850),
    11: ("lung_lower_lobe_left", (np.s_[30:52], np.s_[20:62], np.s_[62:95]), -800),
    12: ("lung_upper_lobe_right", (np.s_[6:26], np.s_[15:60], np.s_[10:44]), -850),
    13: ("lung_middle_lobe_right", (np.s_[26:36], np.s_[15:45], np.s_[10:44]), -850),
    14: ("lung_lower_lobe_right", (np.s_[36:52], np.s_[20:62], np.s_[10:44]), -800),
    51: ("heart", (np.s_[28:48], np.s_[18:42], np.s_[44:62]), 45),
    15: ("esophagus", (np.s_[0:50], np.s_[50:56], np.s_[50:56]), 30),
    52: ("aorta", (np.s_[20:60], np.s_[44:50], np.s_[56:62]), 120),
    5: ("liver", (np.s_[53:60], np.s_[15:55], np.s_[12:50]), 60),
}


def chest_phantom() -> tuple[Scan, OrganMasks]:
    """A chest of boxes, axes I, P, L, 5 x 4 x 3.5 mm, with the organs that fVLM knows and a liver cut by the bottom."""
    shape, spacing = (60, 75, 105), (5.0, 4.0, 3.5)
    hu = np.full(shape, -1000, np.int16)
    hu[:, 8:68, 5:100] = 40
    labels = np.zeros(shape, np.uint8)
    for label, (_, box, value) in CHEST.items():
        labels[box] = label
        hu[box] = value
    hu = (hu + np.random.default_rng(0).normal(0, 25, shape)).astype(np.int16)
    affine = np.array([[0, 0, 3.5, -180], [0, 4, 0, -150], [-5, 0, 0, 150], [0, 0, 0, 1]], float)
    stored = StoredGrid((105, 75, 60), affine @ np.eye(4)[[2, 1, 0, 3]], "LPI")
    scan = Scan(hu, spacing, affine, "chest phantom", stored, Audit((AuditItem("orientation", "LPI"),)))
    names = {label: name for label, (name, _, _) in CHEST.items()}
    return scan, OrganMasks(labels, names, "phantom", statistics=organ_statistics(scan, labels, names))


@pytest.fixture(scope="session")
def chest() -> tuple[Scan, OrganMasks]:
    return chest_phantom()
