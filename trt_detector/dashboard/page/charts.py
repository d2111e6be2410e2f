# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Draw line charts as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
import json
import math

__all__ = ['draw_chart', 'Series']

_WIDTH, _HEIGHT = 1000, 200


@dataclass(frozen=True, slots=True)
class Series:
    """
    One line of a chart.

    :param name: for the legend and the class of its line.
    :param values: one for each time; None leaves a gap.
    """

    name: str
    values: Sequence[float | None]


def draw_chart(
    times_s: Sequence[float], series: Sequence[Series], *, now_s: float, span_s: float, unit: str
) -> str:
    """
    Draw a chart of the last time, with its axes, as HTML.

    :param times_s: one for each value.
    :param now_s: time at the right edge.
    :param span_s: time from the left edge to the right one.
    :param unit: of the values, escaped by this function as the names are.
    """
    known = [value for line in series for value in line.values if value is not None]
    limit = _nice_limit(max(known, default=0.0))
    paths = ''.join(
        f'<path class="line line-{index}" d="{_make_path(times_s, line, now_s, span_s, limit)}"/>'
        for index, line in enumerate(series)
    )
    grid = ''.join(
        f'<line x1="0" x2="{_WIDTH}" y1="{y}" y2="{y}"/>'
        for y in (1, _HEIGHT / 2, _HEIGHT - 1)  # inside, so that no edge is cut
    )
    legend = ''.join(
        f'<span class="key"><i class="swatch swatch-{index}"></i>{escape(line.name)} '
        f'<b>{_show_last(line.values)}</b></span>'
        for index, line in enumerate(series)
    )
    data = {
        'x': [round(1 - (now_s - at_s) / span_s, 4) for at_s in times_s],
        'ago': [round(now_s - at_s) for at_s in times_s],
        'series': [
            {'name': line.name, 'y': [v if v is None else round(v, 2) for v in line.values]}
            for line in series
        ],
        'unit': unit,
    }
    return (
        f'<div class="legend">{legend}<span class="unit">{escape(unit)}</span></div>'
        f'<div class="plot" data-chart="{escape(json.dumps(data))}">'
        f'<span class="tick top">{limit:g}</span><span class="tick middle">{limit / 2:g}</span>'
        f'<span class="tick bottom">0</span><div class="area">'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f'<g class="grid">{grid}</g>{paths}</svg></div></div>'
        f'<div class="span"><span>{span_s / 60:g} min ago</span><span>now</span></div>'
    )


def _nice_limit(value: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten, for the end of an axis; 1 for zero."""
    if not value > 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(f'{next(step for step in (1, 2, 5, 10, 20) if step * power >= value) * power:g}')


def _make_path(
    times_s: Sequence[float], line: Series, now_s: float, span_s: float, limit: float
) -> str:
    """Create the path of one line."""
    parts = []
    is_drawing = False
    for at_s, value in zip(times_s, line.values, strict=True):
        if value is None:
            is_drawing = False
            continue
        x = _WIDTH * (1 - (now_s - at_s) / span_s)
        y = _HEIGHT * (1 - value / limit)
        parts.append(f'{"L" if is_drawing else "M"}{x:.1f} {y:.1f}')
        is_drawing = True
    return ''.join(parts)


def _show_last(values: Sequence[float | None]) -> str:
    """Format the last value."""
    value = values[-1] if values else None
    return '-' if value is None else f'{value:.1f}'
