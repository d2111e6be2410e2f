# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
r"""
Measure how many images of a camera arrive, by the DDS settings and the reliability of the camera.

The detector node runs with its defaults and the demo model, the camera is a process of its own:
bgr8 or JPEG images, reliable with depth 10 or best effort with depth 5, as drivers do. Its
environment has nothing, the profile of this package, or FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA, the
last also for both processes. A camera that is not matched within 20 s sends nothing.

    python3 docs/benchmarks/camera_settings.py --json docs/benchmarks/camera_settings.json

The table goes to standard output. Camera and node on two hosts, as two network namespaces with a
/dev/shm each, as root:

    for host in 1 2; do
      ip netns add host$host
      ip -n host$host link set lo up
    done
    ip link add eth netns host1 type veth peer name eth netns host2
    for host in 1 2; do
      ip -n host$host address add 10.77.0.$host/24 dev eth
      ip -n host$host link set eth up
      ip -n host$host route add 224.0.0.0/4 dev eth
    done
    ip netns exec host1 python3 docs/benchmarks/camera_settings.py --camera-command \
        "ip netns exec host2 unshare --mount sh -c 'mount -t tmpfs tmpfs /dev/shm; exec \"$@\"' sh"

A bandwidth of 1 Gbit/s: tc -n host1 qdisc add dev eth root tbf rate 1gbit burst 1m latency 50ms,
and the same for host2.
"""

from __future__ import annotations

import argparse
import array
from collections.abc import Iterator
from contextlib import contextmanager
import itertools
import json
import os
from pathlib import Path
import shlex
import signal
import subprocess
import sys
import time
from typing import Any

from trt_detector.process.tuning import camera_environment

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / 'demo' / 'models' / 'demo_end2end.onnx'
PICTURE = ROOT / 'demo' / 'pictures' / 'scene_28_640x480.jpg'
TOPIC = '/benchmark/image_raw'
SETTINGS = {
    'none': {},
    'profile': camera_environment(),
    'LARGE_DATA': {'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'},
    'LARGE_DATA, node too': {'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'},
}
CASES = (('640x480', 15.0), ('1280x720', 10.0), ('1920x1080', 10.0))


def main() -> int:
    options = parse_arguments()
    if options.camera:
        publish(options)
        return 0
    rows = []
    for transport, settings, reliable, (size, rate) in itertools.product(
        options.transports, options.settings, (True, False), CASES
    ):
        row = measure(options, transport, settings, reliable, size, rate)
        print(row, file=sys.stderr)
        rows.append(row)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1) + '\n', encoding='utf-8')
    print_table(rows)
    return 0


def measure(
    options: argparse.Namespace,
    transport: str,
    settings: str,
    reliable: bool,
    size: str,
    rate: float,
) -> dict[str, Any]:
    """Run the node and a camera; return the row of the table."""
    environment = without_settings()
    if settings.endswith('node too'):
        environment |= SETTINGS[settings]
    # The listener to /diagnostics is in this process.
    os.environ.clear()
    os.environ.update(environment)
    command = [*shlex.split(options.camera_command), sys.executable, __file__, '--camera']
    command += ['--size', size, '--rate', str(rate), '--seconds', str(options.seconds)]
    command += ['--transports', transport, *(['--reliable'] if reliable else [])]
    with node_process(environment, transport) as counts:
        sent = run_camera(command, settings)
        time.sleep(2.5)  # the last images, and the next diagnostics
        received = counts()
    return {
        'transport': transport,
        'camera_settings': settings,
        'reliability': 'reliable' if reliable else 'best effort',
        'size': size,
        'rate_hz': rate,
        **sent,
        **received,
        'load_average': round(os.getloadavg()[0], 1),
    }


