# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Greedy non-maximum suppression, class by class, with the results of torchvision's batched_nms.

The reference is what torchvision does on the CPU of an x86-64 machine: intersection over union in
float32; up to 1,000 boxes each class is first shifted into a plane of its own, with the rounding
that this brings, beyond that the classes are taken one by one. One thing differs on purpose: the
shift of the reference lets boxes of two classes meet where a coordinate is negative; here they
never do.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ['batched_nms']

# Of up to so many boxes every pair is looked at.
_FEW = 128
# Up to so many boxes are compared one by one; of more, so many of the best are settled first where
# there are too many pairs.
_BLOCK = 64
# Overlaps of so many pairs are worked out at once: their arrays stay in the second-level cache.
_CHUNK = 1 << 15
# The reference shifts the classes apart up to so many boxes.
_MOST_SHIFTED = 1000
# With more pairs of a class than so many a box it pays to look for doubles of the best first.
_CROWDED = 2

_Array = npt.NDArray[Any]

# Pairs of the ranks below _FEW, by the worse one: the first n * (n - 1) / 2 are those below n.
_WORSE, _BETTER = np.tril_indices(_FEW, -1)


def batched_nms(
    boxes_xyxy: _Array,
    scores: _Array,
    class_ids: _Array,
    iou_threshold: float,
    max_detections: int,
    *,
    class_agnostic: bool = False,
) -> npt.NDArray[np.intp]:
    """
    Keep the best box of each group of boxes that overlap.

    A box goes when a better kept one has an intersection over union with it larger than the
    threshold. Boxes of equal score are taken in the order in which they come.

    :param boxes_xyxy: (n, 4) in pixels, within a billion of them.
    :param scores: (n,), finite.
    :param class_ids: (n,) integers, 0 or more.
    :param iou_threshold: 0 to 1.
    :param max_detections: so many are kept at most.
    :param class_agnostic: whether boxes of different classes suppress each other.
    :return: indices of the kept boxes, best first.
    """
    order = np.argsort(-scores, kind='stable')
    count = len(order)
    if not count:
        return order
    ids = np.zeros(count, np.intp) if class_agnostic else class_ids.take(order)
    boxes = boxes_xyxy.take(order, axis=0).astype(np.float32, copy=False)
    # Boxes without an area divide zero by zero: NaN is not above the limit, so they stay.
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        if not class_agnostic and count <= _MOST_SHIFTED:
            boxes += (ids.astype(np.float32) * (boxes.max() + np.float32(1)))[:, None]
        limit = _float32_limit(iou_threshold)
        few = _keep_few(boxes, ids, limit, max_detections) if count <= _BLOCK else None
        if few is not None:
            return order.take(few)
        kept = _Candidates(np.ascontiguousarray(boxes.T), ids, limit).keep(max_detections)
    return order.take(kept[:max_detections])


def _keep_few(
    boxes: npt.NDArray[np.float32], ids: _Array, limit: np.float32, wanted: int
) -> list[int] | None:
    """
    Return the ranks that stay, None if that takes too many comparisons.

    For few boxes Python's own numbers are faster than NumPy's calls. They are more precise than
    float32, so what is near the limit is worked out again as the reference does.
    """
    below, above = float(limit) * (1 - 2e-6), float(limit) * (1 + 2e-6) + 1e-30
    budget = 4 * len(ids)
    kept = []
    kept_of_class: dict[int, list[tuple[float, float, float, float, float]]] = {}
    for rank, ((x1, y1, x2, y2), class_id) in enumerate(
        zip(boxes.tolist(), ids.tolist(), strict=True)
    ):
        area = (x2 - x1) * (y2 - y1)
        rivals = kept_of_class.setdefault(class_id, [])
        for left, top, right, bottom, rival_area in rivals:
            width = (min(right, x2)) - (max(left, x1))
            if width <= 0:
                continue
            height = (min(bottom, y2)) - (max(top, y1))
            if height <= 0:
                continue
            overlap = width * height
            share = overlap / (area + rival_area - overlap)
            if share > above or (
                share > below and _exceeds((left, top, right, bottom), (x1, y1, x2, y2), limit)
            ):
                break
        else:
            budget -= len(rivals)
            if budget < 0:
                return None
            rivals.append((x1, y1, x2, y2, area))
            kept.append(rank)
            if len(kept) == wanted:
                break
    return kept


