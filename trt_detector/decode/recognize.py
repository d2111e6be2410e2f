# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Recognize the head layout of a network from its graph.

docs/models.md explains the rules. Every layout rates the evidence for itself; the one with the
strongest evidence decodes, and a tie is refused: the user has to choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import ModelError, printable
from .export_warnings import describe_exports
from .graph_info import GraphInfo
from .head import Evidence, Head, HeadLayout, LayoutMatch
from .interpretation import interpret
from .layouts.batched_rows import BatchedRowsLayout
from .layouts.boxes_scores import BoxesScoresLayout
from .layouts.deepstream import DeepStreamLayout
from .layouts.detr import DetrLayout, DetrRowsLayout
from .layouts.detr_deploy import DetrDeployLayout
from .layouts.detr_logits import DetrLogitsLayout
from .layouts.efficient_nms import EfficientNmsLayout
from .layouts.end_to_end import EndToEndLayout
from .layouts.mmdeploy import MmdeployLayout
from .layouts.nanodet import NanoDetLayout
from .layouts.paddle import PaddleLayout
from .layouts.tf_detection import TfDetectionLayout
from .layouts.torchvision import TorchvisionLayout
from .layouts.yolo import YoloLayout
from .layouts.yolo_boxes_scores import YoloBoxesScoresLayout
from .layouts.yolo_grid import YoloGridLayout
from .layouts.yolo_obb import ObbRowsLayout, YoloObbLayout
from .layouts.yolo_objectness import YoloObjectnessLayout
from .layouts.yolo_split import YoloSplitLayout
from .layouts.yolox import YoloxLayout
from .output_selection import find_outputs, find_part, select_outputs
from .remedies import suggest

__all__ = ['LAYOUTS', 'Recognized', 'recognize']

# Registry of all layouts: a new layout is one file in layouts/ and one line here (and its name
# among the choices of the parameter 'head').
LAYOUTS: tuple[HeadLayout, ...] = (
    EndToEndLayout(),
    YoloLayout(),
    YoloLayout(transposed=True),
    YoloObjectnessLayout(),
    YoloxLayout(decoded=False),
    YoloxLayout(decoded=True),
    YoloSplitLayout(),
    YoloGridLayout(),
    YoloGridLayout(exponential=True),
    BoxesScoresLayout(),
    BoxesScoresLayout(normalized=True),
    YoloBoxesScoresLayout(),
    DetrLayout(),
    DetrRowsLayout(),
    DetrLogitsLayout('sigmoid'),
    DetrLogitsLayout('softmax'),
    DetrLogitsLayout('softmax', background_first=True),
    DetrDeployLayout(),
    EfficientNmsLayout(),
    TfDetectionLayout(),
    MmdeployLayout(),
    PaddleLayout(),
    TorchvisionLayout(),
    DeepStreamLayout(),
    NanoDetLayout(plus=True),
    NanoDetLayout(plus=False),
    BatchedRowsLayout(('box', 'class', 'score')),
    BatchedRowsLayout(('box', 'score', 'class')),
    BatchedRowsLayout(('class', 'score', 'box')),
    BatchedRowsLayout(('score', 'class', 'box')),
    YoloObbLayout(),
    ObbRowsLayout(),
)
_LAYOUT_OF_NAME = {layout.name: layout for layout in LAYOUTS}
# Layouts of rows that the network has selected: all of them may be objects.
_SELECTED_ROWS = frozenset({
    'end_to_end', 'detr_rows', 'detr_deploy', 'efficient_nms', 'tf_detection', 'mmdeploy',
    'paddle', 'torchvision', 'obb_rows',
    *(name for name in _LAYOUT_OF_NAME if name.startswith('rows_')),
})  # fmt: skip
# Layouts of queries: they may lie anywhere.
_QUERIES = frozenset({'detr', 'detr_sigmoid', 'detr_softmax', 'detr_softmax_first'})
# Tasks whose outputs contain boxes that can be separated from the other values.
_BOX_TASKS = ('detect', 'segment', 'pose', 'obb')

# TorchVision and Paddle scale their boxes back, which are those of single images.
_RESIZED = (
    'the graph scales its images to another size before its first layer: boxes are read in pixels '
    'of the input, and are too small or too large if the graph does not scale them back; if so, '
    'export without the resize'
)


@dataclass(frozen=True, slots=True)
class Recognized:
    """
    Recognized layout and its head.

    :param head: decodes the outputs.
    :param name: name of the layout, a value of the parameter 'head'.
    :param preset: name of the preprocessing that networks of this layout expect.
    :param single_image: the outputs are those of one image, without a batch dimension.
    :param warnings: sentences for the user.
    :param assumption: sentence for the user if nothing but the layout tells the preprocessing.
    :param evidence: strength of the evidence for the layout.
    :param queries: there is a prediction per query of a DETR.
    :param dense: there is a prediction per anchor.
    """

    head: Head
    name: str
    preset: str
    single_image: bool
    warnings: tuple[str, ...]
    assumption: str
    evidence: Evidence
    queries: bool
    dense: bool


