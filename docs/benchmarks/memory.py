# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the memory of a node through lifecycles with images of many sizes.

Two cameras in a process of their own send raw images to two topics, and a viewer in another one
subscribes to the debug images. Cycles of configure, activate, deactivate and cleanup begin with
640x480, go on with sizes up to 3840x2160 in turn, and end with 640x480. The memory of the node's
process is read from /proc. Anonymous memory is the node's own; shared memory is that of the
segments of Fast DDS: the node's, filled when it starts, and the pages of the cameras' segments
that the node has read; it lets go of both at cleanup.

    python3 docs/benchmarks/memory.py --json docs/benchmarks/memory.json

The table goes to standard output, in MiB.
"""

from __future__ import annotations

import argparse
import array
from collections.abc import Iterator
from contextlib import contextmanager, ExitStack
import json
import os
from pathlib import Path
import subprocess
import sys
import threading
import time
from typing import Any

from trt_detector.process.tuning import tune_process

# As the executable of the node does, before any import starts a thread: malloc gives threads
# arenas of their own otherwise.
WARNINGS = tune_process()

# ruff: noqa: E402
import numpy as np
import rclpy
from rclpy.executors import MultiThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from rclpy.task import Future
from sensor_msgs.msg import Image
from trt_detector.process.shared_memory import find_segments
from trt_detector.ros.node import DetectorNode

MODEL = Path(__file__).resolve().parents[2] / 'demo' / 'models' / 'demo_raw.onnx'
TOPICS = ('/front/image_raw', '/rear/image_raw')
SMALL = '640x480'
MIXED = '640x480,1920x1080,320x240,3840x2160,1280x720'
FIELDS = {'VmRSS': 'rss', 'RssAnon': 'anonymous', 'RssFile': 'files', 'RssShmem': 'shared'}
MAPPINGS = ('heap', 'libraries', 'own segment', 'other segments', 'other')
COLUMNS = ('sizes', 'images', 'active rss', 'active anonymous', *FIELDS.values(), *MAPPINGS)
TIMEOUT_S = 60.0


def main() -> int:
    options = parse_arguments()
    if options.send:
        send(options.send)
        return 0
    if options.view:
        view()
        return 0
    plan = [SMALL] * 2 + [options.sizes] * options.cycles + [SMALL] * 2
    rows = []
    print('| ' + ' | '.join(COLUMNS) + ' |\n' + '|---' * len(COLUMNS) + '|')
    with running_node(options.model) as node, child('--view'):
        for sizes in plan:
            rows.append(run_cycle(node, sizes, options.images))
            print('| ' + ' | '.join(str(rows[-1][name]) for name in COLUMNS) + ' |', flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + '\n')
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--model', type=Path, default=MODEL, help='(%(default)s)')
    parser.add_argument('--cycles', type=int, default=5, help='with mixed sizes (%(default)s)')
    parser.add_argument('--images', type=int, default=40, help='per camera (%(default)s)')
    parser.add_argument('--sizes', default=MIXED, help='of the mix (%(default)s)')
    parser.add_argument('--json', type=Path, help='file for the raw figures')
    parser.add_argument('--send', metavar='SIZES', help='be the cameras')
    parser.add_argument('--view', action='store_true', help='be the viewer')
    return parser.parse_args()


def run_cycle(node: DetectorNode, sizes: str, images: int) -> dict[str, Any]:
    """Go through one lifecycle, and read the memory while active and after cleanup."""
    with child('--send', sizes):
        node.trigger_configure()
        node.trigger_activate()
        session = node._health.session
        if session is None:
            raise RuntimeError('the node could not be configured; its log tells why')
        statistics = session.statistics
        deadline_s = time.monotonic() + TIMEOUT_S
        published = [0]
        while min(published) < images and time.monotonic() < deadline_s:
            time.sleep(0.05)
            published = [statistics.counts(camera).published for camera in range(len(TOPICS))]
        active = read_memory()
        del session, statistics
        node.trigger_deactivate()
        node.trigger_cleanup()
        clean = {**read_memory(), **read_mappings()}
    row = {'sizes': sizes, 'images': sum(published), 'smallest': min(published), **clean}
    return {**row, 'active rss': active['rss'], 'active anonymous': active['anonymous']}


def read_memory() -> dict[str, int]:
    """Read the resident memory of this process in MiB."""
    lines = Path('/proc/self/status').read_text().splitlines()
    values = dict(line.split(':', 1) for line in lines)
    return {name: int(values[field].split()[0]) >> 10 for field, name in FIELDS.items()}


def read_mappings() -> dict[str, int]:
    """Read the resident memory of this process by mapping, in MiB."""
    own = set(map(str, find_segments(os.getpid())))
    sums, kind = dict.fromkeys(MAPPINGS, 0), 'other'
    for line in Path('/proc/self/smaps').read_text().splitlines():
        fields = line.split(maxsplit=5)
        if '-' in fields[0]:
            name = fields[5] if len(fields) == 6 else ''
            kind = find_kind(name, own)
        elif fields[0] == 'Rss:':
            sums[kind] += int(fields[1])
    return {name: size >> 10 for name, size in sums.items()}


def find_kind(name: str, own: set[str]) -> str:
    """Find the kind of a mapping by its name in smaps."""
    if name == '[heap]':
        return 'heap'
    if name in own:
        return 'own segment'
    if name.startswith('/dev/shm/'):  # noqa: S108 the folder of the kernel
        return 'other segments'
    return 'libraries' if name.startswith('/') else 'other'


@contextmanager
def running_node(model: Path) -> Iterator[DetectorNode]:
    """Run a node with two cameras and debug images in this process."""
    rclpy.init()
    values = {
        'model_path': str(model), 'backend': 'onnxruntime', 'image_topics': list(TOPICS),
        'publish_debug_image': True,
    }  # fmt: skip
    node = DetectorNode(
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()]
    )
    executor, ended = MultiThreadedExecutor(num_threads=4), Future()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin_until_future_complete, args=(ended,))
    thread.start()
    try:
        yield node
    finally:
        ended.set_result(None)
        thread.join()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


@contextmanager
def child(*arguments: str) -> Iterator[None]:
    """Run this program once more, as the cameras or the viewer, and end it at the end."""
    with ExitStack() as undo:
        process = subprocess.Popen([sys.executable, __file__, *arguments])
        undo.callback(process.wait)
        undo.callback(process.terminate)
        yield


def send(sizes: str) -> None:
    """Send images of the sizes in turn, ten a second to each topic, until the process ends."""
    rclpy.init()
    node = rclpy.create_node('cameras')
    publishers = [node.create_publisher(Image, name, qos_profile_sensor_data) for name in TOPICS]
    messages = []
    rng = np.random.default_rng(0)
    for size in sizes.split(','):
        width, height = map(int, size.split('x'))
        message = Image(height=height, width=width, encoding='bgr8', step=3 * width)
        message.data = array.array('B', rng.bytes(3 * width * height))
        messages.append(message)
    sent = 0

    def publish() -> None:
        nonlocal sent
        message = messages[sent % len(messages)]
        message.header.stamp = node.get_clock().now().to_msg()
        for publisher in publishers:
            publisher.publish(message)
        sent += 1

    node.create_timer(0.1, publish)
    spin(node)


def view() -> None:
    """Subscribe to the debug images until the process ends."""
    rclpy.init()
    node = rclpy.create_node('viewer')
    for topic in TOPICS:
        name = topic.rsplit('/', 1)[0] + '/debug_image'
        node.create_subscription(Image, name, _ignore, qos_profile_sensor_data)
    spin(node)


def _ignore(_: Image) -> None:
    """Drop a debug image."""


def spin(node: Any) -> None:
    """Serve a node until a signal ends it."""
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        return


if __name__ == '__main__':
    sys.exit(main())
