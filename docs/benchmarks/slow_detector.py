# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure whether a slow detector holds a reliable camera back.

A second process publishes reliable images, as most camera drivers do, and times its calls of
publish(). The node subscribes reliable; its detector only sleeps. The control has no
subscriber.

    python3 docs/benchmarks/slow_detector.py --output docs/benchmarks/slow_detector.json
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import platform
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np

TOPIC = '/benchmark/image_raw'
SLEEPS_MS = (0, 100, 500)
SIZES = ('640x480', '1280x720', '1920x1080')


def run_camera(size: str, rate_hz: float, seconds: float, depth: int) -> None:
    """Publish images at a rate, and print the times of publish() as JSON."""
    import rclpy
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import Image

    width, height = (int(number) for number in size.split('x'))
    rclpy.init()
    node = rclpy.create_node('benchmark_camera')
    publisher = node.create_publisher(Image, TOPIC, QoSProfile(depth=depth))
    image = Image(height=height, width=width, step=3 * width, encoding='bgr8')
    image.data = bytes(height * width * 3)
    time.sleep(3.0)  # discovery, and the choice of the reliability
    calls_ms, started_s = [], time.monotonic()
    for number in range(int(rate_hz * seconds)):
        delay_s = started_s + number / rate_hz - time.monotonic()
        time.sleep(max(delay_s, 0.0))
        image.header.stamp = node.get_clock().now().to_msg()
        begun_s = time.monotonic()
        publisher.publish(image)
        calls_ms.append((time.monotonic() - begun_s) * 1e3)
    elapsed_s = time.monotonic() - started_s
    time.sleep(1.0)
    p50, p99 = np.percentile(calls_ms, (50, 99))
    result = {
        'sent': len(calls_ms),
        'sent_per_second': len(calls_ms) / elapsed_s,
        'publish_ms_p50': p50,
        'publish_ms_p99': p99,
        'publish_ms_max': max(calls_ms),
    }
    print(json.dumps({key: round(value, 3) for key, value in result.items()}), flush=True)
    os._exit(0)


class SleepingDetector:
    """
    Detector that finds nothing after a time.

    :param sleep_ms: time of a batch.
    """

    def __init__(self, sleep_ms: float) -> None:
        from trt_detector.values.engine_info import EngineInfo

        self.info = EngineInfo('none', 'none', 'none', 'none')
        self.model_name = self.description = 'none'
        self.class_names = ('thing',)
        self.batch_size = self.depth = 1
        self.input_size = (1, 1)
        self.input_size_pending = False
        self.options: Any = None
        self._sleep_s = sleep_ms / 1e3

    def has_run(self, _: int) -> bool:
        return True

    def submit(self, images: Any) -> Any:
        return images

    def collect(self, pending: Any) -> Any:
        from trt_detector.values.batch_result import BatchResult, StageTimes
        from trt_detector.values.detections import Detections

        time.sleep(self._sleep_s)
        return BatchResult(tuple(Detections.empty() for _ in pending), StageTimes(0.0, 0.0, 0.0))

    def close(self) -> None:
        return None


def measure(sleep_ms: float | None, size: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """
    Run one combination.

    :param sleep_ms: time of the detector; None is no node.
    """
    import rclpy
    from rclpy.executors import MultiThreadedExecutor
    from rclpy.parameter import Parameter
    from trt_detector.ros.node import DetectorNode

    camera = subprocess.Popen(
        [
            sys.executable, __file__, '--camera', size, '--rate', str(arguments.rate),
            '--seconds', str(arguments.seconds), '--depth', str(arguments.depth),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    context = rclpy.Context()
    rclpy.init(context=context)
    counts: dict[str, Any] = {}
    if sleep_ms is not None:
        node = DetectorNode(
            create=lambda *_, **__: SleepingDetector(sleep_ms),  # type: ignore[arg-type]
            context=context,
            parameter_overrides=[Parameter('image_topics', value=[TOPIC])],
        )
        executor = MultiThreadedExecutor(num_threads=4, context=context)
        executor.add_node(node)
        threading.Thread(target=executor.spin, daemon=True).start()
        node.trigger_configure()
        node.trigger_activate()
    result = json.loads(camera.communicate()[0].splitlines()[-1])
    if sleep_ms is not None:
        session = node._health.session
        assert session is not None
        camera_counts = session.statistics.counts(0)
        counts = {
            'reliability': session.subscriptions[0].reliability.name.lower(),
            'received': camera_counts.received,
            'lost': session.subscriptions[0].loss.lost,
            'published': camera_counts.published,
            'dropped': camera_counts.dropped,
        }
        node.finalize()
        executor.shutdown()
        node.destroy_node()
    rclpy.try_shutdown(context=context)
    return {'detector_ms': sleep_ms, 'size': size, **result, **counts}


def main() -> None:
    """Run every combination and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--camera', help=argparse.SUPPRESS)
    parser.add_argument('--rate', type=float, default=30.0, help='images per second')
    parser.add_argument('--seconds', type=float, default=10.0, help='duration of each run')
    parser.add_argument('--depth', type=int, default=10, help='history depth of the camera')
    parser.add_argument('--output', type=Path, help='JSON file')
    arguments = parser.parse_args()
    if arguments.camera:
        run_camera(arguments.camera, arguments.rate, arguments.seconds, arguments.depth)
    runs = []
    for size in SIZES:
        for sleep_ms in (None, *SLEEPS_MS):
            runs.append(measure(sleep_ms, size, arguments))
            print(runs[-1], flush=True)
    if arguments.output:
        setup = {
            'cpu': platform.processor() or platform.machine(),
            'cores': os.cpu_count(),
            'rate_hz': arguments.rate,
            'camera': f'RELIABLE, depth {arguments.depth}, Fast DDS defaults',
            'ros': os.environ.get('ROS_DISTRO', 'kilted'),
        }
        text = json.dumps({'setup': setup, 'runs': runs}, indent=1)
        arguments.output.write_text(f'{text}\n', encoding='utf-8')


if __name__ == '__main__':
    main()
