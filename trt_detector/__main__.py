# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Run one of the tools: python3 -m trt_detector TOOL ..."""

from __future__ import annotations

import difflib
import importlib
import sys

__all__ = ['main']

_TOOLS = {
    'benchmark': 'measure latency and throughput on this machine',
    'build_engine': 'build the TensorRT engine of a model ahead of time',
    'calibrate': 'create the INT8 calibration cache of a model',
    'detect': 'detect objects in picture files',
    'doctor': 'show what is installed, what is missing, and how to fix it',
    'evaluate': 'compare mAP, latency and size of detectors on a data set',
    'inspect_engine': 'show inputs, outputs, layers and precision of an engine',
    'play_images': 'publish picture files as a camera does; needs ROS 2',
}


def main() -> int:
    """Run the tool that the first argument names; return its exit code."""
    name = sys.argv[1] if len(sys.argv) > 1 else ''
    if name in _TOOLS:
        sys.argv[0:2] = [f'trt_detector {name}']
        tool = importlib.import_module(f'.tools.{name}', __package__)
        return int(tool.main())
    lines = [f'  {tool:15} {about}' for tool, about in _TOOLS.items()]
    usage = '\n'.join([
        'usage: python3 -m trt_detector TOOL [options]', '', 'tools:', *lines, '',
        'python3 -m trt_detector TOOL --help shows options, examples and exit codes.',
    ])  # fmt: skip
    wants_help = name in ('', '-h', '--help')
    if not wants_help:
        near = difflib.get_close_matches(name, list(_TOOLS), n=1)
        hint = f'; did you mean {near[0]!r}?' if near else ''
        usage = f'trt_detector: there is no tool {name!r}{hint}\n{usage}'
    print(usage, file=sys.stdout if wants_help else sys.stderr)
    return 0 if wants_help else 2


if __name__ == '__main__':
    sys.exit(main())
