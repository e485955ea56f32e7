"""Steps of the tour for files that come in, dropped into a second window that was opened empty."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from napari_ctvlp._qt.scan_panel import NO_SCAN

from . import formats
from .driver import Driver
from .hands import choose, drop, heard, name_file, press, wait_to_hear


def empty_window(driver: Driver) -> None:
    """A second window says what to do, and leaves the first as it is."""
    first = driver.widget.session.scan
    second = driver.second
    assert second.widget.dock.scan.summary.text() == NO_SCAN and second.widget.dock.scan.sample.isVisible()
    second.picture("empty_window")
    assert driver.widget.session.scan is first


def dropped_on_the_dock(driver: Driver) -> None:
    """Scan and masks together, the masks first."""
    ct, seg = formats.pair(driver)
    second = cleared(driver)
    drop(second, second.widget.dock.query, seg, ct)
    _wait_for_masks(second)
    assert set(second.widget.session.masks.names.values()) == set(formats.opened(driver)[1].names.values())
    second.picture("dropped_on_the_dock")


def dropped_on_the_canvas(driver: Driver) -> None:
    """A folder with both, dropped where people drop."""
    folder = formats.pair(driver)[0].parent
    second = cleared(driver)
    centre = second.window.centralWidget()
    target = second.window.childAt(centre.geometry().center())
    drop(second, target, folder)
    _wait_for_masks(second)
    assert [type(layer).__name__ for layer in second.viewer.layers] == ["Image", "Labels"]
    second.picture("folder_dropped_on_the_canvas")


def masks_after_the_scan(driver: Driver) -> None:
    """A scan alone, then its masks: from the button, and from a file that is no mask."""
    ct, seg = formats.pair(driver)
    second = cleared(driver)
    panel = second.widget.dock.scan
    drop(second, panel, ct)
    second.wait_for(lambda: second.widget.session.scan is not None)
    second.idle()
    assert panel.add_masks.isVisible() and panel.make_masks.isVisible()
    second.picture("no_masks_yet")
    wrong = driver.files / "notes.nii.gz"
    wrong.write_text("no NIfTI at all")
    with heard() as told:
        drop(second, panel, wrong)
        wait_to_hear(second, told, wrong.name)
    second.picture("not_a_mask")
    add = partial(choose, second, panel.add_masks, "One file with all organs", picture="add_masks_menu")
    name_file(second, add, seg, "masks_dialog")
    _wait_for_masks(second)
    second.picture("masks_added")


def nrrd(driver: Driver) -> None:
    """NRRD with a segmentation of Slicer's kind."""
    scan, masks = formats.nrrd(driver)
    second = cleared(driver)
    drop(second, second.widget.dock, scan, masks)
    _wait_for_masks(second)
    assert second.widget.session.masks.names.keys() == formats.opened(driver)[1].names.keys()
    second.ask("liver")
    second.picture("nrrd")


def metaimage(driver: Driver) -> None:
    """MetaImage on top of another scan: both stay open, and one may go back."""
    path = formats.metaimage(driver)
    second = driver.second
    before = len(second.viewer.layers)
    drop(second, second.widget.dock, path)
    second.wait_for(lambda: Path(second.widget.session.scan.source).name == path.name)
    second.idle()
    scans = second.widget.dock.scan.scans
    assert not before or scans.count() > 1
    second.picture("metaimage")


def dicom_series(driver: Driver) -> None:
    """A folder with two series: the dock asks which."""
    folder = formats.two_series(driver)
    second = cleared(driver)
    drop(second, second.widget.dock, folder)
    series = second.widget.dock.series
    second.wait_for(series.isVisible)
    assert series.box.count() == 2
    second.picture("which_series")
    series.box.setCurrentIndex(max(range(2), key=lambda place: _slices(series.box.itemText(place))))
    press(second, series.open)
    second.wait_for(lambda: second.widget.session.scan is not None)
    second.idle()
    assert len(second.widget.session.scan.hu) > formats.OTHERS
    second.picture("dicom_series")


def rtstruct(driver: Driver) -> None:
    """Contours for the series that is open: from masks where the scan came with some."""
    second = driver.second
    if second.widget.session.scan is None:
        dicom_series(driver)
    scan = second.widget.session.scan
    if formats.is_real(driver):
        drop(second, second.widget.dock, formats.SHARED / "dicom" / "ts_upper_abdomen_j2k_seg_v2.nii.gz")
        _wait_for_masks(second)
        second.picture("dicom_with_masks")
        masks = second.widget.session.masks
    else:
        masks = formats.opened(driver)[1]
    path = formats.structures(driver, scan, masks)
    drop(second, second.widget.dock, path)
    second.wait_for(lambda: second.widget.session.masks is not None and _source(second) == path.name)
    _wait_for_masks(second)
    assert set(second.widget.session.masks.names.values()) <= set(formats.DRAWN)
    second.ask("left kidney")
    second.picture("rtstruct")


def dicom_seg(driver: Driver) -> None:
    """Masks written as DICOM SEG from the menu, and such a file read."""
    second = driver.second
    series, seg = formats.series_with_seg(driver)
    if seg is None:
        if second.widget.session.masks is None:
            rtstruct(driver)
        seg = driver.files / "written_seg.dcm"
        seg.unlink(missing_ok=True)
        with heard() as told:
            name_file(second, partial(choose, second, second.widget.dock.scan.files, "Organ masks (DICOM SEG)"), seg)
            wait_to_hear(second, told, seg.name, "written")
    second = cleared(driver)
    drop(second, second.widget.dock, series)
    second.wait_for(lambda: second.widget.session.scan is not None)
    second.idle()
    drop(second, second.widget.dock, seg)
    _wait_for_masks(second)
    assert "liver" in second.widget.session.masks.names.values()
    second.picture("dicom_seg")


def cleared(driver: Driver) -> Driver:
    """The second window with all layers taken away, as by selecting all and Delete."""
    second = driver.second
    second.viewer.layers.select_all()
    second.viewer.layers.remove_selected()
    second.idle()
    second.wait_for(lambda: second.widget.session.scan is None)
    return second


def _wait_for_masks(window: Driver) -> None:
    session = window.widget.session
    window.wait_for(lambda: session.masks is not None and session.embedding is not None)
    window.idle()


def _slices(text: str) -> int:
    """How many slices the description of a series tells."""
    return int(text.split(" slices")[0].split()[-1])


def _source(window: Driver) -> str:
    masks = window.widget.session.masks
    return "" if masks is None else Path(masks.source).name
