# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Text, YAML and JSON files beside a model."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
import re
from typing import Any

from ..errors import ModelError

__all__ = ['parse_lines', 'read_json', 'read_text', 'read_yaml']

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# '0  lamp', '0: lamp', '1. lamp'
_NUMBERED = re.compile(r'(\d+)(?:\s*[:;,.)=]\s*|\s+)(\S.*)')


def read_text(file: Path) -> str:
    """
    Read a text file in UTF-8 or UTF-16, without its byte order mark.

    :raises ModelError: if it cannot be read or has another encoding.
    """
    try:
        data = file.read_bytes()
        text = data.decode('utf-16' if data.startswith(_UTF16) else 'utf-8-sig')
    except OSError as error:
        raise ModelError(f'cannot read {file}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise ModelError(f'{file} is not UTF-8 text ({error.reason}); save it as UTF-8') from error
    if '\0' in text:
        raise ModelError(f'{file} is not UTF-8 text (it has NUL bytes); save it as UTF-8')
    return text


def parse_lines(text: str) -> list[str]:
    """
    Parse one class name per line; lines that begin with '#' are comments.

    If every line begins with its number, counted from 0 or 1, the numbers give the order.
    """
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith('#')]
    matches = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    numbers = sorted(int(match[1]) for match in matches)
    count = len(lines)
    if len(matches) == count and numbers in (list(range(count)), list(range(1, count + 1))):
        return [match[2] for match in sorted(matches, key=lambda match: int(match[1]))]
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
        return yaml.safe_load(text), yaml.load(text, yaml.BaseLoader)  # noqa: S506 - makes text only
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = ' '.join(str(error).split())
        raise ModelError(f'{file} is not YAML: {reason}; fix or remove it') from error
