"""Steps of the tour for what a researcher does beyond asking: teach, compare with a prior, audit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from qtpy.QtCore import Qt

from napari_ctvlp.encoder.contract import OrganStatus
from napari_ctvlp.scan.nifti_out import write_map_nifti, write_masks_nifti
from napari_ctvlp.scan.types import OrganMasks, Scan

from .driver import SHIFT, Driver

TEACHABLE = ("kidney_left", "kidney_right", "gallbladder", "spleen", "pancreas", "duodenum", "iliopsoas_left")
"""The first four of these that the scan holds whole are examples."""


def teach(driver: Driver) -> None:
    """Two organs with, two without: a new row, one key back."""
    widget = driver.widget
    dock, panel = widget.dock, widget.teacher.panel
    driver.ask("")
    dock.tables.setCurrentWidget(dock.findings)
    dock.findings.table.selectRow(0)
    driver.picture("is_it_there")
    dock.tables.setCurrentWidget(panel)
    panel.name.setEditText("calcified spots")
    embedding = widget.session.embedding
    assert embedding is not None
    whole = {o for o, s in zip(embedding.organs, embedding.status, strict=True) if s is OrganStatus.COMPLETE}
    organs = [organ for organ in TEACHABLE if organ in whole]
    for organ, key in zip(organs, (Qt.Key.Key_Y, Qt.Key.Key_X, Qt.Key.Key_Y, Qt.Key.Key_X), strict=False):
        widget.navigator.jump(organ)
        driver.key(key, SHIFT)
    driver.idle()
    assert widget.session.taught[-1].ready
    driver.picture("taught")
    dock.tables.setCurrentWidget(dock.findings)
    dock.findings.filter.setText("taught")
    driver.wait()
    assert dock.findings.table.model().rowCount() == 4
    driver.picture("taught_findings")
    dock.findings.filter.clear()
    while widget.session.taught[-1].ready and widget.undo.next:
        filtering = "filter" in widget.undo.next
        driver.key(Qt.Key.Key_U)
        assert filtering or not widget.session.taught[-1].ready
    driver.idle()


def audit(driver: Driver) -> None:
    """The card, and the same as PDF."""
    driver.key(Qt.Key.Key_U, SHIFT)
    dialog = driver.widget.audit.dialog
    assert dialog is not None and dialog.isVisible()
    driver.picture_of(dialog, "audit_card")
    driver.key(Qt.Key.Key_U, SHIFT)
    assert not dialog.isVisible()


def follow_up(driver: Driver) -> None:
    """A prior made of the open scan, in which one organ was smaller and another is not in the masks."""
    session = driver.widget.session
    assert session.scan is not None and session.masks is not None
    organ = next(o for o in TEACHABLE if (s := session.masks.statistics.get(o)) is not None and not s.touches_edge)
    with driver.watchdog.paused():  # two files written by the tour, not by the window
        scan, masks = _made_prior(session.scan, session.masks, organ, driver.files)
    driver.key(Qt.Key.Key_F, SHIFT)
    window = driver.widget.follow_up
    dialog = window.dialog
    assert dialog is not None and dialog.isVisible()
    driver.picture_of(dialog, "follow_up_asks")
    window.open(scan, masks)
    driver.wait_for(lambda: window.prior.found is not None)
    driver.idle()
    found = window.prior.found
    assert found is not None and found.rows[0].organ == organ
    driver.picture_of(dialog, "follow_up")
    window.save(str(driver.files / "followup.csv"))
    driver.wait_for((driver.files / "followup.csv").exists)
    driver.idle()
    dialog.forget.click()
    dialog.hide()


def _made_prior(scan: Scan, masks: OrganMasks, organ: str, folder: Path) -> tuple[Path, Path]:
    """Write the scan as it might have been before: the outer voxels of an organ are fat, the stomach has no mask."""
    from scipy.ndimage import binary_erosion

    labels, hu = masks.labels.copy(), scan.hu.copy()
    label = masks.statistics[organ].label
    rim = (labels == label) & ~binary_erosion(labels == label)
    labels[rim], hu[rim] = 0, -90
    labels[np.isin(labels, [n for n, name in masks.names.items() if name == "stomach"])] = 0
    before = replace(scan, hu=hu)
    names = {label: name for label, name in masks.names.items() if name != "stomach"}
    paths = folder / "prior_ct.nii.gz", folder / "prior_seg.nii.gz"
    write_map_nifti(paths[0], before, hu.astype(np.float32), what="CT")
    write_masks_nifti(paths[1], before, replace(masks, labels=labels, names=names), {})
    return paths
