# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the pause, the maximum rate and withheld empty arrays, over real topics."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image as ImageMessage
from std_srvs.srv import SetBool
from support.ros_graph import (
    detector_node,
    image_message,
    RunningNode,
    StubFactory,
    values_of,
    wait_until,
)
from trt_detector.config import DetectorConfig
from trt_detector.ros import node as node_module
from trt_detector.ros.session import DetectionSession
from vision_msgs.msg import Detection2DArray

RELIABLE = 100


def start(running: RunningNode, *topics: str) -> list[Any]:
    """Bring the node up; return a publisher per topic that it is subscribed to."""
    assert running.configure()
    assert running.activate()
    publishers = [
        running.publisher(ImageMessage, topic, RELIABLE) for topic in topics or ['/image_raw']
    ]
    session = running.node._health.session
    assert session is not None
    for publisher, subscription in zip(publishers, session.subscriptions, strict=True):
        wait_until(
            lambda p=publisher, s=subscription: (
                p.get_subscription_count() == 1 and s.reliability.name == 'RELIABLE'
            ),
            'a reliable subscription',
        )
    return publishers


def counts(running: RunningNode, camera: int = 0) -> Any:
    """Read the counts of a camera; the images must be accounted for."""
    session = running.node._health.session
    assert session is not None
    return session.statistics.counts(camera)


def await_accounted(running: RunningNode, received: int, camera: int = 0) -> Any:
    """Wait until so many images are received and each one has its fate."""

    def account() -> Any:
        now = counts(running, camera)
        parts = now.published + now.dropped + now.malformed + now.failed
        return now if now.received == received == parts else None

    return wait_until(account, f'{received} images of camera {camera}, all accounted for')


def set_enabled(running: RunningNode, enabled: bool) -> Any:
    """Call ~/set_enabled."""
    return running.call(SetBool, '/detector/set_enabled', SetBool.Request(data=enabled))


def test_a_pause_drops_images_unread_and_counts_them() -> None:
    factory = StubFactory()
    with detector_node(factory, image_timeout=3600.0) as running:
        arrays = running.collect(Detection2DArray, '/detector/detections')
        (publisher,) = start(running)
        publisher.publish(image_message())
        await_accounted(running, 1)
        answer = set_enabled(running, False)
        assert (answer.success, answer.message) == (True, 'detection is paused')
        unreadable = image_message()
        unreadable.encoding = 'sepia'
        for _ in range(5):
            publisher.publish(unreadable)
        now = await_accounted(running, 6)
        assert (now.dropped, now.skipped, now.malformed) == (5, 5, 0), 'read although paused'
        assert factory.made[0].batches == [1]
        assert running.get_state() == 'active'
        values = values_of(running.status('camera /image_raw'))
        assert (values['dropped'], values['dropped, by pause or rate']) == ('5', '5')
        camera = running.status('camera /image_raw', lambda s: 'paused' in s.message)
        assert camera.level == b'\0'
        assert 'paused' in running.status('detector').message
        assert set_enabled(running, True).message == 'detection is on'
        publisher.publish(image_message())
        assert await_accounted(running, 7).published == 2
        wait_until(lambda: len(arrays) == 2, 'an array per published image')
        running.status('detector', lambda s: 'paused' not in s.message)


def test_an_image_that_waits_in_the_queue_is_dropped_by_a_pause() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def behave(_images: Any) -> None:
        begun.set()
        assert go_on.wait(20)

    factory = StubFactory(behave=behave)
    with detector_node(factory) as running:
        try:
            (publisher,) = start(running)
            publisher.publish(image_message())
            assert begun.wait(20)
            publisher.publish(image_message())
            wait_until(lambda: counts(running).received == 2, 'the second image')
            assert set_enabled(running, False).success
        finally:
            go_on.set()
        now = await_accounted(running, 2)
        assert (now.published, now.dropped) == (1, 1)
        assert factory.made[0].batches == [1]


def test_a_pause_outlives_the_lifecycle_and_begins_before_it() -> None:
    with detector_node() as running:
        answer = set_enabled(running, False)
        assert answer.success
        assert answer.message == 'detection is paused; the node is unconfigured'
        (publisher,) = start(running)
        publisher.publish(image_message())
        assert await_accounted(running, 1).dropped == 1
        assert running.deactivate()
        assert running.cleanup()
        (publisher, *_) = start(running)
        assert running.node.get_parameter('enabled').value is False
        publisher.publish(image_message())
        assert await_accounted(running, 1).dropped == 1
        assert running.set_parameter('enabled', True).successful
        publisher.publish(image_message())
        assert await_accounted(running, 2).published == 1


def test_a_pause_during_configure_is_refused_with_the_reason() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def prepare(_progress: Any, _cancel: Any) -> None:
        begun.set()
        assert go_on.wait(20)

    with detector_node(StubFactory(prepare=prepare)) as running:
        outcome: list[bool] = []
        thread = threading.Thread(target=lambda: outcome.append(running.configure()))
        thread.start()
        try:
            assert begun.wait(20)
            answer = running.node._demand_services._answer_set_enabled(
                SetBool.Request(data=False), SetBool.Response()
            )
        finally:
            go_on.set()
            thread.join(20)
        assert outcome == [True]
        assert not answer.success
        assert 'being configured' in answer.message


