# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test detection on request and lazy subscriptions, over real topics and services."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from lifecycle_msgs.msg import Transition
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from std_srvs.srv import SetBool, Trigger
from support.ros_graph import (
    detector_node,
    image_message,
    RunningNode,
    StubFactory,
    values_of,
    wait_until,
)
from trt_detector.config import DetectorConfig
from trt_detector.errors import EngineError
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from vision_msgs.msg import Detection2DArray


class Camera:
    """
    Camera that sends an image with a new stamp every few milliseconds, until the end of the block.

    :param running: the node.
    :param topic: topic of the images.
    :param make: makes the message of a stamp.
    """

    def __init__(
        self, running: RunningNode, topic: str = '/image_raw', make: Any = image_message
    ) -> None:
        self._publisher = running.publisher(ImageMessage, topic, 10)
        self._make = make
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    def __enter__(self) -> Camera:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.02):
            self._publisher.publish(self._make(stamp=(self.sent + 1, 0)))
            self.sent += 1


def detect(running: RunningNode, name: str = '/detector/detect') -> Any:
    """Call a service that detects."""
    return running.call(Trigger, name, Trigger.Request())


def get_session(running: RunningNode) -> Any:
    session = running.node._health.session
    assert session is not None
    return session


def bring_up(running: RunningNode) -> None:
    assert running.configure()
    assert running.activate()


@pytest.mark.parametrize(
    'parameters', [{'enabled': False}, {'lazy': True}, {'max_rate': [0.001]}, {}]
)
def test_the_next_image_is_detected_and_published(parameters: dict[str, Any]) -> None:
    factory = StubFactory()
    with detector_node(factory, **parameters) as running:
        bring_up(running)
        with Camera(running) as camera:
            if parameters != {'lazy': True}:
                wait_until(
                    lambda: get_session(running).statistics.counts(0).received > 2, 'images'
                )
            before = camera.sent
            answer = detect(running)
            after = camera.sent
        assert answer.success, answer.message
        (entry,) = json.loads(answer.message)
        assert before <= entry['stamp']['sec'] <= after + 1, 'an image from before the request'
        assert (entry['camera'], entry['frame_id']) == ('/image_raw', 'lens')
        assert (entry['width'], entry['height']) == (64, 48)
        # The stub finds the middle half of the image, of class 1.
        (found,) = entry['detections']
        assert (found['class_id'], found['class_name']) == (1, 'person')
        assert found['bbox_xyxy'] == [16, 12, 48, 36]
        assert found['score'] == pytest.approx(0.9)
        runs = {'enabled': 1, 'lazy': 1, 'max_rate': 2}
        for name in parameters:
            assert len(factory.made[0].batches) == runs[name], 'exactly one image per request'


def test_the_image_of_a_request_is_on_the_topic_as_well() -> None:
    with detector_node(enabled=False) as running:
        arrays = running.collect(Detection2DArray, '/detector/detections')
        bring_up(running)
        with Camera(running):
            stamps = []
            for _ in range(3):
                (entry,) = json.loads(detect(running).message)
                stamps.append(entry['stamp']['sec'])
            wait_until(lambda: len(arrays) == 3, 'an array per request')
        assert [array.header.stamp.sec for array in arrays] == stamps
        assert len(set(stamps)) == 3
        counts = get_session(running).statistics.counts(0)
        assert counts.published == 3
        assert counts.received == 3 + counts.skipped == 3 + counts.dropped


@pytest.mark.parametrize(
    ('service_type', 'name'),
    [(Trigger, 'detect'), (SetBool, 'set_enabled'), (Trigger, 'cancel_build')],
)
def test_requests_at_once_are_all_answered(service_type: Any, name: str) -> None:
    with detector_node(enabled=False) as running:
        bring_up(running)
        # The answers to one client may wait, too: as many as its own queue holds.
        clients = [
            running.client.create_client(service_type, f'/detector/{name}') for _ in range(3)
        ]
        for client in clients:
            assert client.wait_for_service(20)
        with Camera(running):
            futures = [
                client.call_async(service_type.Request()) for _ in range(8) for client in clients
            ]
            wait_until(lambda: all(future.done() for future in futures), 'all answers')
        assert all(future.result().success is (name != 'cancel_build') for future in futures)


