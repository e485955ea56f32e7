"""All steps of the tour in their order; what a step opens or asks, the next one finds as a user would."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import asking, citizen, drawing, files_in, files_out, looks, research, segmenting, steps
from .driver import Driver

Step = Callable[[Driver], None]

STEPS: tuple[Step, ...] = (
    # seeing
    steps.open_scan,
    steps.windows,
    steps.linked,
    asking.position,
    # asking
    steps.ask_and_locate,
    asking.typing,
    asking.suggestions,
    asking.answers,
    asking.names_apart,
    steps.evidence,
    steps.prompt_lab,
    asking.dictionary,
    steps.queries,
    steps.encoder_input,
    steps.organs,
    # masks painted and masks of others
    steps.painting,
    steps.their_labels,
    # research
    research.teach,
    asking.case_library,
    research.audit,
    research.follow_up,
    steps.body,
    steps.body_asked,
    # files that go out
    files_out.files_menu,
    files_out.results,
    files_out.organs_csv,
    files_out.session_saved,
    files_out.session_restored,
    # beside napari
    citizen.keys,
    citizen.napari_menus,
    citizen.preferences,
    citizen.layers_renamed,
    citizen.transposed,
    looks.small_screen,
    looks.light_theme,
    # files that come in, in a second window
    files_in.empty_window,
    files_in.dropped_on_the_dock,
    files_in.dropped_on_the_canvas,
    files_in.masks_after_the_scan,
    files_in.nrrd,
    files_in.metaimage,
    files_in.dicom_series,
    files_in.rtstruct,
    files_in.dicom_seg,
    segmenting.segmenter_missing,
    segmenting.segmenter_fails,
    segmenting.segmenter_cancelled,
    segmenting.segmented,
    drawing.drawn_by_hand,
    drawing.edited_by_hand,
    files_out.session_dropped,
    citizen.layers_deleted,
    citizen.closed_by_x,
    citizen.reopened,
)


def plan(only: Iterable[str] | None = None) -> dict[str, Step]:
    """Steps by name; with ``only`` these alone, after the scan was opened."""
    named = {step.__name__: step for step in STEPS}
    if only is None:
        return named
    wanted = {"open_scan", *only}
    if unknown := wanted - named.keys():
        raise SystemExit(f"No step {', '.join(sorted(unknown))}; there are {', '.join(named)}.")
    return {name: step for name, step in named.items() if name in wanted}
