# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Demonstrate the detector on a machine without a camera and a GPU.

A camera process publishes images, the detector node runs on ONNX Runtime, and this process shows
and scores the detections. The three communicate over DDS, as on a robot.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
import json
import os
from pathlib import Path
import sys
import tempfile
import threading
import time
from typing import Any

import numpy as np
from trt_detector.errors import DetectorError
from trt_detector.process.package_files import find_package_file
from trt_detector.process.stop_signals import SignalWatch
from trt_detector.process.tuning import tune_process

from .children import ChildProcess, DemoError, start_camera, start_dashboard, start_node
from .graph import Arrival, DemoGraph
from .report import draw_arrival, read_played, summarize, write_detections, write_pictures
from .window import DemoWindow

__all__ = ['main']

_MODEL = Path('demo', 'models', 'demo_end2end.onnx')
_PICTURES = Path('demo', 'pictures')
_TRUTH = 'ground_truth.json'
_DEFAULT_SECONDS = 20.0
_LAST_ARRAY_S = 5.0
_HEADER = '  time s   frames in   arrays out      fps   latency ms p50      p99   not yet out'


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the demo.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if detections came, 1 with the reason on stderr if not.
    """
    options = _parser().parse_args(argv)
    stop = threading.Event()
    SignalWatch(stop)
    for note in tune_process():
        print(f'demo: {note}', file=sys.stderr)
    # The demo is not meant for other machines.
    if 'ROS_LOCALHOST_ONLY' not in os.environ:
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    try:
        Demo(options, stop).run()
    except (DetectorError, OSError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    return 0


class Demo:
    """
    One run of the demo.

    :param options: options of the command line.
    :param stop: set when the user asks to stop.
    :raises DemoError: if a file of the demo is missing.
    """

    def __init__(self, options: argparse.Namespace, stop: threading.Event) -> None:
        self._options = options
        self._stop = stop
        self._model = _find(_MODEL)
        self._pictures = options.images or _find(_PICTURES)
        self._truth = _read_truth(self._pictures / _TRUTH)
        categories = () if self._truth is None else self._truth['categories']
        self._class_names = [category['name'] for category in categories]
        self._arrivals: list[Arrival] = []
        self._dashboard: ChildProcess | None = None

    def run(self) -> None:
        """
        Play the images, collect the detections and report.

        :raises DetectorError: if no detections arrived.
        """
        options = self._options
        if options.output is not None:
            options.output.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='demo')))
            log = folder / 'played.jsonl'
            window = self._open_window(stack)
            parameters: dict[str, Any] = {
                'model_path': str(self._model),
                'backend': 'onnxruntime',
            }
            if not options.dashboard:
                # mAP counts detections of every score; on the page they would only confuse.
                parameters['score_threshold'] = 0.05
            node = stack.enter_context(start_node(folder, parameters, options.config))
            if options.dashboard:
                self._dashboard = stack.enter_context(start_dashboard())
            # It waits for the node, and not the node for it.
            camera = stack.enter_context(
                start_camera(self._pictures, log, options.rate, options.frames)
            )
            graph = stack.enter_context(DemoGraph(self._stop, self._arrivals.append))
            about = _describe(graph)
            if graph.change_state('configure', node) and graph.change_state('activate', node):
                self._play(log, node, camera, window)
                graph.wait_for_backend(node)
                about = _describe(graph)
                self._finish(graph, node)
            played = read_played(log)
        self._report(played, about)

    def _open_window(self, stack: ExitStack) -> DemoWindow | None:
        """Open the window if --show was given."""
        if not self._options.show:
            return None
        window = DemoWindow()
        stack.callback(window.close)
        return window

    def _play(
        self, log: Path, node: ChildProcess, camera: ChildProcess, window: DemoWindow | None
    ) -> None:
        """Wait until --seconds or --frames is reached or the user stops the demo."""
        options = self._options
        seconds = options.seconds
        if seconds is None and options.frames is None and not options.dashboard:
            seconds = _DEFAULT_SECONDS
        print(_HEADER)
        began_s = time.monotonic()
        next_row_s, shown = began_s + 1.0, 0
        while camera.is_running() and not self._stop.wait(0.02):
            node.check()
            if self._dashboard is not None:
                self._dashboard.check()
            now_s = time.monotonic()
            played = read_played(log) if window or now_s >= next_row_s else {}
            if not played and not log.exists():
                began_s = now_s  # the camera still waits for the node
            if now_s >= next_row_s:
                self._print_row(now_s - began_s, len(played))
                next_row_s = now_s + 1.0
            if window is not None:
                shown = self._show(window, played, shown)
            if seconds is not None and now_s - began_s >= seconds:
                break
        camera.stop()
        self._await_last(log)
        self._print_row(time.monotonic() - began_s, len(read_played(log)))

    def _await_last(self, log: Path) -> None:
        """Wait for the detections of the last images, up to a timeout."""
        deadline_s = time.monotonic() + _LAST_ARRAY_S
        published = len(read_played(log))
        while len(self._arrivals) < published and time.monotonic() < deadline_s:
            if self._stop.wait(0.02):
                return

    def _show(self, window: DemoWindow, played: dict[int, Path], shown: int) -> int:
        """Show the newest array if it is a new one; return the number of arrays so far."""
        if window.is_closed():
            self._stop.set()
        count = len(self._arrivals)
        if count > shown and self._arrivals[count - 1].stamp_ns in played:
            newest = self._arrivals[count - 1]
            window.show(draw_arrival(played[newest.stamp_ns], newest, self._class_names))
        return count

    def _print_row(self, seconds: float, published: int) -> None:
        """Print one row of the table."""
        arrivals = list(self._arrivals)
        if not arrivals:
            print(f'{seconds:8.1f} {published:11} {0:12}')
            return
        p50, p99 = np.percentile([arrival.latency_ms for arrival in arrivals], (50, 99))
        lasted_s = max(arrivals[-1].arrived_s - arrivals[0].arrived_s, 1e-9)
        fps = (len(arrivals) - 1) / lasted_s
        print(
            f'{seconds:8.1f} {published:11} {len(arrivals):12} {fps:8.2f} {p50:16.1f} {p99:8.1f}'
            f' {max(0, published - len(arrivals)):13}',
            flush=True,
        )

    def _finish(self, graph: DemoGraph, node: ChildProcess) -> None:
        """Deactivate and clean up the node, unless the user stopped the demo."""
        # Who watches the dashboard may have stopped the node already.
        if self._options.dashboard:
            return
        if not self._stop.is_set() and graph.change_state('deactivate', node):
            graph.change_state('cleanup', node)

    def _report(self, played: dict[int, Path], about: dict[str, str]) -> None:
        """Print and write the results; raise DemoError if there are none."""
        if not self._arrivals:
            reason = 'the demo was stopped' if self._stop.is_set() else 'the log above says why'
            raise DemoError(f'no detections arrived for {len(played)} images: {reason}')
        summary = summarize(self._arrivals, played, self._truth, about)
        print(json.dumps(summary, indent=2))
        if self._truth is not None and summary['map50'] is None:
            print('demo: no score, faster-coco-eval is missing: pip install faster-coco-eval')
        output = self._options.output
        if output is not None:
            write_detections(output / 'detections.jsonl', self._arrivals)
            count = write_pictures(output / 'pictures', self._arrivals, played, self._class_names)
            (output / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
            print(f'{output}: detections.jsonl, summary.json and {count} pictures')


def _describe(graph: DemoGraph) -> dict[str, str]:
    """Return backend, precision and model as the node reports them."""
    values: dict[str, str] = {}
    for status in graph.diagnostics.values():
        values |= status
    return {
        'backend': values.get('backend', ''),
        'precision': values.get('precision', ''),
        'model': Path(values.get('model', '')).name,
    }


def _find(name: Path) -> Path:
    """Return the path of a file of the demo, or raise DemoError."""
    path = find_package_file(name)
    if path is None:
        raise DemoError(f'{name} is missing: run this from the source tree, or build it again')
    return path


def _read_truth(path: Path) -> dict[str, Any] | None:
    """Read the ground truth beside the images, None if there is none."""
    if not path.is_file():
        return None
    truth: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    return truth


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog='demo', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        '--seconds', type=float, help=f'stop after S seconds ({_DEFAULT_SECONDS:g})', metavar='S'
    )
    length.add_argument('--frames', type=int, help='stop after N images', metavar='N')
    parser.add_argument(
        '--output',
        type=Path,
        metavar='DIR',
        help='folder for detections, annotated images and summary',
    )
    parser.add_argument('--config', type=Path, metavar='FILE', help='parameters of the node')
    parser.add_argument('--rate', type=float, default=5.0, help='images per second (%(default)s)')
    parser.add_argument(
        '--images', type=Path, metavar='DIR', help='folder with images to use instead of its own'
    )
    parser.add_argument('--show', action='store_true', help='open a window as well')
    parser.add_argument(
        '--dashboard',
        action='store_true',
        help='serve a web page with live pictures and controls; runs until Ctrl-C without '
        '--seconds or --frames',
    )
    return parser


if __name__ == '__main__':
    sys.exit(main())
