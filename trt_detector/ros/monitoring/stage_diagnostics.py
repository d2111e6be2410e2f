# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the stage times for /diagnostics and the log."""

from __future__ import annotations

from rclpy.node import Node

from ..session import DetectionSession
from .cpu_load import CpuLoad
from .slowdown_cause import Conditions, explain_slowdown

__all__ = ['StageDiagnostics']


class StageDiagnostics:
    """
    Status of the timed stages of a session.

    :param node: logs.
    :param session: resources of the configured node.
    """

    def __init__(self, node: Node, session: DetectionSession) -> None:
        self._node = node
        self._session = session
        self._cpu = CpuLoad()
        self._before: Conditions | None = None
        self._counts = (0, 0)
        self._slow: set[str] = set()

    def make_status(self) -> tuple[str, str, dict[str, str]]:
        """Create level, sentence and values."""
        values = {
            f'{stage} ms p{rank}': f'{value:.2f}'
            for stage, percentiles in self._session.statistics.percentiles_ms().items()
            for rank, value in zip((50, 95, 99), percentiles, strict=True)
        }
        watch = self._session.degradation
        slow = watch.judge()
        if not watch.window_s:
            self._slow.clear()
            return 'ok', 'not compared with a baseline: degradation_window is 0', values
        conditions = self._read_conditions()
        baselines_ms = watch.baselines_ms()
        values |= {f'{stage} ms baseline': f'{ms:.2f}' for stage, ms in baselines_ms.items()}
        if not baselines_ms:
            return 'ok', 'no baseline yet', values
        if self._before is None:
            self._before = conditions
        text = ''
        if slow:
            worst = max(slow, key=lambda each: each.p95_ms - each.baseline_ms)
            text = (
                f'{worst.stage} takes {worst.p95_ms:.1f} ms (p95) instead of '
                f'{worst.baseline_ms:.1f} ms at the start; likely cause: '
                f'{explain_slowdown(worst.stage, conditions, self._before)}'
            )
        self._note([each.stage for each in slow], text)
        return ('warn', text, values) if text else ('ok', 'as fast as at the start', values)

    def _note(self, slow: list[str], text: str) -> None:
        """Log when stages become slow, and when they are fast again."""
        now = set(slow)
        if now - self._slow:
            self._node.get_logger().warning(text)
        elif self._slow and not now:
            self._node.get_logger().info('all stages are as fast as at the start again')
        self._slow = now

    def _read_conditions(self) -> Conditions:
        """Read the state of the GPU, the load of the CPU and the dropped images."""
        session = self._session
        counts = [session.statistics.counts(number) for number in range(len(session.cameras))]
        now = (
            sum(each.received for each in counts),
            sum(each.dropped - each.skipped for each in counts),
        )
        received, dropped = (new - old for new, old in zip(now, self._counts, strict=True))
        self._counts = now
        device = session.device
        state = None if device is None else device.latest()
        return Conditions(
            None if state is None or state.read_s is None else state,
            self._cpu.read(),
            dropped / received if received else 0.0,
        )
