# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a measurement, from what cameras sent and when the detections arrived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
import json
from pathlib import Path
from typing import Any

import numpy as np

from .child_process import BenchmarkError, Memory
from .listener import Arrival

__all__ = [
    'count_images', 'DROPPED_SHARE', 'is_overloaded', 'percentiles', 'reaches_rate', 'SentImages',
    'summarize_bare', 'summarize_rounds', 'summarize_window', 'Window',
]  # fmt: skip

DROPPED_SHARE = 0.01
"""Share of dropped images above which a node is overloaded."""

# A camera that sends a smaller share of its images has reached its own limit.
_SENT_SHARE = 0.95

_RANKS = (50, 90, 99)
_IDENTITY = ('size', 'rate_hz', 'cameras', 'node')
_SUMS = ('seconds', 'sent', 'answered', 'dropped')
_MEDIANS = (
    'images_per_s', 'cpu_ms_per_image', 'user_ms_per_image', 'system_ms_per_image', 'cores',
    'other_cores', 'rss_mib', 'peak_rss_mib', 'pss_mib',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """
    Readings at begin and end of a measurement.

    :param begin_ns: time of the first reading.
    :param end_ns: time of the second one.
    :param user_s: CPU time of the contender in user mode.
    :param system_s: CPU time of the contender in the kernel.
    :param other_s: CPU time of what else runs on the machine, cameras and this process apart.
    :param memory: of the contender.
    """

    begin_ns: int
    end_ns: int
    user_s: float
    system_s: float
    other_s: float
    memory: Memory


@dataclass(frozen=True, slots=True)
class SentImages:
    """
    Images that a camera has sent.

    :param publish_ms: duration of publishing by stamp in ns.
    """

    publish_ms: Mapping[int, float]

    def between(self, begin_ns: int, end_ns: int) -> list[int]:
        """List the stamps of a time."""
        return [stamp_ns for stamp_ns in self.publish_ms if begin_ns <= stamp_ns < end_ns]


def count_images(log: Path) -> SentImages:
    """Read the log of a camera; it may be writing the last line."""
    lines = log.read_text(encoding='utf-8').split('\n')[:-1] if log.is_file() else []
    entries = [json.loads(line) for line in lines]
    return SentImages({entry['stamp_ns']: entry['publish_ms'] for entry in entries})


def percentiles(values: Sequence[float]) -> dict[str, float] | None:
    """Return percentiles and maximum, None without values."""
    if not values:
        return None
    ranks = np.percentile(values, _RANKS).tolist()
    result = {f'p{rank}': value for rank, value in zip(_RANKS, ranks, strict=True)}
    return {key: round(value, 3) for key, value in (result | {'max': max(values)}).items()}


def summarize_window(
    window: Window,
    cameras: Sequence[SentImages],
    arrivals: Sequence[Mapping[int, Arrival]],
    repeated: Sequence[int],
) -> dict[str, Any]:
    """
    Return the figures of a node.

    :param window: readings of its processes.
    :param cameras: what each camera sent.
    :param arrivals: time of arrival in ns and number of detections by stamp, per camera.
    :param repeated: stamps of messages whose stamp had arrived before.
    :raises BenchmarkError: if messages arrive, but none with the stamp of an image.
    """
    matched = _match(window, cameras, arrivals)
    received = [len(inside) for inside in matched.in_time]
    arrived = {stamp: at_ns for found in arrivals for stamp, (at_ns, _) in found.items()}
    if arrived and not matched.every_stamp & arrived.keys():
        raise BenchmarkError(
            f'{len(arrived)} messages arrived, none with the stamp of an image: the node must '
            'copy the header of the image'
        )
    others_ns = [at_ns for stamp, at_ns in arrived.items() if stamp not in matched.every_stamp]
    latency_ms = [(at_ns - stamp_ns) / 1e6 for stamp_ns, (at_ns, _) in matched.answered]
    detections = [count for _, (_, count) in matched.answered]
    age_ms = [age for arrived in matched.all_arrivals for age in _list_ages_ms(arrived, window)]
    return {
        'sent': matched.sent,
        'answered': len(matched.answered),
        'dropped': matched.sent - len(matched.answered),
        'repeated': _count_inside(window, repeated),
        'unmatched': _count_inside(window, others_ns),
        'latency_ms': percentiles(latency_ms),
        'age_ms': percentiles(age_ms),
        'slowest_camera_per_s': round(min(received) / _duration_s(window), 3),
        'detections_per_image': round(float(np.mean(detections)), 3) if detections else None,
        **_costs(window, sum(received)),
        'cameras_sent': _describe_cameras(window, cameras),
        'raw': {
            'latency_ms': [round(value, 2) for value in latency_ms],
            'age_ms': [round(value, 2) for value in age_ms],
        },
    }


@dataclass(frozen=True, slots=True)
class _Matched:
    """
    Images and their detections.

    :param sent: number of images of the measurement.
    :param answered: stamp and arrival of those with detections.
    :param all_arrivals: sorted (time of arrival, stamp), per camera.
    :param in_time: those of them that arrived in the measurement.
    :param every_stamp: of all images, also before and after the measurement.
    """

    sent: int
    answered: list[tuple[int, Arrival]]
    all_arrivals: list[list[tuple[int, int]]]
    in_time: list[list[tuple[int, int]]]
    every_stamp: set[int]


def _match(
    window: Window, cameras: Sequence[SentImages], arrivals: Sequence[Mapping[int, Arrival]]
) -> _Matched:
    """Match the arrivals with the images by their stamps."""
    sent = 0
    answered: list[tuple[int, Arrival]] = []
    all_arrivals, in_time = [], []
    for camera, found in zip(cameras, arrivals, strict=True):
        stamps = camera.between(window.begin_ns, window.end_ns)
        sent += len(stamps)
        answered += [(stamp, found[stamp]) for stamp in stamps if stamp in found]
        times = sorted((found[stamp][0], stamp) for stamp in camera.publish_ms if stamp in found)
        all_arrivals.append(times)
        in_time.append([pair for pair in times if window.begin_ns <= pair[0] < window.end_ns])
    every_stamp = {stamp for camera in cameras for stamp in camera.publish_ms}
    return _Matched(sent, answered, all_arrivals, in_time, every_stamp)


def _count_inside(window: Window, times_ns: Sequence[int]) -> int:
    """Count the times in a measurement."""
    return sum(window.begin_ns <= time_ns < window.end_ns for time_ns in times_ns)


def _list_ages_ms(arrivals: Sequence[tuple[int, int]], window: Window) -> Iterator[float]:
    """
    Yield the age of the newest detections just before newer ones arrive.

    It is that of the images that latencies are of, so that none is below its latency.

    :param arrivals: sorted (time of arrival, stamp).
    """
    newest_ns = 0
    for at_ns, stamp_ns in arrivals:
        if stamp_ns > newest_ns:
            if window.begin_ns <= newest_ns < window.end_ns:
                yield (at_ns - newest_ns) / 1e6
            newest_ns = stamp_ns


def summarize_bare(
    window: Window, cameras: Sequence[SentImages], report: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Return the figures of the bare network.

    :param report: as :mod:`.bare` writes it.
    """
    inside = [run for run in report['runs'] if window.begin_ns <= run[0] < window.end_ns]
    run_ms = [run[1] for run in inside]
    return {
        'batch_size': report['batch_size'],
        'run_ms': percentiles(run_ms),
        **_costs(window, round(sum(run[2] for run in inside), 3)),
        'cameras_sent': _describe_cameras(window, cameras),
        'ran': report['ran'],
        'raw': {'run_ms': [round(value, 2) for value in run_ms]},
    }


def summarize_rounds(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Return the rounds of each load and contender together.

    Percentiles are those of all images of all rounds, counts are sums, the rest are medians.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if 'failed' not in row:
            groups.setdefault(tuple(row[key] for key in _IDENTITY), []).append(row)
    return [
        dict(zip(_IDENTITY, identity, strict=True)) | _summarize_group(own)
        for identity, own in groups.items()
    ]


def _summarize_group(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rounds of one load and contender together."""
    entry: dict[str, Any] = {'rounds': len(rows)}
    entry |= {name: sum(row[name] for row in rows) for name in _SUMS if name in rows[0]}
    for name in ('latency_ms', 'age_ms', 'run_ms'):
        if name in rows[0]['raw']:
            entry[name] = percentiles([value for row in rows for value in row['raw'][name]])
    for name in _MEDIANS:
        known = [row[name] for row in rows if row[name] is not None]
        entry[name] = _median(known) if known else None
    return entry


def is_overloaded(row: Mapping[str, Any]) -> bool:
    """Tell whether a node dropped too many images."""
    return bool(row['dropped'] > DROPPED_SHARE * row['sent'])


def reaches_rate(row: Mapping[str, Any]) -> bool:
    """Tell whether the cameras sent as many images as they should."""
    expected = row['rate_hz'] * row['cameras'] * row['seconds']
    return bool(row['sent'] >= _SENT_SHARE * expected)


def _median(values: Sequence[float]) -> float:
    """Return the median, rounded."""
    return round(float(np.median(values)), 3)


def _duration_s(window: Window) -> float:
    """Return the duration of a measurement."""
    return (window.end_ns - window.begin_ns) / 1e9


def _costs(window: Window, images: float) -> dict[str, Any]:
    """Return rate, CPU time and memory."""
    seconds = _duration_s(window)

    def per_image(cpu_s: float) -> float | None:
        return round(1e3 * cpu_s / images, 3) if images else None

    cpu_s = window.user_s + window.system_s
    return {
        'seconds': round(seconds, 3),
        'images': images,
        'images_per_s': round(images / seconds, 3),
        'cpu_ms_per_image': per_image(cpu_s),
        'user_ms_per_image': per_image(window.user_s),
        'system_ms_per_image': per_image(window.system_s),
        'cores': round(cpu_s / seconds, 3),
        'other_cores': round(window.other_s / seconds, 3),
        **{key: round(value, 1) for key, value in asdict(window.memory).items()},
    }


def _describe_cameras(window: Window, cameras: Sequence[SentImages]) -> dict[str, Any]:
    """Return the rate that the cameras reached, and the duration of their calls of publish()."""
    stamps = [camera.between(window.begin_ns, window.end_ns) for camera in cameras]
    publish_ms = [
        camera.publish_ms[stamp]
        for camera, own in zip(cameras, stamps, strict=True)
        for stamp in own
    ]
    return {
        'images_per_s': round(sum(map(len, stamps)) / _duration_s(window), 3),
        'publish_ms': percentiles(publish_ms),
    }