def recognize(
    info: GraphInfo,
    name: str = 'auto',
    *,
    outputs: Sequence[str] = (),
    boxes: str = 'auto',
    scores: str = 'auto',
) -> Recognized:
    """
    Recognize the layout of a network and build its head.

    If all outputs together fit no layout, but one of them beside raw maps does, it counts.

    :param name: name of the layout that the user asks for, 'auto' to recognize it.
    :param outputs: names of the outputs to decode, in the order of the layout; empty for all, or
        the one that fits.
    :param boxes: 'pixels' or 'normalized' if the boxes are not as the layout says, else 'auto'.
    :param scores: 'probabilities' or 'logits' if the scores are not as the layout says, else
        'auto'.
    :raises ModelError: if no layout matches, if several match equally well, or if the model's
        task has no boxes.
    """
    if info.task not in _BOX_TASKS and name == 'auto':
        source = f' ({info.task_source})' if info.task_source else ''
        raise ModelError(
            f"the model's task is {info.task!r}{source}; expected 'detect' or 'obb' (or "
            "'segment', 'pose' for their boxes); export a detector, or set head if it is one"
        )
    whole = info
    indices = find_outputs(info, outputs) if outputs else _find_part(info, name)
    if indices:
        info = replace(info, outputs=tuple(info.outputs[index] for index in indices))
    layout, match = _choose(info) if name == 'auto' else _match_named(info, name)
    warnings = list(match.warnings)
    if match.doubt and name == 'auto':
        warnings.append(match.doubt)
    contradiction = _find_contradiction(info, layout, match)
    if contradiction and name == 'auto':
        raise ModelError(contradiction)
    if contradiction:
        warnings.append(contradiction)
    warnings += describe_exports(info, layout.name)
    if info.resizes_input and not layout.normalized and not layout.single_image:
        warnings.append(_RESIZED)
    head = interpret(match.build(), layout, info, boxes, scores)
    if indices:
        head = select_outputs(head, indices)
    if indices and not outputs:
        unused = ', '.join(
            printable(o.name) for n, o in enumerate(whole.outputs) if n not in indices
        )
        warnings.append(
            f'the output {printable(info.outputs[0].name)} is decoded, and {unused} ignored; the '
            'parameter outputs names others'
        )
    return Recognized(
        head=head,
        name=layout.name,
        preset=match.preset or layout.preset,
        single_image=layout.single_image,
        warnings=tuple(warnings),
        assumption=match.assumption,
        evidence=match.evidence,
        queries=layout.name in _QUERIES,
        dense=layout.name not in (*_SELECTED_ROWS, *_QUERIES),
    )


def _find_part(info: GraphInfo, name: str) -> tuple[int, ...]:
    """Find the outputs that count beside raw maps; empty if all together fit a layout."""
    layouts = LAYOUTS if name == 'auto' else [layout for layout in LAYOUTS if layout.name == name]
    indices = find_part(info)
    if not indices or _list_matches(info, layouts, Evidence.ON_REQUEST):
        return ()
    part = replace(info, outputs=tuple(info.outputs[index] for index in indices))
    # Further outputs make a reading by few rows alone doubtful.
    return indices if _list_matches(part, layouts, Evidence.FEW_ROWS) else ()


def _list_matches(
    info: GraphInfo, layouts: Sequence[HeadLayout], above: Evidence
) -> list[tuple[HeadLayout, LayoutMatch]]:
    """List the readings of a graph with more than some evidence."""
    matches = [(layout, layout.match(info)) for layout in layouts]
    return [
        (layout, match)
        for layout, match in matches
        if match is not None
        and match.evidence > above
        # A rotated box without its angle would be wrong.
        and (info.task != 'obb' or match.rotated)
    ]


def _match_named(info: GraphInfo, name: str) -> tuple[HeadLayout, LayoutMatch]:
    """Match the layout that the user asks for."""
    layout = _LAYOUT_OF_NAME.get(name)
    if layout is None:
        raise ModelError(f'head is {name!r}; expected auto or {", ".join(_LAYOUT_OF_NAME)}')
    match = layout.match(info)
    if match is None:
        raise ModelError(
            f'head is {name!r}, which is {layout.description}; the model has the outputs '
            f'{info.describe()}; set head to auto, or to the layout of these outputs'
        )
    return layout, match


def _choose(info: GraphInfo) -> tuple[HeadLayout, LayoutMatch]:
    """Choose the layout with the strongest evidence."""
    possible = _list_matches(info, LAYOUTS, Evidence.ON_REQUEST)
    if not possible:
        raise ModelError(
            '\n'.join((f'no head layout fits the outputs {info.describe()}', *suggest(info)))
        )
    best = max(_rank(info, match) for _, match in possible)
    chosen = [(layout, match) for layout, match in possible if _rank(info, match) == best]
    if len(chosen) > 1:
        readings = '; '.join(f'{layout.name} ({match.reading})' for layout, match in chosen)
        raise ModelError(
            f'the outputs {info.describe()} can be read in {len(chosen)} ways: {readings}. Set '
            'the parameter head to the right one, or class_names so that their number tells'
        )
    return chosen[0]


def _find_contradiction(info: GraphInfo, layout: HeadLayout, match: LayoutMatch) -> str:
    """Compare the form of the boxes that a layout reads with that of the graph; '' if alike."""
    if match.boxes is None:
        return ''
    index, expected = match.boxes
    output = info.outputs[index]
    form = info.box_forms.get(output.name, expected)
    if form == expected:
        return ''
    texts = {'centers': 'center x, y, width, height', 'corners': 'x1, y1, x2, y2'}
    return (
        f'head {layout.name} reads boxes of {texts[expected]}, but the graph makes {texts[form]} '
        f'of {printable(output.name)}: set head to the layout that reads them, or export the '
        'boxes in the other form'
    )


def _rank(info: GraphInfo, match: LayoutMatch) -> tuple[int, bool, int, int]:
    """Rank a match: metadata, names and operators, then the class names, then the shape."""
    unknown = info.num_names is None or match.num_classes is None
    return (
        match.evidence if match.evidence >= Evidence.OPERATORS else 0,
        unknown or match.num_classes == info.num_names,
        match.evidence,
        match.preference,
    )
