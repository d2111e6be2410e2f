# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Measure a detector on this machine: its stages, precisions, batch sizes and workspaces."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
import itertools
import json
import os
from pathlib import Path
import platform
import subprocess
import sys
import tempfile
from typing import Any

from ... import __version__
from ...config import DetectorConfig
from ...errors import DetectorError
from ...image.files import picture_files
from ..argument_types import parse_count, parse_positive, parse_size
from ..command_line import add_json_option, make_parser, parse_arguments, write_file, write_json
from ..options import add_parameter_options, given_parameters, INPUT_PARAMETERS
from .measure import Job
from .report import as_svg, as_text

__all__ = ['main']

_NAMES = (
    'backend',
    'calib_cache_path',
    'quantize_exclude',
    'engine_cache_dir',
    'device_id',
    'dla_core',
    'plugin_libraries',
    'onnxruntime_provider',
    'cuda_graph',
    'mapped_memory',
    'inference_threads',
    'inference_spinning',
    *INPUT_PARAMETERS,
    'score_threshold',
    'iou_threshold',
    'max_detections',
    'class_names',
)
_PRECISIONS = ('auto', 'fp32', 'fp16', 'int8')
_SWEEP_PRECISIONS = ('fp32', 'fp16', 'int8')
_SWEEP_WORKSPACES = (0.25, 0.9)
# The pictures are kept in memory.
_MAX_PICTURES = 32
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Combination:
    """
    Combination of parameters to measure.

    :param precision: requested precision.
    :param batch_size: images per batch.
    :param workspace_fraction: share of the GPU memory for the build.
    """

    precision: str
    batch_size: int
    workspace_fraction: float

    def apply(self, config: DetectorConfig) -> DetectorConfig:
        """Return the parameters with those of this combination."""
        return config.with_changes(
            precision=self.precision,
            batch_size=self.batch_size,
            workspace_fraction=self.workspace_fraction,
        )

    def __str__(self) -> str:
        return f'{self.precision}, batch {self.batch_size}, workspace {self.workspace_fraction:g}'


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if a combination ran, 1 if none did, 130 if interrupted.
    """
    arguments = parse_arguments(_parser(), argv)
    try:
        report = _run(arguments)
        if arguments.json is not None:
            write_json(arguments.json, report)
        ran = [row for row in report['rows'] if 'modes' in row]
        if arguments.svg is not None and ran:
            write_file(arguments.svg, as_svg(report))
    except (DetectorError, OSError) as error:
        print(f'benchmark: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('benchmark: interrupted', file=sys.stderr)
        return _INTERRUPTED
    if arguments.json != Path('-'):
        print(as_text(report))
    warnings = {text for row in ran for text in row['ran']['warnings']}
    for warning in sorted(warnings):
        print(f'benchmark: {warning}', file=sys.stderr)
    return 0 if ran else 1


def _parser() -> argparse.ArgumentParser:
    """Return the command line; options of the detector come from its parameters."""
    parser = make_parser(
        'benchmark',
        f'{__doc__} Each combination runs in its own process. One that cannot run is listed with '
        'the reason.',
        examples=[
            '--model model.onnx',
            '--model model.onnx --sweep --calib-cache-path model.calib --svg sweep.svg',
        ],
        exit_codes={0: 'a combination ran', 1: 'none did', _INTERRUPTED: 'interrupted'},
    )
    add = parser.add_argument
    add('--model', '--model-path', required=True, help='ONNX file, or a .engine or .plan file')
    add(
        '--images', nargs='+', type=Path,
        help=f'folder or picture files, the first {_MAX_PICTURES} are used. Default: a synthetic '
        'picture.',
    )  # fmt: skip
    add(
        '--picture-size', type=parse_size, default=(1280, 720), metavar='WxH',
        help='size of the synthetic picture. Default: 1280x720.',
    )  # fmt: skip
    add('--iterations', type=parse_positive, default=100, help='batches to measure. Default: 100.')
    add('--warm-up', type=parse_count, default=10, help='batches before that. Default: 10.')
    add(
        '--batch-sizes', nargs='+', type=parse_positive, default=[1, 2, 4],
        help='batch sizes to measure. Default: 1 2 4.',
    )  # fmt: skip
    add('--precisions', nargs='+', choices=_PRECISIONS, help='to measure. Default: auto.')
    add(
        '--workspace-fractions', nargs='+', type=float,
        help='shares of the GPU memory that a build may use',
    )  # fmt: skip
    add(
        '--sweep', action='store_true',
        help='measure several combinations: unless given, --precisions are '
        f'{" ".join(_SWEEP_PRECISIONS)} and --workspace-fractions '
        f'{" ".join(map(str, _SWEEP_WORKSPACES))}',
    )  # fmt: skip
    add(
        '--compare', action='store_true',
        help='also measure a baseline of library calls: cv2.resize, cvtColor, float, transpose, '
        'the engine, the same decoding',
    )  # fmt: skip
    add_json_option(parser)
    add('--svg', type=Path, metavar='FILE', help='file for the plot')
    add_parameter_options(parser, _NAMES)
    return parser


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure all combinations and return the report."""
    pictures = picture_files(arguments.images)[:_MAX_PICTURES] if arguments.images else ()
    rows: list[dict[str, Any]] = []
    given = {'model_path': arguments.model, **given_parameters(arguments, _NAMES)}
    config = DetectorConfig.from_mapping(given)
    for asked in _combinations(arguments):
        reason = _known_reason(asked, rows)
        if reason:
            rows.append({'asked': asdict(asked), 'refused': reason})
            continue
        print(f'benchmark: {asked}', file=sys.stderr, flush=True)
        job = Job(
            config=asked.apply(config),
            pictures=tuple(str(path) for path in pictures),
            picture_size=arguments.picture_size,
            iterations=arguments.iterations,
            warm_up=arguments.warm_up,
            compare=arguments.compare,
        )
        rows.append({'asked': asdict(asked), **_in_child(job)})
    return {
        'trt_detector': __version__,
        'machine': {'platform': platform.platform(), 'processors': os.cpu_count()},
        'model': str(arguments.model),
        'pictures': [path.name for path in pictures]
        or 'synthetic, {}x{}'.format(*arguments.picture_size),
        'iterations': arguments.iterations,
        'warm_up': arguments.warm_up,
        'rows': rows,
    }


