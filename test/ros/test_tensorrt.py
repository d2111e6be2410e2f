# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The whole node on doubles of TensorRT: build, load, detect, free, and what diagnostics say."""

from __future__ import annotations

from pathlib import Path
import sys
import threading
from typing import Any

from doubles.api_records import PERSONALITIES
from doubles.machine import machine
from doubles.nvml_double import DISCRETE, make_nvml
import numpy as np
import pytest
from sensor_msgs.msg import Image as ImageMessage
from std_srvs.srv import Trigger
from support.ros_graph import detector_node, MODEL, PICTURES, RunningNode, values_of, wait_until
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from vision_msgs.msg import Detection2DArray

PICTURE = min(PICTURES.glob('*640x480*'))


def _message() -> ImageMessage:
    """Return a picture of the demonstration as a message."""
    picture = Image.from_file(PICTURE).to_bgr()
    height, width = picture.shape[:2]
    message = ImageMessage(
        height=height, width=width, encoding='bgr8', step=width * 3, data=picture.tobytes()
    )
    message.header.stamp.sec, message.header.frame_id = 7, 'lens'
    return message


def _expected() -> tuple[list[str], np.ndarray]:
    """Return class names and boxes that ONNX Runtime finds in the picture."""
    with create_detector(DetectorConfig(model_path=str(MODEL), backend='onnxruntime')) as detector:
        found = detector.detect([Image.from_file(PICTURE)]).detections[0]
        return [detector.class_names[number] for number in found.class_ids], found.boxes_xyxy


def _detect(running: RunningNode) -> Detection2DArray:
    """Return what the active node finds in the picture."""
    arrays = running.collect(Detection2DArray, '/detector/detections')
    camera = running.publisher(ImageMessage, '/image_raw')
    wait_until(camera.get_subscription_count, 'the subscription')
    wait_until(lambda: running.client.count_publishers('/detector/detections'), 'the publisher')
    camera.publish(_message())
    return wait_until(lambda: arrays, 'detections')[0]


def _parameters(tmp_path: Path, **values: Any) -> dict[str, Any]:
    return {
        'model_path': str(MODEL),
        'engine_cache_dir': str(tmp_path / 'plans'),
        'precision': 'fp32',
        **values,
    }


@pytest.mark.parametrize('personality', PERSONALITIES)
def test_node_builds_once_detects_and_frees_everything(personality: str, tmp_path: Path) -> None:
    names, boxes = _expected()
    assert names, 'the picture has to show something'
    with machine(personality) as world:
        with detector_node(create_detector, **_parameters(tmp_path)) as running:
            for _ in range(2):
                assert running.configure()
                assert running.activate()
                array = _detect(running)
                assert (array.header.stamp.sec, array.header.frame_id) == (7, 'lens')
                found = array.detections
                assert [d.results[0].hypothesis.class_id for d in found] == names
                centers = [(d.bbox.center.position.x, d.bbox.center.position.y) for d in found]
                np.testing.assert_allclose(
                    centers, (boxes[:, :2] + boxes[:, 2:]) / 2, rtol=0, atol=0.05
                )
                values = values_of(running.status('detector'))
                assert values['backend'] == personality.rpartition('-')[0]
                assert values['runtime version'] == world.record.version
                assert values['precision'] == 'fp32'
                assert running.deactivate()
                assert running.cleanup()
                world.cuda.assert_clean()
        assert len(world.builds) == 1


def test_a_gpu_that_is_too_hot_is_told(tmp_path: Path) -> None:
    answers = {**DISCRETE, 'nvmlDeviceGetCurrentClocksEventReasons': 0x4}
    with machine('tensorrt-10.3'):
        sys.modules['pynvml'] = make_nvml(answers)
        with detector_node(create_detector, **_parameters(tmp_path)) as running:
            assert running.configure()
            status = running.status('device')
            assert (status.level, status.hardware_id) == (b'\x00', 'NVIDIA Double')
            values = values_of(status)
            assert values['temperature C'] == '61'
            assert values['memory used MiB'] == '3072'
            assert values['clocks limited by'] == 'power limit'
            answers['nvmlDeviceGetCurrentClocksEventReasons'] = 0x40
            del answers['nvmlDeviceGetPowerUsage']
            status = running.status('device', lambda s: s.level == b'\x01')
            assert status.message == (
                'the GPU is slowed down: too hot (slowed down by the hardware)'
            )
            assert 'power W' not in values_of(status)
            assert running.cleanup()
            assert 'device watch' not in {thread.name for thread in threading.enumerate()}


def test_a_build_shows_on_diagnostics_and_is_cancelled_by_the_service(tmp_path: Path) -> None:
    building = threading.Event()
    with machine('tensorrt-10.3', step_seconds=0.1, steps=1000) as world:
        world.on_step = building.set
        with detector_node(create_detector, **_parameters(tmp_path)) as running:
            outcome: list[bool] = []
            thread = threading.Thread(target=lambda: outcome.append(running.configure()))
            thread.start()
            assert building.wait(30)
            status = running.status('detector', lambda s: 'build percent' in values_of(s))
            assert status.message.startswith('building: ')
            assert running.get_state() == 'configuring'
            assert running.call(Trigger, '/detector/cancel_build', Trigger.Request()).success
            thread.join(30)
            assert outcome == [False]
            assert running.get_state() == 'unconfigured'
            failure = running.status('detector', lambda s: 'cancel' in s.message)
            assert failure.level != b'\x00'
        world.cuda.assert_clean()
    assert not list(tmp_path.glob('plans/*/*.engine'))


def test_a_stale_plan_is_rebuilt_and_diagnostics_name_the_field(tmp_path: Path) -> None:
    for personality, builds in (('tensorrt-10.3', 1), ('tensorrt-10.16', 1)):
        with (
            machine(personality) as world,
            detector_node(create_detector, **_parameters(tmp_path)) as running,
        ):
            assert running.configure()
            assert len(world.builds) == builds
            values = values_of(running.status('detector', lambda s: 'backend' in values_of(s)))
    warnings = ' '.join(text for key, text in values.items() if key.startswith('warning'))
    assert 'TensorRT version was 10.3' in warnings
    assert 'is 10.16' in warnings


def test_a_run_that_fails_publishes_nothing_and_the_next_one_does(tmp_path: Path) -> None:
    with (
        machine('tensorrt-10.3') as world,
        detector_node(create_detector, **_parameters(tmp_path)) as running,
    ):
        assert running.configure()
        assert running.activate()
        world.fail_run, world.cuda.fail_launch = 'illegal memory access', 700
        arrays = running.collect(Detection2DArray, '/detector/detections')
        camera = running.publisher(ImageMessage, '/image_raw')
        wait_until(camera.get_subscription_count, 'the subscription')
        camera.publish(_message())
        status = running.status('camera /image_raw', lambda s: values_of(s)['failed'] == '1')
        assert values_of(status)['published'] == '0'
        assert 'illegal memory access' in values_of(running.status('detector'))['last error']
        assert arrays == []
        world.fail_run, world.cuda.fail_launch = '', 0
        wait_until(lambda: camera.publish(_message()) or arrays, 'detections after the failure')
