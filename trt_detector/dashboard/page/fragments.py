# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Write the parts of the page as HTML; every text from a node is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
import math
import time

from ..record import HISTORY_S
from ..views import CameraView, LogLine, NodeView, Sample, Status
from .charts import draw_chart, Series

__all__ = [
    'write_banner',
    'write_camera',
    'write_diagnostics',
    'write_figures',
    'write_latency_chart',
    'write_log',
    'write_nothing',
    'write_rate_chart',
    'write_stages',
    'write_state',
    'write_subtitle',
]

_SHOWN_LINES = 80


def write_nothing(domain_id: int, name: str) -> str:
    """Write that there is no node, or not the selected one, and how to get one."""
    title = f'{name} is not there' if name else 'No detector node is running'
    return (
        f'<div class="card nothing"><h1>{escape(title)}</h1><p>This page watches ROS domain '
        f'{domain_id} and shows a node as soon as one appears. Start one:</p>'
        '<pre>ros2 launch trt_detector detector.launch.py model:=MODEL.onnx '
        'image_topic:=/camera/image_raw</pre>'
        '<p>If one is running: ROS_DOMAIN_ID, RMW_IMPLEMENTATION and '
        'ROS_AUTOMATIC_DISCOVERY_RANGE must be the same for both.</p></div>'
    )


def write_state(view: NodeView) -> str:
    """Write the lifecycle state, or that the node is dead."""
    if view.condition == 'dead':
        return _pill('error', 'not responding')
    if view.condition == 'waiting' or not view.state:
        return _pill('stale', 'waiting')
    status = view.status('detector')
    level = 'ok' if status is None else status.level
    if level == 'ok' and view.state != 'active':
        level = 'stale'
    return _pill(level, view.state)


def write_subtitle(view: NodeView) -> str:
    """Write model, backend and precision of a node."""
    status = view.status('detector')
    values = {} if status is None else status.values
    model = values.get('model', '').rpartition('/')[2]
    parts = [model, values.get('backend', ''), values.get('precision', '')]
    parts.append(values.get('input size', ''))
    return ''.join(f'<span>{escape(part)}</span>' for part in parts if part)


def write_banner(view: NodeView) -> str:
    """Write one sentence about a node that needs attention; '' if it is fine."""
    if view.condition == 'dead':
        return _banner(
            'error',
            f'{view.name} does not respond',
            f'Last heard {_show_seconds(view.silent_s)} ago. The values below are its last ones; '
            'this page continues when the node is back.',
        )
    status = view.status('detector')
    if view.condition == 'waiting' or status is None:
        text = 'The node is there and its first /diagnostics has not arrived yet.'
        return _banner('stale', 'Waiting', text)
    if status.text.startswith('building'):
        share = status.number('build percent') or 0.0
        bar = (
            f'<div class="progress"><i style="width:{max(0.0, min(share, 100.0)):.0f}%"></i></div>'
        )
        return _banner('stale', 'Preparing the model', status.text, bar)
    if status.level in ('warn', 'error'):
        title = 'The node does not detect' if status.level == 'error' else 'Warning'
        return _banner(status.level, title, status.text)
    return ''


def write_figures(view: NodeView) -> str:
    """Write the most important figures."""
    rate = sum(camera.published_hz for camera in view.cameras)
    received = sum(camera.received_hz for camera in view.cameras)
    dropped = sum(camera.dropped_share * camera.received_hz for camera in view.cameras)
    last = view.samples[-1] if view.samples else None
    p50 = None if last is None else last.p50_ms
    p99 = None if last is None else last.p99_ms
    tiles = [
        _tile('Images', _show(rate, 1), 'per s', f'{received:.1f} per s received'),
        _tile(
            'Dropped',
            _show(100 * dropped / received if received else 0.0, 0),
            '%',
            f'{sum(camera.lost for camera in view.cameras)} lost in transit',
        ),
        _tile('Latency', _show(p50, 1), 'ms', f'p99 {_show(p99, 1)} ms'),
        *_device_tiles(view.status('device'), view.status('detector')),
    ]
    return ''.join(tiles)


def _device_tiles(device: Status | None, detector: Status | None) -> list[str]:
    """Write temperature and memory of the GPU, or the name of the device without one."""
    if device is None:
        name = '' if detector is None else detector.values.get('device', '')
        if not name:
            return [_tile('Device', '-', '', 'known after configure')]
        return [_tile('Device', escape(name), '', 'no GPU in use')]
    load, power = device.number('GPU load %'), device.number('power W')
    used, total = device.number('memory used MiB'), device.number('memory total MiB')
    heat = f'{_show(load, 0)} % load' + ('' if power is None else f', {power:.0f} W')
    memory = '-' if used is None else f'{used / 1024:.1f}'
    of = '' if total is None else f'of {total / 1024:.1f} GiB'
    return [
        _tile('Temperature', _show(device.number('temperature C'), 0), '°C', heat),
        _tile('Memory', memory, 'GiB', of),
    ]


def write_camera(camera: CameraView) -> str:
    """Write the caption of a picture."""
    note = ''
    if camera.level in ('warn', 'error') or camera.dropped_share > 0.1:
        note = f'<p class="note {escape(camera.level)}">{escape(camera.text)}</p>'
    return (
        f'<div class="row">{_dot(camera.level)}<span class="topic">{_name(camera.topic)}</span>'
        f'<span class="rate"><b>{camera.published_hz:.1f}</b> per s</span></div>{note}'
    )