def _combinations(arguments: argparse.Namespace) -> Iterator[Combination]:
    """
    Yield the combinations in the order given, each once.

    :raises ConfigError: if a workspace fraction is out of range.
    """
    default = DetectorConfig().workspace_fraction
    precisions = arguments.precisions or (_SWEEP_PRECISIONS if arguments.sweep else ('auto',))
    workspaces = arguments.workspace_fractions or (
        _SWEEP_WORKSPACES if arguments.sweep else (default,)
    )
    for fraction in workspaces:
        DetectorConfig(workspace_fraction=fraction)
    for precision, size, fraction in itertools.product(
        dict.fromkeys(precisions),
        dict.fromkeys(arguments.batch_sizes),
        dict.fromkeys(workspaces),
    ):
        yield Combination(precision, size, fraction)


def _known_reason(asked: Combination, rows: Sequence[dict[str, Any]]) -> str:
    """Return the reason to skip a combination, '' if it has to run."""
    for row in rows:
        other = Combination(**row['asked'])
        same = (asked.precision, asked.batch_size) == (other.precision, other.batch_size)
        if same and row.get('ran', {}).get('backend') == 'onnxruntime':
            return (
                'ONNX Runtime has no build workspace: the result is the same as for '
                f'{other.workspace_fraction:g}'
            )
    return ''


def _in_child(job: Job) -> dict[str, Any]:
    """Measure in a new process, so that memory is not shared between combinations."""
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, [root, os.environ.get('PYTHONPATH')]))
    with tempfile.TemporaryDirectory(prefix='trt_detector_') as folder:
        result = Path(folder) / 'result.json'
        done = subprocess.run(
            [sys.executable, '-m', 'trt_detector.tools.benchmark.measure', str(result)],
            input=job.as_json(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors='replace',
            check=False,
            env={**os.environ, 'PYTHONPATH': path},
        )
        if done.returncode == 0 and result.is_file():
            values: dict[str, Any] = json.loads(result.read_text(encoding='utf-8'))
            return values
    last = (done.stderr.strip().splitlines() or ['no output'])[-1]
    status = (
        f'signal {-done.returncode}' if done.returncode < 0 else f'exit code {done.returncode}'
    )
    return {'refused': f'its process ended with {status}: {last}'}


if __name__ == '__main__':
    sys.exit(main())
