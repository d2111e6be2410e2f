# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the way from image messages to detection messages, with a stub detector."""

from __future__ import annotations

import itertools
from pathlib import Path
import threading
import time
from typing import Any

import cv2
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from support.models import constant_detector, lamp_detector
from support.ros_graph import (
    CLASS_NAMES,
    detector_node,
    image_message,
    RunningNode,
    StubFactory,
    values_of,
    wait_until,
)
from trt_detector.errors import EngineError
from trt_detector.factory import create_detector
from trt_detector.onnxruntime_engine import OnnxRuntimeEngine
from trt_detector.values.device_state import DeviceState
from vision_msgs.msg import Detection2DArray, LabelInfo

# What becomes of a received image.
OUTCOMES = ('published', 'dropped', 'malformed', 'failed')


class Gate:
    """Blocks the inference until it is opened."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.open = threading.Event()

    def __call__(self, _images: Any) -> None:
        self.began.set()
        assert self.open.wait(20)


def start_camera(
    running: RunningNode, topic: str = '/image_raw', message_type: Any = ImageMessage
) -> Any:
    """Activate the node and create the publisher of a camera that it subscribes to."""
    camera = running.publisher(message_type, topic)
    if running.node.get_state_label() == 'unconfigured':
        assert running.configure()
        assert running.activate()
    wait_until(camera.get_subscription_count, f'the subscription of {topic}')
    return camera


def start_listening(running: RunningNode, topic: str = '/detector/detections') -> list[Any]:
    """Collect the arrays of a configured node."""
    arrays = running.collect(Detection2DArray, topic)
    wait_until(lambda: running.client.count_publishers(topic), f'the publisher of {topic}')
    return arrays


def camera_values(running: RunningNode, topic: str = '/image_raw') -> dict[str, str]:
    """Wait for the next diagnostics of a camera."""
    return values_of(running.status(f'camera {topic}'))


def test_header_box_and_class_of_a_detection() -> None:
    with detector_node() as running:
        camera = start_camera(running)
        arrays = start_listening(running)
        camera.publish(image_message(640, 480, stamp=(1234, 567)))
        array = wait_until(lambda: arrays, 'detections')[0]
    assert (array.header.stamp.sec, array.header.stamp.nanosec) == (1234, 567)
    assert array.header.frame_id == 'lens'
    (detection,) = array.detections
    assert detection.header == array.header
    center = detection.bbox.center
    assert (center.position.x, center.position.y, center.theta) == (320, 240, 0)
    assert (detection.bbox.size_x, detection.bbox.size_y) == (320, 240)
    (result,) = detection.results
    assert result.hypothesis.class_id == 'person'
    assert result.hypothesis.score == pytest.approx(0.9)


def test_class_id_format_index() -> None:
    with detector_node(class_id_format='index') as running:
        camera = start_camera(running)
        arrays = start_listening(running)
        camera.publish(image_message())
        array = wait_until(lambda: arrays, 'detections')[0]
    assert array.detections[0].results[0].hypothesis.class_id == '1'


def test_image_without_objects_gives_an_empty_array() -> None:
    with detector_node(score_threshold=0.95) as running:
        camera = start_camera(running)
        arrays = start_listening(running)
        camera.publish(image_message())
        array = wait_until(lambda: arrays, 'the array')[0]
    assert array.header.frame_id == 'lens'
    assert array.detections == []


def test_newest_image_is_kept_and_the_others_are_counted() -> None:
    gate = Gate()
    with detector_node(StubFactory(behave=gate)) as running:
        camera = start_camera(running)
        arrays = start_listening(running)
        for second in range(1, 6):
            camera.publish(image_message(stamp=(second, 0)))
            wait_until(
                lambda: int(camera_values(running)['received']) == second,  # noqa: B023
                'the image',
            )
            assert gate.began.wait(20)
        gate.open.set()
        wait_until(lambda: len(arrays) == 2, 'two arrays')
        # The first was in progress when the others arrived; of these only the newest was kept.
        assert [array.header.stamp.sec for array in arrays] == [1, 5]
        values = camera_values(running)
    assert (values['received'], values['published'], values['dropped']) == ('5', '2', '3')


@pytest.mark.parametrize('error', [EngineError('CUDA is gone'), MemoryError('no memory')])
def test_failed_inference_publishes_nothing_and_is_counted(
    error: Exception, capfd: pytest.CaptureFixture[str]
) -> None:
    failing = threading.Event()
    failing.set()

    def behave(_images: Any) -> None:
        if failing.is_set():
            raise error

    with detector_node(StubFactory(behave=behave)) as running:
        camera = start_camera(running)
        arrays = start_listening(running)
        camera.publish(image_message(stamp=(1, 0)))
        status = running.status('camera /image_raw', lambda s: values_of(s)['failed'] == '1')
        assert status.level == b'\x02'
        assert str(error) in values_of(running.status('detector'))['last error']
        assert running.get_state() == 'active'
        failing.clear()
        camera.publish(image_message(stamp=(2, 0)))
        wait_until(lambda: arrays, 'the next array')
        assert [array.header.stamp.sec for array in arrays] == [2]
        values = camera_values(running)
    assert (values['published'], values['failed'], values['dropped']) == ('1', '1', '0')
    logged = capfd.readouterr().err
    assert str(error) in logged
    assert ('Traceback' in logged) == (not isinstance(error, EngineError))


def malformed_messages() -> dict[str, Any]:
    """Create messages that hold no image, by their error."""
    messages = {
        name: image_message()
        for name in ('data too short', 'step too small', 'zero size', 'unknown encoding')
    }
    messages['data too short'].data = bytes(10)
    messages['step too small'].step = 10
    messages['zero size'].width = 0
    messages['unknown encoding'].encoding = 'sepia'
    return messages


def test_malformed_images_are_dropped_and_counted(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with detector_node() as running:
        camera = start_camera(running)
        arrays = start_listening(running)
        for number, message in enumerate(malformed_messages().values(), start=1):
            camera.publish(message)
            status = running.status(
                'camera /image_raw',
                lambda s: values_of(s)['malformed'] == str(number),  # noqa: B023
            )
            assert status.level == b'\x01'
        camera.publish(image_message(stamp=(9, 0)))
        wait_until(lambda: arrays, 'the array of the good image')
        assert [array.header.stamp.sec for array in arrays] == [9]
        assert camera_values(running)['published'] == '1'
        assert 'sepia' in values_of(running.status('detector'))['last error']
    # All arrived within five seconds: one warning per reason.
    logged = capfd.readouterr().err.count('dropped an image of /image_raw')
    assert logged == len(malformed_messages())


def test_non_finite_candidates_are_dropped_and_reported(tmp_path: Path) -> None:
    rows = np.array([[8, 8, 40, 40, np.nan, 0], [8, 8, 40, 40, 0.9, 0]])
    model = constant_detector(tmp_path / 'nan.onnx', rows, props={'names': "['lamp']"})
    parameters = {'model_path': str(model), 'backend': 'onnxruntime'}
    with detector_node(create_detector, **parameters) as running:
        camera = start_camera(running)
        arrays = start_listening(running)
        camera.publish(image_message())
        status = running.status(
            'camera /image_raw', lambda s: values_of(s)['invalid candidates'] == '1'
        )
        assert status.level == b'\x01'
        assert 'non-finite' in status.message
        (array,) = wait_until(lambda: arrays, 'the array')
        assert len(array.detections) == 1


def test_compressed_images() -> None:
    picture = np.full((48, 64, 3), 90, np.uint8)
    with detector_node(image_transport='compressed') as running:
        camera = start_camera(running, '/image_raw/compressed', CompressedImage)
        arrays = start_listening(running)
        for number, suffix in enumerate(('.jpg', '.png'), start=1):
            encoded = cv2.imencode(suffix, picture)[1].tobytes()
            message = CompressedImage(format=suffix[1:], data=encoded)
            message.header.stamp.sec = number
            camera.publish(message)
            array = wait_until(lambda: len(arrays) == number and arrays[-1], suffix)  # noqa: B023
            assert array.header.stamp.sec == number
            assert array.detections[0].bbox.size_x == 32
        camera.publish(CompressedImage(format='jpeg', data=encoded[:50]))
        running.status('camera /image_raw', lambda s: values_of(s)['malformed'] == '1')
        assert len(arrays) == 2


def test_boxes_in_reduced_jpegs_are_in_pixels_of_the_image(tmp_path: Path) -> None:
    # The network has 64x64 pixels: the JPEG is decoded at an eighth.
    picture = np.zeros((392, 520, 3), np.uint8)
    picture[260:330, 390:460] = 255
    raw = image_message(520, 392)
    raw.data = picture.tobytes()
    data = cv2.imencode('.jpg', picture)[1].tobytes()
    packed = CompressedImage(format='bgr8; jpeg compressed bgr8', data=data)
    topics = ('/left/image_raw', '/right/image_raw/compressed')
    parameters = {
        'model_path': str(lamp_detector(tmp_path / 'lamp.onnx')),
        'backend': 'onnxruntime',
        'score_threshold': 0.5,
        'image_topics': list(topics),
    }
    with detector_node(create_detector, **parameters) as running:
        left, right = (
            start_camera(running, topic, kind)
            for topic, kind in zip(topics, (ImageMessage, CompressedImage), strict=True)
        )
        arrays = [start_listening(running, f'/{side}/detections') for side in ('left', 'right')]
        debug = running.collect(ImageMessage, '/right/debug_image')

        def is_answered() -> bool:
            left.publish(raw)
            right.publish(packed)
            time.sleep(0.05)
            return all(arrays) and bool(debug)

        wait_until(is_answered, 'arrays and debug image')
    assert (debug[0].width, debug[0].height) == (520, 392)
    boxes = [array[-1].detections[0].bbox for array in arrays]
    corners = [
        (box.center.position.x, box.center.position.y, box.size_x, box.size_y) for box in boxes
    ]
    np.testing.assert_allclose(*corners, atol=1)


def test_images_above_max_image_pixels_are_dropped() -> None:
    small, large = (np.full((height, 64, 3), 90, np.uint8) for height in (48, 49))
    for transport, kind in (('raw', ImageMessage), ('compressed', CompressedImage)):
        with detector_node(image_transport=transport, max_image_pixels=64 * 48) as running:
            topic = '/image_raw' if transport == 'raw' else '/image_raw/compressed'
            camera = start_camera(running, topic, kind)
            arrays = start_listening(running)
            for number, picture in enumerate((large, small), start=1):
                message = image_message(height=len(picture))
                if transport == 'compressed':
                    data = cv2.imencode('.png', picture)[1].tobytes()
                    message = CompressedImage(format='bgr8; png compressed bgr8', data=data)
                message.header.stamp.sec = number
                camera.publish(message)
                if picture is large:
                    running.status('camera /image_raw', lambda s: values_of(s)['malformed'] == '1')
            (array,) = wait_until(lambda: arrays, 'the array')  # noqa: B023
            assert array.header.stamp.sec == 2
            error = values_of(running.status('detector'))['last error']
            assert '64x49, 3136 pixels; max_image_pixels is 3072' in error


def test_several_cameras_share_batches_and_publish_separately() -> None:
    gate = Gate()
    factory = StubFactory(behave=gate)
    names = ('left', 'right', 'rear')
    topics = [f'/{name}/image_raw' for name in names]
    with detector_node(factory, image_topics=topics) as running:
        cameras = [start_camera(running, topic) for topic in topics]
        arrays = [start_listening(running, f'/{name}/detections') for name in names]
        for second in range(2):
            for number, camera in enumerate(cameras):
                message = image_message(64 + 2 * number, 48, stamp=(second, number))
                message.header.frame_id = names[number]
                camera.publish(message)
                wait_until(
                    lambda: int(camera_values(running, topics[number])['received']) > second,  # noqa: B023
                    'the image',
                )
                assert gate.began.wait(20)
        gate.open.set()
        # The first image of the first camera was in progress; its second was queued with the rest.
        wait_until(lambda: [len(a) for a in arrays] == [2, 1, 1], 'all arrays')
        for number, name in enumerate(names):
            array = arrays[number][-1]
            assert array.header.frame_id == name
            assert array.detections[0].bbox.size_x == (64 + 2 * number) / 2
        assert factory.default_batch_sizes == [3]
        assert factory.made[0].batches == [1, 3]
        assert camera_values(running, topics[0])['dropped'] == '0'
        assert camera_values(running, topics[1])['dropped'] == '1'


def test_label_info_is_latched_and_follows_the_threshold() -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    with detector_node() as running:
        start_camera(running)
        infos = running.collect(LabelInfo, '/detector/label_info', latched)
        info = wait_until(lambda: infos, 'label_info')[0]
        assert [(entry.class_id, entry.class_name) for entry in info.class_map] == list(
            enumerate(CLASS_NAMES)
        )
        assert info.threshold == pytest.approx(0.25)
        assert running.set_parameter('score_threshold', 0.5).successful
        wait_until(lambda: infos[-1].threshold == pytest.approx(0.5), 'the new threshold')
        assert running.deactivate()
        assert running.set_parameter('score_threshold', 0.75).successful
        wait_until(lambda: infos[-1].threshold == pytest.approx(0.75), 'it while inactive')


def test_debug_images_are_drawn_only_for_subscribers(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def draw(picture: Any, *_: Any) -> Any:
        drawn.append(picture.shape)
        return np.full_like(picture, 7)

    monkeypatch.setattr('trt_detector.ros.camera_publisher.draw_detections', draw)
    with detector_node() as running:
        camera = start_camera(running)
        arrays = start_listening(running)
        camera.publish(image_message())
        wait_until(lambda: len(arrays) == 1, 'the array')
        # The array comes before the look at the subscribers of the debug image.
        session = running.node._health.session
        assert session is not None
        assert session._image_queue.wait_idle(10.0)
        assert not drawn
        pictures = running.collect(ImageMessage, '/detector/debug_image')
        compressed = running.collect(
            CompressedImage, '/detector/debug_image/compressed', qos_profile_sensor_data
        )
        for topic in ('/detector/debug_image', '/detector/debug_image/compressed'):
            wait_until(lambda: running.node.count_subscribers(topic), topic)  # noqa: B023
        time.sleep(0.3)  # a publisher is matched a little after the graph knows it
        camera.publish(image_message(stamp=(3, 4)))
        wait_until(lambda: pictures and compressed, 'both debug images')
        assert drawn == [(48, 64, 3)]
        assert pictures[0].header.stamp.sec == compressed[0].header.stamp.sec == 3
        assert (pictures[0].encoding, pictures[0].step) == ('bgr8', 192)
        assert set(pictures[0].data) == {7}
        decoded = cv2.imdecode(np.frombuffer(compressed[0].data, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        assert decoded.shape == (48, 64, 3)
        assert running.set_parameter('publish_debug_image', False).successful
        camera.publish(image_message())
        wait_until(lambda: len(arrays) == 3, 'the array')
        assert len(drawn) == 1


def test_diagnostics_report_backend_and_stage_times() -> None:
    with detector_node() as running:
        camera = start_camera(running)
        arrays = start_listening(running)
        stamp = running.node.get_clock().now().to_msg()
        camera.publish(image_message(stamp=(stamp.sec, stamp.nanosec)))
        wait_until(lambda: arrays, 'the array')
        values = values_of(running.status('detector'))
        times = values_of(running.status('stages'))
        camera_status = camera_values(running)
    assert (values['backend'], values['precision']) == ('stub', 'fp32')
    assert times['infer ms p50'] == times['infer ms p95'] == times['infer ms p99'] == '2.00'
    for stage in ('wait', 'preprocess', 'decode', 'publish', 'total', 'age'):
        assert float(times[f'{stage} ms p50']) >= 0
    assert float(times['age ms p50']) < 20_000
    for rank in ('p50', 'p99'):
        assert 0 <= float(camera_status[f'age ms {rank}']) < 20_000


def test_hanging_gpu_driver_is_reported() -> None:
    state = DeviceState(name='Double')

    class Watch:
        def latest(self) -> DeviceState:
            return state

        def close(self) -> None:
            return None

    with detector_node(watch=lambda _info: Watch()) as running:
        assert running.configure()
        running.status('detector', lambda s: s.message == 'inactive')
        assert all(s.name != 'detector: device' for m in running.diagnostics for s in m.status)
        state = DeviceState(name='Double', read_s=time.monotonic() - 60)
        status = running.status('device')
        assert status.level == b'\x01'
        assert status.message.startswith('the driver has not answered for 6')


def test_silent_camera_is_reported_with_the_reason() -> None:
    with detector_node(qos_reliability='reliable') as running:
        assert running.configure()
        assert running.activate()
        status = running.status('camera /image_raw', lambda s: s.level == b'\x01')
        assert 'no publisher of /image_raw' in status.message
        running.publisher(ImageMessage, '/image_raw', qos_profile_sensor_data)
        status = running.status('camera /image_raw', lambda s: 'best effort' in s.message)
        assert 'set qos_reliability to auto' in status.message


def test_exception_while_publishing_does_not_end_the_inference_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise OSError('publisher is broken')

    with detector_node() as running:
        camera = start_camera(running)
        arrays = start_listening(running)
        with monkeypatch.context() as patch:
            patch.setattr('trt_detector.ros.detections_cdr._encode_text', fail)
            camera.publish(image_message(stamp=(1, 0)))
            running.status('camera /image_raw', lambda s: values_of(s)['failed'] == '1')
        camera.publish(image_message(stamp=(2, 0)))
        wait_until(lambda: arrays, 'the next array')
        assert [array.header.stamp.sec for array in arrays] == [2]


def test_batch_wait_ms_collects_the_images_of_all_cameras() -> None:
    factory = StubFactory()
    topics = ['/left/image_raw', '/right/image_raw']
    with detector_node(factory, image_topics=topics, batch_wait_ms=1000.0) as running:
        cameras = [start_camera(running, topic) for topic in topics]
        arrays = start_listening(running, '/right/detections')
        cameras[0].publish(image_message())
        session = running.node._health.session
        assert session is not None
        # Not from the diagnostics, which come late compared with the wait.
        wait_until(lambda: session.statistics.counts(0).received, 'the image')
        cameras[1].publish(image_message())
        wait_until(lambda: arrays, 'the array')
        assert factory.made[0].batches == [2]


def test_parallel_runs_keep_the_order_and_account_for_every_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Runs are in parallel, every third fails, and images are replaced while queued.
    run, lock = OnnxRuntimeEngine.run, threading.Lock()
    begun = at_once = most_at_once = 0

    def failing_run(self: OnnxRuntimeEngine, batch: Any) -> Any:
        nonlocal begun, at_once, most_at_once
        with lock:
            begun, at_once = begun + 1, at_once + 1
            most_at_once = max(most_at_once, at_once)
            fails = begun % 3 == 0
        try:
            time.sleep(0.02)
            if fails:
                raise EngineError('planned')
            return run(self, batch)
        finally:
            with lock:
                at_once -= 1

    monkeypatch.setattr(OnnxRuntimeEngine, 'run', failing_run)
    names = ('left', 'right', 'rear', 'front')
    topics = [f'/{name}/image_raw' for name in names]
    parameters = {
        'model_path': str(lamp_detector(tmp_path / 'lamp.onnx')), 'backend': 'onnxruntime',
        'onnxruntime_provider': 'cpu', 'inference_threads': 2, 'batch_size': 1,
        'warmup_iterations': 0, 'image_topics': topics,
    }  # fmt: skip
    with detector_node(create_detector, **parameters) as running:
        cameras = [start_camera(running, topic) for topic in topics]
        arrays = [start_listening(running, f'/{name}/detections') for name in names]
        seconds = itertools.count(1)

        def publish() -> bool:
            second = next(seconds)
            for camera in cameras:
                camera.publish(image_message(stamp=(second, 0)))
            return begun >= 20 and most_at_once > 1

        wait_until(publish, '20 runs, several at once')
        bad = image_message(stamp=(next(seconds), 0))
        bad.encoding = 'sepia'
        cameras[0].publish(bad)
        wait_until(lambda: camera_values(running, topics[0])['malformed'] == '1', 'the bad image')
        assert running.deactivate()
        values = [camera_values(running, topic) for topic in topics]
        total = {key: sum(int(each[key]) for each in values) for key in OUTCOMES}
        for each in values:
            assert int(each['received']) == sum(int(each[key]) for key in OUTCOMES)
        assert min(total.values()) > 0
        wait_until(lambda: all(arrays), 'arrays of every camera')
        assert running.cleanup()
    for each in arrays:
        stamps = [array.header.stamp.sec for array in each]
        assert stamps == sorted(set(stamps))
    assert most_at_once == 2


def test_measured_batch_size_is_on_diagnostics(tmp_path: Path) -> None:
    parameters = {
        'model_path': str(lamp_detector(tmp_path / 'lamp.onnx')), 'backend': 'onnxruntime',
        'onnxruntime_provider': 'cpu', 'image_topics': ['/left/image_raw', '/right/image_raw'],
    }  # fmt: skip
    with detector_node(create_detector, **parameters) as running:
        assert running.configure()
        values = values_of(running.status('detector', lambda s: 'backend' in values_of(s)))
        assert values['batch size'] in ('1', '2')
        assert values['batch choice'].startswith(f'{values["batch size"]}: ')
        assert 'ms per image in batches of 2' in values['batch choice']
