# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how many reliable images arrive by the history depth of the subscription.

The camera is that of slow_detector.py, with the defaults of Fast DDS. The subscriber only counts.

    python3 docs/benchmarks/subscription_depth.py --output docs/benchmarks/subscription_depth.json
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import subprocess
import sys
import threading
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import Image
from trt_detector.process.tuning import tune_process

CAMERA = Path(__file__).with_name('slow_detector.py')
SIZES = ('1280x720', '1920x1080')
DEPTHS = (1, 3, 5, 10)
RATE_HZ = 30.0
SECONDS = 5.0


def measure(size: str, depth: int, environ: dict[str, str]) -> dict[str, Any]:
    """Count the images that arrive in one run."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('benchmark_subscriber', context=context)
    received: list[int] = []
    node.create_subscription(
        Image,
        '/benchmark/image_raw',
        lambda message: received.append(message.header.stamp.nanosec),
        QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE),
    )
    executor, ended = SingleThreadedExecutor(context=context), Future()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin_until_future_complete, args=(ended,))
    thread.start()
    command = [sys.executable, str(CAMERA), '--camera', size, '--rate', str(RATE_HZ)]
    done = subprocess.run(
        [*command, '--seconds', str(SECONDS)],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    ended.set_result(None)
    thread.join()
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown(context=context)
    sent = json.loads(done.stdout.splitlines()[-1])['sent']
    return {'size': size, 'depth': depth, 'sent': sent, 'received': len(received)}


def main() -> None:
    """Run every combination and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--repeat', type=int, default=2, help='runs of each combination')
    parser.add_argument('--output', type=Path, help='JSON file')
    arguments = parser.parse_args()
    environ = dict(os.environ)  # of the camera: without the profile of the package
    tune_process()
    runs = []
    for _ in range(arguments.repeat):
        for size in SIZES:
            for depth in DEPTHS:
                runs.append(measure(size, depth, environ))
                print(runs[-1], flush=True)
    if arguments.output:
        setup = {
            'cores': os.cpu_count(),
            'rate_hz': RATE_HZ,
            'camera': 'RELIABLE, depth 10, Fast DDS defaults',
            'subscription': 'RELIABLE, shared-memory profile of the package',
            'ros': os.environ.get('ROS_DISTRO', 'kilted'),
        }
        text = json.dumps({'setup': setup, 'runs': runs}, indent=1)
        arguments.output.write_text(f'{text}\n', encoding='utf-8')


if __name__ == '__main__':
    main()
