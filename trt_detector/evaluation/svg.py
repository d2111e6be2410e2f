# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Bar and line charts as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
import math
import re

__all__ = ['COLORS', 'bar_chart', 'grouped_chart', 'line_chart', 'stacked']

COLORS = ('#2563eb', '#ea580c', '#16a34a', '#9333ea', '#dc2626', '#0891b2')
_ROW = 30
_LABEL = 190
_BAR = 420
_LETTER = 7.2
_PLOT_WH = (560, 240)
_LEFT, _TOP = 60, 40
# Of lines, so that colors alone do not tell them apart.
_DASHES = ('none', '7 3', '2 3', '9 3 2 3')
# Text and grid are in the text color, and the paper is drawn: readable in light and dark mode, in
# a page of either and in viewers that know no style.
_STYLE = (
    '<style>svg{color:#1f2328}@media(prefers-color-scheme:dark)'
    '{svg{color:#e6edf3}.paper{fill:#161b22}}</style>'
)
_GRID = 'stroke="currentColor" stroke-opacity="0.18"'


def bar_chart(
    title: str, labels: Sequence[str], values: Sequence[float], form: str, *, color: str = ''
) -> str:
    """
    Return horizontal bars from 0.

    :param form: format of a value, e.g. '{:.3f}'.
    :param color: of all bars; by default each has its own.
    """
    largest = max([*values, 1e-9])
    height = 40 + _ROW * len(values)
    left = max(_LABEL, round(_LETTER * max(map(len, labels), default=0)) + 16)
    parts = [_open(left + _BAR + 90, height, title)]
    for row, (label, value) in enumerate(zip(labels, values, strict=True)):
        top = 36 + _ROW * row
        length = max(0.0, value) / largest * _BAR
        fill = color or COLORS[row % len(COLORS)]
        parts += [
            f'<text x="{left - 8}" y="{top + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{left}" y="{top}" width="{length:.1f}" height="20" fill="{fill}"/>',
            f'<text x="{left + length + 6:.1f}" y="{top + 15}">{form.format(value)}</text>',
        ]
    return '\n'.join([*parts, '</svg>'])


def grouped_chart(
    title: str, groups: Sequence[str], names: Sequence[str], values: Sequence[Sequence[float]]
) -> str:
    """
    Return a group of vertical bars per class.

    :param names: of the bars in each group.
    :param values: 0 to 1, one row per name, one value per group.
    """
    bar, gap, plot = 14, 22, 180
    step = bar * len(names) + gap
    # Class names are slanted, so a group need not be as wide as its name.
    width, height = max(360, 60 + step * len(groups) + 60), plot + 130
    parts = [_open(width, height, title)]
    for tenth in range(0, 11, 2):
        y = 40 + plot * (1 - tenth / 10)
        parts += [
            f'<line x1="46" x2="{width - 10}" y1="{y}" y2="{y}" {_GRID}/>',
            f'<text x="40" y="{y + 4}" text-anchor="end">{tenth / 10:.1f}</text>',
        ]
    for group, label in enumerate(groups):
        left = 56 + group * step
        for number, row in enumerate(values):
            share = min(max(row[group], 0.0), 1.0)
            parts.append(
                f'<rect x="{left + number * bar}" y="{40 + plot * (1 - share):.1f}" '
                f'width="{bar - 2}" height="{plot * share:.1f}" '
                f'fill="{COLORS[number % len(COLORS)]}"><title>{escape(names[number])}: '
                f'{row[group]:.4f}</title></rect>'
            )
        x, y = left + bar * len(names) / 2, 40 + plot + 14
        parts.append(
            f'<text x="{x}" y="{y}" text-anchor="end" transform="rotate(-35 {x} {y})">'
            f'{escape(label)}</text>'
        )
    return '\n'.join([*parts, *_legend(names, height), '</svg>'])


def line_chart(
    title: str,
    axis: str,
    names: Sequence[str],
    lines: Sequence[Sequence[tuple[float, float]]],
    *,
    values: str = '',
    logarithmic: bool = False,
) -> str:
    """
    Return lines over a common axis, both axes from 0.

    :param axis: name and unit of the horizontal axis.
    :param names: of the lines.
    :param lines: points (x, y) of each line, in order.
    :param values: name and unit of the vertical axis.
    :param logarithmic: both axes, from and to a power of ten; points at 0 or below are left out.
    """
    if logarithmic:
        lines = [[point for point in line if min(point) > 0] for line in lines]
    make_axis = _Logarithmic if logarithmic else _Linear
    across, up = (make_axis([point[way] for line in lines for point in line]) for way in (0, 1))
    width, height = _PLOT_WH
    parts = [_open(width + 90, height + 90 + 20 * len(names), title)]
    parts += _draw_axes(across, up, axis, values)
    for number, line in enumerate(lines):
        points = [
            (_LEFT + width * across.place(x), _TOP + height * (1 - up.place(y))) for x, y in line
        ]
        parts += _draw_line(points, number)
        parts += _legend_line(names[number], number, _LEFT, _TOP + height + 46 + 20 * number)
    return '\n'.join([*parts, '</svg>'])


