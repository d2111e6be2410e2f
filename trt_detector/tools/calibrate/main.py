# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Create the INT8 calibration cache of a model, on any machine."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
import sys
import time
from typing import Any, TYPE_CHECKING

import numpy.typing as npt

from ... import __version__
from ...config import DetectorConfig
from ...errors import DetectorError, ImageError, ModelError
from ...factory import create_detector
from ...image.image import Image
from ...model_info import ModelInfo, prepare_model, read_model_info
from ...pipeline import Detector
from ...quantize import CalibrationCache
from ...quantize.calibration import (
    CalibrationMethod,
    gate_folder,
    make_cache,
    report_path,
    write_calibration,
)
from ...quantize.histogram import MagnitudeHistogram
from ...quantize.sampling import Coverage, FrameSampler
from ...quantize.thresholds import DEFAULT_PERCENTILE, METHODS
from ...values.progress import Progress
from ...values.user_path import expand_user
from ..argument_types import parse_positive
from ..command_line import (
    add_json_option,
    make_parser,
    parse_arguments,
    print_detector,
    write_json,
    write_result,
)
from ..options import add_parameter_options, given_parameters, INPUT_PARAMETERS
from ..progress_bar import ProgressBar
from .frames import GateFrames, InputBatches
from .sources import BagSource, FrameSource, PictureSource, TopicSource, VideoSource

if TYPE_CHECKING:
    import onnx

__all__ = ['main']

_FEW_FRAMES = 100
_MIN_FRAMES_PER_CHECK = 4
_CANCELLED = 130
_SENSITIVITY_BATCHES = 8
_SHOWN_LAYERS = 5


@dataclass(frozen=True, slots=True)
class _Job:
    """Options of a calibration run."""

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


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if the cache is written, 1 if it cannot be created, 130 if cancelled.
    """
    arguments = parse_arguments(_parser(), argv)
    bar = ProgressBar(sys.stderr)
    try:
        job = _job(arguments)
        source = _source(arguments)
        try:
            report = _calibrate(job, source, bar)
        finally:
            source.close()
    except KeyboardInterrupt:
        bar.finish()
        print('calibrate: cancelled; nothing was written', file=sys.stderr)
        return _CANCELLED
    except (DetectorError, OSError) as error:
        bar.finish()
        print(f'calibrate: {error}', file=sys.stderr)
        return 1
    bar.finish()
    if arguments.json != Path('-'):
        print(_sentence(job, report))
    return write_result('calibrate', arguments.json, report)


def _parser() -> argparse.ArgumentParser:
    """Return the command line, with the preprocessing parameters of the detector."""
    parser = make_parser(
        'calibrate',
        __doc__ or '',
        examples=[
            '--model model.onnx --images pictures/ --output model.calib',
            '--model model.onnx --bag rosbag2_folder --output model.calib',
            '--model model.onnx --topic /camera/image_raw --output model.calib',
        ],
        exit_codes={0: 'the cache is written', 1: 'it cannot be created', _CANCELLED: 'cancelled'},
    )
    add = parser.add_argument
    add(
        '--model',
        '--model-path',
        required=True,
        type=Path,
        help='ONNX file of the detector, in FP32',
    )
    add('--output', required=True, type=Path, metavar='X.calib', help='file to write')
    inputs = parser.add_mutually_exclusive_group(required=True)
    inputs.add_argument('--images', nargs='+', type=Path, help='a folder, or picture files')
    inputs.add_argument('--video', type=Path, help='a video file')
    inputs.add_argument('--bag', type=Path, help='folder of a rosbag2 (sqlite3 or mcap)')
    inputs.add_argument('--topic', help='a live image topic; compressed if it ends in /compressed')
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
        '--min-difference',
        type=float,
        default=2.0,
        help='mean difference of gray levels below which frames are duplicates; 0 takes all. '
        'Default: 2.',
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
    add_json_option(parser)
    add_parameter_options(parser, INPUT_PARAMETERS)
    return parser


def _job(arguments: argparse.Namespace) -> _Job:
    """Read the options."""
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
    return _Job(
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


def _source(arguments: argparse.Namespace) -> FrameSource:
    """Open the source of the frames."""
    if arguments.images is not None:
        return PictureSource(arguments.images)
    if arguments.video is not None:
        return VideoSource(arguments.video)
    if arguments.bag is not None:
        return BagSource(arguments.bag, arguments.bag_topics)
    return TopicSource(arguments.topic, arguments.every, arguments.timeout)


def _calibrate(job: _Job, source: FrameSource, bar: Callable[[Progress], None]) -> dict[str, Any]:
    """Calibrate; write the cache, its report and the gate frames; return the report."""
    start = time.monotonic()
    wanted = job.frames + job.gate_frames
    sampler = FrameSampler(
        wanted,
        source.total,
        min_difference=job.min_difference,
        on_unreadable=lambda error: print(f'calibrate: {error}', file=sys.stderr),
    )
    coming = min(wanted, source.total or wanted)
    checking = min(job.gate_frames, coming // _MIN_FRAMES_PER_CHECK)
    gate = GateFrames(gate_folder(job.output), checking, coming)
    network: onnx.ModelProto | None = None
    with create_detector(job.config) as detector:
        print_detector('calibrate', detector)
        batches = InputBatches(
            detector,
            job.model.image_input.shape[0] or 1,
            keep=_SENSITIVITY_BATCHES if job.sensitivity is not None else 0,
            expected=min(job.frames, source.total or job.frames),
        )

        def images() -> Iterator[Image]:
            for frame, image in sampler.sample(source.frames()):
                done = sampler.coverage.used
                share = done / coming
                bar(Progress(f'{done} frames, {frame.name}', share, time.monotonic() - start))
                if not gate.takes(image):
                    yield image

        inputs = batches.of(images())
        if job.tensorrt:
            cache = _calibrate_on_device(job, detector, inputs)
        else:
            histograms = _count(job, detector, inputs)
            bar(Progress('choosing the ranges', None, time.monotonic() - start))
            cache = make_cache(histograms, job.method, job.tensorrt_version)
        if job.sensitivity is not None:
            network = _network(job, detector)
    coverage = sampler.coverage
    gate.write()
    report = _report(job, coverage, batches, gate.count)
    report['tensors'] = len(cache.scales)
    write_calibration(job.output, cache, report)
    if job.sensitivity is not None and network is not None:
        layers = _rank(job, network, cache, batches.kept, bar)
        write_json(job.sensitivity, layers)
        report['most_sensitive'] = layers['layers'][:_SHOWN_LAYERS]
    return report


def _rank(
    job: _Job,
    network: onnx.ModelProto,
    cache: CalibrationCache,
    batches: Sequence[npt.NDArray[Any]],
    bar: Callable[[Progress], None],
) -> dict[str, Any]:
    """Rank the layers by sensitivity; the result is ready for JSON."""
    from ...quantize.sensitivity import rank_layers

    start = time.monotonic()

    def show(done: int, total: int, name: str) -> None:
        bar(Progress(f'alone in INT8: {name}', done / total, time.monotonic() - start))

    threads = job.config.inference_threads
    ranked = rank_layers(network, cache, batches, threads=threads, on_layer=show)
    return {
        'model': job.model.path.name,
        'error': 'relative root mean square error at the inputs of the head tail',
        'pictures': len(batches),
        'layers': [asdict(entry) for entry in ranked],
    }


def _count(
    job: _Job, detector: Detector, inputs: Iterator[tuple[npt.NDArray[Any], int]]
) -> dict[str, MagnitudeHistogram]:
    """Return the histograms of the network's activations."""
    from ...quantize.activations import ActivationCounter

    counter: ActivationCounter | None = None
    for batch, count in inputs:
        if counter is None:
            # The first picture may have chosen the input size.
            network = _network(job, detector)
            counter = ActivationCounter(network, batch.shape, threads=job.config.inference_threads)
        counter.add(batch, count)
    if counter is None:
        raise ImageError('no frame could be calibrated; name an input with pictures')
    return counter.histograms


