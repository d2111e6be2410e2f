# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the whole node over DDS beside naive_node.py, a node as one writes it first.

A camera process publishes bgr8 images, best effort, as a driver does. Both nodes get the same
model, ONNX Runtime with the same provider, the same rate and the same DDS settings, and alternate
round by round. Both are measured from outside: latency is from the stamp, which the camera
sets as it publishes, to the arrival of the detections in this process.

    python3 docs/benchmarks/node.py --provider cpu --json docs/benchmarks/node.json

The table goes to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, ExitStack
from importlib import metadata
import json
import os
from pathlib import Path
import platform
import re
import signal
import struct
import sys
import tempfile
import threading
import time
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'demo'), str(Path(__file__).resolve().parent)]

from naive_node import DYNAMIC_SIZE, find_reader  # noqa: E402
from play.children import ChildProcess  # noqa: E402
from trt_detector.errors import DetectorError  # noqa: E402
from trt_detector.model_info import read_model_info  # noqa: E402
from trt_detector.process.tuning import use_shared_memory  # noqa: E402

NAMESPACE = 'benchmark'
TOPIC = f'/{NAMESPACE}/image_raw'
NODES = {'trt_detector': 'detector', 'naive': 'naive'}
WAIT_S = 120.0
DRAIN_S = 1.0
PACKAGES = ('numpy', 'onnxruntime', 'onnxruntime-gpu', 'opencv-python-headless', 'ros-rclpy')


