# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that log records of the package reach the log of the node."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip('rclpy', reason='rclpy is missing: source ROS 2, or run scripts/test.sh')

from trt_detector.ros.log_bridge import forward_logging


class Recorder:
    """ROS logger that records the lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def info(self, text: str) -> None:
        self.lines.append(('info', text))

    def warning(self, text: str) -> None:
        self.lines.append(('warning', text))

    def error(self, text: str) -> None:
        self.lines.append(('error', text))


def test_each_level_goes_to_its_own_call() -> None:
    recorder = Recorder()
    package = logging.getLogger('trt_detector')
    before = (package.level, package.propagate)
    handler = forward_logging(recorder)
    try:
        log = logging.getLogger('trt_detector.plan.store')
        log.debug('too small')
        log.info('rebuilding %s: precision was fp32, is fp16', 'yolo')
        log.warning('one')
        log.error('two')
        log.critical('three')
    finally:
        package.removeHandler(handler)
        package.setLevel(before[0])
        package.propagate = before[1]
    assert recorder.lines == [
        ('info', 'rebuilding yolo: precision was fp32, is fp16'),
        ('warning', 'one'),
        ('error', 'two'),
        ('error', 'three'),
    ]
