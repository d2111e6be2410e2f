# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the node share: a stand-in detector, a running node, a client's side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, ExitStack
import fcntl
import itertools
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, TextIO

import numpy as np
import pytest

rclpy = pytest.importorskip(
    'rclpy', reason='rclpy is missing: source ROS 2, or bringup/env.sh after bringup/prepare.sh'
)
pytest.importorskip(
    'vision_msgs.msg', reason='vision_msgs is missing: install it, or run bringup/prepare.sh'
)

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
from rcl_interfaces.msg import Parameter as ParameterMessage  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.task import Future  # noqa: E402
from sensor_msgs.msg import Image as ImageMessage  # noqa: E402
from trt_detector.config import DetectorConfig  # noqa: E402
from trt_detector.decode import DecodeOptions  # noqa: E402
from trt_detector.factory import decode_options, watch_device  # noqa: E402
from trt_detector.process.tuning import use_shared_memory  # noqa: E402
from trt_detector.ros.node import DetectorNode  # noqa: E402
from trt_detector.values.batch_result import BatchResult, StageTimes  # noqa: E402
from trt_detector.values.detections import Detections  # noqa: E402
from trt_detector.values.engine_info import EngineInfo  # noqa: E402

from support.shared_memory import kill_process  # noqa: E402

# Before the first participant of the process: large best-effort images are lost without.
use_shared_memory()

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / 'demo' / 'models' / 'demo_end2end.onnx'
PICTURES = ROOT / 'demo' / 'pictures'
WAIT_S = 20.0
CLASS_NAMES = ('car', 'person', 'dog')


class StubDetector:
    """
    Finds one box in every image: the middle half of it, of class 1.

    :param config: as the real factory gets it.
    :param behave: called with the images of each batch; may block or raise.
    """

    def __init__(self, config: DetectorConfig, behave: Callable[[Sequence[Any]], None]) -> None:
        self.info = EngineInfo('stub', 'fp32', 'no device', '1.0')
        self.model_name = 'stub'
        self.description = 'a stub'
        self.class_names = config.class_names or CLASS_NAMES
        self.batch_size = config.batch_size or len(config.image_topics)
        self.input_size = (64, 64)
        self.options: DecodeOptions = decode_options(config, self.class_names)
        self.thread = threading.get_ident()
        self.closed = False
        self.batches: list[int] = []
        self._behave = behave

    depth = 1
    input_size_pending = input_size_follows_images = False

    def has_run(self, count: int) -> bool:
        return count <= self.batch_size

    def submit(self, images: Sequence[Any]) -> Sequence[Any]:
        return images

    def collect(self, pending: Sequence[Any]) -> BatchResult:
        return self.detect(pending)

    def detect(self, images: Sequence[Any]) -> BatchResult:
        assert threading.get_ident() == self.thread, 'used outside the thread that made it'
        assert not self.closed, 'used after close()'
        self.batches.append(len(images))
        self._behave(images)
        return BatchResult(tuple(self._find(image) for image in images), StageTimes(1.0, 2.0, 3.0))

    def _find(self, image: Any) -> Detections:
        width, height = image.width, image.height
        if self.options.score_threshold > 0.9:
            return Detections.empty()
        box = [width / 4, height / 4, width * 3 / 4, height * 3 / 4]
        return Detections(
            np.array([box], np.float32), np.array([0.9], np.float32), np.array([1], np.int32)
        )

    def warm_up(self, iterations: int) -> None:
        return None

    def close(self) -> None:
        assert threading.get_ident() == self.thread, 'closed outside the thread that made it'
        self.closed = True


class StubFactory:
    """
    Makes stub detectors, and can be told to be slow or to fail.

    :param prepare: called with (on_progress, cancel) before the detector is made.
    :param behave: handed to the detector.
    """

    def __init__(
        self,
        prepare: Callable[[Any, threading.Event], None] = lambda _progress, _cancel: None,
        behave: Callable[[Sequence[Any]], None] = lambda _images: None,
    ) -> None:
        self.prepare = prepare
        self.behave = behave
        self.made: list[StubDetector] = []
        self.default_batch_sizes: list[int] = []

    def __call__(
        self,
        config: DetectorConfig,
        *,
        default_batch_size: int = 1,
        on_progress: Any = None,
        cancel: Any = None,
    ) -> Any:
        self.default_batch_sizes.append(default_batch_size)
        self.prepare(on_progress, cancel)
        detector = StubDetector(config, lambda images: self.behave(images))
        self.made.append(detector)
        return detector