def _exceeds(first: tuple[float, ...], second: tuple[float, ...], limit: np.float32) -> bool:
    """Return whether two boxes overlap by more than the limit, in float32."""
    pair = np.array((first, second), np.float32).T
    areas = (pair[2] - pair[0]) * (pair[3] - pair[1])
    return bool(_overlaps((pair[:, :1], areas[:1]), (pair[:, 1:], areas[1:]), limit)[0])


def _overlaps(
    first: tuple[_Array, _Array], second: tuple[_Array, _Array], limit: np.float32
) -> npt.NDArray[np.bool_]:
    """
    Return which pairs overlap by more than the limit.

    Each side is edges (4, ...) and areas (...), which broadcast against each other. The
    operations and their order are the reference's: float32 rounds as it does there.
    """
    low = np.maximum(first[0][:2], second[0][:2])
    size = np.minimum(first[0][2:], second[0][2:])
    size -= low
    np.maximum(size, 0, out=size)
    overlap = np.multiply(size[0], size[1], out=size[0])
    union = np.add(first[1], second[1], out=size[1])
    union -= overlap
    overlap /= union
    return np.asarray(overlap > limit)


def _settle(
    better: npt.NDArray[np.intp], worse: npt.NDArray[np.intp], count: int
) -> npt.NDArray[np.intp]:
    """
    Return which of count boxes stay, given the pairs of which only one may.

    :param better: (m,), the better box of each pair.
    :param worse: (m,), the other.
    """
    gone = np.zeros(count, np.bool_)
    while len(better):
        challenged = np.zeros(count, np.bool_)
        challenged[worse] = True
        # Whom no undecided better box challenges, that stays.
        gone[worse[~challenged[better]]] = True
        open_pairs = ~(gone[better] | gone[worse])
        better, worse = better[open_pairs], worse[open_pairs]
    return (~gone).nonzero()[0]


@lru_cache(maxsize=8)
def _float32_limit(threshold: float) -> np.float32:
    """Return the float32 that float32 values exceed just when they exceed the threshold."""
    limit = np.float32(threshold)
    return limit if float(limit) <= threshold else np.nextafter(limit, np.float32(-np.inf))


