# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle of the node, over its services."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from sensor_msgs.msg import Image as ImageMessage
from std_srvs.srv import Trigger
from support.ros_graph import (
    detector_node,
    image_message,
    RunningNode,
    StubFactory,
    values_of,
    wait_until,
)
from trt_detector.errors import BuildCancelledError, ConfigError, ModelError
from trt_detector.ros.session import DetectionSession
from trt_detector.values.progress import Progress
from vision_msgs.msg import Detection2DArray


class SlowBuild:
    """A preparation that goes on until it is cancelled or let go."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, on_progress: Any, cancel: threading.Event) -> None:
        self.started.set()
        while not self.go_on.is_set():
            on_progress(Progress('timing kernels', 0.25, 3.0))
            if cancel.wait(0.02):
                raise BuildCancelledError('the build was cancelled')


def configure_in_background(running: RunningNode) -> list[bool]:
    """Begin to configure; the outcome is appended to the list that is returned."""
    outcome: list[bool] = []
    threading.Thread(target=lambda: outcome.append(running.configure()), daemon=True).start()
    return outcome


def test_goes_around_and_comes_back_to_where_it_was() -> None:
    factory = StubFactory()
    with detector_node(factory) as running:
        for _ in range(3):
            assert running.get_state() == 'unconfigured'
            assert running.configure()
            assert running.get_state() == 'inactive'
            assert running.activate()
            assert running.get_state() == 'active'
            assert running.deactivate()
            assert running.get_state() == 'inactive'
            assert running.cleanup()
        assert running.get_state() == 'unconfigured'
    assert [detector.closed for detector in factory.made] == [True] * 3


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'active'])
def test_shutdown_frees_the_detector(state: str) -> None:
    factory = StubFactory()
    with detector_node(factory) as running:
        if state != 'unconfigured':
            assert running.configure()
        if state == 'active':
            assert running.activate()
        assert running.get_state() == state
        assert running.node.finalize()
        assert running.get_state() == 'finalized'
        assert all(detector.closed for detector in factory.made)


def test_transition_that_the_state_does_not_allow_is_refused() -> None:
    with detector_node() as running:
        assert not running.activate()
        assert running.get_state() == 'unconfigured'


def test_user_error_in_configure_is_one_line_and_leaves_the_node_unconfigured(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def refuse(_progress: Any, _cancel: Any) -> None:
        raise ModelError('model.onnx is not a detector')

    factory = StubFactory(refuse)
    with detector_node(factory) as running:
        assert not running.configure()
        assert running.get_state() == 'unconfigured'
        status = running.status('detector')
        assert status.level == b'\x02'
        assert values_of(status)['last error'] == 'cannot configure: model.onnx is not a detector'
        # The same node works once the reason is gone.
        factory.prepare = lambda _progress, _cancel: None
        assert running.configure()
        assert running.status('detector').level == b'\x00'
    logged = capfd.readouterr().err
    assert 'cannot configure: model.onnx is not a detector' in logged
    assert 'Traceback' not in logged


def test_unexpected_error_in_configure_is_logged_with_its_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail(_progress: Any, _cancel: Any) -> None:
        raise KeyError('surprise')

    with detector_node(StubFactory(fail)) as running:
        assert not running.configure()
        assert running.get_state() == 'unconfigured'
    logged = capfd.readouterr().err
    assert "KeyError: 'surprise'" in logged
    assert 'Traceback' in logged


@pytest.mark.parametrize(
    ('parameters', 'reason'),
    [
        ({'score_threshold': 1.5}, 'score_threshold is 1.5'),
        ({'backend': 'tensorflow'}, "backend is 'tensorflow'"),
        ({'max_detections': 'many'}, "max_detections is 'many'"),
        ({'image_topics': ['left/image', 'left/image']}, 'more than once'),
        ({'image_topics': ['a/left', 'a/right']}, 'would both publish to'),
        ({'image_topics': ['not a topic']}, "'not a topic', not a topic name"),
        ({'classes': ['zebra']}, "classes holds 'zebra'"),
    ],
)
def test_configure_says_which_parameter_is_wrong(parameters: dict[str, Any], reason: str) -> None:
    with detector_node(**parameters) as running:
        assert not running.configure()
        assert running.get_state() == 'unconfigured'
        assert reason in values_of(running.status('detector'))['last error']


@pytest.mark.parametrize(
    ('method', 'step', 'state'),
    [
        ('start', 'activate', 'unconfigured'),
        ('stop', 'deactivate', 'unconfigured'),
        ('close', 'cleanup', 'unconfigured'),
    ],
)
def test_exception_in_a_transition_is_logged_and_frees_everything(
    method: str,
    step: str,
    state: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    factory = StubFactory()
    original = getattr(DetectionSession, method)
    failures = []

    def fail(flow: DetectionSession) -> None:
        original(flow)
        if not failures:
            failures.append(method)
            raise ZeroDivisionError('surprise')

    monkeypatch.setattr(DetectionSession, method, fail)
    with detector_node(factory) as running:
        assert running.configure()
        if step == 'deactivate':
            assert running.activate()
        assert not getattr(running, step)()
        assert failures
        assert running.get_state() == state
        assert 'ZeroDivisionError' in values_of(running.status('detector'))['last error']
        assert factory.made[0].closed
        assert running.configure()
    logged = capfd.readouterr().err
    assert 'ZeroDivisionError: surprise' in logged
    assert 'Traceback' in logged


def test_user_error_in_activate_leaves_the_node_inactive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_flow: DetectionSession, _number: int) -> None:
        raise ConfigError('no such camera')

    with detector_node() as running:
        assert running.configure()
        with monkeypatch.context() as patch:
            patch.setattr(DetectionSession, '_subscribe', refuse)
            assert not running.activate()
        assert running.get_state() == 'inactive'
        assert running.activate()


def test_services_and_diagnostics_answer_during_a_slow_configure() -> None:
    build = SlowBuild()
    with detector_node(StubFactory(build)) as running:
        outcome = configure_in_background(running)
        assert build.started.wait(20)
        assert running.get_state() == 'configuring'
        status = running.status('detector', lambda s: 'build phase' in values_of(s))
        assert status.level == b'\x00'
        assert status.message == 'building: timing kernels 25% (3 s)'
        assert values_of(status)['state'] == 'configuring'
        assert values_of(status)['build percent'] == '25'
        refused = running.set_parameter('score_threshold', 0.5)
        assert not refused.successful
        assert 'being configured' in refused.reason
        assert not running.configure(), 'a second configure has to be refused'
        build.go_on.set()
        wait_until(lambda: outcome, 'the end of configure')
        assert outcome == [True]
        assert running.get_state() == 'inactive'


def test_a_build_can_be_cancelled() -> None:
    build = SlowBuild()
    with detector_node(StubFactory(build)) as running:
        idle = running.call(Trigger, '/detector/cancel_build', Trigger.Request())
        assert (idle.success, idle.message) == (False, 'nothing is being built')
        outcome = configure_in_background(running)
        assert build.started.wait(20)
        assert running.call(Trigger, '/detector/cancel_build', Trigger.Request()).success
        wait_until(lambda: outcome, 'the end of configure')
        assert outcome == [False]
        assert running.get_state() == 'unconfigured'
        assert 'cancelled' in values_of(running.status('detector'))['last error']
        build.go_on.set()
        assert running.configure(), 'the next build must not be cancelled by the last request'


def test_a_build_that_ends_in_spite_of_the_cancel_is_thrown_away() -> None:
    def ignore_cancel(_progress: Any, cancel: threading.Event) -> None:
        started.set()
        assert cancel.wait(20)

    started = threading.Event()
    factory = StubFactory(ignore_cancel)
    with detector_node(factory) as running:
        outcome = configure_in_background(running)
        assert started.wait(20)
        assert running.node.cancel_build()
        wait_until(lambda: outcome, 'the end of configure')
        assert outcome == [False]
        assert factory.made[0].closed


def test_finalize_cancels_a_build() -> None:
    build = SlowBuild()
    with detector_node(StubFactory(build)) as running:
        configure_in_background(running)
        assert build.started.wait(20)
        assert running.node.finalize()
        assert running.get_state() == 'finalized'


def test_autostart_goes_to_active_by_itself() -> None:
    with detector_node(autostart=True) as running:
        wait_until(lambda: running.node.get_state_label() == 'active', 'the active state')
        assert running.deactivate()
        assert running.get_state() == 'inactive'


def test_autostart_that_fails_leaves_a_node_that_says_why() -> None:
    def refuse(_progress: Any, _cancel: Any) -> None:
        raise ModelError('no model')

    with detector_node(StubFactory(refuse), autostart=True) as running:
        status = running.status('detector', lambda s: s.level == b'\x02')
        assert status.message == 'cannot configure: no model'
        assert running.get_state() == 'unconfigured'


def test_diagnostics_come_in_every_state() -> None:
    with detector_node() as running:
        seen = [values_of(running.status('detector'))['state']]
        for step in (running.configure, running.activate, running.deactivate, running.cleanup):
            assert step()
            seen.append(values_of(running.status('detector'))['state'])
        assert running.node.finalize()
        seen.append(values_of(running.status('detector'))['state'])
    assert seen == ['unconfigured', 'inactive', 'active', 'inactive', 'unconfigured', 'finalized']


def test_nothing_is_published_after_deactivate() -> None:
    release = threading.Event()
    began = threading.Event()

    def be_slow(_images: Any) -> None:
        began.set()
        release.wait(20)

    with detector_node(StubFactory(behave=be_slow)) as running:
        assert running.configure()
        arrays = running.collect(Detection2DArray, '/detector/detections')
        camera = running.publisher(ImageMessage, '/image_raw')
        assert running.activate()
        wait_until(camera.get_subscription_count, 'the subscription of the node')
        camera.publish(image_message())
        assert began.wait(20)
        outcome: list[bool] = []
        thread = threading.Thread(target=lambda: outcome.append(running.deactivate()))
        thread.start()
        wait_until(lambda: running.node.get_state_label() == 'deactivating', 'deactivating')
        time.sleep(0.1)
        assert not outcome, 'deactivate has to wait for the image in work'
        release.set()
        thread.join(20)
        assert outcome == [True]
        wait_until(lambda: arrays, 'the detections of the image in work')
        camera.publish(image_message())
        time.sleep(0.3)
        assert len(arrays) == 1
