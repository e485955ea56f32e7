"""How the parts of a report are laid out: on a page for browsers, or on paper by a simpler renderer."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from napari_ctvlp.ask.pictures import EDGES, WIDEST, Picture, Plane, data_uri, lettered

_PAGE_STYLE = """
body { font: 13px/1.4 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 64rem; margin: 1.5rem auto;
  padding: 0 1rem }
h1 { font-size: 1.7em; margin: 0 } h3 { font-size: 1.1em; margin: 0 0 .2em } p { margin: .2em 0 }
h2 { font-size: 1.3em; margin: .7em 0 .3em; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .1em .6em .1em 0; vertical-align: top }
th { font-weight: 600; border-bottom: 1px solid #ccc }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.quiet { color: #666 } .warning { font-weight: 600 } .notice { border: 1px solid #b26b00; padding: .2rem .6rem }
.bar { background: #e69f00; height: .7em; display: inline-block; vertical-align: middle }
.case { display: flex; gap: .6rem; margin: .4rem 0; break-inside: avoid } .case > div { flex: 1 1 auto }
.pair { display: grid; grid-template-columns: 3fr 2fr; gap: 0 2em }
figure { margin: 0; position: relative; flex: none; background: #000; color: #fff; display: grid;
  place-items: center; min-width: 52px; min-height: 52px }
figure img { display: block; width: auto; height: auto; max-width: 270px; max-height: 180px }
figure span { position: absolute; font-size: 11px; line-height: 1; text-shadow: 0 0 2px #000 }
.left { left: 3px; top: 47% } .right { right: 3px; top: 47% } .top { top: 3px; left: 48% }
.bottom { bottom: 3px; left: 48% }
@media (max-width: 50rem) { .case { flex-wrap: wrap } .pair { grid-template-columns: 1fr } }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 9px }
  figure img { max-width: 46.5mm; max-height: 31mm }
  @page { size: A4; margin: 10mm } details { display: none } }
"""

_PAPER_STYLE = """
body { font-family: sans-serif; font-size: 7pt; color: #1a1a1a }
h1 { font-size: 13pt; margin: 0 } h2 { font-size: 9.5pt; margin: 7px 0 2px 0 } h3 { font-size: 8pt; margin: 0 }
p { margin: 1px 0 } td, th { padding: 0 6px 0 0; vertical-align: top; text-align: left }
td.n, th.n { text-align: right }
.quiet { color: #666666 } .warning { font-weight: 600 } .bar { background-color: #e69f00 }
"""
PICTURE_HEIGHT = 110
"""At most on paper, in CSS pixels (29 mm): four questions with their pictures fit on one page of A4."""
BAR_STEPS = 12


class PageLayout:
    """For browsers: one column of text with pictures beside it, letters over the pictures, the organs folded away."""

    style = _PAGE_STYLE

    def figure(self, picture: Picture, plane: Plane, what: str) -> str:
        """A slice with the patient's directions at its edges."""
        letters = "".join(
            f'<span class="{where}">{letter}</span>'
            for where, letter in zip(("left", "right", "top", "bottom"), EDGES[plane], strict=True)
        )
        height, width = picture.shape[:2]
        return (
            f'<figure><img width="{width}" height="{height}" alt="{escape(what)}" src="{data_uri(picture)}">'
            f"{letters}</figure>"
        )

    def case(self, words: str, figures: Sequence[str]) -> str:
        """Words with their pictures beside them."""
        return f'<div class="case"><div>{words}</div>{"".join(figures)}</div>'

    def pair(self, left: str, right: str) -> str:
        """Two columns, the first the wider one."""
        return f'<div class="pair"><div>{left}</div><div>{right}</div></div>'

    def notice(self, words: str) -> str:
        """What must not be overlooked."""
        return f'<p class="notice">{words}</p>'

    def bar(self, share: float) -> str:
        """A bar of this share (0..1) of its longest."""
        return f'<span class="bar" style="width: {50 * max(0.0, min(1.0, share)):.0f}px"></span>'

    def folded(self, summary: str, content: str) -> str:
        """What is there on request, and not in print."""
        return f"<details><summary>{escape(summary)}</summary>{content}</details>"


class PaperLayout(PageLayout):
    """For renderers without grid, flex and positions, as Qt's text documents: tables, letters within the pictures."""

    style = _PAPER_STYLE

    def figure(self, picture: Picture, plane: Plane, what: str) -> str:
        """See `PageLayout`."""
        drawn = lettered(picture, plane)
        scale = min(PICTURE_HEIGHT / drawn.shape[0], WIDEST * PICTURE_HEIGHT / drawn.shape[1])
        height, width = (max(1, round(scale * length)) for length in drawn.shape[:2])
        image = f'<img width="{width}" height="{height}" alt="{escape(what)}" src="{data_uri(drawn)}">'
        return f'<td width="{width + 8}" align="right">{image}</td>'

    def case(self, words: str, figures: Sequence[str]) -> str:
        """See `PageLayout`."""
        row = f"<tr><td>{words}</td>{''.join(figures)}</tr>"
        return f'<table width="100%" cellspacing="0" style="margin-bottom: 6px">{row}</table>'

    def pair(self, left: str, right: str) -> str:
        """See `PageLayout`."""
        return f'<table width="100%" cellspacing="0"><tr><td width="56%">{left}</td><td>{right}</td></tr></table>'

    def notice(self, words: str) -> str:
        """See `PageLayout`."""
        return f'<p style="background-color: #fdf1dd">{words}</p>'

    def bar(self, share: float) -> str:
        """See `PageLayout`."""
        return f'<span class="bar">{"&nbsp;" * round(BAR_STEPS * max(0.0, min(1.0, share)))}</span>'

    def folded(self, summary: str, content: str) -> str:
        """See `PageLayout`; only the summary is printed."""
        return f'<p class="quiet">{escape(summary)}</p>'