class Listener:
    """
    Takes the time of each array that arrives; the arrays are not converted to Python.

    :param node: rclpy's.
    """

    def __init__(self, node: Any) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        self._node = node
        self._subscription: Any = None
        self._own: dict[str, str] = {}
        self.arrivals: dict[int, tuple[int, int]] = {}
        node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 10)

    @contextmanager
    def listen(self, name: str) -> Iterator[None]:
        """Collect the arrays of one node: stamp to (arrival, detections), both times in ns."""
        from vision_msgs.msg import Detection2DArray

        self.arrivals, self._own = {}, {}
        subscription = self._node.create_subscription(
            Detection2DArray, f'/{NAMESPACE}/{name}/detections', self._receive, 100, raw=True
        )
        try:
            yield
        finally:
            self._node.destroy_subscription(subscription)

    def is_connected(self, name: str) -> bool:
        """Return whether a node is there, with its subscription and its publisher."""
        return bool(
            self._node.count_subscribers(TOPIC)
            and self._node.count_publishers(f'/{NAMESPACE}/{name}/detections')
        )

    def own_ms(self) -> dict[str, float]:
        """Return the stage times that the node reports on /diagnostics."""
        return {key: float(value) for key, value in self._own.items() if ' ms p' in key}

    def _receive(self, message: bytes) -> None:
        now_ns = time.time_ns()
        order = '<' if message[1] & 1 else '>'
        seconds, nanoseconds, length = struct.unpack_from(f'{order}iII', message, 4)
        (count,) = struct.unpack_from(f'{order}I', message, 16 + (length + 3) // 4 * 4)
        self.arrivals[seconds * 10**9 + nanoseconds] = (now_ns, count)

    def _diagnose(self, message: Any) -> None:
        for status in message.status:
            if status.name == f'{NAMESPACE}/detector: stages':
                self._own = {pair.key: pair.value for pair in status.values}


def main() -> int:
    options = parse_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    notes = use_shared_memory()
    for note in notes:
        print(f'node.py: {note}', file=sys.stderr)
    if notes:
        # The next best, for all processes alike.
        os.environ.setdefault('FASTDDS_BUILTIN_TRANSPORTS', 'LARGE_DATA')
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    path = os.environ.get('PYTHONPATH', '')
    os.environ['PYTHONPATH'] = os.pathsep.join([*sys.path[:3], *([path] if path else [])])
    # What the other processes print must not come between the lines of the table.
    table = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    rows: list[dict[str, Any]] = []
    report = {'machine': describe_machine(options), 'settings': describe_settings(options)}
    try:
        run_all(options, rows)
    except (DetectorError, KeyboardInterrupt) as error:
        report['failure'] = str(error) or 'interrupted'
        print(f'node.py: {report["failure"]}', file=sys.stderr)
    # What was measured before a failure is kept.
    report |= {'rows': rows, 'summary': summarize(rows)}
    if rows:
        print(as_table(report), file=table, flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    return int('failure' in report)


def run_all(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """Append a row for each size, round and node."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions
    from rclpy.task import Future

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='benchmark')))
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        node = rclpy.create_node('listener', namespace=NAMESPACE)
        stack.callback(node.destroy_node)
        listener = Listener(node)
        executor, ended = SingleThreadedExecutor(), Future()
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin_until_future_complete, args=(ended,))
        thread.start()
        stack.callback(executor.shutdown)
        stack.callback(thread.join)
        stack.callback(ended.set_result, None)
        for size in options.sizes:
            picture = write_picture(options.picture, size, folder)
            for turn in range(options.rounds):
                # Who comes first changes from round to round.
                for name in list(NODES)[:: -1 if turn % 2 else 1]:
                    row = measure(name, picture, listener, options, folder)
                    rows.append({'size': size, 'round': turn, 'node': name, **row})
                    told = {key: value for key, value in rows[-1].items() if key != 'raw'}
                    print(json.dumps(told), file=sys.stderr, flush=True)


def measure(
    name: str, picture: Path, listener: Listener, options: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    """Start a node and a camera, and return the figures of a while in the middle."""
    log = folder / 'camera.jsonl'
    log.unlink(missing_ok=True)
    topic_name = NODES[name]
    with listener.listen(topic_name), start_node(name, options, folder) as child:
        wait_for(lambda: listener.is_connected(topic_name), name, child)
        arguments = ['--images', str(picture), '--loop', '--topic', TOPIC, '--log', str(log)]
        arguments += ['--rate', str(options.rate), '--wait-for-subscriber', '30']
        with ChildProcess('trt_detector.tools.play_images.main', arguments) as camera:
            wait_for(lambda: bool(listener.arrivals), f'the first array of {name}', child, camera)
            time.sleep(options.warm_up)
            before, begin_ns = read_process(child.pid), time.time_ns()
            time.sleep(options.seconds)
            after, end_ns = read_process(child.pid), time.time_ns()
            time.sleep(DRAIN_S)  # what was sent at the end is still answered
            child.check()
            camera.check()
        own_ms = listener.own_ms()
    stamps = [json.loads(line)['stamp_ns'] for line in log.read_text().splitlines()]
    sent = [stamp for stamp in stamps if begin_ns <= stamp < end_ns]
    arrivals = dict(listener.arrivals)
    answered = [stamp for stamp in sent if stamp in arrivals]
    in_time = sum(begin_ns <= at_ns < end_ns for at_ns, _ in arrivals.values())
    latency_ms = [round((arrivals[stamp][0] - stamp) / 1e6, 3) for stamp in answered]
    return {
        'sent': len(sent),
        'answered': len(answered),
        'latency_ms': percentiles(latency_ms),
        'cpu_ms_a_frame': 1e3 * (after['cpu_s'] - before['cpu_s']) / max(in_time, 1),
        'peak_rss_mib': after['peak_rss_mib'],
        'detections_a_frame': float(np.mean([arrivals[s][1] for s in answered] or [0])),
        'own_ms': own_ms,
        'raw': {'latency_ms': latency_ms},
    }


def start_node(name: str, options: argparse.Namespace, folder: Path) -> ChildProcess:
    """Start one of the two nodes; it detects as soon as it can."""
    if name == 'naive':
        arguments = ['--model', str(options.model), '--provider', options.provider]
        return ChildProcess('naive_node', [*arguments, '--topic', TOPIC])
    parameters = {
        'model_path': str(options.model),
        'backend': 'onnxruntime',
        'onnxruntime_provider': options.provider,
        'image_topics': [TOPIC],
        'score_threshold': 0.25,
        'iou_threshold': 0.45,
        'autostart': True,
    }
    shape = read_model_info(options.model).image_input.shape
    if len(shape) == 4 and None in shape[2:]:
        parameters['input_shape'] = f'{DYNAMIC_SIZE}x{DYNAMIC_SIZE}'
    file = folder / 'parameters.yaml'
    file.write_text(json.dumps({'/**': {'ros__parameters': parameters}}), encoding='utf-8')
    arguments = ['--ros-args', '-r', f'__ns:=/{NAMESPACE}', '--params-file', str(file)]
    return ChildProcess('trt_detector.ros.main', arguments)


def wait_for(condition: Callable[[], bool], what: str, *children: ChildProcess) -> None:
    """
    Wait until a condition is met.

    :raises DetectorError: if it is not, or a process ends meanwhile.
    """
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        for child in children:
            child.check()
        if time.monotonic() > deadline_s:
            raise DetectorError(f'waited {WAIT_S:g} s in vain for {what}')
        time.sleep(0.05)


def read_process(pid: int) -> dict[str, float]:
    """Return CPU time and largest memory of a process, as the kernel counts them."""
    fields = Path(f'/proc/{pid}/stat').read_text(encoding='ascii').rpartition(')')[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = Path(f'/proc/{pid}/status').read_text(encoding='ascii')
    peak = re.search(r'VmHWM:\s+(\d+)', status)
    return {
        'cpu_s': ticks / os.sysconf('SC_CLK_TCK'),
        'peak_rss_mib': int(peak[1]) / 1024 if peak else 0.0,
    }


def percentiles(values: Sequence[float]) -> dict[str, float] | None:
    """Return the percentiles of the table, None if there are no times."""
    if not values:
        return None
    p50, p90, p99 = np.percentile(values, (50, 90, 99)).tolist()
    return {'p50': p50, 'p90': p90, 'p99': p99, 'max': max(values)}


def summarize(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rounds of each size and node together."""
    summary = []
    for size, name in dict.fromkeys((row['size'], row['node']) for row in rows):
        own = [row for row in rows if (row['size'], row['node']) == (size, name)]
        latency_ms = [value for row in own for value in row['raw']['latency_ms']]
        stages = {key for row in own for key in row['own_ms']}
        summary.append({
            'size': size,
            'node': name,
            'latency_ms': percentiles(latency_ms),
            'sent': sum(row['sent'] for row in own),
            'answered': sum(row['answered'] for row in own),
            'cpu_ms_a_frame': float(np.mean([row['cpu_ms_a_frame'] for row in own])),
            'peak_rss_mib': max(row['peak_rss_mib'] for row in own),
            'detections_a_frame': float(np.mean([row['detections_a_frame'] for row in own])),
            'own_ms': {
                key: float(np.mean([row['own_ms'][key] for row in own if key in row['own_ms']]))
                for key in sorted(stages)
            },
        })  # fmt: skip
    return summary


def as_table(report: dict[str, Any]) -> str:
    """Return the summary in Markdown."""
    settings, machine = report['settings'], report['machine']
    what = (
        f'{settings["model"]}, provider {settings["provider"]}, {settings["rate_hz"]:g} images a '
        f'second, {settings["rounds"]} rounds of {settings["seconds"]:g} s; {machine["cpu"]}, '
        f'{machine["processors"]} processors, {machine["gpu"] or "no GPU"}'
    )
    head = ['size', 'node', 'latency ms p50', 'p90', 'p99', 'answered / sent', 'CPU ms a frame']
    head += ['peak RSS MiB', 'receipt to publish, own clock, ms p50', 'p99']
    lines = [what, '', f'| {" | ".join(head)} |', '|---' * len(head) + '|']
    for row in report['summary']:
        latency = row['latency_ms'] or {}
        own = [row['own_ms'].get(f'total ms p{rank}') for rank in (50, 99)]
        times = [*(latency.get(key) for key in ('p50', 'p90', 'p99'))]
        cells = [
            row['size'], row['node'], *('-' if t is None else f'{t:.1f}' for t in times),
            f'{row["answered"]} / {row["sent"]}', f'{row["cpu_ms_a_frame"]:.1f}',
            f'{row["peak_rss_mib"]:.0f}', *('-' if t is None else f'{t:.1f}' for t in own),
        ]  # fmt: skip
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def describe_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of this run."""
    return {
        'model': options.model.name,
        'provider': options.provider,
        'rate_hz': options.rate,
        'seconds': options.seconds,
        'rounds': options.rounds,
        'sizes': options.sizes,
        'naive_reads_with': find_reader()[0],
    }


def describe_machine(options: argparse.Namespace) -> dict[str, Any]:
    """Return a description of this machine."""
    gpu = ''
    if options.provider == 'cuda':
        from trt_detector.gpu.device_info import read_device

        gpu = read_device(0).name
    model = re.search(r'model name\s*:\s*(.*)', Path('/proc/cpuinfo').read_text())
    versions = {'python': platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        'cpu': model[1] if model else platform.machine(),
        'processors': len(os.sched_getaffinity(0)),
        'gpu': gpu,
        'fast_dds': next(
            (f'{k}={Path(v).name}' for k, v in os.environ.items() if k.startswith('FAST')), ''
        ),
        'rmw': os.environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'),
        'versions': versions,
    }


def write_picture(picture: Path, size: str, folder: Path) -> Path:
    """Write an image in the size of the camera."""
    width, height = map(int, size.split('x'))
    pixels = cv2.imread(str(picture))
    if pixels is None:
        raise DetectorError(f'--picture {picture} cannot be read')
    path = folder / f'{size}.png'
    # Hardly compressed: it is read once, and large.
    cv2.imwrite(str(path), cv2.resize(pixels, (width, height)), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return path


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n\n')[0])
    add = parser.add_argument
    add('--provider', choices=('cpu', 'cuda'), default='cpu', help='(%(default)s)')
    add('--model', type=Path, default=ROOT / 'demo' / 'models' / 'demo_raw.onnx', help='ONNX file')
    add('--picture', type=Path, default=ROOT / 'demo' / 'pictures' / 'scene_08_1280x720.jpg')
    add('--sizes', nargs='+', default=['1920x1080', '3840x2160'], metavar='WIDTHxHEIGHT')
    add('--rate', type=float, default=10.0, help='images a second (%(default)s)')
    add('--seconds', type=float, default=10.0, help='length of a measurement (%(default)s)')
    add('--warm-up', type=float, default=2.0, help='seconds before it (%(default)s)')
    add('--rounds', type=int, default=2, help='(%(default)s)')
    add('--json', type=Path, help='file for all figures')
    options = parser.parse_args()
    for size in options.sizes:
        if not re.fullmatch(r'[1-9]\d*x[1-9]\d*', size):
            parser.error(f'{size} is no size like 1920x1080')
    return options


if __name__ == '__main__':
    sys.exit(main())
