# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the resources of the node against the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

__all__ = ['LIMITS', 'judge_resources', 'summarize']

# rclpy starts the four threads of an executor one by one, as they are needed at once.
LIMITS = {'rss_mib': 64.0, 'anon_mib': 24.0, 'threads': 3.0, 'fds': 2.0, 'cpu_percent': 15.0}
"""Permitted growth from the first reference period to the last."""


def summarize(samples: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """
    Summarize the samples of a reference period.

    :param samples: each with at_s, cpu_s and the others of LIMITS; two or more.
    :return: medians, and the CPU use in percent of one core.
    """
    first, last = samples[0], samples[-1]
    names = ('rss_mib', 'anon_mib', 'threads', 'fds')
    result = {name: median(each[name] for each in samples) for name in names}
    cpu = (last['cpu_s'] - first['cpu_s']) / (last['at_s'] - first['at_s'])
    return {**result, 'cpu_percent': round(100 * cpu, 1)}


def judge_resources(start: Mapping[str, float], end: Mapping[str, float]) -> list[str]:
    """
    Compare two reference periods with the same load.

    :param start: summary of the first one.
    :param end: summary of the last one.
    :return: a sentence for each resource above its limit.
    """
    return [
        f'{name} grew from {start[name]:g} to {end[name]:g}, the limit is {limit:g} more'
        for name, limit in LIMITS.items()
        if end[name] - start[name] > limit
    ]
