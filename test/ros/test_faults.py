# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Faults around the node: clocks, names, lifecycle requests, parameter files, network."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
import os
from pathlib import Path
import random
import select
import signal
import subprocess
import sys
import time
from typing import Any

from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image as ImageMessage
from support.ros_graph import (
    detector_node,
    image_message,
    MODEL,
    next_domain,
    node_process,
    output_at_end,
    ROOT,
    RunningNode,
    StubDetector,
    StubFactory,
    wait_until,
)
from support.shared_memory import kill_process
from trt_detector.errors import BuildCancelledError, ModelError
from trt_detector.ros.node import DetectorNode
from vision_msgs.msg import Detection2DArray

DAY_S = 86400


def is_time(running: RunningNode, time_s: int) -> bool:
    """Tell whether the clock of the node shows a time."""
    return bool(running.node.get_clock().now().nanoseconds == time_s * 10**9)


def is_answered(camera: Any, image: Any, arrays: list[Any]) -> bool:
    """Publish an image and tell whether its detections have arrived."""
    camera.publish(image)
    return any(array.header == image.header for array in arrays)


@pytest.mark.parametrize(
    'times_s',
    [(100, 101, 5, 6, 7), (100, 101, 100 + DAY_S, 101 + DAY_S), (100, 100, 100, 100)],
    ids=['looped', 'jumps forward', 'paused'],
)
def test_simulated_time_that_jumps(times_s: tuple[int, ...]) -> None:
    with detector_node(use_sim_time=True, image_timeout=60.0, autostart=True) as running:
        clock = running.publisher(Clock, '/clock', 10)
        camera = running.publisher(ImageMessage, '/image_raw')
        arrays = running.collect(Detection2DArray, '/detector/detections')
        wait_until(camera.get_subscription_count, 'the subscription of the node')
        wait_until(clock.get_subscription_count, 'the clock of the node')
        for number, time_s in enumerate(times_s):
            clock.publish(Clock(clock=Time(sec=time_s)))
            wait_until(partial(is_time, running, time_s), 'the time')
            image = image_message(stamp=(time_s, number))
            wait_until(partial(is_answered, camera, image, arrays), f'detections at {time_s} s')
        # A busy machine may lose images meanwhile.
        running.status('camera /image_raw', lambda s: s.level == b'\x00')
        assert running.status('detector').level == b'\x00'


def test_two_nodes_of_one_name_are_reported(capfd: pytest.CaptureFixture[str]) -> None:
    with detector_node() as running:
        other = DetectorNode(
            'detector',
            create=StubFactory(),
            context=running.node.context,
            use_global_arguments=False,
        )
        try:
            wait_until(lambda: running.node._find_namesakes(), 'the discovery of the other node')
            assert running.configure() or running.node.get_state_label() == 'inactive'
            status = running.status('detector', lambda s: s.level == b'\x01')
            assert '2 nodes have the name /detector' in status.message
            assert '__node:=NAME' in status.message
        finally:
            other.destroy_node()
    assert '2 nodes have the name /detector' in capfd.readouterr().err


WRONG = {
    'unconfigured': ('activate', 'deactivate', 'cleanup'),
    'inactive': ('configure', 'deactivate'),
    'active': ('configure', 'activate', 'cleanup'),
}


@pytest.mark.parametrize('state', WRONG)
def test_transitions_in_the_wrong_order_are_refused(state: str) -> None:
    factory = StubFactory()
    with detector_node(factory) as running:
        steps = {
            'unconfigured': (),
            'inactive': ('configure',),
            'active': ('configure', 'activate'),
        }
        for step in steps[state]:
            assert getattr(running, step)()
        for step in WRONG[state]:
            assert not getattr(running, step)(), step
            assert running.get_state() == state
        assert [detector.closed for detector in factory.made] == [False] * len(factory.made)


