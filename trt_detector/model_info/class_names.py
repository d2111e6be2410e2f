# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Class names in the metadata of a model."""

from __future__ import annotations

from collections.abc import Mapping

from ..values.literal import read_literal

__all__ = ['parse_names']


def parse_names(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """
    Parse the class names that exporters write as a dict or list under 'names'.

    :return: None if they are no list and no dict numbered from 0 without gaps, or if a name is
        neither text nor a number.
    """
    names = read_literal(metadata, 'names')
    if isinstance(names, dict):
        try:
            by_id = {int(key): name for key, name in names.items()}
        except (TypeError, ValueError, OverflowError):
            return None
        if len(by_id) != len(names) or sorted(by_id) != list(range(len(by_id))):
            return None
        names = [by_id[number] for number in range(len(by_id))]
    if (
        isinstance(names, list | tuple)
        and names
        and all(isinstance(name, str | int | float) for name in names)
    ):
        try:
            texts = tuple(str(name) for name in names)
            # Half a character of JSON (a lone surrogate) cannot be published.
            ''.join(texts).encode()
        except ValueError:
            # Python does not print integers of more than 4300 digits.
            return None
        return texts
    return None
