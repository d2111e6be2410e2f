# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Finding of a check by doctor."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ['Finding', 'NOTE', 'OK', 'PROBLEM']

OK, NOTE, PROBLEM = 'ok', 'note', 'problem'


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Finding about one component.

    :param name: of the component.
    :param status: 'ok'; 'note' if an optional component is missing; 'problem'.
    :param text: state of the component.
    :param remedy: action that fixes it, '' for none.
    """

    name: str
    status: str
    text: str
    remedy: str = ''
