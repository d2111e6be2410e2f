# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Text, YAML and JSON files beside a model."""

from __future__ import annotations

import codecs
import io
import json
from pathlib import Path
import re
from typing import Any

from ..errors import ModelError
from ..values.regular_file import open_regular

__all__ = ['read_json', 'read_lines', 'read_text', 'read_yaml']

# Class names and settings take a few KiB; YAML is parsed at some 100 KiB per second.
_LARGEST_FILE = 1 << 19
# Aliases can repeat a part of a YAML file exponentially often.
_MOST_VALUES = 200_000
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Errors of PyYAML for a tag and a text that do not fit, as in !!int ''.
_TAG_ERRORS = (IndexError, KeyError, AttributeError, TypeError)
# '0  lamp', '0: lamp', '1. lamp'
_NUMBERED = re.compile(r'(\d{1,9})(?:\s*[:;,.)=]\s*|\s+)(\S.*)')


def read_text(file: Path) -> str:
    """
    Read a text file in UTF-8 or UTF-16, without its byte order mark.

    :raises ModelError: if it cannot be read or has another encoding.
    """
    try:
        # A pipe would be waited for, e.g. that of a parameter file that ROS has read already.
        with open_regular(file) as stream:
            data = io.BufferedReader(stream).read(_LARGEST_FILE + 1)
        if len(data) > _LARGEST_FILE:
            raise ModelError(f'{file} is larger than {_LARGEST_FILE} bytes; remove it')
        text = data.decode('utf-16' if data.startswith(_UTF16) else 'utf-8-sig')
    except OSError as error:
        raise ModelError(f'cannot read {file}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise ModelError(f'{file} is not UTF-8 text ({error.reason}); save it as UTF-8') from error
    if '\0' in text:
        raise ModelError(f'{file} is not UTF-8 text (it has NUL bytes); save it as UTF-8')
    return text


def read_lines(file: Path) -> list[str]:
    """
    Read one class name per line; lines that begin with '#' are comments.

    If every line begins with its number, counted from 0 or 1, the numbers give the order.

    :raises ModelError: if they have gaps, or the lines are no names but blocks in braces.
    """
    lines = [line.strip() for line in read_text(file).splitlines()]
    lines = [line for line in lines if line and not line.startswith('#')]
    matches = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    numbers = sorted(int(match[1]) for match in matches)
    count = len(lines)
    if len(matches) == count and numbers in (list(range(count)), list(range(1, count + 1))):
        return [match[2] for match in sorted(matches, key=lambda match: int(match[1]))]
    # Speed limits and the like begin with other numbers.
    if count > 1 and len(matches) == count and min(numbers) < 2 and len(set(numbers)) == count:
        raise ModelError(
            f'{file} has {count} names, whose numbers go from {numbers[0]} to {numbers[-1]} with '
            'gaps; expected names numbered from 0 or 1 without gaps: give each number a name'
        )
    if any(line.endswith('{') for line in lines):
        raise ModelError(
            f'{file} has blocks in braces, like a label map of TensorFlow; expected one name per '
            'line'
        )
    return lines


def read_json(file: Path) -> Any:
    """
    Read a JSON file.

    :raises ModelError: if it cannot be read or is not JSON.
    """
    text = read_text(file)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f'{file} is not JSON: {error}; fix or remove it') from error


def read_yaml(file: Path) -> tuple[Any, Any]:
    """
    Read a YAML file.

    :return: its content, and the same with every scalar as text: names such as yes and no are
        no booleans.
    :raises ModelError: if it cannot be read or is not YAML.
    """
    # PyYAML takes a while to import, and most models have none of these files.
    import yaml

    text = read_text(file)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, None
        _count_values(node, {})
        # It replaces merge keys (<<) in the nodes, so it is first.
        content = loader.construct_document(node)
        return content, yaml.constructor.BaseConstructor().construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError, *_TAG_ERRORS) as error:
        reason = ' '.join(str(error).split())
        raise ModelError(f'{file} is not YAML: {reason}; fix or remove it') from error


def _count_values(node: Any, known: dict[int, int]) -> int:
    """
    Count the values of a YAML node with every alias written out, long texts as several.

    :param known: results for lists and objects by their identity; 0 while one is counted.
    :raises ValueError: if they are too many, or one contains itself.
    """
    if isinstance(node.value, str):
        return 1 + len(node.value) // 16
    count = known.get(id(node))
    if count == 0:
        raise ValueError('a value contains itself by an alias')
    if count is None:
        known[id(node)] = 0
        items = (
            part for item in node.value for part in (item if type(item) is tuple else (item,))
        )
        count = 1 + sum(_count_values(item, known) for item in items)
        known[id(node)] = count
    if count > _MOST_VALUES:
        raise ValueError(f'its aliases stand for more than {_MOST_VALUES} values')
    return count
