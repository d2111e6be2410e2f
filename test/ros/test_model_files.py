# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Model files that are damaged, missing or replaced, with the real factory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sensor_msgs.msg import Image as ImageMessage
from support.models import lamp_detector
from support.ros_graph import detector_node, image_message, values_of, wait_until
from trt_detector.factory import create_detector
from vision_msgs.msg import Detection2DArray


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    'missing': (lambda path: path.unlink(), 'No such file'),
    'a folder': (make_folder, 'is a folder'),
    '0 bytes': (lambda path: path.write_bytes(b''), '(0 bytes) holds no ONNX graph'),
    'truncated': (lambda path: path.write_bytes(path.read_bytes()[:-100]), 'lamp.onnx'),
    'a picture': (lambda path: path.write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(99)), 'lamp.onnx'),
    'a web page': (lambda path: path.write_bytes(b'<!DOCTYPE html><html>'), 'web page'),
    'PyTorch': (lambda path: path.write_bytes(b'PK\x03\x04' + bytes(99)), 'lamp.onnx'),
}


@pytest.mark.parametrize('damage', DAMAGE)
def test_damaged_model_is_refused_in_one_line_and_the_repaired_one_runs(
    damage: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    apply, reason = DAMAGE[damage]
    path = tmp_path / 'lamp.onnx'
    lamp_detector(path)
    apply(path)
    with detector_node(create_detector, model_path=str(path), backend='onnxruntime') as running:
        assert not running.configure()
        assert running.get_state() == 'unconfigured'
        error = values_of(running.status('detector'))['last error']
        assert reason in error
        assert str(path.name) in error
        if path.is_dir():
            path.rmdir()
        lamp_detector(path)
        assert running.configure()
        assert running.status('detector').level == b'\x00'
    logged = capfd.readouterr().err
    assert logged.count('cannot configure') == 1
    assert 'Traceback' not in logged


@pytest.mark.parametrize('damage', ['missing', '0 bytes', 'truncated'])
def test_model_that_is_damaged_while_the_node_is_active_runs_on(
    damage: str, tmp_path: Path
) -> None:
    path = tmp_path / 'lamp.onnx'
    lamp_detector(path)
    with detector_node(create_detector, model_path=str(path), backend='onnxruntime') as running:
        arrays = running.collect(Detection2DArray, '/detector/detections')
        camera = running.publisher(ImageMessage, '/image_raw')
        assert running.configure()
        assert running.activate()
        DAMAGE[damage][0](path)
        wait_until(camera.get_subscription_count, 'the subscription of the node')

        def is_answered() -> bool:
            camera.publish(image_message())
            return bool(arrays)

        wait_until(is_answered, 'detections')
        assert running.deactivate()
        assert running.activate()
        assert running.deactivate()
        assert running.cleanup()
        # Read again only now.
        assert not running.configure()
