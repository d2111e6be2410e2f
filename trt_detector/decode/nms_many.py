# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Suppression among many boxes: NumPy looks at all pairs that can overlap at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ['Candidates']

# Of up to so many boxes every pair is looked at.
_FEW = 128
# Of more, so many of the best are settled first where there are too many pairs.
_BLOCK = 64
# Overlaps of so many pairs are worked out at once: their arrays stay in the second-level cache.
_CHUNK = 1 << 15
# With more pairs of a class than so many per box it pays to look for doubles of the best first.
_CROWDED = 2

_Array = npt.NDArray[Any]

# Pairs of the ranks below _FEW, by the worse one: the first n * (n - 1) / 2 are those below n.
_WORSE, _BETTER = np.tril_indices(_FEW, -1)


class Candidates:
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
