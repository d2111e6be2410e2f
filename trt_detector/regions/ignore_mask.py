# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Picture that marks where detections are ignored."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, ImageError
from ..image.image import Image
from ..parameter_spec import show_value
from ..values.user_path import expand_user

__all__ = ['IgnoreMask']

_TEXT = re.compile(r'(?:(?P<camera>[^\s:]+)\s*:\s+)?(?P<path>\S.*)')
_WHITE = 128


class IgnoreMask:
    """
    White parts of a picture, which is stretched over the image of a camera.

    :param text: '[camera:] path'.
    :raises ConfigError: if the file cannot be read, or is white or black all over.
    """

    def __init__(self, text: str) -> None:
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ConfigError(
                f"ignore_mask holds {show_value(text)}; expected '[camera:] path', e.g. "
                "'/left/image: /home/me/left_mask.png'"
            )
        #: Image topic; '' for every camera.
        self.camera = match['camera'] or ''
        path = expand_user(match['path'])
        try:
            pixels = Image.from_file(path).to_bgr()
        except ImageError as error:
            raise ConfigError(f'ignore_mask holds {show_value(text)}: {error}') from error
        #: bool (height, width): detections here are ignored.
        self.ignored: npt.NDArray[np.bool_] = pixels.max(axis=2) >= _WHITE
        if self.ignored.all() or not self.ignored.any():
            color, effect = ('white', 'nothing') if self.ignored.all() else ('black', 'everything')
            raise ConfigError(
                f'ignore_mask {path} is {color} all over, so {effect} would be detected; paint '
                'white what is to be ignored, and the rest black'
            )

    @property
    def sha256(self) -> str:
        """Hash of the pixels, by which a changed file is noticed."""
        content = repr(self.ignored.shape).encode() + self.ignored.tobytes()
        return hashlib.sha256(content).hexdigest()

    def contains(self, points_xy: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """
        Mask the points that are ignored.

        :param points_xy: (n, 2), as shares of the width and height of the image, 0 to less than 1.
        """
        height, width = self.ignored.shape
        columns, rows = (points_xy * (width, height)).astype(np.intp).T
        return np.asarray(self.ignored[rows, columns])