def test_a_change_that_configure_would_not_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    began, release = threading.Event(), threading.Event()

    def create_slowly(*arguments: Any) -> DetectionSession:
        began.set()
        assert release.wait(20)
        return DetectionSession(*arguments)

    monkeypatch.setattr(node_module, 'DetectionSession', create_slowly)
    with detector_node(score_threshold=0.25) as running:
        configure = threading.Thread(target=running.node.trigger_configure)
        configure.start()
        try:
            assert began.wait(20)
            result = running.set_parameter('score_threshold', 0.75)
        finally:
            release.set()
            configure.join()
        assert not result.successful
        assert 'being configured; set the parameter afterward' in result.reason
        config = running.node._health.session.config
        assert config.score_threshold == running.node.get_parameter('score_threshold').value
        assert running.set_parameter('score_threshold', 0.75).successful


def test_a_pause_at_the_moment_of_another_change_loses_neither(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, release = threading.Event(), threading.Event()
    apply = DetectionSession.apply

    def apply_slowly(session: DetectionSession, config: DetectorConfig) -> None:
        if config.score_threshold == 0.75:
            began.set()
            assert release.wait(20)
        apply(session, config)

    monkeypatch.setattr(DetectionSession, 'apply', apply_slowly)
    with detector_node() as running:
        start(running)
        parameter = Parameter('score_threshold', value=0.75).to_parameter_msg()
        change = running.client.create_client(SetParameters, '/detector/set_parameters')
        pause = running.client.create_client(SetBool, '/detector/set_enabled')
        for client in (change, pause):
            wait_until(client.service_is_ready, client.srv_name)
        changed = change.call_async(SetParameters.Request(parameters=[parameter]))
        assert began.wait(20)
        paused = pause.call_async(SetBool.Request(data=False))
        # Time for the pause to overtake the change, which it must not.
        deadline_s = time.monotonic() + 0.5
        while not paused.done() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        release.set()
        wait_until(lambda: changed.done() and paused.done(), 'both answers')
        assert changed.result().results[0].successful
        assert paused.result().success
        config = running.node._health.session.config
        assert (config.score_threshold, config.enabled) == (0.75, False)


def test_max_rate_limits_each_camera_and_changes_while_active() -> None:
    topics = ['/left/image', '/right/image']
    with detector_node(image_topics=topics, max_rate=[0.0, 0.001]) as running:
        left, right = start(running, *topics)
        for number in range(1, 6):
            left.publish(image_message())
            right.publish(image_message())
            await_accounted(running, number, 0)
            await_accounted(running, number, 1)
        assert (counts(running, 0).published, counts(running, 0).skipped) == (5, 0)
        assert (counts(running, 1).published, counts(running, 1).skipped) == (1, 4)
        status = running.status('camera /right/image')
        assert 'slower than the camera' not in status.message
        result = running.set_parameter('max_rate', [1.0, 2.0, 3.0])
        assert not result.successful
        assert 'max_rate has 3 numbers for 2 image_topics' in result.reason
        assert running.set_parameter('max_rate', 0.0).successful, 'one number is for all'
        right.publish(image_message())
        assert await_accounted(running, 6, 1).published == 2


def test_empty_arrays_are_withheld_and_counted() -> None:
    with detector_node(publish_empty=False, score_threshold=1.0) as running:
        arrays = running.collect(Detection2DArray, '/detector/detections')
        (publisher,) = start(running)
        publisher.publish(image_message(stamp=(1, 0)))
        now = await_accounted(running, 1)
        assert (now.published, now.withheld) == (1, 1)
        assert running.set_parameter('score_threshold', 0.5).successful
        publisher.publish(image_message(stamp=(2, 0)))
        await_accounted(running, 2)
        assert running.set_parameter('score_threshold', 1.0).successful
        assert running.set_parameter('publish_empty', True).successful
        publisher.publish(image_message(stamp=(3, 0)))
        now = await_accounted(running, 3)
        assert (now.published, now.withheld) == (3, 1)
        wait_until(lambda: len(arrays) == 2, 'both arrays that were sent')
        sent = [(array.header.stamp.sec, len(array.detections)) for array in arrays]
        assert sent == [(2, 1), (3, 0)]
        values = values_of(running.status('camera /image_raw'))
        assert (values['published'], values['empty, not published']) == ('3', '1')


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('max_rate', -1.0, 'max_rate is -1.0; expected 0 to 10000 Hz'),
        ('max_rate', 'fast', "max_rate is 'fast'; expected a list of numbers"),
        ('enabled', 1, 'enabled is 1; expected true or false'),
    ],
)
def test_wrong_values_are_refused(name: str, value: Any, reason: str) -> None:
    with detector_node() as running:
        result = running.set_parameter(name, value)
        assert not result.successful
        assert reason in result.reason
