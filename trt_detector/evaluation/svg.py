# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Bar and line charts as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
import re

__all__ = ['COLORS', 'bar_chart', 'grouped_chart', 'line_chart', 'stacked']

COLORS = ('#2563eb', '#ea580c', '#16a34a', '#9333ea', '#dc2626', '#0891b2')
_ROW = 30
_LABEL = 190
_BAR = 420
_LETTER = 7.2
_PLOT_WH = (560, 240)


def bar_chart(title: str, labels: Sequence[str], values: Sequence[float], form: str) -> str:
    """
    Return horizontal bars from 0.

    :param form: format of a value, e.g. '{:.3f}'.
    """
    largest = max([*values, 1e-9])
    height = 40 + _ROW * len(values)
    left = max(_LABEL, round(_LETTER * max(map(len, labels), default=0)) + 16)
    parts = [_open(left + _BAR + 90, height, title)]
    for row, (label, value) in enumerate(zip(labels, values, strict=True)):
        top = 36 + _ROW * row
        length = max(0.0, value) / largest * _BAR
        color = COLORS[row % len(COLORS)]
        parts += [
            f'<text x="{left - 8}" y="{top + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{left}" y="{top}" width="{length:.1f}" height="20" fill="{color}"/>',
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
            f'<line x1="46" x2="{width - 10}" y1="{y}" y2="{y}" stroke="#ddd"/>',
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
    title: str, axis: str, names: Sequence[str], lines: Sequence[Sequence[tuple[float, float]]]
) -> str:
    """
    Return lines over a common axis, both axes from 0.

    :param axis: name of the horizontal axis.
    :param names: of the lines.
    :param lines: points (x, y) of each line, in order.
    """
    width, height = _PLOT_WH
    bounds = [max([*(p[way] for line in lines for p in line), 1e-9]) for way in (0, 1)]

    def place(x: float, y: float) -> tuple[float, float]:
        return 60 + width * x / bounds[0], 40 + height * (1 - y / bounds[1])

    parts = [_open(width + 90, height + 90 + 20 * len(names), title)]
    for quarter in range(5):
        x, y = bounds[0] * quarter / 4, bounds[1] * quarter / 4
        (at_x, bottom), (left, at_y) = place(x, 0.0), place(0.0, y)
        parts += [
            f'<path d="M{left},{at_y:.1f}h{width}" stroke="#ddd"/>',
            f'<text x="{left - 6}" y="{at_y + 4:.1f}" text-anchor="end">{y:.3g}</text>',
            f'<text x="{at_x:.1f}" y="{bottom + 16}" text-anchor="middle">{x:.3g}</text>',
        ]
    parts.append(f'<text x="60" y="{height + 76}">{escape(axis)}</text>')
    for number, line in enumerate(lines):
        color = COLORS[number % len(COLORS)]
        points = [place(*point) for point in line]
        path = ' '.join(f'{x:.1f},{y:.1f}' for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points]
        parts += _legend_entry(names[number], color, 60, height + 86 + 20 * number)
    return '\n'.join([*parts, '</svg>'])


def stacked(charts: Sequence[str]) -> str:
    """Return one drawing with charts of this module below each other."""
    parts, top, width = [], 0.0, 0.0
    for chart in charts:
        size = re.match(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"', chart)
        if size is None:
            raise ValueError(f'{chart[:60]!r} is not a chart of this module')
        parts.append(chart.replace('<svg ', f'<svg y="{top:g}" ', 1))
        width, top = max(width, float(size[1])), top + float(size[2])
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{top:g}">'
    return '\n'.join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, '</svg>'])


def _legend(names: Sequence[str], height: int) -> list[str]:
    """Return a colored square and a name for each kind of bar."""
    parts, x = [], 56.0
    for number, name in enumerate(names):
        parts += _legend_entry(name, COLORS[number % len(COLORS)], x, height - 22)
        x += 40 + 7.5 * len(name)
    return parts


def _legend_entry(name: str, color: str, x: float, y: float) -> list[str]:
    """Return a colored square and a name."""
    return [
        f'<rect x="{x}" y="{y}" width="12" height="12" fill="{color}"/>',
        f'<text x="{x + 17}" y="{y + 10}">{escape(name)}</text>',
    ]


def _open(width: float, height: float, title: str) -> str:
    """Return the start of a drawing with its title."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" font-size="13">'
        f'<text x="8" y="20" font-size="15" font-weight="bold">{escape(title)}</text>'
    )
