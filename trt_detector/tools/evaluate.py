# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Compare mAP, latency and size of detectors on a labeled data set."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
import sys
import time
from typing import Any

from ..config import DetectorConfig, parameter_specs
from ..errors import ConfigError, DetectorError
from ..evaluation.data_set import DataSet, read_data_set
from ..evaluation.html import as_html
from ..evaluation.report import as_json, as_table
from ..evaluation.run import Result, run_detector
from ..factory import create_detector
from ..values.progress import Progress
from ..values.user_path import expand_user
from .command_line import (
    add_json_option,
    make_parser,
    parse_arguments,
    print_detector,
    print_warnings,
    write_file,
    write_json,
)
from .progress_bar import ProgressBar

__all__ = ['main']

# Mean average precision needs detections down to very low scores. The INT8 engine itself is
# measured, not its replacement.
_MEASURE = DetectorConfig(
    score_threshold=0.001,
    iou_threshold=0.7,
    max_detections=300,
    batch_size=1,
    int8_gate_action='off',
)
_BASE = 'base'


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if every variant was measured, 1 if one could not be.
    """
    arguments = parse_arguments(_parser(), argv)
    bar = ProgressBar(sys.stderr)
    try:
        variants = _variants(arguments)
        data, results = _measure(arguments, variants, bar)
        report = as_json(data, results, arguments.threshold)
        if arguments.json is not None:
            write_json(arguments.json, report)
        if arguments.html is not None:
            write_file(arguments.html, as_html(report, data, results, arguments.threshold))
    except (DetectorError, OSError) as error:
        bar.finish()
        print(f'evaluate: {error}', file=sys.stderr)
        return 1
    bar.finish()
    if arguments.json != Path('-'):
        print(as_table(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = make_parser(
        'evaluate',
        f'{__doc__} Each --variant is a name and parameters of the detector. The others are '
        'compared with the first one.',
        examples=[
            '--model model.onnx --data annotations.json',
            '--model model.onnx --data data.yaml --html report.html --json report.json',
            '--model m.onnx --data d.yaml --variant fp32 --variant int8 calib_cache_path=m.calib',
        ],
        exit_codes={0: 'every variant was measured', 1: 'one could not be'},
    )
    add = parser.add_argument
    add('--model', '--model-path', required=True, type=Path, help='ONNX file of the detector')
    add(
        '--data',
        required=True,
        type=Path,
        help="COCO's annotations (.json), YOLO's data.yaml, or a folder with images and labels",
    )
    add(
        '--images',
        type=Path,
        help='folder of the pictures, if they are not beside the annotations',
    )
    add('--class-names', nargs='*', help='names of the classes in order, if the model has none')
    add('--limit', type=int, help='maximum number of pictures. Default: all.')
    add(
        '--variant',
        nargs='+',
        action='append',
        metavar=('NAME', 'PARAMETER=VALUE'),
        default=[],
        help='detector to measure: a name and its parameters; repeat it for each. Default: '
        'one with the defaults of the parameters.',
    )
    add(
        '--score-threshold',
        '--threshold',
        dest='threshold',
        type=float,
        default=0.25,
        help='minimum score of the detections to compare. Default: 0.25.',
    )
    add_json_option(parser)
    add('--html', type=Path, metavar='FILE', help='file for the report')
    return parser


def _variants(arguments: argparse.Namespace) -> dict[str, DetectorConfig]:
    """Return the detectors to measure, by name."""
    variants: dict[str, DetectorConfig] = {}
    for name, *settings in arguments.variant or [[_BASE]]:
        if name in variants or '=' in name:
            raise ConfigError(f'--variant {name!r}: expected a unique name, then parameters')
        given = dict(_setting(name, text) for text in settings)
        base = _MEASURE.with_changes(
            model_path=str(arguments.model), class_names=arguments.class_names or ()
        )
        variants[name] = base.with_changes(**given)
    return variants


def _setting(variant: str, text: str) -> tuple[str, Any]:
    """Return name and value of 'parameter=value'; items of a list are separated by commas."""
    name, separator, value = text.partition('=')
    specs = {spec.name: spec for spec in parameter_specs()}
    if not separator or name not in specs:
        raise ConfigError(
            f'--variant {variant}: {text!r} is not parameter=value with one of '
            f'{", ".join(sorted(specs))}'
        )
    convert: dict[str, Callable[[str], Any]] = {
        'int': int, 'float': float, 'str': str, 'bool': lambda word: word.lower() == 'true',
    }  # fmt: skip
    kind = specs[name].type
    try:
        if kind.startswith('list['):
            return name, [convert[kind[5:-1]](item) for item in value.split(',') if item]
        return name, convert[kind](value)
    except ValueError as error:
        raise ConfigError(
            f'--variant {variant}: {name} is {value!r}; expected {specs[name].expected_type}'
        ) from error


def _measure(
    arguments: argparse.Namespace,
    variants: dict[str, DetectorConfig],
    bar: ProgressBar,
) -> tuple[DataSet, list[Result]]:
    """Run every variant over the data set."""
    data: DataSet | None = None
    results = []
    start = time.monotonic()
    for position, (name, config) in enumerate(variants.items()):
        with create_detector(config, on_progress=bar) as detector:
            bar.finish()
            printed = print_detector(f'evaluate: {name}', detector)
            if data is None:
                data = _data(arguments, detector.class_names)
            show = _VariantProgress(
                bar, name, position * len(data.samples), len(variants), data, start
            )
            results.append(run_detector(name, detector, data, expand_user(arguments.model), show))
            bar.finish()
            print_warnings(f'evaluate: {name}', detector, printed)
    if data is None:
        raise ConfigError(
            'no --variant to measure; give at least one, e.g. --variant fp32 precision=fp32'
        )
    return data, results


@dataclass(frozen=True, slots=True, eq=False)
class _VariantProgress:
    """Progress of the whole run from the progress of one variant."""

    bar: Callable[[Progress], None]
    name: str
    done_before: int
    variants: int
    data: DataSet
    started_s: float

    def __call__(self, done: int) -> None:
        """Show the number of pictures done."""
        count = len(self.data.samples)
        share = (self.done_before + done) / (self.variants * count)
        elapsed_s = time.monotonic() - self.started_s
        self.bar(Progress(f'{self.name}: {done} of {count}', share, elapsed_s))


def _data(arguments: argparse.Namespace, class_names: Sequence[str]) -> DataSet:
    """Read the data set, up to --limit."""
    data = read_data_set(arguments.data, arguments.images, class_names)
    if arguments.limit is None:
        return data
    if arguments.limit < 1:
        raise ConfigError(f'--limit is {arguments.limit}; expected 1 or more')
    return DataSet(data.name, data.class_names, data.samples[: arguments.limit])


if __name__ == '__main__':
    sys.exit(main())
