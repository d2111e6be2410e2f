# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Find the decoder for a network by what is known of its graph.

docs/models.md has the rules in words. Each layout grades itself; the best alone decodes, and
where two are best the user has to choose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import ModelError
from ..values.tensor_spec import TensorSpec
from .graph_info import GraphInfo
from .head import Fit, Head, HeadLayout
from .layouts.detr import DetrLayout, DetrRowsLayout
from .layouts.detr_deploy import DetrDeployLayout
from .layouts.detr_logits import DetrLogitsLayout
from .layouts.efficient_nms import EfficientNmsLayout
from .layouts.end_to_end import EndToEndLayout
from .layouts.torchvision import TorchvisionLayout
from .layouts.yolo import YoloLayout
from .layouts.yolo_objectness import YoloObjectnessLayout
from .layouts.yolox import YoloxLayout

__all__ = ['Recognized', 'known_layouts', 'layout_names', 'recognize', 'recognize_head']

_LAYOUTS: tuple[HeadLayout, ...] = (
    EndToEndLayout(),
    YoloLayout(),
    YoloLayout(transposed=True),
    YoloObjectnessLayout(),
    YoloObjectnessLayout(transposed=True),
    YoloxLayout(decoded=False),
    YoloxLayout(decoded=True),
    DetrLayout(),
    DetrRowsLayout(),
    DetrLogitsLayout('sigmoid'),
    DetrLogitsLayout('softmax'),
    DetrDeployLayout(),
    EfficientNmsLayout(),
    TorchvisionLayout(),
)
_LAYOUT_OF_NAME = {layout.name: layout for layout in _LAYOUTS}
# Tasks whose outputs hold upright boxes in a part that can be told from the rest.
_BOX_TASKS = ('detect', 'segment', 'pose')


@dataclass(frozen=True, slots=True)
class Recognized:
    """
    The decoder that was found.

    :param head: decodes.
    :param name: of the layout, as the parameter 'head' writes it.
    :param preset: name of the preprocessing that networks of this kind expect.
    :param single_image: whether the outputs are those of one image, without a batch dimension.
    :param warnings: what the user has to know.
    """

    head: Head
    name: str
    preset: str
    single_image: bool = False
    warnings: tuple[str, ...] = ()


def known_layouts() -> tuple[str, ...]:
    """Return one line a layout: its name and what it looks like."""
    return tuple(f'{layout.name}: {layout.description}' for layout in _LAYOUTS)


def layout_names() -> tuple[str, ...]:
    """Return the names that the parameter 'head' takes, beside 'auto'."""
    return tuple(_LAYOUT_OF_NAME)


def recognize(facts: GraphInfo, name: str = 'auto') -> Recognized:
    """
    Return the decoder for a network.

    :param name: of the layout that the user asks for, 'auto' to find it.
    :raises ModelError: if none fits, if several fit alike, or if the model's task has no boxes.
    """
    if facts.task not in _BOX_TASKS and name == 'auto':
        raise ModelError(
            f"the model's task is {facts.task!r}; expected 'detect' (or 'segment', 'pose' for "
            'their boxes)'
        )
    layout, fit = _choose(facts) if name == 'auto' else _ask(facts, name)
    warnings = []
    if facts.task != 'detect' or facts.extra_values():
        what = facts.task if facts.task != 'detect' else 'segment'
        warnings.append(f"the model's task is {what!r}: only its boxes are reported")
    return Recognized(
        head=fit.make(),
        name=layout.name,
        preset=layout.preset,
        single_image=layout.name == 'torchvision',
        warnings=tuple(warnings),
    )


def recognize_head(outputs: Sequence[TensorSpec], metadata: Mapping[str, str]) -> Head:
    """
    Return the decoder for a network of which only outputs and metadata are known.

    :raises ModelError: as :func:`recognize`.
    """
    return recognize(GraphInfo(tuple(outputs), metadata)).head


def _ask(facts: GraphInfo, name: str) -> tuple[HeadLayout, Fit]:
    """Return the layout that the user asks for."""
    layout = _LAYOUT_OF_NAME.get(name)
    if layout is None:
        raise ModelError(f'head is {name!r}; expected auto or {", ".join(_LAYOUT_OF_NAME)}')
    fit = layout.fit(facts)
    if fit is None:
        raise ModelError(
            f'head is {name!r}, which is {layout.description}; the model has the outputs '
            f'{facts.describe()}'
        )
    return layout, fit


def _choose(facts: GraphInfo) -> tuple[HeadLayout, Fit]:
    """Return the layout that fits best."""
    fits = [(layout, layout.fit(facts)) for layout in _LAYOUTS]
    possible = [(layout, fit) for layout, fit in fits if fit and (fit.certain or fit.grade >= 0)]
    if not possible:
        raise ModelError(
            f'no head layout fits the outputs {facts.describe()}. Known layouts: '
            f'{"; ".join(known_layouts())}'
        )
    best = max(_rank(facts, fit) for _, fit in possible)
    chosen = [(layout, fit) for layout, fit in possible if _rank(facts, fit) == best]
    if len(chosen) > 1:
        readings = '; '.join(f'{layout.name} ({fit.reading})' for layout, fit in chosen)
        raise ModelError(
            f'the outputs {facts.describe()} can be read in {len(chosen)} ways: {readings}. Set '
            'the parameter head to the right one, or class_names so that their number tells'
        )
    return chosen[0]


def _rank(facts: GraphInfo, fit: Fit) -> tuple[bool, bool, int]:
    """Return what decides between two layouts, the weightiest first."""
    unknown = facts.num_names is None or fit.num_classes is None
    return fit.certain, unknown or fit.num_classes == facts.num_names, fit.grade