def test_transitions_requested_at_once_leave_a_node_that_works() -> None:
    factory = StubFactory()
    transitions = (
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
    )
    choose = random.Random(14)
    with detector_node(factory) as running:
        services = [
            running.client.create_client(ChangeState, '/detector/change_state') for _ in range(4)
        ]
        for service in services:
            assert service.wait_for_service(20)
        requests = [choose.choice(transitions) for _ in range(80)]

        def ask(number: int) -> bool:
            request = ChangeState.Request(transition=Transition(id=requests[number]))
            future = services[number % 4].call_async(request)
            wait_until(future.done, 'the answer')
            return bool(future.result().success)

        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(ask, range(len(requests))))
        assert any(outcomes)
        assert not all(outcomes)
        ends = {'active': ('deactivate', 'cleanup'), 'inactive': ('cleanup',)}
        for step in ends.get(running.get_state(), ()):
            assert getattr(running, step)()
        assert all(detector.closed for detector in factory.made)
        assert running.configure()
        assert running.activate()


def test_cancelled_configure_is_no_error_on_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    def refuse(_progress: Any, _cancel: Any) -> None:
        raise BuildCancelledError('the build was cancelled')

    with detector_node(StubFactory(refuse)) as running:
        assert not running.configure()
        assert running.get_state() == 'unconfigured'
    # The level of the log is warn.
    assert 'cancelled' not in capfd.readouterr().err


def test_failed_autostart_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(
        'rclpy.impl.rcutils_logger.RcutilsLogger.info', lambda _self, text, **_: lines.append(text)
    )

    def refuse(_progress: Any, _cancel: Any) -> None:
        raise ModelError('no model')

    with detector_node(StubFactory(refuse), autostart=True) as running:
        wait_until(lambda: running.node._start_timer.is_canceled() and lines, 'the line')
    (line,) = [line for line in lines if 'autostart failed' in line]
    assert '"ros2 lifecycle set /detector configure"' in line
    assert '"ros2 lifecycle set /detector activate"' in line


def test_size_that_the_first_image_chooses_for_several_cameras_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(StubDetector, 'input_size_pending', True)
    with detector_node(image_topics=['left/image', 'right/image']) as running:
        assert running.configure()
    logged = capfd.readouterr().err
    assert 'the first image chooses it for all 2 cameras; set input_shape' in logged


def test_parameter_file_with_many_errors_names_all(tmp_path: Path) -> None:
    path = tmp_path / 'detector.yaml'
    path.write_text(
        '/**:\n  ros__parameters:\n    score_treshold: 0.5\n    max_detections: many\n'
        '    iou_threshold: 1.5\n    backend: tensorflow\n    autostart: true\n'
    )
    arguments = ('--ros-args', '--params-file', str(path))
    with node_process(*arguments, domain=next_domain()) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if 'autostart failed' in line:
                break
        process.send_signal(signal.SIGINT)
        lines.append(output_at_end(process))
    output = ''.join(lines)
    assert process.returncode == 0, output
    (error,) = [line for line in lines if 'cannot configure' in line]
    for part in ("max_detections is 'many'", 'iou_threshold is 1.5', "backend is 'tensorflow'"):
        assert part in error
    assert 'Traceback' not in output


# A camera and a detector in two processes.
PAIR = """
import subprocess, sys
camera = [sys.executable, '-m', 'trt_detector.tools.play_images.main', '--images', sys.argv[1]]
camera = subprocess.Popen([*camera, '--loop', '--rate', '10', '--compressed'])
detector = subprocess.Popen([sys.executable, '-m', 'trt_detector.ros.main', '--ros-args',
    '-p', 'autostart:=true', '-p', 'model_path:=' + sys.argv[2], '-p', 'backend:=onnxruntime',
    '-p', 'image_transport:=compressed'])
try:
    import rclpy
    from vision_msgs.msg import Detection2DArray
    rclpy.init()
    node = rclpy.create_node('listener')
    arrays = []
    node.create_subscription(Detection2DArray, '/detector/detections', arrays.append, 10)
    while len(arrays) < 5:
        rclpy.spin_once(node, timeout_sec=60)
    print('received', len(arrays), flush=True)
finally:
    for process in (camera, detector):
        process.terminate()
    print('ended with', [process.wait(20) for process in (camera, detector)], flush=True)
"""


