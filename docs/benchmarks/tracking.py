# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare the tracker with ByteTrack of roboflow trackers and of BoxMOT, judged by TrackEval.

The first step needs the environment of the project. It draws sequences of the scene generator, in
which camera and objects move, and detects in them with the demo model:

    python3 docs/benchmarks/tracking.py detect --output sequences

The second one runs the trackers on these detections, in an environment of its own:

    python3 -m venv oracles
    oracles/bin/pip install trackers==2.6.1 boxmot==25.0.0 trackeval==1.3.0
    oracles/bin/python docs/benchmarks/tracking.py compare sequences --json tracking.json
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import statistics
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'demo')]


def detect(options: argparse.Namespace) -> None:
    """Write the truth and the detections of every frame of the sequences."""
    from scenes.sequence import render_sequence
    from splits import SEQUENCE_SEEDS
    from trt_detector.config import DetectorConfig
    from trt_detector.factory import create_detector
    from trt_detector.image import Image

    config = DetectorConfig(
        model_path=str(ROOT / 'demo' / 'models' / f'{options.model}.onnx'),
        backend='onnxruntime',
        score_threshold=0.1,
        inference_threads=1,
    )
    options.output.mkdir(parents=True, exist_ok=True)
    with create_detector(config) as detector:
        for number in range(options.first, options.first + options.sequences):
            seed = SEQUENCE_SEEDS[number]
            frames = []
            for frame in render_sequence(seed, options.frames, options.rate):
                found = detector.detect([Image.from_array(frame.image_bgr)]).detections[0]
                frames.append(
                    {
                        'stamp_s': frame.stamp_s,
                        'truth': [
                            [thing.track_id, thing.class_id, *thing.bbox_xyxy, thing.is_counted]
                            for thing in frame.objects
                        ],
                        'found': [
                            [round(float(value), 4) for value in (*box, score)] + [int(kind)]
                            for box, score, kind in zip(
                                found.boxes_xyxy, found.scores, found.class_ids, strict=True
                            )
                        ],
                    }
                )
            path = options.output / f'{seed}.json'
            path.write_text(json.dumps({'seed': seed, 'rate_hz': options.rate, 'frames': frames}))
            print(path, flush=True)


Floats = npt.NDArray[np.float64]
# Ids and boxes (n, 4) that a tracker reports for one frame.
Tracked = tuple[list[int], Floats]
# Called with boxes (n, 4), scores (n,), classes (n,) and the stamp of a frame.
Update = Callable[[Floats, Floats, npt.NDArray[np.int64], float], Tracked]


def own_tracker(_rate_hz: float, **thresholds: float) -> Update:
    """Make a tracker of this package; its times come from the stamps."""
    from trt_detector.tracking.tracker import Tracker, TrackerThresholds
    from trt_detector.values.detections import Detections

    tracker = Tracker(TrackerThresholds(**thresholds))

    def update(boxes: Floats, scores: Floats, kinds: Any, stamp_s: float) -> Tracked:
        found = Detections(
            boxes.astype(np.float32), scores.astype(np.float32), kinds.astype(np.int32)
        )
        ids = tracker.update(found, stamp_s)
        return ids[ids > 0].tolist(), boxes[ids > 0]

    return update


def roboflow_tracker(rate_hz: float, **options: Any) -> Update:
    """Make ByteTrack of roboflow trackers."""
    import supervision as sv
    from trackers import ByteTrackTracker

    tracker = ByteTrackTracker(frame_rate=rate_hz, **options)

    def update(boxes: Floats, scores: Floats, kinds: Any, stamp_s: float) -> Tracked:
        found = sv.Detections(xyxy=boxes, confidence=scores, class_id=kinds)
        tracked = tracker.update(found, timestamp=stamp_s)
        kept = tracked.tracker_id >= 0
        return tracked.tracker_id[kept].tolist(), tracked.xyxy[kept]

    return update


def boxmot_tracker(rate_hz: float, *, filtered: bool = True, **options: Any) -> Update:
    """
    Make ByteTrack of BoxMOT.

    :param filtered: report the boxes of its Kalman filter, as it does by itself; else those of
        the detections.
    """
    from boxmot.trackers.box.bytetrack.tracker import ByteTrack

    tracker = ByteTrack(frame_rate=round(rate_hz), **options)
    frame = np.zeros((288, 512, 3), np.uint8)

    def update(boxes: Floats, scores: Floats, kinds: Any, stamp_s: float) -> Tracked:
        rows = np.column_stack((boxes, scores, kinds)).reshape(-1, 6)
        tracked = tracker.update(rows, frame, timestamp_s=stamp_s)
        shown = tracked[:, :4] if filtered else boxes[tracked[:, 7].astype(int)]
        return tracked[:, 4].astype(int).tolist(), shown.astype(np.float64)

    return update


