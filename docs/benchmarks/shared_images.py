# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the CPU time per image of detectors that share an image topic in one process.

A camera in a process of its own publishes one picture reliably, raw or as JPEG. One detector, two
that subscribe separately, or two that share the subscription run in another process, a new one for
each run; its CPU time is divided by the number of images received meanwhile. The detectors find
nothing in no time, so that only the path of an image remains.

    python3 docs/benchmarks/shared_images.py --output docs/benchmarks/shared_images.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
import json
import os
from pathlib import Path
import platform
import subprocess
import sys
import threading
import time
from typing import Any

from trt_detector.process.tuning import tune_process

# As the executable of the node does, before any import starts a thread.
tune_process()

# ruff: noqa: E402
import cv2
import rclpy
from rclpy.executors import MultiThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from trt_detector.ros.node import DetectorNode
from trt_detector.ros.sharing.shared_subscriptions import SharedSubscriptions
from trt_detector.values.batch_result import BatchResult, StageTimes
from trt_detector.values.detections import Detections
from trt_detector.values.engine_info import EngineInfo

DEMO = Path(__file__).parents[2] / 'demo'
TOPIC = '/benchmark/image_raw'
SIZE = (1280, 720)
MODES = ('one', 'two, separate', 'two, shared')
TRANSPORTS = ('raw', 'compressed')
_SETTLE_S = 3.0


class NoDetector:
    """Detector that finds nothing, in no time."""

    info = EngineInfo('none', 'none', 'none', 'none')
    model_name = description = 'none'
    class_names = ('thing',)
    batch_size = depth = 1
    input_size = (1, 1)
    input_size_pending = False
    options: Any = None

    def has_run(self, _: int) -> bool:
        return True

    def submit(self, images: Any) -> Any:
        return images

    def collect(self, pending: Any) -> Any:
        return BatchResult(tuple(Detections.empty() for _ in pending), StageTimes(0.0, 0.0, 0.0))

    def close(self) -> None:
        return None


def run_camera(transport: str, rate_hz: float) -> None:
    """Publish a picture at a rate until the process is ended."""
    rclpy.init()
    node = rclpy.create_node('benchmark_camera')
    picture = cv2.resize(cv2.imread(str(min((DEMO / 'pictures').glob('*.jpg')))), SIZE)
    if transport == 'raw':
        publisher = node.create_publisher(Image, TOPIC, 10)
        width, height = SIZE
        message: Any = Image(height=height, width=width, step=3 * width, encoding='bgr8')
        message.data = picture.tobytes()
    else:
        publisher = node.create_publisher(CompressedImage, f'{TOPIC}/compressed', 10)
        data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        message = CompressedImage(format='bgr8; jpeg compressed bgr8', data=data)
    started_s, number = time.monotonic(), 0
    # SIGTERM ends the context, at any point of the loop.
    with suppress(RuntimeError):
        while rclpy.ok():
            number += 1
            time.sleep(max(started_s + number / rate_hz - time.monotonic(), 0.0))
            message.header.stamp = node.get_clock().now().to_msg()
            publisher.publish(message)
    os._exit(0)


def measure(mode: str, transport: str, arguments: argparse.Namespace) -> None:
    """Run one combination in this process, and print its figures as JSON."""
    rclpy.init()
    shared = SharedSubscriptions() if mode == 'two, shared' else None
    values = {'image_topics': [TOPIC], 'image_transport': transport}
    nodes = [
        DetectorNode(
            f'detector_{number}',
            create=lambda *_, **__: NoDetector(),  # type: ignore[arg-type]
            receiver=shared,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        for number in range(1 if mode == 'one' else 2)
    ]
    executor = MultiThreadedExecutor(num_threads=4 * len(nodes))
    for node in nodes:
        executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()
    for node in nodes:
        node.trigger_configure()
        node.trigger_activate()
    time.sleep(_SETTLE_S)
    before, begun_s = count(nodes), time.process_time()
    time.sleep(arguments.seconds)
    after, ended_s = count(nodes), time.process_time()
    received = after[0]['received'] - before[0]['received']
    result = {
        'detectors': mode,
        'transport': transport,
        'cpu_ms_per_image': round((ended_s - begun_s) * 1e3 / max(received, 1), 2),
        'seconds': arguments.seconds,
        'counts': [
            {name: last[name] - first[name] for name in last}
            for first, last in zip(before, after, strict=True)
        ],
    }
    print(json.dumps(result), flush=True)
    os._exit(0)


def count(nodes: Sequence[DetectorNode]) -> list[dict[str, int]]:
    """Read what each node has received, published, dropped and lost."""
    counts = []
    for node in nodes:
        session = node._health.session
        assert session is not None
        one = session.statistics.counts(0)
        counts.append(
            {
                'received': one.received,
                'published': one.published,
                'dropped': one.dropped,
                'lost': session.subscriptions[0].loss.lost,
            }
        )
    return counts


def run(mode: str, transport: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one combination in new processes."""
    settings = ['--transport', transport, '--rate', str(arguments.rate)]
    camera = subprocess.Popen([sys.executable, __file__, '--camera', *settings])
    try:
        settings += ['--mode', mode, '--seconds', str(arguments.seconds)]
        child = subprocess.run(
            [sys.executable, __file__, *settings], stdout=subprocess.PIPE, text=True, check=True
        )
    finally:
        camera.terminate()
        camera.wait()
    result: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Run every combination in turn, round by round, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--rate', type=float, default=10.0, help='images per second')
    parser.add_argument('--seconds', type=float, default=4.0, help='duration of each run')
    parser.add_argument('--rounds', type=int, default=5, help='runs of each combination')
    parser.add_argument('--output', type=Path, help='JSON file')
    parser.add_argument('--camera', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('--transport', choices=TRANSPORTS, help=argparse.SUPPRESS)
    parser.add_argument('--mode', choices=MODES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.camera:
        run_camera(arguments.transport, arguments.rate)
    if arguments.mode:
        measure(arguments.mode, arguments.transport, arguments)
    runs = []
    for number in range(arguments.rounds):
        for transport in TRANSPORTS:
            for mode in MODES:
                runs.append({'round': number, **run(mode, transport, arguments)})
                print(runs[-1], flush=True)
    if arguments.output:
        setup = {
            'cpu': platform.processor() or platform.machine(),
            'cores': os.cpu_count(),
            'load_average_at_end': os.getloadavg()[0],
            'rate_hz': arguments.rate,
            'image': f'{SIZE[0]}x{SIZE[1]} bgr8, or JPEG of quality 90',
            'ros': os.environ.get('ROS_DISTRO', 'kilted'),
        }
        text = json.dumps({'setup': setup, 'runs': runs}, indent=1)
        arguments.output.write_text(f'{text}\n', encoding='utf-8')


if __name__ == '__main__':
    main()
