# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Options of a calibration run, and what they name."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from ...config import DetectorConfig
from ...errors import ModelError
from ...model_info import ModelInfo, read_model_info
from ...quantize.calibration import CalibrationMethod
from ...quantize.thresholds import DEFAULT_PERCENTILE, METHODS
from ...values.user_path import expand_user
from ..argument_types import parse_positive
from ..options import given_parameters, INPUT_PARAMETERS
from .sources import BagSource, FrameSource, PictureSource, TopicSource, VideoSource

__all__ = ['Job', 'add_options', 'open_source', 'read_job']


@dataclass(frozen=True, slots=True)
class Job:
    """
    Options of a calibration run.

    :param config: parameters of the detector that prepares the frames.
    :param model: the model to calibrate.
    :param method: chooses the ranges.
    :param output: calibration cache to write.
    :param frames: maximum number of frames to calibrate with.
    :param gate_frames: maximum number of frames to keep for the INT8 check.
    :param min_difference: mean difference of gray levels below which frames are duplicates.
    :param tensorrt_version: version in the header of the cache.
    :param sensitivity: file for the ranking of the layers; None for none.
    :param tensorrt: use TensorRT's own calibrator.
    """

    config: DetectorConfig
    model: ModelInfo
    method: CalibrationMethod
    output: Path
    frames: int
    gate_frames: int
    min_difference: float
    tensorrt_version: str
    sensitivity: Path | None
    tensorrt: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a run, but those of the detector."""
    add = parser.add_argument
    add(
        '--model',
        '--model-path',
        required=True,
        type=Path,
        help='ONNX file of the detector, in FP32',
    )
    add('--output', required=True, type=Path, metavar='X.calib', help='file to write')
    _add_frame_options(parser)
    _add_method_options(parser)


def read_job(arguments: argparse.Namespace) -> Job:
    """
    Read the options.

    :raises ConfigError: if a parameter is invalid.
    :raises ModelError: if the model cannot be read, or is not in FP32.
    """
    values = given_parameters(arguments, INPUT_PARAMETERS)
    config = DetectorConfig.from_mapping({
        'model_path': str(arguments.model),
        'backend': 'onnxruntime',
        'onnxruntime_provider': 'cpu',
        'precision': 'fp32',
        'batch_size': 0,
        'warmup_iterations': 0,
        'inference_threads': arguments.threads,
        **values,
    })  # fmt: skip
    model = read_model_info(expand_user(arguments.model))
    if model.precision != 'fp32':
        raise ModelError(
            f'{model.path} is {model.precision}; calibrate the FP32 export of the network'
        )
    return Job(
        config=config,
        model=model,
        method=CalibrationMethod(arguments.method, arguments.percentile),
        output=expand_user(arguments.output),
        frames=arguments.frames,
        gate_frames=max(0, arguments.gate_frames),
        min_difference=arguments.min_difference,
        tensorrt_version=arguments.tensorrt_version,
        sensitivity=arguments.sensitivity,
        tensorrt=arguments.tensorrt,
    )


def open_source(arguments: argparse.Namespace) -> FrameSource:
    """Open the source of the frames."""
    if arguments.images is not None:
        return PictureSource(arguments.images)
    if arguments.video is not None:
        return VideoSource(arguments.video)
    if arguments.bag is not None:
        return BagSource(arguments.bag, arguments.bag_topics)
    return TopicSource(arguments.topic, arguments.every, arguments.timeout)


def _add_frame_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the frames: their source, and the choice among them."""
    add = parser.add_argument
    inputs = parser.add_mutually_exclusive_group(required=True)
    inputs.add_argument('--images', nargs='+', type=Path, help='a folder, or picture files')
    inputs.add_argument('--video', type=Path, help='a video file')
    inputs.add_argument('--bag', type=Path, help='folder of a rosbag2 (sqlite3 or mcap)')
    inputs.add_argument('--topic', help='a live image topic, raw or compressed')
    add('--bag-topics', nargs='*', default=[], help='image topics of the bag. Default: all.')
    add(
        '--every', type=parse_positive, default=10, metavar='K',
        help='take every K-th image of a live topic. Default: 10.',
    )  # fmt: skip
    add(
        '--timeout', type=float, default=10.0, metavar='S',
        help='seconds to wait for a live image. Default: 10.',
    )  # fmt: skip
    add(
        '--frames', type=parse_positive, default=400, metavar='N',
        help='maximum number of frames to calibrate with. Default: 400.',
    )  # fmt: skip
    add(
        '--gate-frames',
        type=int,
        default=32,
        help='frames to keep beside the cache for the INT8 check, at most a quarter of all; they '
        'are not used for calibration; 0 keeps none. Default: 32.',
    )
    add(
        '--min-difference',
        type=float,
        default=2.0,
        help='mean difference of gray levels below which frames are duplicates; 0 takes all. '
        'Default: 2.',
    )


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the calibration itself."""
    add = parser.add_argument
    add(
        '--method', choices=METHODS, default='entropy',
        help='method that chooses the ranges. Default: entropy.',
    )  # fmt: skip
    add(
        '--percentile',
        type=float,
        default=DEFAULT_PERCENTILE,
        help='minimum share of the values, in percent, that entropy and percentile keep in range. '
        'Default: %(default)s.',
    )
    add(
        '--tensorrt-version',
        default='10.3.0',
        help='version of TensorRT in the header of the file; this package reads any version. '
        'Default: %(default)s.',
    )
    add(
        '--sensitivity',
        type=Path,
        metavar='FILE',
        help='also rank the layers by the error if each alone is INT8; write the ranking to this '
        'JSON file',
    )
    add(
        '--tensorrt',
        action='store_true',
        help="use TensorRT's own entropy calibrator on the GPU of this machine (TensorRT up to "
        '10); --method and --percentile are not used',
    )
    add(
        '--threads',
        '--inference-threads',
        type=int,
        default=0,
        help='threads of ONNX Runtime; 0 is one per physical core that the process may use. '
        'Default: 0.',
    )