class _Candidates:
    """
    The boxes that are neither kept nor gone, best first.

    :param edges: float32 (4, n), left, top, right, bottom.
    :param ids: (n,), class of each box.
    :param limit: overlaps above it suppress.
    """

    def __init__(self, edges: _Array, ids: _Array, limit: np.float32) -> None:
        self._edges = edges
        self._ids = ids
        self._limit = limit
        self._areas = (edges[2] - edges[0]) * (edges[3] - edges[1])
        self._ranks = np.arange(len(ids))

    def keep(self, wanted: int) -> npt.NDArray[np.intp]:
        """Return the ranks of the kept boxes, ascending; the first 'wanted' of them are final."""
        kept = []
        found = 0
        if self._is_crowded():
            kept += self._take_best_of_classes()
        while len(self._ranks) > _FEW and found < wanted:
            rows = self._sweep(16 * len(self._ranks))
            if rows is not None:
                kept.append(self._ranks[rows])
                return _together(kept)
            kept.append(self._take_block())
            found += len(kept[-1])
        if len(self._ranks) and found < wanted:
            kept.append(self._ranks[self._resolve(len(self._ranks))])
        return _together(kept)

    def _select(self, rows: npt.NDArray[np.intp]) -> None:
        """Go on with some of the boxes."""
        self._edges, self._areas = self._some(rows)
        self._ids = self._ids.take(rows)
        self._ranks = self._ranks.take(rows)

    def _some(self, rows: npt.NDArray[np.intp]) -> tuple[_Array, _Array]:
        """Return edges and areas of some of the boxes."""
        return self._edges.take(rows, axis=1), self._areas.take(rows)

    def _take_best_of_classes(self) -> list[npt.NDArray[np.intp]]:
        """
        Keep the best box of every class at once and drop what it suppresses, while that pays.

        Most candidates are doubles of the few best ones.
        """
        kept = []
        count = len(self._ranks)
        while count:
            best = np.empty(int(self._ids.max()) + 1, np.intp)
            # The last write stays: from behind, that is the first box of the class.
            best[self._ids[::-1]] = np.arange(count - 1, -1, -1)
            rivals = best[self._ids]
            gone = _overlaps(self._some(rivals), (self._edges, self._areas), self._limit)
            winners = (rivals == np.arange(count)).nonzero()[0]
            gone[winners] = True
            kept.append(self._ranks[winners])
            self._select((~gone).nonzero()[0])
            before, count = count, len(self._ranks)
            if count > 0.7 * before:
                break
        return kept

    def _is_crowded(self) -> bool:
        """Return whether there are many pairs of a class."""
        members = np.bincount(self._ids)
        return int(np.dot(members, members)) > (2 * _CROWDED + 1) * len(self._ids)

    def _resolve(self, count: int) -> npt.NDArray[np.intp]:
        """Return which of the first boxes stay, every pair of a class looked at."""
        pairs = count * (count - 1) // 2
        better, worse = _BETTER[:pairs], _WORSE[:pairs]
        same = (self._ids[better] == self._ids[worse]).nonzero()[0]
        return self._settle(better[same], worse[same], count)

    def _settle(
        self, better: npt.NDArray[np.intp], worse: npt.NDArray[np.intp], count: int
    ) -> npt.NDArray[np.intp]:
        """
        Return which of the first boxes stay.

        :param better: (m,), the better box of each pair that is to be looked at.
        :param worse: (m,), the other.
        """
        hits = _overlaps(self._some(better), self._some(worse), self._limit)
        return _settle(better[hits], worse[hits], count)

    def _take_block(self) -> npt.NDArray[np.intp]:
        """Settle the best boxes among themselves and drop what they suppress."""
        rows = self._resolve(_BLOCK)
        kept = self._ranks[rows]
        (edges, areas), ids = self._some(rows), self._ids[rows]
        self._select(np.arange(_BLOCK, len(self._ranks)))
        at = 0
        while at < len(rows) and len(self._ranks):
            part = slice(at, at + max(1, _CHUNK // len(self._ranks)))
            at = part.stop
            hits = _overlaps(
                (edges[:, part, None], areas[part, None]),
                (self._edges[:, None], self._areas),
                self._limit,
            )
            hits &= ids[part, None] == self._ids
            self._select(np.flatnonzero(~hits.any(axis=0)))
        return kept

    def _sweep(self, most_pairs: int) -> npt.NDArray[np.intp] | None:
        """
        Return which boxes stay, looking only at pairs of a class that can overlap enough.

        :return: None if there are more such pairs than most_pairs.
        """
        count = len(self._ranks)
        # A pair overlaps by more than the limit only if the overlap is wider than that share of
        # each box: the right box starts in the first part of the left one.
        share = 1 - float(self._limit) + 1e-5
        start = self._edges[0].astype(np.float64)
        end = start + share * np.maximum(self._edges[2] - start, 0)
        lowest = start.min()
        planes = self._ids * (end.max() - lowest + 1)
        start += planes
        by_start = np.argsort(start)
        partners = np.searchsorted(start[by_start], (end + planes)[by_start], side='right')
        partners -= np.arange(1, count + 1)
        total = int(partners.sum())
        if total > most_pairs:
            return None
        offsets = np.cumsum(partners) - partners - np.arange(1, count + 1)
        left = np.repeat(by_start, partners)
        right = by_start[np.arange(total) - np.repeat(offsets, partners)]
        below = np.minimum(self._edges[3][left], self._edges[3][right])
        meet = below > np.maximum(self._edges[1][left], self._edges[1][right])
        left, right = left[meet], right[meet]
        return self._settle(np.minimum(left, right), np.maximum(left, right), count)


def _together(ranks: list[npt.NDArray[np.intp]]) -> npt.NDArray[np.intp]:
    """Return all ranks, ascending."""
    return np.sort(np.concatenate(ranks)) if len(ranks) > 1 else ranks[0]