def write_latency_chart(view: NodeView, now_s: float) -> str:
    """Draw the latency over time."""
    samples = view.samples
    series = [
        Series('p50', [sample.p50_ms for sample in samples]),
        Series('p99', [sample.p99_ms for sample in samples]),
    ]
    return _draw(samples, series, now_s, 'ms')


def write_rate_chart(view: NodeView, now_s: float) -> str:
    """Draw the rates over time."""
    samples = view.samples
    series = [
        Series('published', [sample.published_hz for sample in samples]),
        Series('received', [sample.received_hz for sample in samples]),
        Series('dropped', [sample.dropped_hz for sample in samples]),
    ]
    return _draw(samples, series, now_s, 'images per s')


def _draw(samples: Sequence[Sample], series: Sequence[Series], now_s: float, unit: str) -> str:
    """Draw a chart of one minute, and of more as soon as more is known."""
    times_s = [sample.at_s for sample in samples]
    known_s = now_s - times_s[0] if times_s else 0.0
    span_s = 60.0 * min(max(1, math.ceil(known_s / 60.0)), round(HISTORY_S / 60.0))
    return draw_chart(times_s, series, now_s=now_s, span_s=span_s, unit=unit)


def write_stages(view: NodeView) -> str:
    """Draw one bar per stage: median, and a mark at the 99th percentile."""
    if not view.stages:
        return _empty('No stage times yet: they are measured while the node is active.')
    limit = max(max(stage.p99_ms for stage in view.stages), 1e-3)
    rows = ''.join(
        f'<div class="stage"><span class="name">{escape(stage.name)}</span>'
        f'<span class="track"><i style="width:{100 * stage.p50_ms / limit:.1f}%"></i>'
        f'<u style="left:{100 * stage.p99_ms / limit:.1f}%"></u></span>'
        f'<span class="value"><b>{stage.p50_ms:.1f}</b></span>'
        f'<span class="value far">{stage.p99_ms:.1f}</span></div>'
        for stage in view.stages
    )
    head = (
        '<div class="stage head"><span></span><span></span><span class="value">p50 ms</span>'
        '<span class="value far">p99 ms</span></div>'
    )
    return head + rows


def write_diagnostics(view: NodeView) -> str:
    """Write every status with its values."""
    if not view.statuses:
        return _empty('Nothing has arrived on /diagnostics yet.')
    return ''.join(_write_status(status) for status in view.statuses)


def _write_status(status: Status) -> str:
    """Write one status, which opens to show its values."""
    rows = ''.join(
        f'<dt>{escape(key)}</dt><dd>{escape(value)}</dd>' for key, value in status.values.items()
    )
    return (
        f'<details data-key="{escape(status.part)}"><summary>{_dot(status.level)}'
        f'<span class="part">{_name(status.part)}</span>'
        f'<span class="text">{escape(status.text)}</span></summary><dl>{rows}</dl></details>'
    )


def write_log(lines: Sequence[LogLine]) -> str:
    """Write the last lines of the log, the newest first."""
    if not lines:
        return _empty('No lines yet.')
    rows = []
    for line in reversed(lines[-_SHOWN_LINES:]):
        clock = time.strftime('%H:%M:%S', time.localtime(line.stamp_s))
        rows.append(
            f'<div class="line {escape(line.level)}"><time>{clock}</time>'
            f'<span class="level">{escape(line.level)}</span>'
            f'<span class="text">{escape(line.text)}</span></div>'
        )
    return ''.join(rows)


def _name(name: str) -> str:
    """Write a name that breaks after a slash, if it is too long for a line."""
    return escape(name).replace('/', '/<wbr>')


def _pill(level: str, text: str) -> str:
    """Write a state."""
    return f'<span class="pill {escape(level)}">{_dot(level)}{escape(text)}</span>'


def _dot(level: str) -> str:
    """Draw the mark of a level."""
    return f'<i class="dot {escape(level)}" title="{escape(level)}"></i>'


def _banner(level: str, title: str, text: str, more: str = '') -> str:
    """Write a banner; the last argument is HTML."""
    return (
        f'<div class="banner {level}" role="status">{_dot(level)}<div><b>{escape(title)}</b>'
        f'<p>{escape(text)}</p>{more}</div></div>'
    )


def _tile(label: str, value: str, unit: str, detail: str) -> str:
    """Write one figure."""
    # A name is no number: it gets the size of a text.
    kind = 'value' if len(value) <= 8 else 'value name'
    return (
        f'<div class="tile"><span class="label">{escape(label)}</span>'
        f'<span class="{kind}">{value}<small>{escape(unit)}</small></span>'
        f'<span class="detail">{escape(detail)}</span></div>'
    )


def _empty(text: str) -> str:
    """Write the text in the place of missing values."""
    return f'<p class="empty">{escape(text)}</p>'


def _show(value: float | None, digits: int) -> str:
    """Format a number."""
    return '-' if value is None else f'{value:.{digits}f}'


def _show_seconds(seconds: float) -> str:
    """Format a duration."""
    return f'{seconds:.0f} s' if seconds < 120 else f'{seconds / 60:.0f} min'
