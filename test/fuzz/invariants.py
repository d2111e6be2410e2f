# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Rules that every result and every error of the package keeps, whatever it reads."""

from __future__ import annotations

from collections.abc import Callable
import re
from typing import Any, TypeVar

import numpy as np
from trt_detector.errors import DetectorError
from trt_detector.image.image import Image

_T = TypeVar('_T')

LONGEST_TEXT = 8000
# What an error says beside the fault: the expectation, or the remedy.
_EXPECTATION = re.compile(
    r'expected|docs/|which is|but the|fits|cut off|refuse|'
    r'needs?\b|not supported|truncated|damaged|missing|limit|max_|unknown|cannot|'
    r'\b(set|fix|remove|export|build|calibrate|copy|download|name|give|convert|unpack|choose|write|'
    r'run|save|deactivate)\b',
    re.IGNORECASE,
)


def check_text(text: str) -> None:
    """Check that a sentence for the user can be printed and says what to do."""
    assert text.encode('utf-8'), 'a text that cannot be encoded breaks the log'
    hidden = [char for char in text if not char.isprintable() and char not in '\n\t']
    assert not hidden, f'control characters {hidden[:4]!r} reach the log'
    assert len(text) <= LONGEST_TEXT, f'a text of {len(text)} characters'
    assert len(text.split()) > 2, f'{text!r} says too little'


def check_error(error: DetectorError) -> None:
    """Check the text of an error."""
    check_text(str(error))
    assert _EXPECTATION.search(str(error)), f'{error!s} says neither expectation nor remedy'


def attempt(function: Callable[..., _T], *args: Any, **kwargs: Any) -> _T | None:
    """
    Call a function that may refuse its input.

    :return: its result, None if it raised an error of the package with a proper text.
    :raises Exception: every other error.
    """
    try:
        return function(*args, **kwargs)
    except DetectorError as error:
        check_error(error)
        return None


def check_image(image: Image, max_pixels: int) -> np.ndarray[Any, Any]:
    """Check size and type of an image's pixels, and return them."""
    size = (image.height, image.width)
    assert 0 < image.width * image.height <= max_pixels, f'{size} breaks the limit {max_pixels}'
    pixels, order = image.pixels()
    assert pixels.dtype == np.uint8
    assert order in ('bgr', 'rgb', 'gray')
    assert pixels.shape == (size if order == 'gray' else (*size, 3))
    bgr = image.to_bgr()
    assert bgr.dtype == np.uint8
    assert bgr.shape == (*size, 3)
    return pixels
