# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the throughput of four cameras: one node in batches, one node with batch 1, four nodes.

Four publishers in one camera process send bgr8 images, best effort. The arrays of all cameras are
counted, and the CPU time of the processes of the detectors. The modes alternate round by round, so
that other load on the machine affects all of them alike. Ratios are to four nodes in four
processes.

    python3 docs/benchmarks/four_cameras.py --rate 30 --json docs/benchmarks/four_cameras.json

The table goes to standard output.
"""

from __future__ import annotations

import argparse
import array
from contextlib import ExitStack
import json
import os
from pathlib import Path
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from trt_detector.process.tuning import tune_process

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / 'demo' / 'models' / 'demo_raw.onnx'
CAMERAS = ('front', 'left', 'rear', 'right')
MODES = ('four processes', 'four nodes, one process', 'one node, batch 1', 'one node, batch 4')
TICKS = os.sysconf('SC_CLK_TCK')


def main() -> int:
    options = parse_arguments()
    tune_process()
    if options.camera:
        publish(options)
        return 0
    rows = []
    for number in range(options.rounds):
        for mode in MODES:
            row = {'round': number, 'mode': mode, **measure(mode, options)}
            print(row, file=sys.stderr)
            rows.append(row)
    print_table(rows)
    if options.json:
        settings = {'rate_hz': options.rate, 'size': options.size, 'provider': options.provider}
        text = json.dumps({'settings': settings, 'rows': rows}, indent=1)
        options.json.write_text(text + '\n', encoding='utf-8')
    return 0


def measure(mode: str, options: argparse.Namespace) -> dict[str, float]:
    """Run the detectors of a mode and the cameras; return throughput and CPU time."""
    import rclpy
    from vision_msgs.msg import Detection2DArray

    counts: dict[str, int] = dict.fromkeys(CAMERAS, 0)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        detectors = start_detectors(mode, folder, options, stack)
        camera = [sys.executable, __file__, '--camera', '--rate', str(options.rate)]
        camera += ['--size', options.size]
        stack.callback(stop, [subprocess.Popen(camera)])
        context = rclpy.Context()
        rclpy.init(context=context)
        stack.callback(rclpy.shutdown, context=context)
        node = rclpy.create_node('counter', context=context)
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(node)
        for name in CAMERAS:

            def count(_array: bytes, name: str = name) -> None:
                counts[name] += 1

            topic = f'/{name}/detections' if mode.startswith('one') else f'/{name}/eyes/detections'
            node.create_subscription(Detection2DArray, topic, count, 10, raw=True)

        def spin(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                executor.spin_once(timeout_sec=0.05)

        deadline = time.monotonic() + 90.0
        while min(counts.values()) < 5:
            spin(0.2)
            if time.monotonic() > deadline:
                raise SystemExit(f'{mode}: no detections: {counts}')
        spin(2.0)
        before, cpu, began = dict(counts), cpu_s(detectors), time.monotonic()
        spin(options.seconds)
        seconds = time.monotonic() - began
        found = [counts[name] - before[name] for name in CAMERAS]
        return {
            'images_per_s': round(sum(found) / seconds, 2),
            'slowest_camera_per_s': round(min(found) / seconds, 2),
            'cpu_ms_per_image': round(1e3 * (cpu_s(detectors) - cpu) / max(sum(found), 1), 2),
        }


def start_detectors(
    mode: str, folder: Path, options: argparse.Namespace, stack: ExitStack
) -> list[subprocess.Popen[bytes]]:
    """Start the detector processes of a mode."""
    common: dict[str, Any] = {
        'model_path': str(MODEL),
        'backend': 'onnxruntime',
        'onnxruntime_provider': options.provider,
        'autostart': True,
    }
    own: dict[str, dict[str, Any]]
    if mode.startswith('one'):
        topics = [f'/{name}/image_raw' for name in CAMERAS]
        own = {'/eyes': {'image_topics': topics, 'batch_size': int(mode[-1])}}
    else:
        own = {f'/{name}/eyes': {'image_topics': ['image_raw']} for name in CAMERAS}
    parameters = {'/**': common, **own}
    file = folder / 'parameters.yaml'
    # JSON is YAML.
    content = {name: {'ros__parameters': values} for name, values in parameters.items()}
    file.write_text(json.dumps(content), encoding='utf-8')
    names = list(own)
    groups = [[name] for name in names] if mode == 'four processes' else [names]
    detectors = []
    for group in groups:
        command = [sys.executable, '-m', 'trt_detector.ros.main', *group, '--ros-args']
        command += ['--params-file', str(file), '--log-level', 'error']
        detectors.append(subprocess.Popen(command, cwd=ROOT))
    stack.callback(stop, detectors)
    return detectors


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Interrupt processes and wait for them."""
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        process.wait()


def cpu_s(processes: list[subprocess.Popen[bytes]]) -> float:
    """Return the CPU time of processes so far."""
    total = 0.0
    for process in processes:
        fields = Path('/proc', str(process.pid), 'stat').read_text().rpartition(')')[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def publish(options: argparse.Namespace) -> None:
    """Publish images of four cameras until interrupted."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    width, height = map(int, options.size.split('x'))
    rclpy.init()
    node = rclpy.create_node('cameras')
    publishers = [
        node.create_publisher(Image, f'/{name}/image_raw', qos_profile_sensor_data)
        for name in CAMERAS
    ]
    data = array.array('B', os.urandom(width * height * 3))
    message = Image(width=width, height=height, encoding='bgr8', step=width * 3, data=data)
    count, began = 0, time.monotonic()
    try:
        while True:
            message.header.stamp = node.get_clock().now().to_msg()
            for publisher in publishers:
                publisher.publish(message)
            count += 1
            time.sleep(max(0.0, began + count / options.rate - time.monotonic()))
    except (KeyboardInterrupt, RuntimeError):
        return


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print medians of the rounds, with ratios round by round."""
    print('| | images/s, all cameras | of four processes | slowest camera | CPU ms per image |')
    print('|---|---|---|---|---|')
    reference = [row['images_per_s'] for row in rows if row['mode'] == MODES[0]]
    for mode in MODES:
        chosen = [row for row in rows if row['mode'] == mode]
        ratio = statistics.median(
            row['images_per_s'] / base for row, base in zip(chosen, reference, strict=True)
        )
        values = [
            statistics.median(row[key] for row in chosen)
            for key in ('images_per_s', 'slowest_camera_per_s', 'cpu_ms_per_image')
        ]
        print(f'| {mode} | {values[0]:.1f} | {ratio:.2f} | {values[1]:.1f} | {values[2]:.1f} |')


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n\n')[0])
    parser.add_argument('--rate', type=float, default=30.0, help='per camera (%(default)s)')
    parser.add_argument('--size', default='640x480', help='WIDTHxHEIGHT (%(default)s)')
    parser.add_argument('--seconds', type=float, default=10.0, help='per row (%(default)s)')
    parser.add_argument('--rounds', type=int, default=3, help='(%(default)s)')
    parser.add_argument('--provider', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--json', type=Path, help='file for the raw figures')
    parser.add_argument('--camera', action='store_true', help='be the cameras')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