def test_a_silent_camera_is_told_with_the_reason() -> None:
    with detector_node(enabled=False, detect_timeout=0.3) as running:
        bring_up(running)
        answer = detect(running)
        assert not answer.success
        assert answer.message.startswith(
            'no image of /image_raw within 0.3 s: no publisher of /image_raw'
        )
        _other = running.publisher(CompressedImage, '/image_raw/compressed')
        wait_until(
            lambda: 'set image_transport to compressed' in detect(running).message, 'the remedy'
        )


def test_a_node_that_is_not_active_says_so() -> None:
    with detector_node() as running:
        answer = detect(running)
        assert not answer.success
        assert answer.message.startswith('the node is unconfigured and receives no images')
        assert running.configure()
        assert detect(running).message.startswith('the node is inactive')


def test_an_unreadable_image_is_answered_at_once() -> None:
    def make(stamp: tuple[int, int]) -> Any:
        message = image_message(stamp=stamp)
        message.encoding = 'sepia'
        return message

    with detector_node(enabled=False, detect_timeout=3600.0) as running:
        bring_up(running)
        with Camera(running, make=make):
            answer = detect(running)
        assert not answer.success
        assert "dropped an image of /image_raw: encoding is 'sepia'" in answer.message


def test_a_failed_inference_is_answered_at_once() -> None:
    def behave(_images: Any) -> None:
        raise EngineError('out of order')

    with detector_node(
        StubFactory(behave=behave), enabled=False, detect_timeout=3600.0
    ) as running:
        bring_up(running)
        with Camera(running):
            answer = detect(running)
        assert not answer.success
        assert answer.message.startswith('inference failed for /image_raw: EngineError: out of')


def test_a_slow_inference_is_no_silent_camera() -> None:
    go_on = threading.Event()
    with detector_node(
        StubFactory(behave=lambda _: go_on.wait(20)), enabled=False, detect_timeout=0.5
    ) as running:
        bring_up(running)
        try:
            with Camera(running):
                answer = detect(running)
        finally:
            go_on.set()
        assert not answer.success
        assert 'an image of /image_raw was received' in answer.message
        assert 'detect_timeout' in answer.message


def test_deactivation_answers_a_request_that_waits() -> None:
    with detector_node(enabled=False, detect_timeout=3600.0) as running:
        bring_up(running)
        client = running.client.create_client(Trigger, '/detector/detect')
        assert client.wait_for_service(20)
        future = client.call_async(Trigger.Request())
        wait_until(lambda: get_session(running).intake._gate.has_requests, 'the request')
        assert running.deactivate()
        wait_until(future.done, 'an answer')
        assert not future.result().success
        assert future.result().message == 'the node was deactivated meanwhile'


def test_each_of_several_cameras_has_a_service() -> None:
    topics = ['/left/image', '/right/image']
    with detector_node(image_topics=topics, enabled=False, detect_timeout=0.5) as running:
        bring_up(running)
        with Camera(running, topics[1]):
            (entry,) = json.loads(detect(running, '/right/detect').message)
            assert entry['camera'] == '/right/image'
            answer = detect(running)
            assert not answer.success
            assert answer.message.startswith('no image of /left/image within 0.5 s')
            assert '/right/image' not in answer.message.partition(':')[0]
            with Camera(running, topics[0]):
                answer = detect(running)
                assert answer.success, answer.message
                cameras = [entry['camera'] for entry in json.loads(answer.message)]
                assert cameras == topics
        assert get_session(running).statistics.counts(1).published >= 2
        for names in (topics, topics[:1]):
            assert running.deactivate()
            assert running.cleanup()
            answer = detect(running, '/right/detect')
            assert not answer.success
            assert answer.message.startswith('the node is unconfigured')
            assert running.set_parameter('image_topics', names).successful
            bring_up(running)
            services = running.node.get_service_names_and_types_by_node('detector', '/')
            assert ('/right/detect' in [name for name, _ in services]) == (names == topics)


@pytest.mark.parametrize('name', ['/detector/detect', '/left/detect'])
@pytest.mark.parametrize('end', ['deactivate', 'shutdown', 'fail'])
def test_requests_that_wait_are_answered_when_the_node_leaves_active(name: str, end: str) -> None:
    topics = ['/left/image', '/right/image']
    with detector_node(image_topics=topics, enabled=False, detect_timeout=3600.0) as running:
        bring_up(running)
        clients = [running.client.create_client(Trigger, name) for _ in range(3)]
        for client in clients:
            wait_until(client.service_is_ready, name)
        futures = [client.call_async(Trigger.Request()) for client in clients]
        gate = get_session(running).intake._gate
        wait_until(lambda: gate.has_requests, 'a request that waits')
        if end == 'fail':
            running.node.fail('the device is lost')
        elif end == 'shutdown':
            assert running.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
        else:
            assert running.deactivate()
        wait_until(lambda: all(future.done() for future in futures), 'the answers')
        assert not any(future.result().success for future in futures)


