# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The recorded API of each TensorRT, see test/data/tensorrt_api/regenerate.py."""

from __future__ import annotations

from dataclasses import dataclass
import functools
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / 'data' / 'tensorrt_api'
PERSONALITIES = (
    'tensorrt-8.6',
    'tensorrt-10.3',
    'tensorrt-10.13',
    'tensorrt-10.16',
    'tensorrt-11.4',
    'tensorrt_rtx-1.7',
)
LEAN = 'tensorrt_lean-11.4'
# Versions that can build, and the lean runtime.
RECORDS = (*PERSONALITIES, LEAN)


@dataclass(frozen=True)
class Record:
    """
    What a version has.

    :param name: e.g. 'tensorrt-10.3'.
    :param version: the full version.
    :param functions: module functions and their overloads.
    :param classes: class to member to number, 'property' or overloads.
    """

    name: str
    version: str
    functions: dict[str, Any]
    classes: dict[str, dict[str, Any]]

    @property
    def module(self) -> str:
        """Return the name of the module that is imported."""
        return self.name.split('-')[0]

    def has(self, class_name: str, member: str) -> bool:
        """Return whether a class has a member."""
        return member in self.classes.get(class_name, {})


@functools.cache
def load_record(name: str) -> Record:
    """Return a version's record; 8.6 is 10.3 less what came after it."""
    path = FOLDER / f'{name}.json'
    if path.exists():
        values = json.loads(path.read_text(encoding='utf-8'))
        return Record(name, values['version'], values['functions'], values['classes'])
    differences = json.loads((FOLDER / 'differences_8.6.json').read_text(encoding='utf-8'))
    base = json.loads((FOLDER / f'{differences["based_on"]}.json').read_text(encoding='utf-8'))
    for absent in differences['absent']:
        class_name, _, member = absent.partition('.')
        if member:
            del base['classes'][class_name][member]
        else:
            del base['classes'][class_name]
    return Record(name, differences['version'], base['functions'], base['classes'])
