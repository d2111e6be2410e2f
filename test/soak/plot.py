# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Plot of a soak run as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ['draw_plot']

_LEFT, _WIDTH, _HEIGHT, _GAP = 70, 860, 150, 45
_ROWS = (
    ('rss_mib', 'RSS (MiB)'),
    ('anon_mib', 'RSS without files and shared memory (MiB)'),
    ('threads', 'Threads'),
    ('fds', 'File descriptors'),
)
_COLORS = (
    '#2563eb', '#ea580c', '#16a34a', '#9333ea', '#dc2626', '#0891b2', '#ca8a04', '#db2777',
    '#475569', '#65a30d',
)  # fmt: skip


def draw_plot(
    title: str, samples: Sequence[Mapping[str, float]], events: Sequence[Mapping[str, Any]]
) -> str:
    """
    Draw memory, threads and file descriptors over time, with a mark per event.

    :param samples: each with at_s, rss_mib, anon_mib, threads and fds.
    :param events: each with at_s and kind.
    """
    kinds = sorted({event['kind'] for event in events})
    colors = {kind: _COLORS[number % len(_COLORS)] for number, kind in enumerate(kinds)}
    end_s = max([sample['at_s'] for sample in samples] + [1.0])
    height = 40 + len(_ROWS) * (_HEIGHT + _GAP) + 22 * ((len(kinds) + 3) // 4) + 10
    total = _LEFT + _WIDTH + 20
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{height}" '
            f'viewBox="0 0 {total} {height}" role="img" font-family="sans-serif" font-size="12">'
        ),
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="8" y="20" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for row, (name, label) in enumerate(_ROWS):
        top = 45 + row * (_HEIGHT + _GAP)
        parts += _draw_row(top, label, [(each['at_s'], each[name]) for each in samples], end_s)
        for event in events:
            x = _LEFT + _WIDTH * event['at_s'] / end_s
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + _HEIGHT - 7}" y2="{top + _HEIGHT}" '
                f'stroke="{colors[event["kind"]]}"/>'
            )
    parts += _draw_legend(40 + len(_ROWS) * (_HEIGHT + _GAP), colors)
    return '\n'.join([*parts, '</svg>\n'])


def _draw_row(
    top: int, label: str, points: Sequence[tuple[float, float]], end_s: float
) -> list[str]:
    """Draw one quantity, from 0."""
    largest = 1.15 * max([value for _, value in points] + [1.0])
    parts = [f'<text x="{_LEFT}" y="{top - 5}" font-weight="bold">{label}</text>']
    for quarter in range(5):
        y = top + _HEIGHT * (1 - quarter / 4)
        parts += [
            f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}" stroke="#ddd"/>',
            (
                f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">'
                f'{largest * quarter / 4:.0f}</text>'
            ),
        ]
    for fifth in range(6):
        x = _LEFT + _WIDTH * fifth / 5
        parts.append(
            f'<text x="{x}" y="{top + _HEIGHT + 14}" text-anchor="middle">'
            f'{end_s * fifth / 5 / 60:.1f} min</text>'
        )
    line = ' '.join(
        f'{_LEFT + _WIDTH * at_s / end_s:.1f},{top + _HEIGHT * (1 - value / largest):.1f}'
        for at_s, value in points
    )
    return [*parts, f'<polyline points="{line}" fill="none" stroke="#111" stroke-width="1.3"/>']


def _draw_legend(top: int, colors: Mapping[str, str]) -> list[str]:
    """Draw the color of each kind of event."""
    parts = []
    for number, (kind, color) in enumerate(colors.items()):
        x, y = _LEFT + number % 4 * 215, top + number // 4 * 22
        parts += [
            f'<rect x="{x}" y="{y}" width="12" height="12" fill="{color}"/>',
            f'<text x="{x + 17}" y="{y + 11}">{escape(kind)}</text>',
        ]
    return parts
