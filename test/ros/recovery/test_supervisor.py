# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test what a node does when inferences fail or hang, with a stand-in detector."""

from __future__ import annotations

from collections.abc import Callable
import threading
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

from lifecycle_msgs.msg import TransitionEvent
import pytest
from rclpy.impl.rcutils_logger import RcutilsLogger
from sensor_msgs.msg import Image as ImageMessage
from support.ros_graph import (
    detector_node,
    image_message,
    RunningNode,
    StubDetector,
    StubFactory,
    values_of,
    wait_until,
)
from trt_detector.errors import DeviceLostError, EngineError, ModelError
from trt_detector.ros.recovery import supervisor
from vision_msgs.msg import Detection2DArray


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the periods, which are meant for people."""
    monkeypatch.setattr('trt_detector.ros.recovery.supervisor._PERIOD_S', 0.05)
    monkeypatch.setattr('trt_detector.ros.recovery.supervisor._FIRST_DELAY_S', 0.2)
    monkeypatch.setattr('trt_detector.ros.recovery.inference_watch.MAX_FAILING_S', 0.1)


class Engine:
    """Behavior of a detector that a test can break and repair."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.calls = 0

    def __call__(self, _images: Any) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error


def state_is(running: RunningNode, label: str) -> Callable[[], bool]:
    """Make the condition that the node is in a state."""
    return lambda: running.node.get_state_label() == label


def test_one_failed_inference_publishes_nothing_and_the_node_stays_active() -> None:
    engine = Engine()
    with detector_node(StubFactory(behave=engine)) as running:
        arrays = running.collect(Detection2DArray, '/detector/detections')
        assert running.configure()
        assert running.activate()
        with running.images():
            wait_until(lambda: arrays, 'detections')
            session = running.node._health.session
            assert session is not None
            engine.error = EngineError('CUDA is busy')
            wait_until(lambda: session.statistics.counts(0).failed, 'a failed image')
            engine.error = None
            wait_until(lambda: session.watch._failures == 0, 'an inference that works')
        assert running.get_state() == 'active'
        counts = session.statistics.counts(0)
        wait_until(lambda: len(arrays) == counts.published, 'an array per published image')