def run_pair(isolate: list[str]) -> str:
    """Run camera, detector and listener, isolated by a command; return their output."""
    if subprocess.run([*isolate, 'true'], capture_output=True, check=False).returncode:
        pytest.skip(f'cannot run {" ".join(isolate)}: run as root with CAP_SYS_ADMIN')
    picture = min((ROOT / 'demo' / 'pictures').glob('*640x480*'))
    # The transports of this process are not those of a user.
    kept = {name: value for name, value in os.environ.items() if not name.startswith('FASTDDS_')}
    finished = subprocess.run(
        [*isolate, sys.executable, '-c', PAIR, str(picture), str(MODEL)],
        cwd=ROOT,
        env={**kept, 'ROS_DOMAIN_ID': str(next_domain())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return finished.stdout


@pytest.mark.skipif(
    not MODEL.is_file(), reason='the demo model is missing: demo/train.py makes it'
)
def test_node_detects_without_a_network() -> None:
    # A network namespace whose loopback is up and that has no other interface.
    script = 'ip link set lo up 2>/dev/null || ifconfig lo up; exec "$@"'
    output = run_pair(['unshare', '--net', 'sh', '-c', script, 'sh'])
    assert 'received' in output, output
    assert 'ended with [0, 0]' in output, output
    assert 'Traceback' not in output


@pytest.mark.skipif(
    not MODEL.is_file(), reason='the demo model is missing: demo/train.py makes it'
)
def test_small_shared_memory_is_reported_and_the_node_detects() -> None:
    script = 'mount -t tmpfs -o size=4m tmpfs /dev/shm && exec "$@"'
    output = run_pair(['unshare', '--mount', 'sh', '-c', script, 'sh'])
    assert 'MiB free of the 256 MiB needed: large images may be lost' in output, output
    assert '--shm-size' in output
    # Small images do not need it.
    assert 'received' in output, output
    assert 'ended with [0, 0]' in output, output


# A camera, or a receiver that prints each image that arrives.
END = """
import sys
from trt_detector.process.tuning import tune_process
tune_process()
import rclpy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node('camera' if sys.argv[1] == 'camera' else 'receiver')
if sys.argv[1] == 'camera':
    publisher = node.create_publisher(Image, 'image', 5)
    node.create_timer(0.1, lambda: publisher.publish(Image()))
else:
    node.create_subscription(Image, 'image', lambda image: print('image', flush=True), 5)
rclpy.spin(node)
"""


def read_queues(pid: int) -> set[str]:
    """Read the shared-memory queues that a process uses, by inode and path."""
    lines = Path('/proc', str(pid), 'maps').read_text().splitlines()
    return {' '.join(line.split()[4:]) for line in lines if '_port' in line}


def shares_queue(pid: int, queues: set[str]) -> bool:
    """Tell whether a process uses one of some queues."""
    return not queues.isdisjoint(read_queues(pid))


def await_images(receiver: subprocess.Popen[bytes], count: int) -> None:
    """Wait until a receiver has printed a number of images."""
    output = receiver.stdout
    assert output is not None
    for _ in range(count):
        assert select.select([output], [], [], 60)[0], 'no image for 60 s'
        assert output.readline() == b'image\n'


def test_receiver_that_stood_still_keeps_its_shared_memory_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new queue can separate it from some senders for good."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(next_domain()))
    for name in list(os.environ):
        if name.startswith(('FASTDDS_', 'FASTRTPS_')):
            monkeypatch.delenv(name)
    with ExitStack() as stack:
        ends = []
        for role in ('receiver', 'camera', 'camera'):
            end = subprocess.Popen(
                [sys.executable, '-c', END, role], stdout=subprocess.PIPE, bufsize=0, cwd=ROOT
            )
            stack.callback(kill_process, end)
            ends.append(end)
        receiver = ends[0]
        await_images(receiver, 1)
        queues = read_queues(receiver.pid)
        if not queues:
            pytest.skip('the ROS middleware has no shared-memory queues: use rmw_fastrtps_cpp')
        for end in ends[1:]:
            share = partial(shares_queue, end.pid, queues)
            wait_until(share, 'the queue of the receiver in a camera')
        receiver.send_signal(signal.SIGSTOP)
        # Fast DDS looks for dead receivers once per second.
        time.sleep(4)
        receiver.send_signal(signal.SIGCONT)
        await_images(receiver, 60)
        assert queues <= read_queues(receiver.pid)


def test_no_period_is_measured_with_the_system_clock() -> None:
    """Find calls whose results jump with the system clock."""
    names = ('time.time', 'time.time_ns')
    wrong = [
        f'{path}:{node.lineno}'
        for path in sorted((ROOT / 'trt_detector').rglob('*.py'))
        if 'tools' not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names
    ]
    assert wrong == []
