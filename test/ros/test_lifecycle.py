# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the lifecycle of the node through its services."""

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
from trt_detector.ros.image_intake import ImageIntake
from trt_detector.ros.session import DetectionSession
from trt_detector.values.progress import Progress
from vision_msgs.msg import Detection2DArray


class SlowBuild:
    """Preparation that runs until it is cancelled or released."""

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
    """Start to configure; the outcome is appended to the returned list."""
    outcome: list[bool] = []
    threading.Thread(target=lambda: outcome.append(running.configure()), daemon=True).start()
    return outcome


def test_full_lifecycle_repeats() -> None:
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
def test_shutdown_closes_the_detector(state: str) -> None:
    factory = StubFactory()
    with detector_node(factory) as running:
        if state != 'unconfigured':
            assert running.configure()
        if state == 'active':
            assert running.activate()
        assert running.get_state() == state
        assert running.node.finalize()
        assert running.get_state() == 'finalized'
        made = 0 if state == 'unconfigured' else 1
        assert [detector.closed for detector in factory.made] == [True] * made


def test_invalid_transition_is_refused() -> None:
    with detector_node() as running:
        assert not running.activate()
        assert running.get_state() == 'unconfigured'


def test_detector_error_in_configure_is_logged_in_one_line(
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
        ({'image_topics': ['not a topic']}, "'not a topic', which is not a topic name"),
        ({'classes': ['zebra']}, "classes holds 'zebra'"),
    ],
)
def test_configure_names_the_invalid_parameter(parameters: dict[str, Any], reason: str) -> None:
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
def test_exception_in_a_transition_is_logged_and_releases_resources(
    method: str,
    step: str,
    state: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    factory = StubFactory()
    original = getattr(DetectionSession, method)
    failures = []

    def fail(session: DetectionSession) -> None:
        original(session)
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


def test_detector_error_in_activate_leaves_the_node_inactive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_intake: ImageIntake) -> None:
        raise ConfigError('no such camera')

    with detector_node() as running:
        assert running.configure()
        with monkeypatch.context() as patch:
            patch.setattr(ImageIntake, 'open', refuse)
            assert not running.activate()
        assert running.get_state() == 'inactive'
        assert running.activate()


def test_services_and_diagnostics_work_during_a_slow_configure() -> None:
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


def test_build_can_be_cancelled() -> None:
    build = SlowBuild()
    with detector_node(StubFactory(build)) as running:
        idle = running.call(Trigger, '/detector/cancel_build', Trigger.Request())
        assert (idle.success, idle.message) == (False, 'no build is in progress')
        outcome = configure_in_background(running)
        assert build.started.wait(20)
        assert running.call(Trigger, '/detector/cancel_build', Trigger.Request()).success
        wait_until(lambda: outcome, 'the end of configure')
        assert outcome == [False]
        assert running.get_state() == 'unconfigured'
        assert 'cancelled' in values_of(running.status('detector'))['last error']
        build.go_on.set()
        assert running.configure(), 'the next build must not be cancelled by the last request'


def test_detector_is_closed_if_a_build_ignores_the_cancellation() -> None:
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


def test_autostart_activates_the_node() -> None:
    with detector_node(autostart=True) as running:
        wait_until(lambda: running.node.get_state_label() == 'active', 'the active state')
        assert running.deactivate()
        assert running.get_state() == 'inactive'


def test_failed_autostart_is_reported() -> None:
    def refuse(_progress: Any, _cancel: Any) -> None:
        raise ModelError('no model')

    with detector_node(StubFactory(refuse), autostart=True) as running:
        status = running.status('detector', lambda s: s.level == b'\x02')
        assert status.message == 'cannot configure: no model'
        assert running.get_state() == 'unconfigured'


def test_diagnostics_are_published_in_every_state() -> None:
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
        assert not outcome, 'deactivate has to wait for the image in progress'
        release.set()
        thread.join(20)
        assert outcome == [True]
        wait_until(lambda: arrays, 'the detections of the image in progress')
        camera.publish(image_message())
        time.sleep(0.3)
        assert len(arrays) == 1


def test_finalize_reports_an_inference_thread_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    began = threading.Event()

    def hang(_images: Any) -> None:
        began.set()
        release.wait(60)

    monkeypatch.setattr('trt_detector.ros.session._CLOSE_TIMEOUT_S', 0.1)
    with detector_node(StubFactory(behave=hang)) as running:
        camera = running.publisher(ImageMessage, '/image_raw')
        assert running.configure()
        assert running.activate()
        wait_until(camera.get_subscription_count, 'the subscription of the node')
        camera.publish(image_message())
        assert began.wait(20)
        assert not running.node.finalize()
        last_error = values_of(running.status('detector'))['last error']
        assert 'the device may hang: start the process again' in last_error
        release.set()


def test_node_that_nobody_configures_says_how(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('trt_detector.ros.lifecycle.managed_node._REMINDER_S', 0.05)
    lines: list[str] = []
    monkeypatch.setattr(
        'rclpy.impl.rcutils_logger.RcutilsLogger.info', lambda _self, text, **_: lines.append(text)
    )
    with detector_node() as running:
        wait_until(lambda: lines, 'the line')
        assert running.configure()
    (line,) = [line for line in lines if 'unconfigured' in line]
    assert '"ros2 lifecycle set /detector configure"' in line


def test_node_that_is_configured_needs_no_reminder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('trt_detector.ros.lifecycle.managed_node._REMINDER_S', 1.0)
    lines: list[str] = []
    monkeypatch.setattr(
        'rclpy.impl.rcutils_logger.RcutilsLogger.info', lambda _self, text, **_: lines.append(text)
    )
    with detector_node() as running:
        assert running.configure()
        wait_until(lambda: running.node._start_timer.is_canceled(), 'the timer')
    assert not any('unconfigured' in line for line in lines)


def test_diagnostics_and_silence_do_not_need_a_running_clock() -> None:
    # Simulated time without /clock stands still at 0.
    with detector_node(use_sim_time=True, image_timeout=0.3, autostart=True) as running:
        running.status('camera /image_raw', lambda s: 'no publisher of' in s.message)
        seen = len(running.diagnostics)
        wait_until(lambda: len(running.diagnostics) > seen + 2, 'more diagnostics')


def test_session_that_closes_while_diagnostics_are_made_is_harmless() -> None:
    class Closing:
        """Session whose detector is there once, and None from then on."""

        reads = 0

        def __init__(self, session: DetectionSession) -> None:
            self._session = session

        def __getattr__(self, name: str) -> Any:
            return getattr(self._session, name)

        @property
        def detector(self) -> Any:
            self.reads += 1
            return self._session.detector if self.reads == 1 else None

    with detector_node() as running:
        assert running.configure()
        health = running.node._health
        session = health.session
        assert session is not None
        running.node._diagnostics._timer.cancel()
        time.sleep(0.3)
        health.session = Closing(session)  # type: ignore[assignment]
        message = running.node._diagnostics.make_message()
        assert values_of(message.status[0])['backend'] == 'stub'
        health.session = session