def _calibrate_on_device(
    job: _Job, detector: Detector, inputs: Iterator[tuple[npt.NDArray[Any], int]]
) -> CalibrationCache:
    """Return the cache of TensorRT's own calibrator."""
    from ...trt.builder.batch_calibrator import calibrate_on_device

    data = prepare_model(job.model, detector.input_size)
    path = job.model.path if job.model.external_data else None
    return calibrate_on_device(job.config, data, path, (batch for batch, _ in inputs))


def _network(job: _Job, detector: Detector) -> onnx.ModelProto:
    """Return the network that the detector runs."""
    from ...quantize.model_file import load_onnx_bytes

    data = prepare_model(job.model, detector.input_size)
    return load_onnx_bytes(data, job.model.path.parent)


def _report(
    job: _Job, coverage: Coverage, batches: InputBatches, gate_frames: int
) -> dict[str, Any]:
    """Return the entries of the calibration report, which are the same in every run."""
    frames = asdict(coverage)
    sample_sha256 = frames.pop('sha256')
    return {
        'package': f'trt_detector {__version__}',
        'model': job.model.path.name,
        'model_sha256': job.model.sha256,
        'method': 'tensorrt' if job.tensorrt else job.method.name,
        'percentile': None
        if job.tensorrt or job.method.name == 'minmax'
        else job.method.percentile,
        'frames': batches.frames,
        'gate_frames': gate_frames,
        'sample_sha256': sample_sha256,
        'coverage': frames,
    }


def _sentence(job: _Job, report: dict[str, Any]) -> str:
    """Format the result as text."""
    coverage = report['coverage']
    result = (
        f'{job.output}: {report["tensors"]} tensors by {report["method"]} from {report["frames"]} '
        f'of {coverage["available"]} frames ({coverage["duplicates"]} duplicates skipped, '
        f'{coverage["unreadable"]} unreadable), from {coverage["tenths"]} of 10 parts of the '
        f'input; details: {report_path(job.output).name}'
    )
    lines = [result]
    if report['gate_frames']:
        folder = gate_folder(job.output).name
        lines.append(f'{report["gate_frames"]} frames for the INT8 check: {folder}')
    ranked = report.get('most_sensitive', ())
    lines += [f'{entry["error"]:8.4f}  {entry["name"]}' for entry in ranked]
    if report['frames'] < _FEW_FRAMES:
        lines.append(
            f'{report["frames"]} frames are few; calibrate with 300 to 500 from the place of use'
        )
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(main())
