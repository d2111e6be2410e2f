# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Bar charts as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
import re

__all__ = ['COLORS', 'bar_chart', 'grouped_chart', 'stacked']

COLORS = ('#2563eb', '#ea580c', '#16a34a', '#9333ea', '#dc2626', '#0891b2')
_ROW = 30
_LABEL = 190
_BAR = 420


def bar_chart(title: str, labels: Sequence[str], values: Sequence[float], form: str) -> str:
    """
    Return horizontal bars from 0.

    :param form: format of a value, e.g. '{:.3f}'.
    """
    largest = max([*values, 1e-9])
    height = 40 + _ROW * len(values)
    parts = [_open(_LABEL + _BAR + 90, height, title)]
    for row, (label, value) in enumerate(zip(labels, values, strict=True)):
        top = 36 + _ROW * row
        length = max(0.0, value) / largest * _BAR
        color = COLORS[row % len(COLORS)]
        parts += [
            f'<text x="{_LABEL - 8}" y="{top + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LABEL}" y="{top}" width="{length:.1f}" height="20" fill="{color}"/>',
            f'<text x="{_LABEL + length + 6:.1f}" y="{top + 15}">{form.format(value)}</text>',
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
        f'viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" font-size="13">'
        f'<text x="8" y="20" font-size="15" font-weight="bold">{escape(title)}</text>'
    )
