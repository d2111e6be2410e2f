# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a node as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...values.device_state import DeviceState
from ..session import DetectionSession
from .degradation import JUDGED_STAGES
from .diagnostics import NodeHealth

__all__ = ['MetricsCollector']

_PREFIX = 'trt_detector'
_STATES = ('unconfigured', 'inactive', 'active', 'finalized')
_COUNTS = {
    'received': 'Received images.',
    'published': 'Images whose detections were published, or withheld as there were none.',
    'dropped': 'Images replaced by a newer one before they were processed, or skipped.',
    'skipped': 'Dropped images that a pause, the maximum rate or a lack of listeners left out.',
    'malformed': 'Images that could not be read.',
    'failed': 'Images whose inference failed.',
}
# Field of DeviceState, name with the base unit, factor to that unit, description.
_DEVICE = (
    ('memory_used_bytes', 'memory_used_bytes', 1.0, 'Used GPU memory.'),
    ('memory_total_bytes', 'memory_total_bytes', 1.0, 'Total GPU memory.'),
    ('temperature_c', 'temperature_celsius', 1.0, 'Temperature of the GPU.'),
    ('gpu_percent', 'utilization_ratio', 0.01, 'Share of time in which a kernel ran.'),
    ('memory_percent', 'memory_utilization_ratio', 0.01, 'Share of time of memory accesses.'),
    ('clock_mhz', 'clock_hertz', 1e6, 'Clock of the multiprocessors.'),
    ('memory_clock_mhz', 'memory_clock_hertz', 1e6, 'Clock of the memory.'),
    ('power_w', 'power_watts', 1.0, 'Power draw.'),
    ('power_limit_w', 'power_limit_watts', 1.0, 'Maximum power draw.'),
)


class MetricsCollector:
    """
    Collector for a registry of prometheus_client; reads the figures when they are scraped.

    :param health: state of the node.
    :param node: full name of the node, the label of every metric.
    :param families: module prometheus_client.core.
    """

    def __init__(self, health: NodeHealth, node: str, families: Any) -> None:
        self._health = health
        self._node = node
        self._families = families

    def collect(self) -> Iterator[Any]:
        """Yield the metric families; called by the registry in the thread of a scrape."""
        session, state = self._health.session, self._health.state
        states = self._gauge('state', 'Lifecycle state of the node.', ['state'])
        for name in dict.fromkeys((*_STATES, state)):
            states.add_metric([self._node, name], float(name == state))
        yield states
        detector = None if session is None else session.detector
        if session is None or detector is None:
            return
        info = detector.info
        values = {
            'node': self._node,
            'model': session.config.model_path,
            'backend': info.backend,
            'precision': info.precision,
            'device': info.device,
            'version': info.version,
        }
        family = self._families.InfoMetricFamily(_PREFIX, 'Model and engine.', labels=[])
        family.add_metric([], values)
        yield family
        yield from self._collect_cameras(session)
        yield from self._collect_stages(session)
        device = session.device
        if device is not None:
            yield from self._collect_device(device.latest())

    def _collect_cameras(self, session: DetectionSession) -> Iterator[Any]:
        """Yield the counts and ages of each camera."""
        numbers = range(len(session.cameras))
        labels = [[self._node, camera.image] for camera in session.cameras]
        counts = [session.statistics.counts(number) for number in numbers]
        for name, meaning in _COUNTS.items():
            yield self._counter(
                f'images_{name}', meaning, labels, [getattr(each, name) for each in counts]
            )
        lost = [subscription.loss.lost for subscription in session.subscriptions]
        yield self._counter('images_lost', 'Images lost in transit.', labels, lost)
        invalid = [each.invalid for each in counts]
        yield self._counter('invalid_candidates', 'Non-finite candidates.', labels, invalid)
        ages = self._gauge(
            'image_age_seconds', 'Age of the newest images when published.', ['camera', 'quantile']
        )
        for number in numbers:
            percentiles = session.statistics.age_percentiles_ms(number)
            for quantile, value in zip(('0.5', '0.99'), percentiles or (), strict=False):
                ages.add_metric([*labels[number], quantile], value / 1e3)
        yield ages

    def _collect_stages(self, session: DetectionSession) -> Iterator[Any]:
        """Yield the stage times, their baselines, and which stages are slow."""
        times = self._gauge('stage_seconds', 'Times of the newest images.', ['stage', 'quantile'])
        for stage, percentiles in session.statistics.percentiles_ms().items():
            for quantile, value in zip(('0.5', '0.95', '0.99'), percentiles, strict=True):
                times.add_metric([self._node, stage, quantile], value / 1e3)
        yield times
        baselines_ms = session.degradation.baselines_ms()
        baselines = self._gauge('stage_baseline_seconds', 'Baselines (p95).', ['stage'])
        for stage, value in baselines_ms.items():
            baselines.add_metric([self._node, stage], value / 1e3)
        yield baselines
        slow = {each.stage for each in session.degradation.slow}
        degraded = self._gauge('stage_degraded', '1 if slower than the baseline.', ['stage'])
        for stage in JUDGED_STAGES if baselines_ms else ():
            degraded.add_metric([self._node, stage], float(stage in slow))
        yield degraded

    def _collect_device(self, state: DeviceState) -> Iterator[Any]:
        """Yield the known readings of the GPU."""
        for field, name, factor, meaning in _DEVICE:
            value = getattr(state, field)
            if value is not None:
                family = self._gauge(f'device_{name}', meaning, ['device'])
                family.add_metric([self._node, state.name or ''], value * factor)
                yield family

    def _gauge(self, name: str, meaning: str, labels: Sequence[str]) -> Any:
        """Create an empty gauge with the label node and further ones."""
        return self._families.GaugeMetricFamily(
            f'{_PREFIX}_{name}', meaning, labels=['node', *labels]
        )

    def _counter(
        self, name: str, meaning: str, labels: Sequence[list[str]], values: Sequence[int]
    ) -> Any:
        """Create a counter of every camera; its name gets the suffix _total."""
        family = self._families.CounterMetricFamily(
            f'{_PREFIX}_{name}', meaning, labels=['node', 'camera']
        )
        for camera, value in zip(labels, values, strict=True):
            family.add_metric(camera, value)
        return family
