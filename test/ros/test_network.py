# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Camera and detector on two hosts: network namespaces, with packet loss and a cut of 10 s."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack, suppress
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from support.ros_graph import MODEL, next_domain, PICTURES, ROOT

PICTURE, RATE = PICTURES / 'scene_28_640x480.jpg', 10
CAMERA, ROBOT = f'camera_{os.getpid()}', f'robot_{os.getpid()}'
LISTENER = """
import rclpy
from vision_msgs.msg import Detection2DArray
rclpy.init()
node = rclpy.create_node('listener')
show = lambda array: print(array.header.stamp, flush=True)
node.create_subscription(Detection2DArray, '/detector/detections', show, 10)
rclpy.spin(node)
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def why_not() -> str:
    """Return the reason if network namespaces cannot be made here."""
    if os.geteuid() != 0 or not shutil.which('ip') or not shutil.which('tc'):
        return 'network namespaces need root and iproute2: sudo apt install iproute2'
    made = run('ip', 'netns', 'add', f'probe_{os.getpid()}')
    run('ip', 'netns', 'delete', f'probe_{os.getpid()}')
    return f'the kernel refuses network namespaces: {made.stderr}' if made.returncode else ''


@pytest.fixture
def hosts() -> Iterator[None]:
    """Provide two namespaces with a cable between them."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with ExitStack() as stack:
        for name in (CAMERA, ROBOT):
            run('ip', 'netns', 'delete', name)
            assert run('ip', 'netns', 'add', name).returncode == 0
            stack.callback(run, 'ip', 'netns', 'delete', name)
        cable = ('ip', 'link', 'add', 'eth', 'netns', CAMERA, 'type', 'veth')
        made = run(*cable, 'peer', 'name', 'eth', 'netns', ROBOT)
        if made.returncode:
            pytest.skip(f'the kernel has no veth: sudo modprobe veth ({made.stderr})')
        for number, name in enumerate((CAMERA, ROBOT), start=1):
            for arguments in (
                ('link', 'set', 'lo', 'up'),
                ('address', 'add', f'10.77.0.{number}/24', 'dev', 'eth'),
                ('link', 'set', 'eth', 'up'),
                ('route', 'add', '224.0.0.0/4', 'dev', 'eth'),
            ):
                done = run('ip', '-n', name, *arguments)
                assert done.returncode == 0, done.stderr
        yield


def shape(*discipline: str) -> bool:
    """Set the queueing discipline of both ends of the cable; return whether the kernel has it."""
    ends = [
        run('tc', '-n', name, 'qdisc', 'replace', 'dev', 'eth', 'root', *discipline)
        for name in (CAMERA, ROBOT)
    ]
    return all(end.returncode == 0 for end in ends)


def lose_images() -> bool:
    """Lose packets: at random, or, without netem in the kernel, above 80 % of the rate."""
    rate = PICTURE.stat().st_size * 8 * RATE * 8 // 10
    bucket = ('tbf', 'rate', f'{rate}bit', 'burst', '250k', 'limit', '250k')
    return shape('netem', 'loss', '1%') or shape(*bucket)


def repair() -> None:
    """Remove the queueing disciplines."""
    for name in (CAMERA, ROBOT):
        run('tc', '-n', name, 'qdisc', 'delete', 'dev', 'eth', 'root')


class Process:
    """
    Program in a namespace; its lines of output are kept.

    :param namespace: name of the namespace.
    :param arguments: of Python.
    :param environment: environment variables.
    """

    def __init__(self, namespace: str, arguments: list[str], environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            ['ip', 'netns', 'exec', namespace, sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def wait_for_lines(self, count: int, timeout_s: float = 60.0) -> None:
        """Wait until so many lines were written."""
        deadline = time.monotonic() + timeout_s
        while len(self.lines) < count:
            assert time.monotonic() < deadline, f'{len(self.lines)} lines, expected {count}'
            time.sleep(0.05)

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def nodes() -> Iterator[tuple[Process, Process]]:
    """Run a camera on one host, detector and listener on the other."""
    environment = {
        **os.environ,
        'ROS_DOMAIN_ID': str(next_domain()),
        'PYTHONUNBUFFERED': '1',
        # Namespaces share /dev/shm, hosts do not.
        'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4',
    }
    camera = ['-m', 'trt_detector.tools.play_images.main', '--images', str(PICTURE), '--loop']
    camera += ['--rate', str(RATE), '--compressed']
    detector = ['-m', 'trt_detector.ros.main', '--ros-args', '-p', 'autostart:=true']
    detector += ['-p', f'model_path:={MODEL}', '-p', 'backend:=onnxruntime']
    detector += ['-p', 'image_transport:=compressed']
    with ExitStack() as stack:
        started = [
            Process(namespace, arguments, environment)
            for namespace, arguments in (
                (CAMERA, camera),
                (ROBOT, detector),
                (ROBOT, ['-c', LISTENER]),
            )
        ]
        for process in started:
            stack.callback(process.stop)
        yield started[1], started[2]


@pytest.mark.slow
@pytest.mark.skipif(
    not (MODEL.is_file() and PICTURE.is_file()),
    reason='the demo model is missing: see demo/README.md',
)
def test_detections_resume_after_loss_and_a_cut(hosts: None) -> None:
    with nodes() as (detector, listener):
        listener.wait_for_lines(10)
        assert lose_images()
        listener.wait_for_lines(len(listener.lines) + 5)
        # Nothing fits through: the cable is cut.
        assert shape('tbf', 'rate', '8bit', 'burst', '10', 'limit', '10')
        time.sleep(2.0)
        before = len(listener.lines)
        time.sleep(10.0)
        # The listener is on the detector's host: it would get what the detector publishes.
        assert len(listener.lines) == before
        repair()
        listener.wait_for_lines(before + 10)
        assert detector.process.poll() is None, ''.join(detector.lines)
        assert sum('detecting in' in line for line in detector.lines) == 1
