# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Show the origin of an engine file, its inputs and outputs, and the precision of its layers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
import hashlib
import json
from pathlib import Path
import sys
from typing import Any

from ..errors import DetectorError, PlanError
from ..model_info import split_plan_header
from ..plan import hmac_path, Manifest, PlanHmac, read_plan_file, read_plan_key
from ..plan.manifest import MAXIMUM_MANIFEST_BYTES
from ..trusted_files import read_trusted
from .argument_types import parse_path
from .command_line import add_json_option, make_parser, parse_arguments, write_result

__all__ = ['main']


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if everything is shown, 1 if the file cannot be read or the engine cannot be loaded.
    """
    arguments = parse_arguments(_parser(), argv)
    path = arguments.engine
    report: dict[str, Any] = {'path': str(path)}
    failed = False
    try:
        data = read_plan_file(path)
        plan = split_plan_header(data)[1]
        report['bytes'] = len(plan)
        manifest = _read_manifest(path)
        report['manifest'] = None if manifest is None else json.loads(manifest.to_bytes())
        report['hmac'] = _check_hmac(path, data, manifest, read_plan_key(arguments.plan_key_path))
        backend = arguments.backend
        if backend == 'auto' and manifest is not None:
            backend = manifest.key.library
        report |= _inspect(plan, backend, arguments.device_id)
    except DetectorError as error:
        failed = True
        report['error'] = str(error)
    failed |= write_result('inspect_engine', arguments.json, report) != 0
    if arguments.json != Path('-'):
        print('\n'.join(_lines(report, with_layers=arguments.layers)))
    if 'error' in report:
        print(f'inspect_engine: {report["error"]}', file=sys.stderr)
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = make_parser(
        'inspect_engine',
        __doc__ or '',
        examples=['model.engine', 'model.engine --layers', 'model.engine --json'],
        exit_codes={0: 'everything is shown', 1: 'the file or the engine cannot be loaded'},
    )
    parser.add_argument('engine', type=parse_path, help='an .engine or .plan file')
    parser.add_argument(
        '--backend',
        choices=('auto', 'tensorrt', 'tensorrt_rtx', 'tensorrt_lean'),
        default='auto',
        help='library that built the engine; auto reads the manifest, else tries '
        'each. Default: auto.',
    )
    parser.add_argument(
        '--plan-key-path',
        default='',
        metavar='FILE',
        help='key file to check the HMAC of the engine with',
    )
    parser.add_argument('--device-id', type=int, default=0, help='index of the GPU. Default: 0.')
    parser.add_argument('--layers', action='store_true', help='list every layer')
    add_json_option(parser)
    return parser


def _read_manifest(path: Path) -> Manifest | None:
    """Read the manifest beside a plan, None if there is none."""
    beside = path.with_name(f'{path.name}.json')
    try:
        data = read_trusted(beside, follow_links=True, max_bytes=MAXIMUM_MANIFEST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PlanError(f'{beside} cannot be read: {error.strerror}') from error
    try:
        return Manifest.from_bytes(data)
    except PlanError as error:
        raise PlanError(f'{beside} cannot be used: {error}') from error


def _check_hmac(
    path: Path, data: bytes, manifest: Manifest | None, plan_hmac: PlanHmac | None
) -> str:
    """
    Check the HMAC of a plan, in its manifest or in the file beside it.

    :raises PlanError: if there is a key and the HMAC is missing or wrong.
    """
    if plan_hmac is None:
        exists = hmac_path(path).exists() or bool(manifest and manifest.hmac_sha256)
        return 'present; not checked without --plan-key-path' if exists else 'none'
    if manifest is None:
        plan_hmac.check_plan(path, data)
        return 'valid'
    fault = plan_hmac.find_fault(manifest)
    if not fault and hashlib.sha256(data).hexdigest() != manifest.plan_sha256:
        fault = 'plan_sha256 of its manifest is that of another plan'
    if fault:
        raise PlanError(f'{path} is refused: {fault}')
    return 'valid'


def _inspect(plan: bytes, backend: str, device_id: int) -> dict[str, Any]:
    """Load a plan and describe it, which needs its GPU."""
    from ..gpu.context import ContextScope, load_cuda
    from ..gpu.device_info import read_device
    from ..trt.library import find_library, LIBRARIES
    from ..trt.runtime import PlanRefusedError

    device = read_device(device_id)
    refusals = []
    for name in LIBRARIES if backend == 'auto' else (backend,):
        try:
            library = find_library(name, device)
            with closing(ContextScope(load_cuda(), device_id)):
                return _describe(library, plan)
        except (PlanRefusedError, DetectorError) as error:
            refusals.append(str(error))
    raise PlanError('the engine cannot be loaded: ' + '; '.join(refusals))


def _describe(library: Any, plan: bytes) -> dict[str, Any]:
    """Return inputs, outputs and layers of a plan."""
    from ..trt.bindings import Bindings
    from ..trt.inspector import built_precision, inspect_layers, precision_summary
    from ..trt.logger import LogLines, make_logger
    from ..trt.runtime import load_cuda_engine

    lines = LogLines()
    logger = make_logger(library, lines)
    runtime, cuda_engine = load_cuda_engine(library, plan, logger, lines)
    bindings = Bindings.read(library, cuda_engine)
    layers = inspect_layers(library, cuda_engine)
    del cuda_engine, runtime
    return {
        'library': library.label,
        'input': str(bindings.input_spec),
        'outputs': [str(spec) for spec in bindings.output_specs],
        'profile': {
            'min': list(bindings.shapes.minimum),
            'opt': list(bindings.shapes.optimum),
            'max': list(bindings.shapes.maximum),
        },
        'precision': built_precision(layers),
        'precision_of_layers': precision_summary(layers),
        'layers': [
            {'name': layer.name, 'type': layer.kind, 'precision': layer.precision}
            for layer in layers
        ],
    }


def _lines(report: dict[str, Any], *, with_layers: bool) -> list[str]:
    """Format the report as text."""
    lines = []
    for name, value in report.items():
        if name == 'manifest':
            lines += _manifest_lines(value)
        elif name == 'layers':
            lines.append(f'layers: {len(value)}')
            if with_layers:
                lines += [f'  {e["precision"]:5} {e["type"]:20} {e["name"]}' for e in value]
        elif name != 'error':
            lines.append(f'{name}: {value}')
    return lines


def _manifest_lines(values: dict[str, Any] | None) -> list[str]:
    """Format the manifest as text."""
    if values is None:
        return ['manifest: none beside the engine, so its origin is unknown']
    return ['manifest:', *(f'  {name}: {value}' for name, value in values.items())]


if __name__ == '__main__':
    sys.exit(main())
