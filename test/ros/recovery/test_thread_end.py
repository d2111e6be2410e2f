# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that a node whose inference thread ended does not stay active without a word."""

from __future__ import annotations

from typing import Any

import pytest
from support.ros_graph import detector_node, wait_until
from trt_detector.ros.batch_processor import BatchProcessor
from vision_msgs.msg import Detection2DArray


@pytest.mark.parametrize('step', ['begin', 'end'])
def test_node_whose_inference_thread_ended_recovers(
    step: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr('trt_detector.ros.recovery.supervisor._PERIOD_S', 0.05)
    monkeypatch.setattr('trt_detector.ros.recovery.supervisor._FIRST_DELAY_S', 0.2)
    original = getattr(BatchProcessor, step)
    faults: list[str] = []

    def fail_once(*arguments: Any) -> Any:
        if not faults:
            faults.append(step)
            raise RuntimeError('a fault of the program')
        return original(*arguments)

    monkeypatch.setattr(BatchProcessor, step, fail_once)
    with detector_node(recover=True) as running:
        arrays = running.collect(Detection2DArray, '/detector/detections')
        assert running.configure()
        assert running.activate()
        with running.images():
            wait_until(lambda: arrays, 'detections after the recovery')
        assert faults == [step]
        assert running.get_state() == 'active'
    logged = capfd.readouterr().err
    reason = 'the inference thread ended: RuntimeError: a fault of the program'
    assert f'cannot detect: {reason}' in logged
    assert 'the node has recovered' in logged or 'configures itself again' in logged
