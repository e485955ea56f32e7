"""Random actions of a user on the real window, and what must hold after each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from napari_ctvlp._qt.layer_lookup import masks_of, scan_of

from .monkey_files import FileHands


class Monkey(FileHands):
    """Does one random thing after the other, each as often as its weight says."""

    def __init__(self, *args):
        super().__init__(*args)
        self.done: list[str] = []
        self._actions: list[tuple[float, Callable[[], None]]] = [
            (14, self.ask),
            (6, self.type_a_question),
            (2, self.escape_from_the_line),
            (4, self.take_question_back),
            (30, self.press_a_key),
            (14, self.scroll),
            (8, self.click),
            (5, self.move_with_shift),
            (3, self.double_click),
            (5, self.drag_right),
            (10, self.paint),
            (4, self.take_stroke_back),
            (5, self.open_scan),
            (4, self.remove_a_layer),
            (5, self.choose_a_layer),
            (3, self.reorder_layers),
            (3, self.rename_a_layer),
            (4, self.hide_a_layer),
            (3, self.add_a_foreign_layer),
            (4, self.use_foreign_labels),
            (3, self.turn_the_view),
            (2, self.duplicate_a_layer),
            (10, self.use_the_organ_list),
            (5, self.use_the_findings),
            (2, self.toggle_names),
            (2, self.cancel),
            (1, self.change_theme),
            (1, self.load_encoder_anew),
            (8, self.press_a_button),
            (4, self.choose_from_a_menu),
            (3, self.choose_by_right_click),
            (6, self.choose_a_row),
            (2, self.sort_a_table),
            (2, self.choose_from_a_list),
            (3, self.move_a_slider),
            (3, self.type_into_a_line),
            (4, self.edit_prompts),
            (4, self.teach),
            (2, self.ask_another_encoder_too),
            (3, self.open_a_prior),
            (2, self.change_settings),
            (4, self.open_files),
            (2, self.drop_files),
            (1, self.open_with_napari),
            (4, self.export),
            (2, self.save_the_session),
            (2, self.restore_a_session),
            (0.7, self.close_dock),
            (4, self.handle_docks),
            (0.5, self.use_another_viewer),
        ]

    def act(self):
        weights = np.array([weight for weight, _ in self._actions])
        action = self._actions[self.rng.choice(len(weights), p=weights / weights.sum())][1]
        self._begin(action)
        action()

    def everything(self, times):
        """Does every kind of thing in turn, so often; what is done before goes on meanwhile."""
        for _ in range(times):
            for _weight, action in self._actions:
                self._begin(action)
                yield action()

    def _begin(self, action):
        self.done.append(action.__name__)
        self.note(f"{len(self.done)} {action.__name__}")


def painted_and_not_measured(widget, layer):
    """What is known of a layer that shows other masks than those that are open."""
    masks, painting = widget.session.masks, widget._painting
    others = [one.name for one in widget.layers._viewer.layers if np.shares_memory(one.data, layer.data)]
    return (
        f"painted, and not measured: {layer.name!r}, visible {layer.visible}, mode {layer.mode}, of {masks.scheme!r} "
        f"{masks.source!r}, {np.count_nonzero(layer.data != masks.labels)} voxels differ; watched "
        f"{painting._layer is layer}, unread {layer in painting._unread}, shares memory with {others}"
    )


def check(monkey):
    """What must hold at any moment: what is shown is about what is open now."""
    viewer, widget = monkey.viewer, monkey.widget
    session, dock = widget.session, widget.dock
    scans = [scan_of(layer) for layer in viewer.layers if scan_of(layer) is not None]
    assert session.scan is None or any(scan is session.scan for scan in scans)
    assert (session.scan is None) == (not scans)
    shown = [masks_of(layer) for layer in viewer.layers if masks_of(layer) is not None]
    assert session.masks is None or any(masks is session.masks for masks in shown)
    layer = widget.layers.masks_layer
    if layer is not None and not session.is_editing:
        assert np.array_equal(layer.data, session.masks.labels), painted_and_not_measured(widget, layer)
    organs = set() if session.masks is None else set(session.masks.names.values())
    if session.embedding is not None:
        assert not session.is_editing
        assert set(session.embedding.organs) == organs
    ranking = session.ranking
    if ranking is None:
        assert dock.ranking.model().rowCount() == 0
        assert session.located is None
    else:
        assert session.embedding is not None and not session.is_editing
        assert {match.organ for match in ranking.organs} <= organs
    if session.embedding is None:
        assert not session.scores
    if not session.scores:
        assert dock.findings._model.rowCount() == 0
    assert {score.organ for score in session.scores if score.probability is not None} <= organs | {"lung", "body"}
    assert [stat.organ for stat in dock.organs.model._rows] == (
        [] if session.masks is None else list(session.masks.statistics)
    )
    for opinion in widget.encoders.others.opinions:
        scored = {organ for (organ, _), score in opinion.scores.items() if score.probability is not None}
        assert scored <= organs | {"lung", "body"}
    prior = widget.follow_up.prior
    assert prior.exam is None or session.masks is not None
    for view in widget.views.views:
        assert all(layer in viewer.layers for layer in view.layers)