def stacked(charts: Sequence[str], title: str = '', description: str = '') -> str:
    """
    Return one drawing with charts of this module below each other.

    :param title: of the drawing, for screen readers.
    :param description: what it shows, for screen readers.
    """
    parts, top, width = [], 0.0, 0.0
    for chart in charts:
        size = re.match(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"', chart)
        if size is None:
            raise ValueError(f'{chart[:60]!r} is not a chart of this module')
        parts.append(chart.replace('<svg ', f'<svg y="{top:g}" ', 1))
        width, top = max(width, float(size[1])), top + float(size[2])
    texts = [
        f'<{name}>{escape(text)}</{name}>'
        for name, text in (('title', title), ('desc', description))
        if text
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{top:g}" '
        f'viewBox="0 0 {width:g} {top:g}" role="img" fill="currentColor">'
    )
    paper = '<rect class="paper" width="100%" height="100%" fill="white"/>'
    return '\n'.join([head, *texts, _STYLE, paper, *parts, '</svg>'])


class _Linear:
    """
    Axis from 0.

    :param values: to be shown.
    """

    def __init__(self, values: Sequence[float]) -> None:
        least = max([*values, 1e-9]) / 4
        power = 10.0 ** math.floor(math.log10(least))
        step = min(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= least * 0.999999)
        self._end = 4 * step
        self.ticks = [number * step for number in range(5)]

    def place(self, value: float) -> float:
        """Return a share of the axis."""
        return value / self._end


class _Logarithmic:
    """
    Axis from and to a power of ten.

    :param values: to be shown, above 0.
    """

    def __init__(self, values: Sequence[float]) -> None:
        logarithms = [math.log10(value) for value in values] or [0.0]
        # Rounded first: the logarithm of 1000 may be a bit below 3.
        self._begin = math.floor(round(min(logarithms), 9))
        self._end = max(math.ceil(round(max(logarithms), 9)), self._begin + 1)
        self.ticks = [10.0**power for power in range(self._begin, self._end + 1)]

    def place(self, value: float) -> float:
        """Return a share of the axis."""
        return (math.log10(value) - self._begin) / (self._end - self._begin)


def _draw_axes(
    across: _Linear | _Logarithmic, up: _Linear | _Logarithmic, axis: str, values: str
) -> list[str]:
    """Return the grid, and the numbers and names of two axes."""
    width, height = _PLOT_WH
    right, bottom = _LEFT + width, _TOP + height
    parts = [f'<text x="{right}" y="{_TOP - 8}" text-anchor="end">{escape(values)}</text>']
    for tick in up.ticks:
        y = _TOP + height * (1 - up.place(tick))
        parts += [
            f'<path d="M{_LEFT},{y:.1f}h{width}" {_GRID}/>',
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.6g}</text>',
        ]
    for tick in across.ticks:
        x = _LEFT + width * across.place(tick)
        parts += [
            f'<path d="M{x:.1f},{bottom}v5" {_GRID}/>',
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:.6g}</text>',
        ]
    middle = _LEFT + width // 2
    parts.append(
        f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle">{escape(axis)}</text>'
    )
    return parts


def _draw_line(points: Sequence[tuple[float, float]], number: int) -> list[str]:
    """Return a line with its points."""
    color = COLORS[number % len(COLORS)]
    path = ' '.join(f'{x:.1f},{y:.1f}' for x, y in points)
    dash = _DASHES[number % len(_DASHES)]
    line = (
        f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2" '
        f'stroke-dasharray="{dash}"/>'
    )
    return [
        line,
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points),
    ]


def _legend_line(name: str, number: int, x: float, y: float) -> list[str]:
    """Return a piece of a line and its name."""
    color, dash = COLORS[number % len(COLORS)], _DASHES[number % len(_DASHES)]
    line = (
        f'<path d="M{x},{y + 6}h28" fill="none" stroke="{color}" stroke-width="2" '
        f'stroke-dasharray="{dash}"/>'
    )
    return [line, f'<text x="{x + 36}" y="{y + 10}">{escape(name)}</text>']


def _legend(names: Sequence[str], height: int) -> list[str]:
    """Return a colored square and a name for each kind of bar."""
    parts: list[str] = []
    x = 56.0
    for number, name in enumerate(names):
        color = COLORS[number % len(COLORS)]
        parts += [
            f'<rect x="{x}" y="{height - 22}" width="12" height="12" fill="{color}"/>',
            f'<text x="{x + 17}" y="{height - 12}">{escape(name)}</text>',
        ]
        x += 40 + 7.5 * len(name)
    return parts


def _open(width: float, height: float, title: str) -> str:
    """Return the start of a drawing with its title."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" font-size="13" '
        f'fill="currentColor">'
        f'<text x="8" y="20" font-size="15" font-weight="bold">{escape(title)}</text>'
    )