_domains = itertools.count(os.getpid() * 7)
_held: deque[TextIO] = deque()


def next_domain() -> int:
    """
    Return a ROS domain that neither the tests before nor one in another process uses.

    It stays this process's until a few more were asked for: the kernel lets go of the lock.
    """
    for number in itertools.islice(_domains, 90):
        domain = 10 + number % 90
        path = Path(tempfile.gettempdir()) / f'trt_detector_test_domain_{domain}'
        with ExitStack() as undo:
            try:
                lock = undo.enter_context(path.open('w'))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # held, or another user's
                continue
            undo.pop_all()
        _held.append(lock)
        if len(_held) > 16:
            _held.popleft().close()
        return domain
    pytest.fail('other processes use all ROS domains from 10 to 99')


@contextmanager
def ros_context() -> Iterator[Any]:
    """Provide an initialized context in a domain of its own."""
    context = rclpy.Context()
    rclpy.init(
        args=['--ros-args', '--log-level', 'warn'], context=context, domain_id=next_domain()
    )
    try:
        yield context
    finally:
        rclpy.try_shutdown(context=context)


class NodeHarness:
    """
    A lifecycle node and a client beside it, each spun in threads of its own.

    :param context: initialized context.
    :param node: lifecycle node, whose name has no namespace.
    """

    def __init__(self, context: Any, node: Any) -> None:
        self.node = node
        self.name = node.get_name()
        self.client = rclpy.create_node('client', context=context, use_global_arguments=False)
        self._clients: dict[str, Any] = {}
        self.diagnostics: list[DiagnosticArray] = []
        self.client.create_subscription(
            DiagnosticArray, '/diagnostics', self.diagnostics.append, 10
        )
        self._executors = [
            MultiThreadedExecutor(num_threads=4, context=context),
            SingleThreadedExecutor(context=context),
        ]
        self._executors[0].add_node(self.node)
        self._executors[1].add_node(self.client)
        self._stop = Future()
        self._threads = [
            threading.Thread(target=executor.spin_until_future_complete, args=(self._stop,))
            for executor in self._executors
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self.node.finalize()
        self._stop.set_result(None)
        for thread in self._threads:
            thread.join(WAIT_S)
        for executor in self._executors:
            executor.shutdown()
        self.node.destroy_node()
        self.client.destroy_node()

    def call(self, service_type: Any, name: str, request: Any) -> Any:
        """Return the answer of a service."""
        if name not in self._clients:
            self._clients[name] = self.client.create_client(service_type, name)
        client = self._clients[name]
        # wait_for_service() looks every 0.25 s only.
        wait_until(client.service_is_ready, f'service {name}')
        future = client.call_async(request)
        wait_until(future.done, f'answer of {name}')
        return future.result()

    def change_state(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.call(ChangeState, f'/{self.name}/change_state', request).success)

    def configure(self) -> bool:
        return self.change_state(Transition.TRANSITION_CONFIGURE)

    def activate(self) -> bool:
        return self.change_state(Transition.TRANSITION_ACTIVATE)

    def deactivate(self) -> bool:
        return self.change_state(Transition.TRANSITION_DEACTIVATE)

    def cleanup(self) -> bool:
        return self.change_state(Transition.TRANSITION_CLEANUP)

    def get_state(self) -> str:
        answer = self.call(GetState, f'/{self.name}/get_state', GetState.Request())
        return str(answer.current_state.label)

    def set_parameter(self, name: str, value: Any) -> Any:
        """Return the result of setting one parameter through the service."""
        message: ParameterMessage = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[message])
        return self.call(SetParameters, f'/{self.name}/set_parameters', request).results[0]

    def collect(self, message_type: Any, topic: str, qos: Any = 10) -> list[Any]:
        """Return a list that every message of a topic is appended to."""
        messages: list[Any] = []
        self.client.create_subscription(message_type, topic, messages.append, qos)
        return messages

    def publisher(self, message_type: Any, topic: str, qos: Any = 1) -> Any:
        return self.client.create_publisher(message_type, topic, qos)

    @contextmanager
    def images(self, *topics: str, period_s: float = 0.02) -> Iterator[None]:
        """Publish images from a thread until the end of the block."""
        publishers = [self.publisher(ImageMessage, topic) for topic in topics or ['/image_raw']]
        ended = threading.Event()

        def publish() -> None:
            while not ended.wait(period_s):
                for publisher in publishers:
                    publisher.publish(image_message())

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def status(self, part: str, accept: Callable[[Any], bool] = lambda _status: True) -> Any:
        """Wait for the next diagnostics status of a part that is accepted."""
        seen = len(self.diagnostics)

        def find() -> Any:
            for message in self.diagnostics[seen:]:
                for status in message.status:
                    if status.name == f'{self.name}: {part}' and accept(status):
                        return status
            return None

        return wait_until(find, f'diagnostics of {part}')


