# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Options of the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..argument_types import number_between, parse_count, parse_positive, parse_size
from ..command_line import add_json_option
from ..play_images.encode import ENCODINGS

__all__ = ['add_options']

_LARGEST_DOMAIN = 232
_parse_seconds = number_between(0.1, 86_400)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of benchmark_node."""
    _add_node_options(parser)
    _add_camera_options(parser)
    _add_measurement_options(parser)
    _add_output_options(parser)


def _add_node_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the nodes."""
    add = parser.add_argument_group('nodes').add_argument
    add(
        '--model',
        '--model-path',
        metavar='FILE',
        help='ONNX file, or a plan; default: the demo model',
    )
    add('--params-file', type=Path, action='append', default=[], metavar='FILE', help='parameters')
    add(
        '--param', action='append', default=[], metavar='NAME=VALUE',
        help='one parameter of the node, e.g. score_threshold=0.5; can be repeated',
    )  # fmt: skip
    add(
        '--nodes', type=parse_positive, nargs='+', default=[1], metavar='N',
        help='number of nodes that share the cameras; several numbers are compared. Default: 1.',
    )  # fmt: skip
    add(
        '--variant', action='append', default=[], metavar='NAME=VALUE[;...]',
        help='also measure the node with these parameters changed; ~/TOPIC among them subscribes '
        'to a topic of the node, and http://... reads a page of it once per second; can be '
        'repeated',
    )  # fmt: skip
    add(
        '--against', action='append', default=[], metavar='COMMAND',
        help='also measure the node that this command starts. {image} is the image topic, '
        '{images} the list of all, {camera} the name of the camera; with {image} or {camera} it '
        'is started once per camera. Compressed images are on {image}/compressed',
    )  # fmt: skip
    add(
        '--topic', action='append', default=[],
        help='topic of the detections of --against, of any type with a header; {camera} is the '
        'name of the camera',
    )  # fmt: skip
    add(
        '--bare', choices=('both', 'limit', 'paced', 'none'), default='both',
        help='also run the model in a loop without ROS while the cameras publish: back to back '
        '(limit), or at their rate (paced). Default: both.',
    )  # fmt: skip


def _add_camera_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the cameras."""
    add = parser.add_argument_group('cameras').add_argument
    add(
        '--size', type=parse_size, nargs='+', default=[(1280, 720)], metavar='WxH',
        help='size of the images. Default: 1280x720.',
    )  # fmt: skip
    add(
        '--rate', type=number_between(0.1, 10_000), nargs='+', default=[10.0], metavar='HZ',
        help='images per second and camera. Default: 10.',
    )  # fmt: skip
    add(
        '--cameras', type=parse_positive, nargs='+', default=[1], metavar='N',
        help='number of cameras, each in a process of its own; they send together. Default: 1.',
    )  # fmt: skip
    add('--encoding', choices=ENCODINGS, default='bgr8', help='of raw images. Default: bgr8.')
    add('--transport', choices=('raw', 'compressed'), default='raw', help='Default: raw.')
    add('--reliable', action='store_true', help='reliable instead of best effort')
    add('--picture', type=Path, metavar='FILE', help='shown by the cameras; default: of the demo')


def _add_measurement_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the measurement."""
    add = parser.add_argument_group('measurement').add_argument
    add(
        '--seconds',
        type=_parse_seconds,
        default=20.0,
        metavar='S',
        help='duration of a measurement. Default: 20.',
    )
    add(
        '--warm-up',
        type=_parse_seconds,
        default=3.0,
        metavar='S',
        help='time before each measurement, not measured. Default: 3.',
    )
    add(
        '--rounds', type=parse_positive, default=2, metavar='N',
        help='number of times that each row is measured. Default: 2.',
    )  # fmt: skip
    add(
        '--sweep', action='store_true',
        help='begin with --rate and increase it by 25 %% until images are dropped',
    )  # fmt: skip
    add(
        '--start-timeout', type=_parse_seconds, default=300.0, metavar='S',
        help='maximum time until a node publishes, with the build of its engine. Default: 300.',
    )  # fmt: skip
    add(
        '--cores', type=parse_count, nargs='+', default=[], metavar='N',
        help='cores of the nodes and of the bare model; the cameras and this program use the '
        'others. Default: all of them use all cores.',
    )  # fmt: skip
    add(
        '--domain', type=_parse_domain, metavar='ID',
        help='ROS_DOMAIN_ID; default: one that nothing on this machine uses',
    )  # fmt: skip


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the output."""
    add_json_option(parser)
    parser.add_argument('--svg', type=Path, metavar='FILE', help='file for the plot')


def _parse_domain(text: str) -> int:
    """Parse a ROS domain."""
    if not text.isdecimal() or int(text) > _LARGEST_DOMAIN:
        raise argparse.ArgumentTypeError(f'{text!r} is not a domain from 0 to {_LARGEST_DOMAIN}')
    return int(text)
