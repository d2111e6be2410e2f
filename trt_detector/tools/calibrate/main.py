# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Create the INT8 calibration cache of a model, on any machine."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
import sys
import time
from typing import Any, TYPE_CHECKING

import numpy.typing as npt

from ... import __version__
from ...errors import DetectorError, ImageError
from ...factory import create_detector
from ...image.image import Image
from ...model_info import prepare_model
from ...pipeline import Detector
from ...quantize import CalibrationCache
from ...quantize.calibration import gate_folder, make_cache, report_path, write_calibration
from ...quantize.histogram import MagnitudeHistogram
from ...quantize.sampling import Coverage, FrameSampler
from ...values.progress import Progress
from ..command_line import (
    add_json_option,
    make_parser,
    parse_arguments,
    print_detector,
    write_json,
    write_result,
)
from ..options import add_parameter_options, INPUT_PARAMETERS
from ..progress_bar import ProgressBar
from .frames import GateFrames, InputBatches
from .job import add_options, Job, open_source, read_job
from .sources import FrameSource

if TYPE_CHECKING:
    import onnx

__all__ = ['main']

_FEW_FRAMES = 100
_MIN_FRAMES_PER_CHECK = 4
_CANCELLED = 130
_SENSITIVITY_BATCHES = 8
_SHOWN_LAYERS = 5


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if the cache is written, 1 if it cannot be created, 130 if cancelled.
    """
    arguments = parse_arguments(_parser(), argv)
    bar = ProgressBar(sys.stderr)
    try:
        job = read_job(arguments)
        source = open_source(arguments)
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
    add_options(parser)
    add_json_option(parser)
    add_parameter_options(parser, INPUT_PARAMETERS)
    return parser


def _calibrate(job: Job, source: FrameSource, bar: Callable[[Progress], None]) -> dict[str, Any]:
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
    job: Job,
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
    job: Job, detector: Detector, inputs: Iterator[tuple[npt.NDArray[Any], int]]
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
    job: Job, detector: Detector, inputs: Iterator[tuple[npt.NDArray[Any], int]]
) -> CalibrationCache:
    """Return the cache of TensorRT's own calibrator."""
    from ...trt.builder.batch_calibrator import calibrate_on_device

    data = prepare_model(job.model, detector.input_size)
    path = job.model.path if job.model.external_data else None
    return calibrate_on_device(job.config, data, path, (batch for batch, _ in inputs))


def _network(job: Job, detector: Detector) -> onnx.ModelProto:
    """Return the network that the detector runs."""
    from ...quantize.model_file import load_onnx_bytes

    data = prepare_model(job.model, detector.input_size)
    return load_onnx_bytes(data, job.model.path.parent)


def _report(
    job: Job, coverage: Coverage, batches: InputBatches, gate_frames: int
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


def _sentence(job: Job, report: dict[str, Any]) -> str:
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
