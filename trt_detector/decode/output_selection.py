# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Heads that decode some of a network's outputs: others may stand beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from ..errors import ModelError
from ..values.candidates import CandidateRule, Candidates
from ..values.detections import Detections
from .feature_maps import find_stride
from .graph_info import GraphInfo
from .head import CandidateHead, DecodeOptions, DoubtingHead, Head

__all__ = ['SelectedCandidateHead', 'SelectedHead', 'find_outputs', 'find_part', 'select_outputs']

_PROTOTYPE_STRIDE = 4


class SelectedHead:
    """
    Head that decodes some of a network's outputs.

    :param head: decodes them.
    :param indices: of the outputs that the head expects, in its order.
    """

    def __init__(self, head: Head, indices: Sequence[int]) -> None:
        self._head = head
        self._indices = tuple(indices)
        self.layout = head.layout

    @property
    def num_classes(self) -> int | None:
        """Number of classes, None if the outputs do not tell."""
        return self._head.num_classes

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        return self._head.decode([outputs[index] for index in self._indices], options)

    def find_doubt(self, outputs: Sequence[npt.NDArray[Any]]) -> str:
        """Find what contradicts the layout, see :class:`.head.DoubtingHead`."""
        if not isinstance(self._head, DoubtingHead):
            return ''
        return self._head.find_doubt([outputs[index] for index in self._indices])


class SelectedCandidateHead(SelectedHead):
    """
    The same for a head that takes candidates.

    :param head: decodes them.
    :param indices: of the outputs that the head expects, in its order.
    """

    def __init__(self, head: CandidateHead, indices: Sequence[int]) -> None:
        super().__init__(head, indices)
        self._candidate_head = head
        rule = head.candidate_rule
        self.candidate_rule: CandidateRule = replace(rule, output=indices[rule.output])

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """Decode the candidates of a batch, see :class:`.head.CandidateHead`."""
        return self._candidate_head.decode_candidates(candidates, options)


def select_outputs(head: Head, indices: Sequence[int]) -> Head:
    """Let a head that was built for some outputs decode those of the whole network."""
    if isinstance(head, CandidateHead):
        return SelectedCandidateHead(head, indices)
    return SelectedHead(head, indices)


def find_outputs(info: GraphInfo, names: Sequence[str]) -> tuple[int, ...]:
    """
    Find the indices of outputs that the user names.

    :raises ModelError: if the network has no such output.
    """
    known = [output.name for output in info.outputs]
    for name in names:
        if name not in known:
            raise ModelError(f'outputs has {name!r}; the model has the outputs {info.describe()}')
    return tuple(known.index(name) for name in names)


def find_part(info: GraphInfo) -> tuple[int, ...]:
    """
    Find the outputs that count beside raw maps: the only one of rank 3.

    Prototypes of masks stay with it, because without them mask coefficients look like class
    scores. A second output of rank 3 or less may be a part of the predictions.

    :return: their indices; empty if there are other outputs than this one and maps.
    """
    ranks = [len(output.shape) for output in info.outputs]
    if len(ranks) < 2 or sorted(ranks)[:2] == [3, 3] or min(ranks) != 3:
        return ()
    prototypes = [n for n, output in enumerate(info.outputs) if _is_prototype(info, output.shape)]
    return (ranks.index(3), *prototypes)


def _is_prototype(info: GraphInfo, shape: tuple[int | None, ...]) -> bool:
    """Tell whether a map has the size of mask prototypes."""
    cells = find_stride(info, *shape[2:]) if len(shape) == 4 else None
    return cells is not None and cells.stride == _PROTOTYPE_STRIDE
