# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Types of command-line options that several tools have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import math
from pathlib import Path
import re

from ..errors import ConfigError
from ..values.user_path import expand_user

__all__ = [
    'number_between',
    'parse_count',
    'parse_path',
    'parse_port',
    'parse_positive',
    'parse_size',
]


def parse_size(text: str) -> tuple[int, int]:
    """
    Parse width and height, e.g. 1280x720.

    :raises ArgumentTypeError: if it is no size.
    """
    match = re.fullmatch(r'([1-9]\d{0,4})[xX]([1-9]\d{0,4})', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not a size like 1280x720')
    return int(match[1]), int(match[2])


def parse_count(text: str) -> int:
    """
    Parse a whole number of 0 or more.

    :raises ArgumentTypeError: if it is none.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number of 0 or more')
    return int(text)


def parse_path(text: str) -> Path:
    """
    Parse a path that may start with ~ or ~USER.

    :raises ArgumentTypeError: if there is no such home folder.
    """
    try:
        return expand_user(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parse_positive(text: str) -> int:
    """
    Parse a whole number of 1 or more.

    :raises ArgumentTypeError: if it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number of 1 or more')
    return int(text)


def parse_port(text: str) -> int:
    """
    Parse a TCP port; 0 stands for a free one.

    :raises ArgumentTypeError: if it is none.
    """
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'{text!r} is not a port from 0 to 65535')
    return int(text)


def number_between(minimum: float, maximum: float) -> Callable[[str], float]:
    """Return a function that parses a number within bounds, which are allowed themselves."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not a number from {minimum:g} to {maximum:g}'
            )
        return value

    return parse
