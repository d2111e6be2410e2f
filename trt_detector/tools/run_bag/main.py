# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Detect objects in every image of a bag; write a bag, a video or COCO annotations."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys
from typing import Any

from ...config import DetectorConfig
from ...errors import DetectorError
from ...values.progress import Progress
from ...values.user_path import expand_user
from ..command_line import (
    add_json_option,
    make_parser,
    parse_arguments,
    print_logged_warnings,
    write_result,
)
from ..options import (
    add_parameter_options,
    ENGINE_PARAMETERS,
    given_parameters,
    INPUT_PARAMETERS,
    REGION_PARAMETERS,
    SELECTION_PARAMETERS,
    TRACKER_PARAMETERS,
)
from ..parameter_file import read_parameter_file
from ..progress_bar import ProgressBar
from .job import choose_format, FORMATS, Job
from .run import run_job
from .summary import Summary

__all__ = ['main']

_CANCELLED = 130
_NAMES = (
    *ENGINE_PARAMETERS,
    'max_image_pixels',
    *INPUT_PARAMETERS,
    *SELECTION_PARAMETERS,
    *REGION_PARAMETERS,
    *TRACKER_PARAMETERS,
    'class_agnostic_nms',
    'class_id_format',
)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if every image was read, 1 if one was not or there is no output, 130 if
        interrupted.
    """
    arguments = parse_arguments(_parser(), argv)
    bar = ProgressBar(sys.stderr) if sys.stderr.isatty() else None
    with print_logged_warnings('run_bag') as logged:
        try:
            summary, report = run_job(_job(arguments), logged, bar or _show_nothing)
        except KeyboardInterrupt:
            _finish(bar)
            print(
                'run_bag: interrupted; the same command continues where it stopped',
                file=sys.stderr,
            )
            return _CANCELLED
        except (DetectorError, OSError) as error:
            _finish(bar)
            print(f'run_bag: {error}', file=sys.stderr)
            return 1
    _finish(bar)
    for reason in summary.errors:
        print(f'run_bag: malformed image of {reason}', file=sys.stderr)
    if summary.done != summary.declared:
        print(
            f'run_bag: the bag declares {summary.declared} images, and {summary.done} were in it; '
            'if its recorder was killed, ros2 bag reindex repairs the metadata',
            file=sys.stderr,
        )
    if write_result('run_bag', arguments.json, report):
        return 1
    if arguments.json != Path('-'):
        print(_sentence(summary, report))
    return 1 if summary.malformed else 0


def _parser() -> argparse.ArgumentParser:
    """Return the command line; options of the detector come from its parameters."""
    parser = make_parser(
        'run_bag',
        f'{__doc__} No image is dropped. A run that was interrupted, even by kill -9, is '
        'continued by the same command.',
        examples=[
            '--model model.onnx --bag recording --output detections',
            '--model model.onnx --bag recording --topics /left/image /right/image --output new',
            '--model model.onnx --bag recording --output new.mcap --copy',
            '--model model.onnx --bag recording --topics /left/image --output left.mp4',
            '--model model.onnx --bag recording --output labels.json --json summary.json',
            '--model model.onnx --bag recording --output tracks --tracker bytetrack',
        ],
        exit_codes={
            0: 'the output is written and every image was read',
            1: 'an image is malformed, which is reported, or the output cannot be written',
            _CANCELLED: 'interrupted; the same command continues',
        },
    )
    add = parser.add_argument
    add('--model', '--model-path', required=True, help='ONNX file, or a .engine or .plan file')
    add(
        '--bag',
        required=True,
        type=Path,
        help='folder of a rosbag2 (mcap or sqlite3), or one of its files',
    )
    add(
        '--topics',
        '--image-topics',
        nargs='*',
        default=[],
        metavar='TOPIC',
        type=str,
        help='image topics: sensor_msgs Image or CompressedImage, or with PyAV foxglove_msgs '
        'CompressedVideo or ffmpeg_image_transport_msgs FFMPEGPacket; default: the only one',
    )
    _add_output_options(parser)
    add(
        '--params-file',
        type=Path,
        metavar='FILE',
        help='parameter file of the node, e.g. for its regions; options here take precedence',
    )
    add_json_option(parser)
    add_parameter_options(parser, _NAMES)
    return parser


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the output: its place, its format and what it holds."""
    add = parser.add_argument
    add(
        '--output',
        required=True,
        type=Path,
        help='folder of a new bag, or a file: .mcap or .db3 (bag), .mp4, .mkv or .avi (video with '
        'the detections drawn), .json (COCO annotations)',
    )
    add('--format', choices=FORMATS, help='format of the output; default: by its suffix')
    add(
        '--storage',
        choices=('mcap', 'sqlite3'),
        help='storage plugin of a new bag; default: that of --bag',
    )
    add(
        '--copy',
        nargs='*',
        metavar='TOPIC',
        help='copy these topics into the new bag; without a name all, the images included',
    )
    add(
        '--fps',
        type=_positive,
        metavar='HZ',
        help='frames per second of a video; default: the rate of the images',
    )
    add(
        '--overwrite',
        action='store_true',
        help='replace an output that exists, and drop an interrupted run that had other options',
    )


def _positive(text: str) -> float:
    """Return a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number above 0, up to 1000')
    return value


def _job(arguments: argparse.Namespace) -> Job:
    """Read the options."""
    file = arguments.params_file
    given: dict[str, Any] = {} if file is None else read_parameter_file(expand_user(file))
    given |= {'model_path': arguments.model, **given_parameters(arguments, _NAMES)}
    output = expand_user(arguments.output)
    return Job(
        config=DetectorConfig.from_mapping(given),
        bag=expand_user(arguments.bag),
        output=output,
        format=choose_format(output, arguments.format),
        topics=tuple(arguments.topics),
        copied=tuple(arguments.copy or ()),
        copy_all=arguments.copy == [],
        storage=arguments.storage,
        rate_hz=arguments.fps,
        overwrite=arguments.overwrite,
    )


def _show_nothing(_progress: Progress) -> None:
    """Show no bar: the output is not a terminal."""


def _finish(bar: ProgressBar | None) -> None:
    """End the line of the bar."""
    if bar is not None:
        bar.finish()


def _sentence(summary: Summary, report: dict[str, Any]) -> str:
    """Format the result as text."""
    return (
        f'{report["output"]}: {report["read"]} images read, {summary.written} written, '
        f'{summary.malformed} malformed, {report["detections"]} detections; '
        f'{summary.rate_hz:.1f} images per second, {summary.real_time_factor:.1f} x real time '
        f'({report["backend"]} {report["precision"]})'
    )


if __name__ == '__main__':
    sys.exit(main())
