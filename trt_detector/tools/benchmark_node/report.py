# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Results as a table and as an SVG plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any

from ...evaluation.svg import bar_chart, line_chart, stacked
from .figures import DROPPED_SHARE, is_overloaded, reaches_rate

__all__ = ['as_svg', 'as_text', 'find_saturation', 'LIMIT', 'share_of_limit']

LIMIT = 'bare model'
"""Name of the bare network back to back, the limit of throughput."""

_Row = Mapping[str, Any]
_HEAD = (
    'load', 'node', 'p50 ms', 'p90', 'p99', 'max', 'age p99 ms', 'answered / sent', 'images/s',
    'of limit', 'CPU ms/image', 'cores', 'RSS MiB', 'other load',
)  # fmt: skip
_NOTES = """\
p50 to max: time from the stamp of an image to the arrival of its detections; of the bare model,
the time of one run. age: age of the newest detections just before the next ones arrive. of limit:
images/s of the bare model back to back under the same load, if images were dropped. CPU: user and
system time of the processes of the node. other load: cores that other processes used meanwhile,
without the cameras and this program."""


def as_text(report: _Row) -> str:
    """
    Format the summary as an aligned table in Markdown.

    :param report: in the format of the JSON file.
    """
    summary, machine = report['summary'], report['machine']
    lines = [_make_cells(row, summary) for row in summary]
    widths = [max(map(len, column)) for column in zip(_HEAD, *lines, strict=True)]
    rule = ['-' * width for width in widths]
    table = [
        f'| {" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |'
        for line in (_HEAD, rule, *lines)
    ]
    what = (
        f'{report["settings"]["model"]}; {machine["cpu"]}, {machine["processors"]} processors, '
        f'{machine["gpu"] or "no GPU"}; load average {machine["load_average"]:.1f} at the start'
    )
    parts = [what, '', *table, '', _NOTES]
    if report['settings']['sweep']:
        parts += ['', *_describe_saturations(summary)]
    failed = [row for row in report['rows'] if 'failed' in row]
    parts += [f'not measured: {row["node"]} at {_load(row)}: {row["failed"]}' for row in failed]
    return '\n'.join(parts)


def as_svg(report: _Row) -> str:
    """
    Plot latency, throughput, CPU time and memory: over the rates if there are several.

    :param report: in the format of the JSON file.
    """
    summary = report['summary']
    charts = []
    for title, get in (
        ('Stamp to detections, p50 in ms', lambda row: _get(row, 'latency_ms', 'p50')),
        ('Stamp to detections, p99 in ms', lambda row: _get(row, 'latency_ms', 'p99')),
        ('Images per second, all cameras', lambda row: row['images_per_s']),
        ('CPU ms per image', lambda row: row['cpu_ms_per_image']),
        ('Resident memory in MiB', lambda row: row['rss_mib']),
    ):
        known = [(row, float(value)) for row in summary if (value := get(row)) is not None]
        if len({row['rate_hz'] for row, _ in known}) > 1:
            charts.append(_plot_over_rates(title, known))
        elif known:
            labels = [f'{row["node"]}, {_load(row)}' for row, _ in known]
            charts.append(bar_chart(title, labels, [value for _, value in known], '{:.1f}'))
    return stacked(charts) + '\n'


def _plot_over_rates(title: str, known: Sequence[tuple[_Row, float]]) -> str:
    """Return a line per node, size and number of cameras."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row, value in known:
        name = f'{row["node"]}, {_cameras(row)}'
        lines.setdefault(name, []).append((row['rate_hz'], value))
    axis = 'images per second and camera'
    return line_chart(title, axis, list(lines), [sorted(line) for line in lines.values()])


def share_of_limit(row: _Row, summary: Sequence[_Row]) -> float | None:
    """
    Return images per second as a share of those of the bare model under the same load.

    :return: None if that was not measured, or if the cameras are the limit: no image was dropped.
    """
    if not row.get('dropped'):
        return None
    limits = [
        other for other in summary if other['node'] == LIMIT and _key(other)[:2] == _key(row)[:2]
    ]
    # A sweep measures it at one rate.
    limits.sort(key=lambda other: _key(other) != _key(row))
    if not limits or not limits[0]['images_per_s']:
        return None
    return float(row['images_per_s'] / limits[0]['images_per_s'])


def find_saturation(rows: Sequence[_Row]) -> _Row | None:
    """
    Return the row with the highest rate below all rates with drops, None if there is none.

    :param rows: of the summary, of one node, size and number of cameras.
    """
    drops_hz = min((row['rate_hz'] for row in rows if is_overloaded(row)), default=math.inf)
    good = [row for row in rows if row['rate_hz'] < drops_hz and row['answered']]
    return max(good, key=lambda row: float(row['rate_hz']), default=None)


def _describe_saturations(summary: Sequence[_Row]) -> list[str]:
    """Return a line per node, size and number of cameras about the highest rate without drops."""
    groups: dict[str, list[_Row]] = {}
    for row in summary:
        if 'dropped' in row:
            groups.setdefault(f'{row["node"]}, {_cameras(row)}', []).append(row)
    return [f'{name}: {_describe_saturation(rows)}' for name, rows in groups.items()]


def _describe_saturation(rows: Sequence[_Row]) -> str:
    """Describe the highest rate without drops."""
    row = find_saturation(rows)
    if row is None and not any(map(is_overloaded, rows)):
        return 'no image was sent and answered in time; raise --rate or --seconds'
    if row is None:
        return 'images drop at the first rate already; begin with a lower --rate'
    rate_hz, reason = row['rate_hz'], ''
    if not reaches_rate(row):
        rate_hz = round(row['sent'] / row['seconds'] / row['cameras'], 1)
        reason = ', all that cameras sent'
    latency = row['latency_ms']
    return (
        f'up to {rate_hz:g} images/s per camera{reason}, with at most {DROPPED_SHARE:.0%} '
        f'dropped, there p50 {latency["p50"]:.1f} ms, p99 {latency["p99"]:.1f} ms'
    )


def _make_cells(row: _Row, summary: Sequence[_Row]) -> list[str]:
    """Return the cells of a line."""
    times = row.get('latency_ms') or row.get('run_ms') or {}
    share = share_of_limit(row, summary)
    return [
        _load(row),
        row['node'],
        *(_number(times.get(key), 1) for key in ('p50', 'p90', 'p99', 'max')),
        _number(_get(row, 'age_ms', 'p99'), 1),
        f'{row["answered"]} / {row["sent"]}' if 'sent' in row else '-',
        _number(row['images_per_s'], 1),
        '-' if share is None else f'{share:.2f}',
        _number(row['cpu_ms_per_image'], 1),
        _number(row['cores'], 2),
        _number(row['rss_mib'], 0),
        _number(row['other_cores'], 2),
    ]


def _load(row: _Row) -> str:
    """Return size, rate and number of the cameras."""
    return f'{_cameras(row)} {row["rate_hz"]:g} Hz'


def _cameras(row: _Row) -> str:
    """Return number and size of the cameras."""
    count = f'{row["cameras"]} x ' if row['cameras'] > 1 else ''
    return f'{count}{row["size"]}'


def _key(row: _Row) -> tuple[Any, ...]:
    """Return the values that identify a load."""
    return row['size'], row['cameras'], row['rate_hz']


def _get(row: _Row, key: str, part: str) -> float | None:
    """Return a part of a value, None without."""
    value = row.get(key)
    return None if value is None else value[part]


def _number(value: float | None, digits: int) -> str:
    """Format a number, '-' for none."""
    return '-' if value is None else f'{value:.{digits}f}'
