"""How the scan is shown: the window of HU, and what is drawn beside it and over it."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_ctvlp._qt.wrapped_label import shortened
from napari_ctvlp.anatomy.windows import PRESETS

OWN_KEY = "Shift+0"
UNDO_KEY = "U"
VIEWS_KEY = "Q"
HIDE_KEY = "H"
MAP_KEY = "K"
BODY_KEY = "J"
MAXIMISE_KEY = "Shift+Q"
KEYS_KEYS = ("F1", "?")
VIEWS_TIP = (
    f"Coronal and sagittal beside the axial slice ({VIEWS_KEY}). Click in a view, or hold Shift and move: all go "
    f"there. Double-click, or {MAXIMISE_KEY}: one view alone, and back"
)


def preset_key(place: int) -> str:
    """Key of a preset, by its place in `PRESETS`."""
    return f"Shift+{place + 1}"


class ViewBar(QWidget):
    """Buttons for what is done to the view, each with its key.

    Signals
    -------
    window_chosen(object)
        A preset (`napari_ctvlp.anatomy.windows.Window`).
    own_window_requested(), undo_requested(), views_requested(), organs_requested(), map_requested(), body_requested(),
    keys_requested()
        A menu entry or button was used.
    maximise_requested(str)
        A view ("axial") is to have the window, or is to give it back.
    automatic_toggled(bool)
        Whether questions choose the window.
    """

    window_chosen = Signal(object)
    own_window_requested = Signal()
    automatic_toggled = Signal(bool)
    undo_requested = Signal()
    views_requested = Signal()
    organs_requested = Signal()
    map_requested = Signal()
    body_requested = Signal()
    keys_requested = Signal()
    maximise_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.window_button = _button("Window", "Window of HU; right drag in the image changes it")
        self.window_button.setAccessibleName("Window of HU")
        menu = QMenu(self.window_button)
        for place, window in enumerate(PRESETS):
            text = f"{window.name}   {window.width:g} / {window.level:g}\t{preset_key(place)}"
            menu.addAction(text, partial(self.window_chosen.emit, window))
        menu.addSeparator()
        menu.addAction(f"the scan's own\t{OWN_KEY}", self.own_window_requested.emit)
        self.automatic = menu.addAction("choose by the organ asked for")
        self.automatic.setCheckable(True)
        self.automatic.setChecked(True)
        self.automatic.toggled.connect(self.automatic_toggled)
        self.window_button.setMenu(menu)
        self.views_button = _button("Views", VIEWS_TIP)
        self.views_button.setCheckable(True)
        self.views_button.clicked.connect(self.views_requested)
        self.organs_button = _button("Overlay", f"Hide the colours of all organs, or show them again ({HIDE_KEY})")
        self.organs_button.clicked.connect(self.organs_requested)
        self.map_button = _button("Map", f"Where in the organs the answer lies ({MAP_KEY})")
        self.map_button.setCheckable(True)
        self.map_button.clicked.connect(self.map_requested)
        self.body_button = _button("3D", f"Organs as surfaces in 3D ({BODY_KEY})")
        self.body_button.setCheckable(True)
        self.body_button.clicked.connect(self.body_requested)
        self.undo_button = _button("Undo", "")
        self.undo_button.clicked.connect(self.undo_requested)
        self.more_button = _small("▾", f"One view alone ({MAXIMISE_KEY}: the one under the cursor); keys and mouse")
        self.more_button.setAccessibleName("More about the views")
        self.more_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        more = QMenu(self.more_button)
        self.maximise = [
            more.addAction(f"{name} alone, or all again", partial(self.maximise_requested.emit, name))
            for name in ("axial", "coronal", "sagittal")
        ]
        more.addSeparator()
        more.addAction(f"Keys and mouse\t{KEYS_KEYS[0]}", self.keys_requested.emit)
        self.more_button.setMenu(more)
        self.keys_button = _small("?", f"Keys and mouse: all of them in a list ({' or '.join(KEYS_KEYS)})")
        self.keys_button.setAccessibleName("Keys and mouse")
        self.keys_button.clicked.connect(self.keys_requested)
        top, bottom = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.window_button, 1)
        top.addWidget(self.undo_button)
        top.addWidget(self.keys_button)
        bottom.addWidget(self.views_button, 1)
        bottom.addWidget(self.more_button)
        for button in (self.body_button, self.organs_button, self.map_button):
            bottom.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addLayout(bottom)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.set_window_text("")
        self.set_views_shown(False)
        self.set_undo("")

    def set_window_text(self, text: str) -> None:
        """Show this window; empty where no scan is open."""
        self.window_button.setText(text or "Window")
        self.window_button.setEnabled(bool(text))

    def set_views_shown(self, shown: bool) -> None:
        """Whether the side views are shown."""
        self.views_button.setChecked(shown)
        for action in self.maximise:
            action.setEnabled(shown)

    def set_body_shown(self, shown: bool) -> None:
        """Whether the organs are shown in 3D."""
        self.body_button.setChecked(shown)

    def set_map(self, there: bool, wanted: bool, why_none: str = "") -> None:
        """Whether there is a map, whether it is wanted, and why there can be none."""
        self.map_button.setChecked(wanted)
        tip = "" if there else "; the present answer has none"
        tip = f". {why_none}" if why_none else tip
        self.map_button.setToolTip(f"Where in the organs the answer lies ({MAP_KEY}){tip}")

    def set_undo(self, name: str) -> None:
        """Name what would be taken back; empty where there is nothing."""
        self.undo_button.setEnabled(bool(name))
        self.undo_button.setToolTip(
            f"Take back: {shortened(name)} ({UNDO_KEY})" if name else f"Nothing to take back ({UNDO_KEY})"
        )


def _small(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setStyleSheet("QToolButton::menu-indicator { image: none }")  # the sign is in the text
    return button


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
