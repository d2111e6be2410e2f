# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure four cameras: one node in batches, one node with batch 1, four nodes.

Four publishers in one camera process send bgr8 images at the same time, best effort. The arrays of
all cameras are counted; their age is the time from the stamp of the image. CPU time and memory
(PSS) are those of the processes of the detectors. The modes alternate round by round, so that
other load on the machine affects all of them alike. Ratios are to four nodes in four processes.

    python3 docs/benchmarks/four_cameras.py --rate 30 --json docs/benchmarks/four_cameras.json

``--baseline`` also measures one node of another checkout. The table goes to standard output.
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
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np
from trt_detector.process.tuning import tune_process

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / 'demo' / 'models' / 'demo_raw.onnx'
CAMERAS = ('front', 'left', 'rear', 'right')
# One node: its batch_size, 0 is measured in the warm-up.
BATCH_SIZES = {
    'one node, batch 1': 1, 'one node, batch 4': 4, 'one node, default': 0,
    'one node, batch 1, baseline': 1, 'one node, batch 4, baseline': 4,
}  # fmt: skip
MODES = ('four processes', 'four nodes, one process', *BATCH_SIZES)
COLUMNS = {
    'images_per_s': 'images/s, all cameras', 'ratio': 'of four processes',
    'slowest_camera_per_s': 'slowest camera', 'age_ms_p50': 'age p50, ms',
    'age_ms_p99': 'age p99, ms', 'cpu_ms_per_image': 'CPU ms per image', 'cores': 'cores busy',
    'memory_mb': 'memory, MB',
}  # fmt: skip
TICKS = os.sysconf('SC_CLK_TCK')


def main() -> int:
    options = parse_arguments()
    tune_process()
    if options.camera:
        publish(options)
        return 0
    rows = []
    for number in range(options.rounds):
        for mode in options.modes:
            row = {'round': number, 'mode': mode, **measure(mode, options)}
            print(row, file=sys.stderr)
            rows.append(row)
    print_table(rows)
    if options.json:
        names = ('rate', 'size', 'seconds', 'backend', 'provider', 'model')
        settings = {name: str(getattr(options, name)) for name in names}
        text = json.dumps({'settings': settings, 'rows': rows}, indent=1)
        options.json.write_text(text + '\n', encoding='utf-8')
    return 0


def measure(mode: str, options: argparse.Namespace) -> dict[str, float]:
    """Run the detectors of a mode and the cameras; return the values of the columns."""
    import rclpy
    from vision_msgs.msg import Detection2DArray

    counts: dict[str, int] = dict.fromkeys(CAMERAS, 0)
    ages_ms: list[float] = []
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

            def count(data: bytes, name: str = name) -> None:
                counts[name] += 1
                # The stamp follows four bytes that tell the encoding.
                seconds, nanoseconds = struct.unpack_from('<iI', data, 4)
                ages_ms.append((time.time() - seconds) * 1e3 - nanoseconds / 1e6)

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
        ages_ms.clear()
        before, cpu, began = dict(counts), cpu_s(detectors), time.monotonic()
        spin(options.seconds)
        seconds = time.monotonic() - began
        cpu = cpu_s(detectors) - cpu
        found = [counts[name] - before[name] for name in CAMERAS]
        age_p50, age_p99 = np.percentile(ages_ms, (50, 99))
        return {
            'images_per_s': round(sum(found) / seconds, 2),
            'slowest_camera_per_s': round(min(found) / seconds, 2),
            'age_ms_p50': round(float(age_p50), 1),
            'age_ms_p99': round(float(age_p99), 1),
            'cpu_ms_per_image': round(1e3 * cpu / max(sum(found), 1), 2),
            'cores': round(cpu / seconds, 2),
            'memory_mb': round(sum(map(memory_mb, detectors)), 1),
        }


def start_detectors(
    mode: str, folder: Path, options: argparse.Namespace, stack: ExitStack
) -> list[subprocess.Popen[bytes]]:
    """Start the detector processes of a mode."""
    common: dict[str, Any] = {
        'model_path': str(options.model),
        'backend': options.backend,
        'onnxruntime_provider': options.provider,
        'autostart': True,
    }
    own: dict[str, dict[str, Any]]
    if mode.startswith('one'):
        topics = [f'/{name}/image_raw' for name in CAMERAS]
        own = {'/eyes': {'image_topics': topics, 'batch_size': BATCH_SIZES[mode]}}
    else:
        own = {f'/{name}/eyes': {'image_topics': ['image_raw']} for name in CAMERAS}
    parameters = {'/**': common, **own}
    file = folder / 'parameters.yaml'
    # JSON is YAML.
    content = {name: {'ros__parameters': values} for name, values in parameters.items()}
    file.write_text(json.dumps(content), encoding='utf-8')
    names = list(own)
    groups = [[name] for name in names] if mode == 'four processes' else [names]
    root = options.baseline if mode.endswith('baseline') else ROOT
    paths = os.pathsep.join([str(root), os.environ.get('PYTHONPATH', '')])
    environment = {**os.environ, 'PYTHONPATH': paths}
    detectors = []
    for group in groups:
        command = [sys.executable, '-m', 'trt_detector.ros.main', *group, '--ros-args']
        command += ['--params-file', str(file), '--log-level', 'error']
        detectors.append(subprocess.Popen(command, cwd=root, env=environment))
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


def memory_mb(process: subprocess.Popen[bytes]) -> float:
    """Return the memory of a process, with its share of what it has in common with others."""
    lines = Path('/proc', str(process.pid), 'smaps_rollup').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith('Pss:')) / 1024


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
    """Print medians of the rounds; those of the ratios are of ratios round by round."""
    modes = list(dict.fromkeys(row['mode'] for row in rows))
    reference = {row['round']: row for row in rows if row['mode'] == MODES[0]}
    print('| |', ' | '.join(COLUMNS.values()), '|')
    print('|---' * (len(COLUMNS) + 1) + '|')
    for mode in modes:
        chosen = [dict(row) for row in rows if row['mode'] == mode]
        for row in chosen:
            base = reference.get(row['round'], {'images_per_s': float('nan')})
            row['ratio'] = row['images_per_s'] / base['images_per_s']
        medians = {key: statistics.median(row[key] for row in chosen) for key in COLUMNS}
        texts = [
            f'{value:.2f}' if key in ('ratio', 'cores') else f'{value:.1f}'
            for key, value in medians.items()
        ]
        print('|', ' | '.join([mode, *texts]), '|')


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n\n')[0])
    parser.add_argument('--rate', type=float, default=30.0, help='per camera (%(default)s)')
    parser.add_argument('--size', default='640x480', help='WIDTHxHEIGHT (%(default)s)')
    parser.add_argument('--seconds', type=float, default=10.0, help='per row (%(default)s)')
    parser.add_argument('--rounds', type=int, default=3, help='(%(default)s)')
    parser.add_argument('--modes', nargs='+', choices=MODES, help='default: all')
    parser.add_argument('--model', type=Path, default=MODEL, help='(%(default)s)')
    parser.add_argument('--backend', default='onnxruntime', help='(%(default)s)')
    parser.add_argument('--provider', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--baseline', type=Path, help='folder of another checkout to compare with')
    parser.add_argument('--json', type=Path, help='file for the raw figures')
    parser.add_argument('--camera', action='store_true', help='be the cameras')
    options = parser.parse_args()
    if options.modes is None:
        options.modes = [mode for mode in MODES if options.baseline or 'baseline' not in mode]
    options.model = options.model.resolve()
    return options


if __name__ == '__main__':
    sys.exit(main())
