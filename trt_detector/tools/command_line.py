# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Help texts and JSON reports of the tools."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
import json
from pathlib import Path
import sys
import textwrap
from typing import Any

from ..trusted_files import write_atomic

__all__ = ['make_parser', 'write_file', 'write_json']

_WIDTH = 80
_READABLE = 0o644
_STANDARD_OUTPUT = Path('-')


def make_parser(
    name: str,
    description: str,
    *,
    examples: Sequence[str],
    exit_codes: Mapping[int, str],
) -> argparse.ArgumentParser:
    """
    Create the parser of a tool, with examples and exit codes at the end of its help.

    :param name: of the tool.
    :param description: sentences at the start of the help.
    :param examples: arguments of the tool, one line each.
    :param exit_codes: meaning of each exit code; 2 for wrong arguments is added.
    """
    lines = ['examples:', *(f'  ros2 run trt_detector {name} {text}' for text in examples)]
    lines.append(f'  python3 -m trt_detector {name} ... runs without ROS 2')
    codes = {**exit_codes, 2: 'wrong arguments'}
    lines += ['', 'exit codes:', *(f'  {code:3}  {codes[code]}' for code in sorted(codes))]
    return argparse.ArgumentParser(
        prog=name,
        description=textwrap.fill(description, _WIDTH),
        epilog='\n'.join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def write_json(path: Path, value: Any) -> None:
    """
    Write a report as JSON.

    :param path: '-' is standard output.
    :raises OSError: if the file cannot be written.
    """
    write_file(path, json.dumps(value, indent=1) + '\n')


def write_file(path: Path, text: str) -> None:
    """
    Write a text file in one step and create its folder.

    :param path: '-' is standard output.
    :raises OSError: if it cannot be written.
    """
    if path == _STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode(), mode=_READABLE)
