# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Vectorized suppression: NumPy compares all pairs that can overlap at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ['OpenBoxes']

# Up to this number of boxes every pair is compared.
_MAX_ALL_PAIRS = 80
# With more boxes and too many pairs, this number of the best boxes is decided first.
_BLOCK = 64
# Overlaps of this number of pairs are computed at once: their arrays fit into the L2 cache.
_CHUNK = 1 << 15
# With more pairs per box and class, duplicates of the best boxes are removed first.
_CROWDED = 2

_Array = npt.NDArray[Any]

# Pairs of ranks, ordered by the worse one: the first n * (n - 1) / 2 are those of n boxes.
_WORSE, _BETTER = np.tril_indices(_MAX_ALL_PAIRS, -1)


class OpenBoxes:
    """
    Boxes that are neither kept nor suppressed yet, highest score first.

    :param edges: float32 (4, n), left, top, right, bottom.
    :param ids: (n,), class of each box.
    :param limit: an overlap above it suppresses.
    """

    def __init__(self, edges: _Array, ids: _Array, limit: np.float32) -> None:
        self._edges = edges
        self._ids = ids
        self._limit = limit
        self._areas = (edges[2] - edges[0]) * (edges[3] - edges[1])
        self._ranks = np.arange(len(ids))

    def keep(self, wanted: int) -> npt.NDArray[np.intp]:
        """Compute the ranks of the kept boxes, ascending; the first 'wanted' of them are final."""
        kept = []
        found = 0
        if self._is_crowded():
            kept += self._take_best_of_classes()
        while len(self._ranks) > _MAX_ALL_PAIRS and found < wanted:
            rows = self._sweep(16 * len(self._ranks))
            if rows is not None:
                kept.append(self._ranks[rows])
                return _merge(kept)
            kept.append(self._take_block())
            found += len(kept[-1])
        if len(self._ranks) and found < wanted:
            kept.append(self._ranks[self._resolve(len(self._ranks))])
        return _merge(kept)

    def _select(self, rows: npt.NDArray[np.intp]) -> None:
        """Continue with some of the boxes."""
        self._edges, self._areas = self._some(rows)
        self._ids = self._ids.take(rows)
        self._ranks = self._ranks.take(rows)

    def _some(self, rows: npt.NDArray[np.intp]) -> tuple[_Array, _Array]:
        """Get edges and areas of some of the boxes."""
        return self._edges.take(rows, axis=1), self._areas.take(rows)

    def _take_best_of_classes(self) -> list[npt.NDArray[np.intp]]:
        """
        Keep the best box of every class, drop what it suppresses, and repeat while worthwhile.

        Most candidates are duplicates of the few best ones.
        """
        kept = []
        count = len(self._ranks)
        while count:
            best = np.empty(int(self._ids.max()) + 1, np.intp)
            # The last write wins; in reverse order that is the first box of the class.
            best[self._ids[::-1]] = np.arange(count - 1, -1, -1)
            rivals = best[self._ids]
            suppressed = _overlaps(self._some(rivals), (self._edges, self._areas), self._limit)
            winners = (rivals == np.arange(count)).nonzero()[0]
            suppressed[winners] = True
            kept.append(self._ranks[winners])
            self._select((~suppressed).nonzero()[0])
            before, count = count, len(self._ranks)
            if count > 0.7 * before:
                break
        return kept

    def _is_crowded(self) -> bool:
        """Tell whether there are many pairs of one class."""
        members = np.bincount(self._ids)
        return int(np.dot(members, members)) > (2 * _CROWDED + 1) * len(self._ids)

    def _resolve(self, count: int) -> npt.NDArray[np.intp]:
        """Compute which of the first boxes are kept, from all pairs of one class."""
        pairs = count * (count - 1) // 2
        better, worse = _BETTER[:pairs], _WORSE[:pairs]
        same = (self._ids[better] == self._ids[worse]).nonzero()[0]
        return self._decide(better[same], worse[same], count)

    def _decide(
        self, better: npt.NDArray[np.intp], worse: npt.NDArray[np.intp], count: int
    ) -> npt.NDArray[np.intp]:
        """
        Compute which of the first boxes are kept.

        :param better: (m,), the better box of each pair to compare.
        :param worse: (m,), the other.
        """
        hits = _overlaps(self._some(better), self._some(worse), self._limit)
        return _decide(better[hits], worse[hits], count)

    def _take_block(self) -> npt.NDArray[np.intp]:
        """Decide the best boxes among themselves and drop what they suppress."""
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

    def _sweep(self, max_pairs: int) -> npt.NDArray[np.intp] | None:
        """
        Compute which boxes are kept, from the pairs of one class that can overlap enough.

        :return: None if there are more such pairs than max_pairs.
        """
        count = len(self._ranks)
        # The overlap of a pair is above the limit only if it is wider than that fraction of each
        # box: the right box starts in the first part of the left one.
        fraction = 1 - float(self._limit) + 1e-5
        start = self._edges[0].astype(np.float64)
        end = start + fraction * np.maximum(self._edges[2] - start, 0)
        lowest = start.min()
        planes = self._ids * (end.max() - lowest + 1)
        start += planes
        by_start = np.argsort(start)
        partners = np.searchsorted(start[by_start], (end + planes)[by_start], side='right')
        partners -= np.arange(1, count + 1)
        total = int(partners.sum())
        if total > max_pairs:
            return None
        offsets = np.cumsum(partners) - partners - np.arange(1, count + 1)
        left = np.repeat(by_start, partners)
        right = by_start[np.arange(total) - np.repeat(offsets, partners)]
        below = np.minimum(self._edges[3][left], self._edges[3][right])
        meet = below > np.maximum(self._edges[1][left], self._edges[1][right])
        left, right = left[meet], right[meet]
        return self._decide(np.minimum(left, right), np.maximum(left, right), count)


def _merge(ranks: list[npt.NDArray[np.intp]]) -> npt.NDArray[np.intp]:
    """Merge ranks, ascending."""
    return np.sort(np.concatenate(ranks)) if len(ranks) > 1 else ranks[0]


def _overlaps(
    first: tuple[_Array, _Array], second: tuple[_Array, _Array], limit: np.float32
) -> npt.NDArray[np.bool_]:
    """
    Compute which pairs have an overlap above the limit.

    Each side is edges (4, ...) and areas (...), which broadcast against each other. Operations
    and their order are those of the reference, so that float32 rounds alike.
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


def _decide(
    better: npt.NDArray[np.intp], worse: npt.NDArray[np.intp], count: int
) -> npt.NDArray[np.intp]:
    """
    Compute which of count boxes are kept, given the pairs of which only one may be.

    :param better: (m,), the better box of each pair.
    :param worse: (m,), the other.
    """
    suppressed = np.zeros(count, np.bool_)
    while len(better):
        challenged = np.zeros(count, np.bool_)
        challenged[worse] = True
        # A box that no undecided better box challenges is kept.
        suppressed[worse[~challenged[better]]] = True
        open_pairs = ~(suppressed[better] | suppressed[worse])
        better, worse = better[open_pairs], worse[open_pairs]
    return (~suppressed).nonzero()[0]
