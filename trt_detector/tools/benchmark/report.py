# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Results of the benchmark as tables and as an SVG plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...evaluation.svg import bar_chart, stacked

__all__ = ['as_svg', 'as_text']

_MEBI = 1 << 20


def as_text(report: dict[str, Any]) -> str:
    """
    Format the results: a line per combination and mode, the stages, and refused combinations.

    :param report: in the format of the JSON file.
    """
    ran = [row for row in report['rows'] if 'modes' in row]
    refused = [row for row in report['rows'] if 'refused' in row]
    parts = []
    if ran:
        parts += [_summary(ran), _stages(ran)]
    if refused:
        lines = [f'  {_asked(row["asked"])}: {row["refused"]}' for row in refused]
        parts.append('\n'.join(['Not run:', *lines]))
    return '\n\n'.join(parts)


def as_svg(report: dict[str, Any]) -> str:
    """
    Plot latency, throughput, memory and engine size.

    :param report: in the format of the JSON file.
    """
    ran = [row for row in report['rows'] if 'modes' in row]
    labels, latency, rate = [], [], []
    for row in ran:
        for name, mode in row['modes'].items():
            short = '' if name == 'detector' else f', {name.removeprefix("detector, ")}'
            labels.append(_label(row, short))
            latency.append(mode['ms_per_image'])
            rate.append(mode['images_per_s'])
    charts = [
        bar_chart(
            'Time per image in ms (precision, batch size, workspace)', labels, latency, '{:.2f}'
        ),
        bar_chart('Images per second', labels, rate, '{:.1f}'),
    ]
    sizes: list[tuple[str, Callable[[dict[str, Any]], int | None]]] = [
        ('Growth of resident memory in MiB', lambda row: row['memory']['resident_bytes']),
        ('Growth of GPU memory in MiB', lambda row: row['memory']['gpu_bytes']),
        ('Engine size in MiB', lambda row: row['engine_bytes']),
    ]
    for title, get in sizes:
        known = [(_label(row), value / _MEBI) for row in ran if (value := get(row)) is not None]
        if known:
            names, values = zip(*known, strict=True)
            charts.append(bar_chart(title, names, values, '{:.1f}'))
    return stacked(charts) + '\n'


def _summary(rows: Sequence[dict[str, Any]]) -> str:
    """Format a line per combination and mode."""
    head = [
        'backend', 'precision', 'batch', 'workspace', 'mode', 'ms/image', 'p50 ms', 'p95 ms',
        'p99 ms', 'images/s', 'memory MiB', 'GPU MiB', 'engine MiB',
    ]  # fmt: skip
    lines = []
    for row in rows:
        asked, ran, memory = row['asked'], row['ran'], row['memory']
        for name, mode in row['modes'].items():
            batch = mode['latency_ms']
            lines.append([
                ran['backend'], ran['precision'], str(asked['batch_size']),
                f'{asked["workspace_fraction"]:g}', name, f'{mode["ms_per_image"]:.2f}',
                *(f'{batch[key]:.2f}' for key in ('p50', 'p95', 'p99')),
                f'{mode["images_per_s"]:.1f}', _mebi(memory['resident_bytes']),
                _mebi(memory['gpu_bytes']), _mebi(row['engine_bytes']),
            ])  # fmt: skip
    note = (
        'p50 to p99 are times of a whole batch. Memory is the growth of the process, including '
        'the libraries of the runtime.'
    )
    return f'{_table(head, lines)}\n{note}'


def _stages(rows: Sequence[dict[str, Any]]) -> str:
    """Format a line per stage."""
    head = ['precision', 'batch', 'mode', 'stage', 'clock', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms']
    lines = [
        [
            row['ran']['precision'], str(row['asked']['batch_size']), name, stage['stage'],
            stage['clock'], *(f'{stage[key]:.3f}' for key in ('p50', 'p95', 'p99', 'max')),
        ]
        for row in rows
        for name, mode in row['modes'].items()
        for stage in mode['stages']
    ]  # fmt: skip
    without = sorted({row['ran']['backend'] for row in rows if len(row['clocks']) == 1})
    note = f'\nNo CUDA events on {", ".join(without)}: host clock only.' if without else ''
    return f'{_table(head, lines)}{note}'


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return aligned columns."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    return '\n'.join(
        '  '.join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in [head, *lines]
    )


def _asked(asked: dict[str, Any]) -> str:
    """Format a combination."""
    return (
        f'{asked["precision"]}, batch {asked["batch_size"]}, '
        f'workspace {asked["workspace_fraction"]:g}'
    )


def _label(row: dict[str, Any], mode: str = '') -> str:
    """Return the name of a bar."""
    asked = row['asked']
    text = f'{row["ran"]["precision"]}, {asked["batch_size"]}, {asked["workspace_fraction"]:g}'
    return text + mode


def _mebi(size: int | None) -> str:
    """Return bytes in MiB."""
    return '-' if size is None else f'{size / _MEBI:.1f}'
