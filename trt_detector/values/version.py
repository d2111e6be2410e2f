# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Version numbers of libraries."""

from __future__ import annotations

import re

__all__ = ['parse_version']


def parse_version(version: str) -> tuple[int, int, int]:
    """
    Parse the first three numbers of a version.

    :param version: e.g. '8.6.1' or '10.14.1.48'.
    :return: (major, minor, patch).
    :raises ValueError: if it does not begin with three numbers.
    """
    match = re.match(r'(\d+)\.(\d+)\.(\d+)', version)
    if match is None:
        raise ValueError(f"version is {version!r}; expected three numbers, e.g. '10.14.1'")
    major, minor, patch = (int(part) for part in match.groups())
    return major, minor, patch