# "Own" are the defaults of the library, "same" are the thresholds of this package.
TRACKERS: dict[str, Callable[[float], Update]] = {
    'trt_detector': own_tracker,
    'trt_detector, match_thresh 0.8': lambda rate: own_tracker(rate, match=0.8),
    'roboflow, own defaults': roboflow_tracker,
    'roboflow, same thresholds': lambda rate: roboflow_tracker(
        rate,
        track_activation_threshold=0.5,
        high_conf_det_threshold=0.5,
        minimum_iou_threshold=0.1,
    ),
    'BoxMOT, own defaults': boxmot_tracker,
    'BoxMOT, same thresholds': lambda rate: boxmot_tracker(
        rate, track_thresh=0.5, match_thresh=0.9, track_buffer=30
    ),
    'BoxMOT, same thresholds, per class, boxes of detections': lambda rate: boxmot_tracker(
        rate, filtered=False, track_thresh=0.5, match_thresh=0.9, track_buffer=30, per_class=True
    ),
}


def overlaps(first: Floats, second: Floats) -> Floats:
    """Calculate the IoU (n, m) of boxes (n, 4) and (m, 4)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    return np.asarray(shared / (areas[0][:, None] + areas[1][None, :] - shared))


def leave_out_uncounted(tracked: Tracked, truth: list[list[Any]]) -> Tracked:
    """
    Remove the boxes of objects that nobody has to find, as MOTChallenge does with distractors.

    :param truth: rows of id, class, box and whether the object counts.
    """
    from scipy.optimize import linear_sum_assignment

    ids, boxes = tracked
    if not ids or not truth:
        return tracked
    iou = overlaps(boxes, np.array([row[2:6] for row in truth], float))
    rows, columns = linear_sum_assignment(np.where(iou >= 0.5, iou, 0.0), maximize=True)
    out = {
        row
        for row, column in zip(rows, columns, strict=True)
        if iou[row, column] >= 0.5 and not truth[column][6]
    }
    keep = [row for row in range(len(ids)) if row not in out]
    return [ids[row] for row in keep], boxes[keep]


def judge(frames: list[dict[str, Any]], tracked: list[Tracked]) -> dict[str, Any]:
    """Evaluate one sequence with TrackEval; returns the results of its metrics."""
    from trackeval.metrics import CLEAR, HOTA, Identity

    truth = [[row for row in frame['truth'] if row[6]] for frame in frames]
    cleaned = [
        leave_out_uncounted(one, frame['truth'])
        for one, frame in zip(tracked, frames, strict=True)
    ]
    numbers = [sorted({row[0] for rows in truth for row in rows})]
    numbers.append(sorted({number for ids, _ in cleaned for number in ids}))
    index = [{number: at for at, number in enumerate(known)} for known in numbers]
    data = {
        'gt_ids': [np.array([index[0][row[0]] for row in rows], int) for rows in truth],
        'tracker_ids': [np.array([index[1][one] for one in ids], int) for ids, _ in cleaned],
        'similarity_scores': [
            overlaps(np.array([row[2:6] for row in rows], float).reshape(-1, 4), boxes)
            for rows, (_, boxes) in zip(truth, cleaned, strict=True)
        ],
        'num_timesteps': len(frames),
        'num_gt_ids': len(numbers[0]),
        'num_tracker_ids': len(numbers[1]),
        'num_gt_dets': sum(len(rows) for rows in truth),
        'num_tracker_dets': sum(len(ids) for ids, _ in cleaned),
    }
    metrics = {'HOTA': HOTA(), 'CLEAR': CLEAR({'PRINT_CONFIG': False})}
    metrics['Identity'] = Identity({'PRINT_CONFIG': False})
    return {name: metric.eval_sequence(data) for name, metric in metrics.items()}


def summarize(results: dict[str, Any]) -> dict[str, float]:
    """Extract the figures of the table, in percent but for the switches."""
    percent = {
        'HOTA': float(np.mean(results['HOTA']['HOTA'])),
        'IDF1': float(results['Identity']['IDF1']),
        'MOTA': float(results['CLEAR']['MOTA']),
        'AssA': float(np.mean(results['HOTA']['AssA'])),
        'DetA': float(np.mean(results['HOTA']['DetA'])),
    }
    figures = {name: round(100 * value, 2) for name, value in percent.items()}
    return figures | {'id switches': int(results['CLEAR']['IDSW'])}


def run_tracker(make: Callable[[float], Update], sequence: dict[str, Any]) -> tuple[Any, float]:
    """Track a sequence; returns the results of each frame and the median CPU time in ms."""
    update = make(sequence['rate_hz'])
    tracked, times_ms = [], []
    for frame in sequence['frames']:
        rows = np.array(frame['found'], float).reshape(-1, 6)
        kinds = rows[:, 5].astype(np.int64)
        started_s = time.thread_time()
        tracked.append(update(rows[:, :4], rows[:, 4], kinds, frame['stamp_s']))
        times_ms.append((time.thread_time() - started_s) * 1e3)
    return tracked, statistics.median(times_ms)


def thin_out(sequence: dict[str, Any], mode: str) -> dict[str, Any]:
    """Leave out frames: none, all but every fourth, or a random half."""
    frames, rate_hz = sequence['frames'], sequence['rate_hz']
    if mode == 'quarter':
        return sequence | {'frames': frames[::4], 'rate_hz': rate_hz / 4}
    if mode == 'half':
        keep = np.random.default_rng(sequence['seed']).random(len(frames)) < 0.5
        kept = [frame for frame, wanted in zip(frames, keep, strict=True) if wanted]
        return sequence | {'frames': kept, 'rate_hz': rate_hz / 2}
    return sequence


def make_objects(count: int, frames: int = 200, rate_hz: float = 20.0) -> dict[str, Any]:
    """Make a sequence of moving boxes with scores, some low and some missing, for the cost."""
    random = np.random.default_rng(count)
    start, speed = random.uniform(50, 1200, (count, 2)), random.normal(0, 60, (count, 2))
    size, kinds = random.uniform(30, 120, (count, 2)), random.integers(0, 6, count)
    sequence = []
    for number in range(frames):
        center = (start + speed * number / rate_hz) % 1250 + random.normal(0, 1.5, (count, 2))
        side = size * random.normal(1, 0.02, (count, 2))
        low = random.random(count) < 0.2
        scores = np.where(low, random.uniform(0.1, 0.5, count), random.uniform(0.5, 1, count))
        rows = np.column_stack((center - side / 2, center + side / 2, scores, kinds))
        rows = rows[random.random(count) > 0.03]
        rows = rows[np.argsort(-rows[:, 4])]
        sequence.append({'stamp_s': number / rate_hz, 'found': rows.tolist()})
    return {'rate_hz': rate_hz, 'frames': sequence}


def compare(options: argparse.Namespace) -> None:
    """Run every tracker on the detections, and print and write the figures."""
    from trackeval.metrics import CLEAR, HOTA, Identity

    combine = {
        'HOTA': HOTA().combine_sequences,
        'CLEAR': CLEAR({'PRINT_CONFIG': False}).combine_sequences,
        'Identity': Identity({'PRINT_CONFIG': False}).combine_sequences,
    }
    sequences = [json.loads(path.read_text()) for path in sorted(options.folder.glob('*.json'))]
    report: dict[str, Any] = {'sequences': [one['seed'] for one in sequences]}
    for mode in ('all', 'half', 'quarter'):
        report[mode] = {}
        for name, make in TRACKERS.items():
            results = []
            for sequence in sequences:
                thinned = thin_out(sequence, mode)
                results.append(judge(thinned['frames'], run_tracker(make, thinned)[0]))
            total = {
                metric: join({str(at): one[metric] for at, one in enumerate(results)})
                for metric, join in combine.items()
            }
            each = [summarize(one) for one in results]
            report[mode][name] = summarize(total) | {'sequences': each}
            print(mode, name, {k: v for k, v in report[mode][name].items() if k != 'sequences'})
    report['update_ms'] = {
        name: {
            count: round(run_tracker(make, make_objects(count))[1], 3) for count in (10, 50, 100)
        }
        for name, make in TRACKERS.items()
    }
    print(report['update_ms'])
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + '\n')


def main() -> None:
    """Read the command line and run one step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = parser.add_subparsers(dest='step', required=True)
    first = steps.add_parser('detect', help='draw sequences and detect in them')
    first.add_argument('--output', type=Path, required=True, help='folder for the detections')
    first.add_argument('--sequences', type=int, default=10)
    first.add_argument('--first', type=int, default=10, help='index of the first seed')
    first.add_argument('--frames', type=int, default=150)
    first.add_argument('--rate', type=float, default=20.0, help='frames per second')
    first.add_argument('--model', default='demo_end2end')
    second = steps.add_parser('compare', help='run the trackers on the detections')
    second.add_argument('folder', type=Path, help='output of detect')
    second.add_argument('--json', type=Path, help='file for the figures')
    options = parser.parse_args()
    {'detect': detect, 'compare': compare}[options.step](options)


if __name__ == '__main__':
    main()