def is_subscribed(running: RunningNode, topic: str) -> bool:
    """Look into the graph whether the node subscribes to a topic."""
    infos = running.client.get_subscriptions_info_by_topic(topic)
    return any(info.node_name == 'detector' for info in infos)


def test_a_lazy_node_subscribes_while_somebody_listens() -> None:
    topics = ['/left/image', '/right/image']
    with detector_node(image_topics=topics, lazy=True, image_timeout=0.1) as running:
        bring_up(running)
        with Camera(running, topics[0]), Camera(running, topics[1]):
            status = running.status('camera /left/image', lambda s: 'no subscriber' in s.message)
            assert status.level == b'\0'
            time.sleep(0.5)
            assert not any(is_subscribed(running, topic) for topic in topics)
            session = get_session(running)
            assert session.statistics.counts(0).received == 0
            arrays: list[Any] = []
            listener = running.client.create_subscription(
                Detection2DArray, '/left/detections', arrays.append, 10
            )
            wait_until(lambda: len(arrays) > 2, 'detections of the camera that is listened to')
            assert is_subscribed(running, topics[0])
            assert not is_subscribed(running, topics[1])
            running.status('camera /left/image', lambda s: 'nobody' not in s.message)
            running.client.destroy_subscription(listener)
            wait_until(
                lambda: not is_subscribed(running, topics[0]), 'the end of the subscription'
            )
            images: list[Any] = []
            running.client.create_subscription(
                ImageMessage, '/right/debug_image', images.append, 1
            )
            wait_until(lambda: images, 'a debug image')
            assert not is_subscribed(running, topics[0])
        for number in (0, 1):
            counts = session.statistics.counts(number)
            assert counts.published > 0
            assert counts.received == counts.published + counts.dropped


def test_a_lazy_camera_is_subscribed_for_the_time_of_a_request() -> None:
    with detector_node(lazy=True) as running:
        bring_up(running)
        with Camera(running):
            for number in (1, 2, 3):
                assert detect(running).success
                assert get_session(running).subscriptions[0].entity is None
                assert get_session(running).statistics.counts(0).published == number


def test_a_paused_lazy_node_with_listeners_detects_on_request_only() -> None:
    factory = StubFactory()
    with detector_node(factory, lazy=True) as running:
        bring_up(running)
        arrays = running.collect(Detection2DArray, '/detector/detections')
        paused = running.call(SetBool, '/detector/set_enabled', SetBool.Request(data=False))
        assert paused.success
        with Camera(running):
            wait_until(lambda: get_session(running).statistics.counts(0).skipped > 3, 'images')
            assert not arrays
            assert detect(running).success
            wait_until(lambda: len(arrays) == 1, 'the array')
            values = values_of(running.status('camera /image_raw'))
            assert values['published'] == '1'
        assert factory.made[0].batches == [1]


def test_the_answer_is_what_the_detector_finds() -> None:
    picture = Image.from_file('demo/pictures/scene_48_1280x720.jpg')
    pixels = picture.to_bgr()
    values = {'model_path': 'demo/models/demo_end2end.onnx', 'backend': 'onnxruntime'}

    def make(stamp: tuple[int, int]) -> Any:
        message = image_message(1280, 720, stamp)
        message.data = np.ascontiguousarray(pixels).tobytes()
        return message

    with create_detector(DetectorConfig(**values)) as detector:  # type: ignore[arg-type]
        expected = detector.detect([picture]).detections[0]
        names = [detector.class_names[number] for number in expected.class_ids]
    with detector_node(create_detector, enabled=False, detect_timeout=20.0, **values) as running:
        bring_up(running)
        with Camera(running, make=make):
            (entry,) = json.loads(detect(running).message)
    assert len(expected) > 0
    assert [found['class_name'] for found in entry['detections']] == names
    boxes = [found['bbox_xyxy'] for found in entry['detections']]
    np.testing.assert_allclose(boxes, expected.boxes_xyxy, atol=0.01)
