# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Help texts and JSON reports of the tools."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
import errno
import json
import logging
import os
from pathlib import Path
import sys
import textwrap
from typing import Any

from ..pipeline import Detector
from ..trusted_files import write_atomic
from .standard_output import exit_after_help, watch_output

__all__ = [
    'add_json_option',
    'make_parser',
    'parse_arguments',
    'print_detector',
    'print_logged_warnings',
    'print_warnings',
    'write_file',
    'write_json',
    'write_result',
]

_WIDTH = 80
_MAX_USAGE = 10
_READABLE = 0o644
_STANDARD_OUTPUT = Path('-')


def make_parser(
    name: str,
    description: str,
    *,
    examples: Sequence[str],
    exit_codes: Mapping[int, str],
    needs_ros: bool = False,
) -> argparse.ArgumentParser:
    """
    Create the parser of a tool, with examples and exit codes at the end of its help.

    :param name: of the tool.
    :param description: sentences at the start of the help.
    :param examples: arguments of the tool, one line each.
    :param exit_codes: meaning of each exit code; 2 (wrong arguments) and 130 (Ctrl-C) are added.
    :param needs_ros: the tool is a ROS node, which a signal ends as it says itself.
    """
    runs = [f'  ros2 run trt_detector {name} {text}'.rstrip() for text in examples]
    lines = ['examples:', *runs]
    if not needs_ros:
        lines.append(f'  python3 -m trt_detector {name} ... runs without ROS 2')
    codes = {**exit_codes, 2: 'wrong arguments'}
    if not needs_ros:
        codes.setdefault(130, 'interrupted')
    lines += ['', 'exit codes:', *(f'  {code:3}  {codes[code]}' for code in sorted(codes))]
    return argparse.ArgumentParser(
        prog=name,
        description=textwrap.fill(description, _WIDTH),
        epilog='\n'.join(lines),
        formatter_class=_HelpFormatter,
    )


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Formatter whose usage has the required arguments only, if there are many options."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        """Add the usage."""
        listed = list(actions)
        if usage is None and len(listed) > _MAX_USAGE:
            groups = [group for group in groups if group.required]
            chosen = [action for group in groups for action in group._group_actions]
            needed = [action for action in listed if action.required or action in chosen]
            words = super()._format_usage(None, needed, groups, '').split()
            usage = ' '.join([*words, '[options]']).replace('%', '%%')
        super().add_usage(usage, listed, groups, prefix)


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add '--json', the same option in every tool: a file, or standard output without one."""
    parser.add_argument(
        '--json',
        type=Path,
        nargs='?',
        const=_STANDARD_OUTPUT,
        metavar='FILE',
        help='write the result as JSON to this file; without FILE, or with -, to standard output',
    )


def parse_arguments(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """
    Parse the arguments of a tool; if a shell asks for completions, print them and exit.

    :param argv: arguments without the program's name; None takes the process's own.
    """
    if '_ARGCOMPLETE' in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
    if argv is None:
        watch_output(parser.prog)
    try:
        return parser.parse_args(argv)
    except SystemExit as ended:
        raise exit_after_help(parser.prog, ended) from None


def print_detector(
    program: str, detector: Detector, printed: Sequence[str] = ()
) -> tuple[str, ...]:
    """
    Print the settings of a detector with their sources, and its warnings, to standard error.

    :param program: name before each line.
    :param printed: warnings that were printed already.
    :return: all warnings, printed now.
    """
    print(f'{program}: {detector.model_name}: {detector.description}', file=sys.stderr)
    return print_warnings(program, detector, printed)


def print_warnings(program: str, detector: Detector, printed: Sequence[str]) -> tuple[str, ...]:
    """Print the warnings of a detector that were not printed yet, and return all of them."""
    warnings = detector.info.warnings
    for warning in warnings:
        if warning not in printed:
            print(f'{program}: {warning}', file=sys.stderr)
    return warnings


class _PrintedWarnings(logging.Handler):
    """Log handler that prints each text, as :func:`print_warnings` does, and keeps it."""

    def __init__(self, program: str) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._program = program

    def emit(self, record: logging.LogRecord) -> None:
        """Print one text."""
        self.texts.append(record.getMessage())
        print(f'{self._program}: {record.getMessage()}', file=sys.stderr)


@contextmanager
def print_logged_warnings(program: str) -> Iterator[list[str]]:
    """Print the warnings that the package logs meanwhile; provide their texts."""
    handler = _PrintedWarnings(program)
    logger = logging.getLogger('trt_detector')
    logger.addHandler(handler)
    try:
        yield handler.texts
    finally:
        logger.removeHandler(handler)


def write_json(path: Path, value: Any) -> None:
    """
    Write a report as JSON.

    :param path: '-' is standard output.
    :raises OSError: if the file cannot be written.
    """
    write_file(path, json.dumps(value, indent=1) + '\n')


def write_result(program: str, path: Path | None, value: Any) -> int:
    """
    Write a report as JSON, or print why that failed.

    :param program: name before the message.
    :param path: argument of '--json'; '-' is standard output, None writes nothing.
    :return: exit code.
    """
    if path is None:
        return 0
    try:
        write_json(path, value)
    except OSError as error:
        name = 'standard output' if path == _STANDARD_OUTPUT else path
        print(f'{program}: cannot write {name}: {error.strerror}', file=sys.stderr)
        return 1
    return 0


def write_file(path: Path, text: str) -> None:
    """
    Write a text file in one step and create its folder.

    :param path: '-' is standard output.
    :raises OSError: if it cannot be written.
    """
    if path == _STANDARD_OUTPUT:
        if sys.stdout is None:  # '>&-' of a shell
            raise OSError(errno.EBADF, 'standard output is closed')
        sys.stdout.write(text)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode(), mode=_READABLE)