class RunningNode(NodeHarness):
    """
    A detector node and a client beside it.

    :param context: initialized context.
    :param create: makes the detector.
    :param parameters: of the node.
    :param watch: begins to read the detector's device.
    :param cli_args: ROS arguments of the node.
    """

    def __init__(
        self,
        context: Any,
        create: Any,
        parameters: dict[str, Any],
        watch: Any = watch_device,
        cli_args: Sequence[str] = (),
    ) -> None:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = DetectorNode(
            'detector',
            create=create,
            watch=watch,
            context=context,
            parameter_overrides=overrides,
            use_global_arguments=False,
            cli_args=['--ros-args', *cli_args] if cli_args else None,
        )
        super().__init__(context, node)


@contextmanager
def detector_node(
    create: Any = None,
    *,
    watch: Any = watch_device,
    cli_args: Sequence[str] = (),
    **parameters: Any,
) -> Iterator[RunningNode]:
    """Run a node with a stand-in detector, and a client beside it."""
    values = {'model_path': 'stub.onnx', 'diagnostics_period': 0.2, **parameters}
    with ros_context() as context:
        running = RunningNode(context, create or StubFactory(), values, watch, cli_args)
        try:
            yield running
        finally:
            running.close()


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> Any:
    """Return the condition's first true value."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f'waited {timeout_s:g} s in vain for: {what}')


def values_of(status: Any) -> dict[str, str]:
    """Return the key-value pairs of a diagnostics status."""
    return {pair.key: pair.value for pair in status.values}


def image_message(width: int = 64, height: int = 48, stamp: tuple[int, int] = (5, 6)) -> Any:
    """Return a valid bgr8 message."""
    message = ImageMessage(
        height=height,
        width=width,
        encoding='bgr8',
        step=width * 3,
        data=bytes(height * width * 3),
    )
    message.header.stamp.sec, message.header.stamp.nanosec = stamp
    message.header.frame_id = 'lens'
    return message


@contextmanager
def node_process(*arguments: str, domain: int, code: str = '') -> Iterator[subprocess.Popen[str]]:
    """
    Run the executable in a process of its own; killed at the end if it still runs.

    :param code: Python to run in the place of the executable's module.
    """
    start = ['-c', code] if code else ['-m', 'trt_detector.ros.main']
    process = subprocess.Popen(
        [sys.executable, *start, *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            'ROS_DOMAIN_ID': str(domain),
            'PYTHONUNBUFFERED': '1',
            'PYTHONFAULTHANDLER': '1',
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        kill_process(process)
        if process.stdout is not None:
            process.stdout.close()


def output_at_end(process: subprocess.Popen[str], timeout_s: float = 60.0) -> str:
    """
    Wait for the end of a process of ``node_process`` and return what it wrote.

    One that does not end fails the test with the stacks of all its threads.
    """
    try:
        return process.communicate(timeout=timeout_s)[0]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        output = process.communicate(timeout=10)[0]
        pytest.fail(f'the process did not end within {timeout_s:g} s; it wrote:\n{output}')
