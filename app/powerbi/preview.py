"""A drawing of the report's page: each visual at its place, from the same definition."""

from __future__ import annotations

from base64 import b64encode
from html import escape

from app.powerbi import theme
from app.powerbi.report import HEIGHT, PAGE_TITLE, WIDTH, Visual, visuals

_PAD, _TITLE = 12, 26  # pixels of the page
_BARS = (0.9, 0.82, 0.8, 0.7, 0.12)
_LINE = (0.7, 0.62, 0.75, 0.4, 0.38, 0.35, 0.5, 0.65, 0.72, 0.5, 0.45, 0.44)


def picture() -> str:
    """Return the page as an HTML image; it shows where things are, and no numbers."""
    paper = (
        f'<rect x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="10" '
        f'fill="{theme.BACKGROUND}" stroke="{theme.LINE}" stroke-width="2"/>'
    )
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="Segoe UI, sans-serif">{paper}{"".join(map(_drawn, visuals()))}</svg>'
    )
    return (
        f'<img alt="{escape(PAGE_TITLE)}: where each visual of the report stands" '
        f'style="width: 100%; display: block" '
        f'src="data:image/svg+xml;base64,{b64encode(drawn.encode()).decode()}">'
    )


def _drawn(visual: Visual) -> str:
    x, y, width, height = visual.place
    title = escape(visual.title)
    if visual.kind == "textbox":
        return _words(x + _PAD, y + 32, title, size=24, color=theme.BRAND, weight=700)
    box = (
        f'<rect x="{x + 1}" y="{y + 1}" width="{width - 2}" height="{height - 2}" rx="4" '
        f'fill="{theme.SURFACE}" stroke="{theme.LINE}"/>'
    )
    if visual.title_bar:
        box += (
            f'<rect x="{x + 1}" y="{y + 1}" width="{width - 2}" height="30" fill="{theme.BRAND}"/>'
        )
    color = theme.SURFACE if visual.title_bar else theme.TEXT
    words = _words(x + _PAD, y + 22, title, size=15, color=color, weight=600)
    inside = (x + _PAD, y + _TITLE + _PAD, width - 2 * _PAD, height - _TITLE - 2 * _PAD)
    return box + words + _MARKS.get(visual.kind, _nothing)(*inside)


def _words(x: float, y: float, words: str, *, size: int, color: str, weight: int = 400) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{color}" font-weight="{weight}">'
        f"{words}</text>"
    )


def _rectangle(x: float, y: float, width: float, height: float, color: str) -> str:
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" fill="{color}"/>'
    )


def _slicer(x: float, y: float, width: float, height: float) -> str:
    del height
    return _rectangle(x, y + 8, width, 18, theme.LINE)


def _card(x: float, y: float, width: float, height: float) -> str:
    return _rectangle(x, y + height * 0.3, width * 0.45, 28, theme.BRAND)


def _bars(x: float, y: float, width: float, height: float) -> str:
    step = height / len(_BARS)
    return "".join(
        _rectangle(x, y + place * step, width * size, step * 0.65, theme.BRAND)
        for place, size in enumerate(_BARS)
    )


def _columns(x: float, y: float, width: float, height: float) -> str:
    step = width / len(_BARS)
    return "".join(
        _rectangle(
            x + place * step, y + height * (1 - size), step * 0.65, height * size, theme.BRAND
        )
        for place, size in enumerate(_BARS)
    )


def _line(x: float, y: float, width: float, height: float) -> str:
    step = width / (len(_LINE) - 1)
    points = [(x + place * step, y + height * (1 - size)) for place, size in enumerate(_LINE)]
    marks = "".join(f'<circle cx="{a:.0f}" cy="{b:.0f}" r="5"/>' for a, b in points)
    path = " ".join(f"{a:.0f},{b:.0f}" for a, b in points)
    return (
        f'<g fill="{theme.BRAND}"><polyline points="{path}" fill="none" stroke="{theme.BRAND}" '
        f'stroke-width="3"/>{marks}</g>'
    )


def _ring(x: float, y: float, width: float, height: float) -> str:
    radius = height * 0.34
    round_ = 2 * 3.1416 * radius
    start, drawn = 0.0, ""
    for share, color in zip((0.28, 0.26, 0.24, 0.22), theme.DATA_COLORS, strict=False):
        drawn += (
            f'<circle cx="{x + width / 2:.0f}" cy="{y + height * 0.45:.0f}" r="{radius:.0f}" '
            f'fill="none" stroke="{color}" stroke-width="{radius * 0.5:.0f}" '
            f'stroke-dasharray="{round_ * share:.1f} {round_:.1f}" '
            f'stroke-dashoffset="{-round_ * start:.1f}"/>'
        )
        start += share
    return drawn


def _table(x: float, y: float, width: float, height: float) -> str:
    step = height / 6
    return "".join(
        _rectangle(x, y + place * step, width * 0.5, step * 0.5, theme.LINE)
        + _rectangle(x + width * 0.8, y + place * step, width * 0.2, step * 0.5, theme.LINE)
        for place in range(6)
    )


def _nothing(x: float, y: float, width: float, height: float) -> str:
    del x, y, width, height
    return ""


_MARKS = {
    "slicer": _slicer,
    "card": _card,
    "clusteredBarChart": _bars,
    "clusteredColumnChart": _columns,
    "lineChart": _line,
    "donutChart": _ring,
    "tableEx": _table,
}