@contextmanager
def node_process(environment: dict[str, str], transport: str) -> Iterator[Any]:
    """Start the detector node; provide a function that reads its counts from /diagnostics."""
    from diagnostic_msgs.msg import DiagnosticArray
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    values = {
        'model_path': MODEL,
        'backend': 'onnxruntime',
        'autostart': 'true',
        'image_topics': f'[{TOPIC}]',
        'image_transport': transport,
    }
    command = [sys.executable, '-m', 'trt_detector.ros.main', '--ros-args']
    for name, value in values.items():
        command += ['-p', f'{name}:={value}']
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    context = rclpy.Context()
    rclpy.init(context=context)
    listener = rclpy.create_node('listener', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(listener)
    seen: dict[str, str] = {}

    def keep(message: Any) -> None:
        for status in message.status:
            seen.update({pair.key: pair.value for pair in status.values})

    listener.create_subscription(DiagnosticArray, '/diagnostics', keep, 10)

    def spin_until(condition: Any, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)

    def counts() -> dict[str, int]:
        spin_until(lambda: False, 2.0)
        names = ('received', 'published', 'dropped', 'lost')
        return {name: int(seen.get(name, '-1').split()[0]) for name in names}

    try:
        spin_until(lambda: seen.get('state') == 'active', 60.0)
        yield counts
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        executor.shutdown()
        listener.destroy_node()
        rclpy.shutdown(context=context)


def run_camera(command: list[str], settings: str) -> dict[str, Any]:
    """Run the camera process; return the number of images and its slowest publish call."""
    environment = {**without_settings(), **SETTINGS[settings]}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as camera:
        assert camera.stdout is not None
        line = camera.stdout.readline()
        try:
            camera.wait(timeout=20.0)
        except subprocess.TimeoutExpired:
            camera.kill()
    result: dict[str, Any] = json.loads(line)
    return {**result, 'camera_ended': camera.returncode == 0}


def without_settings() -> dict[str, str]:
    """Return the environment without DDS settings."""
    names = ('FASTDDS_', 'FASTRTPS_')
    return {key: value for key, value in os.environ.items() if not key.startswith(names)}


def publish(options: argparse.Namespace) -> None:
    """Publish images as a camera driver; print the number as JSON."""
    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import CompressedImage, Image

    width, height = map(int, options.size.split('x'))
    rclpy.init()
    node = rclpy.create_node('camera')
    reliability = ReliabilityPolicy.RELIABLE if options.reliable else ReliabilityPolicy.BEST_EFFORT
    qos = QoSProfile(depth=10 if options.reliable else 5, reliability=reliability)
    message: Any
    if options.transports == ['compressed']:
        publisher = node.create_publisher(CompressedImage, f'{TOPIC}/compressed', qos)
        message = CompressedImage(format='bgr8; jpeg compressed bgr8', data=jpeg(width, height))
    else:
        publisher = node.create_publisher(Image, TOPIC, qos)
        data = array.array('B', os.urandom(width * height * 3))
        message = Image(width=width, height=height, encoding='bgr8', step=width * 3, data=data)
    deadline = time.monotonic() + 20.0
    while not publisher.get_subscription_count():
        if time.monotonic() > deadline:
            print(json.dumps({'sent': 0, 'slowest_publish_ms': 0.0}), flush=True)
            return
        time.sleep(0.05)
    # The node follows the reliability of a new publisher within its diagnostics period.
    time.sleep(2.5)
    count, slowest = 0, 0.0
    began = time.monotonic()
    while count < options.seconds * options.rate:
        message.header.stamp = node.get_clock().now().to_msg()
        before = time.monotonic()
        publisher.publish(message)
        slowest = max(slowest, time.monotonic() - before)
        count += 1
        time.sleep(max(0.0, began + count / options.rate - time.monotonic()))
    time.sleep(1.0)
    result = {'sent': count, 'slowest_publish_ms': round(1e3 * slowest, 1)}
    print(json.dumps(result), flush=True)
    node.destroy_node()
    rclpy.shutdown()


def jpeg(width: int, height: int) -> array.array[int]:
    """Encode a picture of the demonstration in this size."""
    import cv2

    picture = cv2.resize(cv2.imread(str(PICTURE)), (width, height), interpolation=cv2.INTER_CUBIC)
    return array.array('B', cv2.imencode('.jpg', picture)[1].tobytes())


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print a row per run; docs/cameras.md has the images that arrived."""
    print('| Camera | Settings | Images | Arrived | Answered | Slowest publish call, ms |')
    print('|---|---|---|---|---|---|')
    for row in rows:
        images = f'{row["transport"]}, {row["size"]}, {row["rate_hz"]:g} Hz'
        print(
            f'| {row["reliability"]} | {row["camera_settings"]} | {images} | '
            f'{row["received"]} of {row["sent"]} | {row["published"]} | '
            f'{row["slowest_publish_ms"]} |'
        )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n\n')[0])
    parser.add_argument('--seconds', type=float, default=10.0, help='per row (%(default)s)')
    parser.add_argument('--json', type=Path, help='file for the raw figures')
    parser.add_argument('--settings', nargs='+', choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument(
        '--transports', nargs='+', choices=('raw', 'compressed'), default=['raw', 'compressed']
    )
    parser.add_argument('--camera-command', default='', help='prefix of the camera')
    parser.add_argument('--camera', action='store_true', help='be the camera')
    parser.add_argument('--size', default='640x480')
    parser.add_argument('--rate', type=float, default=10.0)
    parser.add_argument('--reliable', action='store_true')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
