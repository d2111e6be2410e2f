# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the track ids of a running node."""

from __future__ import annotations

from collections.abc import Sequence
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import Image as ImageMessage
from support.ros_graph import (
    detector_node,
    image_message,
    MODEL,
    next_domain,
    ROOT,
    RunningNode,
    StubFactory,
    wait_until,
)
from trt_detector.values.detections import Detections
from vision_msgs.msg import Detection2DArray

PROGRAM = """
import sys, rclpy
from rclpy.parameter import Parameter
from trt_detector.ros.node import DetectorNode
rclpy.init()
values = {'model_path': sys.argv[1], 'backend': 'onnxruntime', 'tracker': sys.argv[2]}
node = DetectorNode(parameter_overrides=[Parameter(n, value=v) for n, v in values.items()])
node.trigger_configure()
print('STATE', node.get_state_label(), 'scipy' in sys.modules)
node.destroy_node()
"""


def _program(tracker: str) -> list[str]:
    """Configure a node in a new process; return its state and whether SciPy was imported."""
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, str(MODEL), tracker],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, 'ROS_DOMAIN_ID': str(next_domain())},
    )
    return next(line for line in done.stdout.splitlines() if line.startswith('STATE')).split()[1:]


def test_off_imports_no_scipy() -> None:
    assert _program('none') == ['inactive', 'False']


class TestWithSciPy:
    @pytest.fixture(autouse=True)
    def _needs_scipy(self) -> None:
        pytest.importorskip('scipy', reason='SciPy is missing: pip install scipy')

    def test_on_imports_it(self) -> None:
        assert _program('bytetrack') == ['inactive', 'True']

    def test_ids_survive_dropped_images_and_are_new_after_a_pause(self) -> None:
        with detector_node(StubFactory(), tracker='bytetrack') as running:
            exchange = _Exchange(running)
            assert running.configure()
            assert running.activate()
            for stamp in (1.0, 1.1, 1.2, 1.9, 2.0):
                assert exchange(stamp) == ['1']
            assert exchange(3.5) == ['2']
            assert exchange(1.0) == ['3'], 'the stamps went back'
            assert running.set_parameter('track_buffer', 5.0).successful
            assert exchange(5.5) == ['3']
            assert running.deactivate()
            assert running.activate()
            assert exchange(5.6) == ['4']

    def test_without_a_tracker_ids_are_empty(self) -> None:
        with detector_node(StubFactory()) as running:
            exchange = _Exchange(running)
            assert running.configure()
            assert running.activate()
            assert exchange(1.0) == exchange(1.1) == ['']

    def test_the_detector_decodes_down_to_the_low_threshold_and_follows_it(self) -> None:
        factory = StubFactory()
        with detector_node(factory, tracker='bytetrack') as running:
            assert running.configure()
            detector = factory.made[0]
            assert detector.options.score_threshold == 0.1
            assert running.set_parameter('track_low_thresh', 0.2).successful
            assert detector.options.score_threshold == 0.2
            refused = running.set_parameter('track_low_thresh', 0.7)
            assert not refused.successful
            assert 'track_low_thresh is 0.7 and track_thresh is 0.5' in refused.reason
            assert not running.set_parameter('tracker', 'none').successful

    def test_tracks_see_what_regions_and_sizes_leave(self) -> None:
        factory = StubFactory()
        found: list[tuple[float, float, float, float, float]] = []

        def find(_image: Any) -> Detections:
            rows = np.array(found, np.float32).reshape(-1, 5)
            return Detections(rows[:, :4], rows[:, 4], np.zeros(len(rows), np.int32))

        left, right = (4, 10, 24, 30, 0.9), (40, 10, 60, 30, 0.95)
        faint, small = (4, 10, 24, 30, 0.2), (6, 12, 22, 28, 0.9)
        with detector_node(
            factory,
            tracker='bytetrack',
            regions=['exclude 0.5,0 1,0 1,1 0.5,1'],
            min_size=[18.0],
        ) as running:
            exchange = _Exchange(running)
            assert running.configure()
            factory.made[0]._find = find  # type: ignore[method-assign]
            assert running.activate()
            for number, (boxes, ids) in enumerate([
                ([right], []),
                ([right], []),
                # The excluded object has used no number.
                ([left, right], ['']),
                ([left, right], ['1']),
                # A score below the threshold continues a track within the regions only.
                ([faint], ['1']),
                ([small], []),
                # What is filtered for a while, for less than track_buffer, keeps its number.
                ([left], ['1']),
                ([(40, 10, 60, 30, 0.2)], []),
            ]):  # fmt: skip
                found[:] = boxes
                assert exchange(1 + number / 10) == ids, number
            # Regions change while the node is active; tracks go on.
            assert running.set_parameter('regions', ['include 0,0 1,0 1,1 0,1']).successful
            found[:] = [right, left]
            assert exchange(1.8) == ['', '1']
            assert exchange(1.9) == ['2', '1']

    def test_without_scipy_configure_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, 'scipy.optimize', None)
        with detector_node(StubFactory(), tracker='bytetrack') as running:
            assert not running.configure()
            status = running.status('detector')
            assert 'install python3-scipy, or set tracker to none' in status.message


class _Exchange:
    """Publishes images, and waits for the detections of each."""

    def __init__(self, running: RunningNode) -> None:
        self._found = running.collect(Detection2DArray, '/detector/detections')
        self._publisher = running.publisher(ImageMessage, '/image_raw')

    def __call__(self, stamp_s: float) -> Sequence[Any]:
        """Return the ids in an image."""
        wait_until(lambda: self._publisher.get_subscription_count() > 0, 'the subscription')
        seconds, rest = divmod(round(stamp_s * 1e9), 10**9)
        self._publisher.publish(image_message(stamp=(seconds, rest)))
        count = len(self._found)
        wait_until(lambda: len(self._found) > count, f'detections of {stamp_s}')
        return [detection.id for detection in self._found[-1].detections]
