# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Run the detector node under continuous faults and judge it at the end.

    PYTHONPATH=.:test python3 -m soak.run --minutes M --seed S --output DIR
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
import json
import os
from pathlib import Path
import shutil
import sys
import threading
import time
import traceback
from typing import Any

from trt_detector.process.tuning import tune_process

from .chaos import CAMERAS, Chaos
from .observer import Observer
from .plot import draw_plot
from .processes import NodeProcess, read_process
from .verdict import judge_resources, LIMITS, summarize

__all__ = ['main']

_MODEL = Path(__file__).resolve().parents[2] / 'demo' / 'models' / 'demo_end2end.onnx'
_SAMPLE_S = 0.5
# Cameras that were killed are forgotten after the lease of their participants, 20 s.
_LEASE_S = 22.0


class SoakRun:
    """
    One run.

    :param minutes: total time.
    :param seed: of faults and images.
    :param out: folder for soak.json, soak.svg and node.log.
    """

    def __init__(self, minutes: float, seed: int, out: Path) -> None:
        self._seconds = minutes * 60
        self._seed = seed
        self._out = out
        self._started_s = time.monotonic()
        self._samples: list[dict[str, float]] = []
        self._events: list[dict[str, Any]] = []
        self._ended = threading.Event()
        self._references: list[dict[str, float]] = []
        self._faults: list[str] = []

    def run(self) -> bool:
        """Run and write the results; return whether nothing was wrong."""
        model = self._out / 'model.onnx'
        shutil.copyfile(_MODEL, model)
        parameters = {
            'model_path': str(model),
            'backend': 'onnxruntime',
            'inference_threads': 1,
            'image_topics': [camera.topic for camera in CAMERAS],
            'diagnostics_period': 0.2,
        }
        node = NodeProcess(self._out / 'node.log', parameters)
        sampler = threading.Thread(target=self._sample, args=(node.pid,))
        chaos = None
        exit_code = -1
        try:
            with ExitStack() as stack:
                sampler.start()
                observer = Observer(CAMERAS)
                stack.callback(observer.close)
                chaos = Chaos(node, observer, model, self._seed, self._note)
                stack.callback(chaos.close)
                observer.connect()
                self._play(chaos)
                if not node.is_alive() or observer.get_state() != 'active':
                    self._faults.append('the node is not active at the end')
                self._faults += observer.faults
        except Exception:
            self._faults.append(traceback.format_exc())
        finally:
            self._ended.set()
            sampler.join()
            if node.is_alive():
                exit_code = node.stop()
        if exit_code != 0:
            self._faults.append(f'the node ended with {exit_code}')
        return self._report(chaos)

    def _play(self, chaos: Chaos) -> None:
        """Warm up, read the first reference, inflict faults, read the last reference."""
        chaos.start()
        # Below, cameras that were killed are still there at the end; they cost the node nothing.
        is_long = self._seconds >= 240
        reference_s = 20.0 if is_long else 3.0
        round_s = 12.0 if is_long else 3.0
        rest_s = _LEASE_S if is_long else 0.0
        for _ in range(5 if is_long else 1):
            chaos.run_round(round_s)
        self._read_reference(chaos, reference_s, rest_s)
        # A round takes a few seconds more than its images.
        end_s = self._started_s + self._seconds - reference_s - rest_s - round_s - 2
        while time.monotonic() < end_s:
            chaos.run_round(round_s)
        self._read_reference(chaos, reference_s, rest_s)
        self._faults += judge_resources(*self._references)

    def _read_reference(self, chaos: Chaos, seconds: float, rest_s: float) -> None:
        """Summarize the resources while plain images are streamed."""
        self._note('reference', '')
        if rest_s:
            chaos.stream_plain(rest_s)
        first = len(self._samples)
        chaos.stream_plain(seconds)
        self._references.append(summarize(self._samples[first:]))

    def _sample(self, pid: int) -> None:
        """Thread main loop: read the resources of the node."""
        while not self._ended.wait(_SAMPLE_S):
            try:
                reading = read_process(pid)
            except OSError:
                self._faults.append('the process of the node has ended')
                return
            at_s = round(time.monotonic() - self._started_s, 2)
            self._samples.append({'at_s': at_s, **reading.to_json()})

    def _note(self, kind: str, text: str) -> None:
        """Store and print an event."""
        at_s = round(time.monotonic() - self._started_s, 2)
        self._events.append({'at_s': at_s, 'kind': kind, 'text': text})
        print(f'{at_s:8.1f} s  {kind}  {text}', flush=True)

    def _report(self, chaos: Chaos | None) -> bool:
        """Write the results."""
        log = (self._out / 'node.log').read_text(errors='replace')
        faults = self._faults + ([] if chaos is None else chaos.faults)
        if 'Traceback' in log:
            faults.append('node.log has a traceback')
        kinds = sorted({event['kind'] for event in self._events})
        result = {
            'passed': not faults,
            'faults': faults,
            'seconds': round(time.monotonic() - self._started_s, 1),
            'seed': self._seed,
            'references': self._references,
            'limits': LIMITS,
            'checked windows': 0 if chaos is None else chaos.windows,
            'images in them': {} if chaos is None else chaos.totals,
            'events by kind': {
                kind: sum(event['kind'] == kind for event in self._events) for kind in kinds
            },
        }
        print(json.dumps(result, indent=2))
        for text in faults:
            print(f'soak: {text}', file=sys.stderr)
        details = {**result, 'events': self._events, 'samples': self._samples}
        (self._out / 'soak.json').write_text(json.dumps(details, indent=1) + '\n')
        title = f'Soak test, {self._seconds / 60:g} minutes, seed {self._seed}'
        (self._out / 'soak.svg').write_text(draw_plot(title, self._samples, self._events))
        return not faults


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the soak test.

    :param argv: arguments without the program name; None takes those of the process.
    :return: 0 if nothing was wrong, else 1.
    """
    parser = argparse.ArgumentParser(
        prog='soak', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--minutes', type=float, required=True)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--output', type=Path, required=True, help='folder for the results')
    options = parser.parse_args(argv)
    options.output.mkdir(parents=True, exist_ok=True)
    if 'ROS_DOMAIN_ID' not in os.environ:
        from support.ros_graph import next_domain

        os.environ['ROS_DOMAIN_ID'] = str(next_domain())
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    tune_process()
    return 0 if SoakRun(options.minutes, options.seed, options.output.resolve()).run() else 1


if __name__ == '__main__':
    sys.exit(main())
