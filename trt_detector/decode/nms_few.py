# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Suppression among few boxes, in Python's own numbers.

With few boxes a call of NumPy costs more than the work in it. Python's numbers are more precise
than the float32 of the reference, which also rounds the coordinates when it shifts the classes
apart. Pairs so near the limit that this may decide are worked out again as the reference does.
"""

# ruff: noqa: FURB136 - min() and max() would take longer than all the rest of a comparison

from __future__ import annotations

from collections import defaultdict
import math
from struct import Struct

import numpy as np
import numpy.typing as npt

__all__ = ['keep_few']

# So many boxes of a class may stay, times boxes: all of 50, fewer of more, for NumPy compares more
# of them at once.
_MOST_RIVALS = 3500
# float32 rounds a number by this share of it at most.
_ROUNDING = 2**-24

_FLOAT32 = Struct('f')

# x1, y1, x2, y2
_Box = tuple[float, float, float, float]
# x2, x1, y1, y2, share of the area
_Rival = tuple[float, float, float, float, float]


def keep_few(
    boxes_xyxy: npt.NDArray[np.float32], scores: list[float], class_ids: list[int], limit: float
) -> list[int] | None:
    """
    Return the numbers of the boxes that stay, best first.

    :param boxes_xyxy: (n, 4), n at least 1.
    :param limit: of two boxes of a class that overlap by more the better one stays.
    :return: None if too many boxes of a class stay, or if the reference's rounding may move a box
        by a part of its size that counts: then it takes another way.
    """
    lefts, tops, rights, bottoms = boxes_xyxy.T.tolist()
    step = max(rights + bottoms) + 1
    moved = _ROUNDING * (max(class_ids) * abs(step) + max(step, -min(lefts + tops)))
    min_side = 8 * moved / limit if limit > 0 else math.inf
    # Moving the edges of two boxes changes what they overlap by, beyond the limit, by less than
    # the sum of the sides of one of them times this.
    slack = 32 * moved
    # An overlap exceeds the limit where it exceeds this share of both areas together.
    share = limit / (1 + limit)
    most_rivals = _MOST_RIVALS // len(scores)
    kept = []
    kept_of_class: defaultdict[int, list[_Rival]] = defaultdict(list)
    for number in sorted(range(len(scores)), key=scores.__getitem__, reverse=True):
        x1, y1 = lefts[number], tops[number]
        x2, y2 = rights[number], bottoms[number]
        width, height = x2 - x1, y2 - y1
        if width <= min_side or height <= min_side:
            return None
        allowed = width * height * share
        rivals = kept_of_class[class_ids[number]]
        for right, left, top, bottom, rival_allowed in rivals:
            if right > x1 and left < x2 and bottom > y1 and top < y2:
                excess = (
                    ((right if right < x2 else x2) - (left if left > x1 else x1))
                    * ((bottom if bottom < y2 else y2) - (top if top > y1 else y1))
                    - allowed
                    - rival_allowed
                )
                unsure = slack * (width + height)
                if excess > unsure:
                    break
                if excess > -unsure:
                    rival, box = (left, top, right, bottom), (x1, y1, x2, y2)
                    if _exceeds(rival, box, class_ids[number], step, limit):
                        break
        else:
            if len(rivals) == most_rivals:
                return None
            rivals.append((x2, x1, y1, y2, allowed))
            kept.append(number)
    return kept


def _exceeds(first: _Box, second: _Box, class_id: int, step: float, limit: float) -> bool:
    """
    Return whether two boxes of a class overlap by more than the limit, as the reference does it.

    Rounding each result of float64 to float32 is what float32 gives at once.
    """
    plane = _rounded(_rounded(class_id) * _rounded(step))
    a_x1, a_y1, a_x2, a_y2 = (_rounded(edge + plane) for edge in first)
    b_x1, b_y1, b_x2, b_y2 = (_rounded(edge + plane) for edge in second)
    width = _rounded(min(a_x2, b_x2) - max(a_x1, b_x1))
    height = _rounded(min(a_y2, b_y2) - max(a_y1, b_y1))
    if width <= 0 or height <= 0:
        return False
    overlap = _rounded(width * height)
    a_area = _rounded(_rounded(a_x2 - a_x1) * _rounded(a_y2 - a_y1))
    b_area = _rounded(_rounded(b_x2 - b_x1) * _rounded(b_y2 - b_y1))
    return _rounded(overlap / _rounded(_rounded(a_area + b_area) - overlap)) > limit


def _rounded(number: float) -> float:
    """Return the float32 nearest to a number."""
    rounded: float = _FLOAT32.unpack(_FLOAT32.pack(number))[0]
    return rounded
