# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Run detectors over a data set and compare their figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
import statistics

import numpy as np

from ..errors import ModelError
from ..image.image import Image
from ..int8_gate.agreement import Agreement, compare_detections
from ..pipeline import Detector
from ..values.detections import Detections
from ..values.engine_info import EngineInfo
from .data_set import DataSet
from .metric import coco_figures, Figures

__all__ = [
    'Latency',
    'Result',
    'compare_results',
    'get_engine_bytes',
    'run_detector',
    'worst_pictures',
]


@dataclass(frozen=True, slots=True)
class Latency:
    """
    Latency of one picture in milliseconds, preprocessing and decoding included.

    :param p50: median.
    :param p95: 95th percentile.
    :param infer_p50: median of the network alone.
    """

    p50: float
    p95: float
    infer_p50: float


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """
    Result of one detector on a data set.

    :param name: of the variant.
    :param info: of the engine that ran.
    :param figures: its mean average precision.
    :param latency: of one picture.
    :param bytes: size of the engine or model that ran, None if it is unknown.
    :param sizes: (width, height) of the pictures.
    :param detections: of each picture, down to low scores.
    """

    name: str
    info: EngineInfo
    figures: Figures
    latency: Latency
    bytes: int | None
    sizes: tuple[tuple[int, int], ...]
    detections: tuple[Detections, ...]


def run_detector(
    name: str,
    detector: Detector,
    data: DataSet,
    model_path: Path,
    on_picture: Callable[[int], None] = lambda _: None,
) -> Result:
    """
    Run a detector on every picture of a data set.

    :param detector: reports detections down to the score that mean average precision needs.
    :param on_picture: called with the number of pictures done.
    :raises ImageError: if a picture cannot be read.
    :raises ModelError: if the boxes are rotated.
    """
    sizes, found, whole_ms, infer_ms = [], [], [], []
    for number, sample in enumerate(data.samples, start=1):
        image = Image.from_file(sample.path)
        detector.fit_input_size(image)
        result = detector.detect([image])
        if result.detections[0].angles is not None:
            raise ModelError(
                f'{model_path.name} has rotated boxes (OBB), but mean average precision is '
                'computed for upright boxes only; evaluate a model of the task detect'
            )
        times = result.times
        sizes.append((image.width, image.height))
        found.append(result.detections[0])
        whole_ms.append(times.preprocess_ms + times.infer_ms + times.decode_ms)
        infer_ms.append(times.infer_ms)
        on_picture(number)
    return Result(
        name=name,
        info=detector.info,
        figures=coco_figures(data.samples, sizes, found, data.class_names),
        latency=Latency(
            statistics.median(whole_ms),
            float(np.percentile(whole_ms, 95)),
            statistics.median(infer_ms),
        ),
        bytes=get_engine_bytes(detector.info, model_path),
        sizes=tuple(sizes),
        detections=tuple(found),
    )


def compare_results(first: Result, other: Result, score_threshold: float) -> Agreement:
    """Compare two detectors over the data set."""
    total = Agreement()
    for left, right in zip(first.detections, other.detections, strict=True):
        total += compare_detections(left, right, score_threshold)
    return total


def worst_pictures(
    results: Sequence[Result], score_threshold: float, count: int
) -> list[tuple[int, Result, Agreement]]:
    """
    Return the pictures with the largest differences from the first detector, the worst first.

    :return: number of the picture, the detector, and their agreement on it.
    """
    first, *others = results
    ranked: list[tuple[int, int, Result, Agreement]] = []
    for other in others:
        for number, (left, right) in enumerate(
            zip(first.detections, other.detections, strict=True)
        ):
            agreement = compare_detections(left, right, score_threshold)
            lost = agreement.reference - agreement.found
            made_up = agreement.candidate - agreement.confirmed
            if lost + made_up:
                ranked.append((lost + made_up, number, other, agreement))
    ranked.sort(key=lambda row: (-row[0], row[1]))
    return [(number, other, agreement) for _, number, other, agreement in ranked[:count]]


def get_engine_bytes(info: EngineInfo, model_path: Path) -> int | None:
    """Return the size of the plan, the model in memory, or the model's file."""
    if info.engine_bytes is not None:
        return info.engine_bytes
    return model_path.stat().st_size if model_path.is_file() else None
