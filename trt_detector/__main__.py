# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Run one of the tools: python3 -m trt_detector TOOL ..."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import re
import sys

__all__ = ['main']

_TOOLS = {
    'benchmark': 'measure latency and throughput on this machine',
    'benchmark_node': 'measure the whole node with cameras, beside its bare model; needs ROS 2',
    'build_engine': 'build the TensorRT engine of a model ahead of time',
    'calibrate': 'create the INT8 calibration cache of a model',
    'dashboard': 'serve a web page that shows and controls the nodes; needs ROS 2',
    'detect': 'detect objects in picture files',
    'doctor': 'show what is installed, what is missing, and how to fix it',
    'evaluate': 'compare mAP, latency and size of detectors on a data set',
    'inspect_engine': 'show inputs, outputs, layers and precision of an engine',
    'play_images': 'publish picture files as a camera does; needs ROS 2',
    'run_bag': 'detect objects in every image of a bag',
}
_NODES = ('detector_node', 'detections_3d')


def main() -> int:
    """Run the tool that the first argument names; return its exit code."""
    if '_ARGCOMPLETE' in os.environ:
        sys.argv[1:] = _complete()
    name = sys.argv[1] if len(sys.argv) > 1 else ''
    if name in _TOOLS:
        sys.argv[0:2] = [f'trt_detector {name}']
        try:
            tool = importlib.import_module(f'.tools.{name}', __package__)
        except ModuleNotFoundError as error:
            missing = (error.name or __package__).partition('.')[0]
            if missing == __package__:
                raise
            sys.stderr.write(f'trt_detector: {_explain_missing(name, missing)}\n')
            return 1
        return int(tool.main())
    lines = [f'  {tool:15} {about}' for tool, about in _TOOLS.items()]
    usage = '\n'.join([
        'usage: python3 -m trt_detector TOOL [options]', '', 'tools:', *lines, '',
        'python3 -m trt_detector TOOL --help shows options, examples and exit codes.',
    ])  # fmt: skip
    from .tools.standard_output import watch_output

    watch_output('trt_detector')
    wants_help = name in ('', '-h', '--help')
    if not wants_help:
        near = difflib.get_close_matches(name, list(_TOOLS), n=1)
        hint = f'; did you mean {near[0]!r}?' if near else ''
        if name in _NODES:
            hint = f': it is a node, which needs ROS 2: ros2 run trt_detector {name}'
        usage = f'trt_detector: there is no tool {name!r}{hint}\n{usage}'
    print(usage, file=sys.stdout if wants_help else sys.stderr)
    return 0 if wants_help else 2


def _explain_missing(tool: str, module: str) -> str:
    """Explain that a Python module is missing, and how to install it."""
    return (
        f'{tool} needs the Python module {module}, which {sys.executable} does not have; in a '
        'checkout that scripts/demo.sh or bringup/prepare.sh has prepared run "source '
        'bringup/env.sh", else install the dependencies: rosdep install --from-paths src '
        "--ignore-src -y, or pip install '.[cpu,tools]' (docs/install.md)"
    )


def _complete() -> list[str]:
    """
    Complete the name of a tool and exit, unless the cursor is behind it.

    :return: the name, as arguments; the tool itself completes its options.
    """
    line, point = os.environ['COMP_LINE'], int(os.environ['COMP_POINT'])
    # Argcomplete counts from 1; its releases before 2.0 know 1 and 2 only: cut
    # what is before the program.
    before = int(os.environ['_ARGCOMPLETE']) - 1
    starts = [0, *(match.end() for match in re.finditer(r'\S+\s+', line[:point]))]
    words = line[:point].split()
    is_behind = len(starts) > before + 2 and words[before + 1] in _TOOLS
    start = starts[min(before + is_behind, len(starts) - 1)]
    os.environ |= {
        'COMP_LINE': line[start:], 'COMP_POINT': str(point - start), '_ARGCOMPLETE': '1',
    }  # fmt: skip
    if is_behind:
        return [words[before + 1]]
    import argcomplete

    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('tool', choices=_TOOLS)
    argcomplete.autocomplete(parser)
    return []


if __name__ == '__main__':
    sys.exit(main())