def test_node_whose_inferences_all_fail_goes_through_the_error_state_and_frees_all(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    infos: list[str] = []
    monkeypatch.setattr(RcutilsLogger, 'info', lambda _self, text, **_: infos.append(text))
    engine, factory = Engine(), StubFactory()
    factory.behave = engine
    engine.error = EngineError('CUDA is gone')
    with detector_node(factory) as running:
        events = running.collect(TransitionEvent, '/detector/transition_event')
        wait_until(lambda: running.client.count_publishers('/detector/transition_event'), 'events')
        assert running.configure()
        assert running.activate()
        with running.images():
            wait_until(state_is(running, 'unconfigured'), 'the unconfigured state')
        wait_until(lambda: events and events[-1].goal_state.label == 'unconfigured', 'the event')
        assert events[-1].start_state.label == 'errorprocessing'
        assert engine.calls >= 10
        assert [detector.closed for detector in factory.made] == [True]
        status = running.status('detector')
        assert status.level == b'\x02'
        assert 'inferences failed: EngineError: CUDA is gone' in status.message
        # It stays there, and the user can go on at once.
        wait_until(lambda: any('the node stays unconfigured: run' in t for t in infos), 'the log')
        engine.error = None
        assert running.configure()
        assert running.activate()
        assert running.status('detector').level != b'\x02'
    assert 'Traceback' not in capfd.readouterr().err


def test_node_recovers_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    # From the log: a pause can pass between two messages on /diagnostics.
    warnings, infos = list[str](), list[str]()
    monkeypatch.setattr(RcutilsLogger, 'warning', lambda _self, text, **_: warnings.append(text))
    monkeypatch.setattr(RcutilsLogger, 'info', lambda _self, text, **_: infos.append(text))

    def list_pauses() -> list[str]:
        again = 'the node configures itself again in '
        return [text.removeprefix(again) for text in warnings if text.startswith(again)]

    engine, factory = Engine(), StubFactory()
    factory.behave = engine
    engine.error = EngineError('CUDA is gone')
    with detector_node(factory, recover=True) as running:
        arrays = running.collect(Detection2DArray, '/detector/detections')
        assert running.configure()
        assert running.activate()
        with running.images():
            status = running.status('detector', lambda s: 'again in' in s.message)
            assert status.level == b'\x02'
            assert 'CUDA is gone' in status.message
            wait_until(lambda: len(list_pauses()) >= 3, 'three pauses')
            engine.error = None
            wait_until(lambda: arrays, 'detections')
        wait_until(
            lambda: infos.count('the node has recovered') == len(list_pauses()), 'the last log'
        )
        assert running.get_state() == 'active'
        running.status('detector', lambda s: 'again' not in s.message)
    pauses = list_pauses()
    assert pauses == [f'{0.2 * 2**n:g} s' for n in range(len(pauses))]
    assert len(factory.made) == 1 + len(pauses)
    assert all(detector.closed for detector in factory.made)


@pytest.mark.parametrize(('active_s', 'second_delay'), [(59.0, '2'), (61.0, '1')])
def test_node_that_was_active_for_a_minute_begins_with_the_first_delay(
    active_s: float, second_delay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now_s=1000.0, monotonic=lambda: clock.now_s)
    monkeypatch.setattr(supervisor, 'time', clock)
    monkeypatch.setattr(supervisor, '_FIRST_DELAY_S', 1.0)
    node, session = MagicMock(), MagicMock()
    node.may_recover.return_value = True
    session.config.inference_timeout = 0.0
    session.watch.get_running_s.return_value = 0.0
    session.watch.device_lost = False
    state = SimpleNamespace(session=session, hang='', recovery='')
    watcher = supervisor.Supervisor(node, state)

    def set_up() -> bool:
        node.get_state_label.return_value = 'active'
        watcher.start()
        return True

    node.bring_up.side_effect = set_up
    node.fail.side_effect = lambda _: setattr(node.get_state_label, 'return_value', 'unconfigured')
    set_up()
    tick = node.create_timer.call_args.args[1]
    tick()
    assert state.recovery == 'the node configures itself again in 1 s'
    clock.now_s += 1.0
    tick()
    assert state.recovery == ''
    clock.now_s += active_s
    tick()
    assert state.recovery == f'the node configures itself again in {second_delay} s'


def test_attempts_go_on_if_the_model_cannot_be_opened() -> None:
    engine = Engine()
    factory = StubFactory(behave=engine)
    engine.error = EngineError('CUDA is gone')
    attempts = []

    def refuse(_progress: Any, _cancel: Any) -> None:
        attempts.append(1)
        raise ModelError('the share is not mounted')

    with detector_node(factory, recover=True) as running:
        assert running.configure()
        assert running.activate()
        factory.prepare = refuse
        with running.images():
            wait_until(lambda: len(attempts) >= 2, 'two attempts')
            status = running.status('detector', lambda s: 'again in' in s.message)
            assert 'the share is not mounted' in status.message
            factory.prepare, engine.error = lambda _progress, _cancel: None, None
            wait_until(state_is(running, 'active'), 'the active state')


@pytest.mark.parametrize('step', ['configure', 'set recover'])
def test_recovery_ends_if_the_user_steps_in(
    step: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Longer than the test, so that the user is there before the next attempt.
    monkeypatch.setattr('trt_detector.ros.recovery.supervisor._FIRST_DELAY_S', 50.0)
    engine, factory = Engine(), StubFactory()
    factory.behave = engine
    engine.error = EngineError('CUDA is gone')
    with detector_node(factory, recover=True) as running:
        assert running.configure()
        assert running.activate()
        with running.images():
            running.status('detector', lambda s: 'again in 50 s' in s.message)
            if step == 'configure':
                assert running.configure()
            else:
                assert running.set_parameter('recover', False).successful
            wait_until(lambda: not running.node._health.recovery, 'the end of the recovery')
            wait_until(
                lambda: (
                    running.node._supervisor._timer.is_canceled() or running.node._health.session
                ),
                'a supervisor at rest',
            )
        expected = 'inactive' if step == 'configure' else 'unconfigured'
        assert running.get_state() == expected
        assert len(factory.made) == (2 if step == 'configure' else 1)


def test_cancelled_build_ends_the_recovery() -> None:
    engine, started = Engine(), threading.Event()
    factory = StubFactory(behave=engine)
    engine.error = EngineError('CUDA is gone')

    def build(_progress: Any, cancel: threading.Event) -> None:
        started.set()
        assert cancel.wait(20)

    with detector_node(factory, recover=True) as running:
        assert running.configure()
        assert running.activate()
        factory.prepare = build
        with running.images():
            assert started.wait(20)
            assert running.node.cancel_build()
            wait_until(lambda: not running.node._health.recovery, 'the end of the recovery')
        wait_until(state_is(running, 'unconfigured'), 'the unconfigured state')
        assert running.node._supervisor._next_s is None


def test_malformed_images_are_no_failure_of_the_engine() -> None:
    with detector_node() as running:
        publisher = running.publisher(ImageMessage, '/image_raw')
        assert running.configure()
        assert running.activate()
        wait_until(publisher.get_subscription_count, 'the subscription')
        session = running.node._health.session
        assert session is not None
        message = image_message()
        message.encoding = 'sepia'

        def are_counted() -> bool:
            publisher.publish(message)
            return session.statistics.counts(0).malformed > 20

        wait_until(are_counted, 'malformed images')
        assert session.watch._failures == 0
        assert running.get_state() == 'active'


@pytest.mark.parametrize('recover', [False, True])
def test_sticky_error_ends_the_process(recover: bool) -> None:
    engine, codes = Engine(), []
    factory = StubFactory(behave=engine)
    engine.error = DeviceLostError('illegal memory access; restart the process')
    with detector_node(factory, recover=recover) as running:
        running.node.on_fatal = codes.append
        assert running.configure()
        assert running.activate()
        with running.images():
            wait_until(lambda: codes, 'the end of the process')
        assert codes == [4]
        assert running.get_state() == 'unconfigured'
        assert factory.made[0].closed
        assert 'illegal memory access' in running.status('detector').message
        assert not running.node._health.recovery


def test_sticky_error_in_configure_ends_the_process() -> None:
    codes: list[int] = []

    def fail(_progress: Any, _cancel: Any) -> None:
        raise DeviceLostError('uncorrectable ECC error; restart the process')

    with detector_node(StubFactory(fail)) as running:
        running.node.on_fatal = codes.append
        assert not running.configure()
    assert codes == [4]


class Hang:
    """Behavior of a detector that does not return until it is released."""

    def __init__(self) -> None:
        self.began, self.release = threading.Event(), threading.Event()

    def __call__(self, _images: Any) -> None:
        self.began.set()
        assert self.release.wait(60)


def test_inference_that_hangs_is_reported_until_it_returns() -> None:
    hang, codes = Hang(), []
    with detector_node(StubFactory(behave=hang), inference_timeout=0.3) as running:
        running.node.on_fatal = codes.append
        assert running.configure()
        assert running.activate()
        with running.images():
            assert hang.began.wait(20)
            status = running.status('detector', lambda s: s.level == b'\x02')
            assert 'an inference has not returned for' in status.message
            assert values_of(status)['state'] == 'active'
            hang.release.set()
            running.status('detector', lambda s: s.level == b'\x00')
        assert running.get_state() == 'active'
    assert codes == []


def test_inference_that_hangs_ends_the_process_if_it_shall() -> None:
    hang, codes = Hang(), []
    with detector_node(StubFactory(behave=hang), inference_timeout=0.3, on_hang='exit') as running:
        running.node.on_fatal = codes.append
        assert running.configure()
        assert running.activate()
        with running.images():
            wait_until(lambda: codes, 'the end of the process')
            hang.release.set()
    assert codes == [3]


def test_on_hang_that_changes_while_an_inference_hangs_takes_effect() -> None:
    hang, codes = Hang(), []
    with detector_node(StubFactory(behave=hang), inference_timeout=0.3) as running:
        running.node.on_fatal = codes.append
        assert running.configure()
        assert running.activate()
        with running.images():
            running.status('detector', lambda s: 'not returned' in s.message)
            assert codes == []
            assert running.set_parameter('on_hang', 'exit').successful
            wait_until(lambda: codes, 'the end of the process')
            hang.release.set()
    assert codes == [3]


def test_longer_inference_timeout_does_not_log_that_the_inference_has_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hang, infos = Hang(), list[str]()
    monkeypatch.setattr(RcutilsLogger, 'info', lambda _self, text, **_: infos.append(text))
    with detector_node(StubFactory(behave=hang), inference_timeout=0.3) as running:
        assert running.configure()
        assert running.activate()
        with running.images():
            running.status('detector', lambda s: 'not returned' in s.message)
            assert running.set_parameter('inference_timeout', 0.0).successful
            running.status('detector', lambda s: s.level == b'\x00')
            assert not any('has returned' in text for text in infos)
            assert running.set_parameter('inference_timeout', 0.3).successful
            running.status('detector', lambda s: 'not returned' in s.message)
            hang.release.set()
            running.status('detector', lambda s: s.level == b'\x00')
    assert sum('has returned' in text for text in infos) == 1


@pytest.mark.parametrize('case', ['off', 'first run'])
def test_watchdog_that_is_off_and_first_runs(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hang, codes = Hang(), []
    if case == 'first run':
        # As TensorRT for RTX compiles for a new batch size, or an open input size is chosen.
        monkeypatch.setattr(StubDetector, 'has_run', lambda _self, _count: False)
    timeout_s = 0.0 if case == 'off' else 0.1
    with detector_node(
        StubFactory(behave=hang), inference_timeout=timeout_s, on_hang='exit'
    ) as running:
        running.node.on_fatal = codes.append
        assert running.configure()
        assert running.activate()
        with running.images():
            assert hang.began.wait(20)
            seen = len(running.diagnostics)
            wait_until(lambda: len(running.diagnostics) > seen + 4, 'five diagnostics')
            messages = [s.message for m in running.diagnostics[seen:] for s in m.status]
            hang.release.set()
    assert codes == []
    assert not any('not returned' in text for text in messages)


def test_slow_configure_is_no_hang() -> None:
    codes: list[int] = []

    def build(_progress: Any, cancel: threading.Event) -> None:
        assert not cancel.wait(1.0)

    with detector_node(StubFactory(build), inference_timeout=0.1, on_hang='exit') as running:
        running.node.on_fatal = codes.append
        assert running.configure()
        assert running.status('detector').level == b'\x00'
    assert codes == []


def test_thread_that_hangs_when_the_node_fails_leaves_it_finalized(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr('trt_detector.ros.session._CLOSE_TIMEOUT_S', 0.1)
    hang = Hang()
    with detector_node(StubFactory(behave=hang), recover=True) as running:
        assert running.configure()
        assert running.activate()
        session = running.node._health.session
        assert session is not None
        with running.images():
            assert hang.began.wait(20)
            for _ in range(10):
                session.watch.note_failure(EngineError('CUDA is gone'))
            wait_until(state_is(running, 'finalized'), 'the finalized state')
        assert running.node._supervisor._next_s is None
        assert 'did not end' in values_of(running.status('detector'))['last error']
        # It is logged after the state has changed.
        wait_until(
            lambda: 'could not be freed: start the process again' in capfd.readouterr().err,
            'the line of the log',
        )
        hang.release.set()
