# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Graphs with the blocks of YOLOv8n, YOLO11n and YOLO26n, random weights and any width.

Blocks, channels and connections are those of the published architectures: C2f and C3k2 with
residual adds, SPPF, attention blocks, upsampling with concatenation, depthwise heads, DFL or
direct boxes. The weights are random: the graphs are for builders, not for detecting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from .quantized import GraphBuilder

STRIDES = (8, 16, 32)


class YoloGraph(GraphBuilder):
    """
    Writer of YOLO blocks.

    :param width: channels of the first convolution; 16 is the n model.
    :param size: height and width of the input in pixels.
    :param classes: number of classes.
    """

    def __init__(self, width: int = 16, *, size: int = 640, classes: int = 80) -> None:
        super().__init__(3, size=size, opset=17)
        self.w = width
        self.classes = classes

    def bottleneck(self, x: str, channels: int, *, add: bool, ratio: float = 1.0) -> str:
        """Add two 3x3 convolutions, with a residual add if wanted."""
        hidden = int(channels * ratio)
        y = self.cbs(self.cbs(x, channels, hidden), hidden, channels)
        return str(self.node('Add', x, y)) if add else y

    def c2f(self, x: str, c_in: int, c_out: int, n: int, *, add: bool) -> str:
        """Add YOLOv8's C2f with n bottlenecks."""
        return self._split_block(
            x, c_in, c_out, c_out // 2, [lambda y, c: self.bottleneck(y, c, add=add)] * n
        )

    def c3k2(
        self, x: str, c_in: int, c_out: int, *, c3k: bool, e: float = 0.5, attention: bool = False
    ) -> str:
        """Add YOLO11's C3k2 with one inner block."""

        def block(y: str, c: int) -> str:
            if attention:
                return self.psa(self.bottleneck(y, c, add=True, ratio=0.5), c)
            return self.c3k(y, c) if c3k else self.bottleneck(y, c, add=True, ratio=0.5)

        return self._split_block(x, c_in, c_out, int(c_out * e), [block])

    def _split_block(
        self,
        x: str,
        c_in: int,
        c_out: int,
        hidden: int,
        blocks: Sequence[Callable[[str, int], str]],
    ) -> str:
        """Split the output of a 1x1 convolution, chain blocks on its half, concatenate all."""
        parts = list(self.split(self.cbs(x, c_in, 2 * hidden, 1), 2, axis=1))
        for block in blocks:
            parts.append(block(parts[-1], hidden))
        return self.cbs(self.node('Concat', *parts, axis=1), len(parts) * hidden, c_out, 1)

    def c3k(self, x: str, channels: int) -> str:
        """Add the C3k block: two bottlenecks beside a 1x1 convolution."""
        hidden = channels // 2
        y = self.cbs(x, channels, hidden, 1)
        for _ in range(2):
            y = self.bottleneck(y, hidden, add=True)
        both = self.node('Concat', y, self.cbs(x, channels, hidden, 1), axis=1)
        return self.cbs(both, channels, channels, 1)

    def sppf(self, x: str, channels: int, *, add: bool = False) -> str:
        """Add three max-pools in a row and their concatenation."""
        hidden = channels // 2
        parts = [self.cbs(x, channels, hidden, 1)]
        for _ in range(3):
            parts.append(self.node('MaxPool', parts[-1], kernel_shape=[5, 5], pads=[2] * 4,
                                   strides=[1, 1]))  # fmt: skip
        y = self.cbs(self.node('Concat', *parts, axis=1), 4 * hidden, channels, 1)
        return str(self.node('Add', x, y)) if add else y

    def psa(self, x: str, channels: int) -> str:
        """Add a block of self-attention and a feed-forward part, each with a residual add."""
        heads = max(1, channels // 64)
        head_dim = channels // heads
        key_dim = head_dim // 2
        qkv = self.conv(x, channels, channels + 2 * heads * key_dim)
        flat = self.reshape(qkv, 1, heads, 2 * key_dim + head_dim, -1)
        q, k, v = self.split(flat, 3, axis=2, sizes=(key_dim, key_dim, head_dim))
        scores = self.node('MatMul', self.node('Transpose', q, perm=[0, 1, 3, 2]), k)
        scores = self.node('Softmax', self.node('Mul', scores, self.constant(key_dim**-0.5)))
        mixed = self.node('MatMul', v, self.node('Transpose', scores, perm=[0, 1, 3, 2]))
        side = self.size // STRIDES[-1]
        mixed = self.reshape(mixed, 1, channels, side, side)
        position = self.conv(
            self.reshape(v, 1, channels, side, side), channels, channels, 3, groups=channels
        )
        attended = self.conv(self.node('Add', mixed, position), channels, channels)
        x = self.node('Add', x, attended)
        wide = self.cbs(x, channels, 2 * channels, 1)
        return str(self.node('Add', x, self.conv(wide, 2 * channels, channels)))

    def c2psa(self, x: str, channels: int) -> str:
        """Add YOLO11's C2PSA."""
        hidden = channels // 2
        a, b = self.split(self.cbs(x, channels, channels, 1), 2, axis=1)
        both = self.node('Concat', a, self.psa(b, hidden), axis=1)
        return self.cbs(both, channels, channels, 1)

    def up(self, x: str) -> str:
        """Add an upsampling by two."""
        return str(
            self.node('Resize', x, '', self.constant([1.0, 1.0, 2.0, 2.0]), mode='nearest',
                      nearest_mode='floor', coordinate_transformation_mode='asymmetric')
        )  # fmt: skip

    def head(
        self, features: Sequence[tuple[str, int]], *, bins: int, depthwise: bool
    ) -> tuple[str, str, int]:
        """Add the branches of the head; return boxes [1, 4, A], scores [1, C, A] and A."""
        box_width = max(self.w, features[0][1] // 4, 4 * bins)
        score_width = max(features[0][1], min(self.classes, 100))
        raw = []
        for x, c in features:
            box = self.cbs(self.cbs(x, c, box_width), box_width, box_width)
            box = self.conv(box, box_width, 4 * bins)
            score = x
            for channels in (c, score_width):
                if depthwise:
                    score = self.cbs(score, channels, channels, groups=channels)
                    score = self.cbs(score, channels, score_width, 1)
                else:
                    score = self.cbs(score, channels, score_width)
            score = self.conv(score, score_width, self.classes)
            raw.append(self.reshape(self.node('Concat', box, score, axis=1), 1,
                                    4 * bins + self.classes, -1))  # fmt: skip
        joined = self.node('Concat', *raw, axis=2)
        box, score = self.split(joined, 2, axis=1, sizes=(4 * bins, self.classes))
        points, strides = self._grid()
        if bins > 1:
            box = self.node('Transpose', self.reshape(box, 1, 4, bins, -1), perm=[0, 2, 1, 3])
            expected = self.constant(np.arange(bins).reshape(1, bins, 1, 1))
            box = self.node('Conv', self.node('Softmax', box, axis=1), expected)
            box = self.reshape(box, 1, 4, -1)
        low, high = self.split(box, 2, axis=1)
        anchor = self.constant(points[None])
        corners = (self.node('Sub', anchor, low), self.node('Add', anchor, high))
        box = self.node('Concat', *corners, axis=1)
        box = self.node('Mul', box, self.constant(strides[None, None]))
        return box, self.node('Sigmoid', score), len(strides)

    def _grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Return cell centers [2, A] and strides [A]."""
        points, strides = [], []
        for stride in STRIDES:
            count = self.size // stride
            y, x = np.mgrid[:count, :count] + 0.5
            points.append(np.stack([x.ravel(), y.ravel()]))
            strides.append(np.full(count * count, stride, np.float32))
        return np.concatenate(points, 1).astype(np.float32), np.concatenate(strides)

    def raw_output(self, box: str, score: str, count: int) -> onnx.ModelProto:
        """Return the model with the output [1, 4 + C, A]."""
        output = self.rename_output(self.node('Concat', box, score, axis=1), 'output0')
        return self.model({output: [1, 4 + self.classes, count]})

    def one_to_one_output(self, box: str, score: str, count: int) -> onnx.ModelProto:
        """Return the model with the output [1, K, 6]: the K best of A by TopK."""
        kept = self.constant([min(300, count)], np.int64)
        best = self.node('ReduceMax', score, axes=[1], keepdims=0)
        _, chosen = self.node('TopK', best, kept, outputs=2)
        rows = []
        for tensor, channels in ((box, 4), (score, self.classes)):
            index = self.node('Unsqueeze', chosen, self.constant([1], np.int64))
            index = self.node('Tile', index, self.constant([1, channels, 1], np.int64))
            rows.append(self.node('GatherElements', tensor, index, axis=2))
        label = self.node('Cast', self.node('ArgMax', rows[1], axis=1), to=onnx.TensorProto.FLOAT)
        score = self.node('ReduceMax', rows[1], axes=[1], keepdims=1)
        table = self.node('Concat', rows[0], score, label, axis=1)
        output = self.rename_output(self.node('Transpose', table, perm=[0, 2, 1]), 'output0')
        return self.model({output: [1, min(300, count), 6]}, metadata={'end2end': 'True'})


def yolov8n_graph(width: int = 16, *, size: int = 640, classes: int = 80) -> onnx.ModelProto:
    """Return the graph of YOLOv8n."""
    g = YoloGraph(width, size=size, classes=classes)
    w = width
    x = g.cbs(g.cbs('images', 3, w, stride=2), w, 2 * w, stride=2)
    x = g.cbs(g.c2f(x, 2 * w, 2 * w, 1, add=True), 2 * w, 4 * w, stride=2)
    p3 = g.c2f(x, 4 * w, 4 * w, 2, add=True)
    p4 = g.c2f(g.cbs(p3, 4 * w, 8 * w, stride=2), 8 * w, 8 * w, 2, add=True)
    p5 = g.c2f(g.cbs(p4, 8 * w, 16 * w, stride=2), 16 * w, 16 * w, 1, add=True)
    p5 = g.sppf(p5, 16 * w)
    n4 = g.c2f(g.node('Concat', g.up(p5), p4, axis=1), 24 * w, 8 * w, 1, add=False)
    n3 = g.c2f(g.node('Concat', g.up(n4), p3, axis=1), 12 * w, 4 * w, 1, add=False)
    m4 = g.node('Concat', g.cbs(n3, 4 * w, 4 * w, stride=2), n4, axis=1)
    m4 = g.c2f(m4, 12 * w, 8 * w, 1, add=False)
    m5 = g.node('Concat', g.cbs(m4, 8 * w, 8 * w, stride=2), p5, axis=1)
    m5 = g.c2f(m5, 24 * w, 16 * w, 1, add=False)
    features = [(n3, 4 * w), (m4, 8 * w), (m5, 16 * w)]
    return g.raw_output(*g.head(features, bins=16, depthwise=False))


def _c3k2_features(g: YoloGraph, *, deep: bool, attention: bool) -> list[tuple[str, int]]:
    """Add backbone and neck of YOLO11 and YOLO26; return the three features."""
    w = g.w
    x = g.cbs(g.cbs('images', 3, w, stride=2), w, 2 * w, stride=2)
    x = g.c3k2(x, 2 * w, 4 * w, c3k=False, e=0.25)
    p3 = g.c3k2(g.cbs(x, 4 * w, 4 * w, stride=2), 4 * w, 8 * w, c3k=False, e=0.25)
    p4 = g.c3k2(g.cbs(p3, 8 * w, 8 * w, stride=2), 8 * w, 8 * w, c3k=True)
    p5 = g.c3k2(g.cbs(p4, 8 * w, 16 * w, stride=2), 16 * w, 16 * w, c3k=True)
    p5 = g.c2psa(g.sppf(p5, 16 * w, add=deep), 16 * w)
    n4 = g.c3k2(g.node('Concat', g.up(p5), p4, axis=1), 24 * w, 8 * w, c3k=deep)
    n3 = g.c3k2(g.node('Concat', g.up(n4), p3, axis=1), 16 * w, 4 * w, c3k=deep)
    m4 = g.node('Concat', g.cbs(n3, 4 * w, 4 * w, stride=2), n4, axis=1)
    m4 = g.c3k2(m4, 12 * w, 8 * w, c3k=deep)
    m5 = g.node('Concat', g.cbs(m4, 8 * w, 8 * w, stride=2), p5, axis=1)
    m5 = g.c3k2(m5, 24 * w, 16 * w, c3k=True, attention=attention)
    return [(n3, 4 * w), (m4, 8 * w), (m5, 16 * w)]


def yolo11n_graph(width: int = 16, *, size: int = 640, classes: int = 80) -> onnx.ModelProto:
    """Return the graph of YOLO11n."""
    g = YoloGraph(width, size=size, classes=classes)
    features = _c3k2_features(g, deep=False, attention=False)
    return g.raw_output(*g.head(features, bins=16, depthwise=True))


def yolo26n_graph(width: int = 16, *, size: int = 640, classes: int = 80) -> onnx.ModelProto:
    """Return a graph like that of YOLO26n: attention in the neck, no DFL, one-to-one head."""
    g = YoloGraph(width, size=size, classes=classes)
    features = _c3k2_features(g, deep=True, attention=True)
    return g.one_to_one_output(*g.head(features, bins=1, depthwise=True))


YOLO_GRAPHS: dict[str, Callable[..., onnx.ModelProto]] = {
    'yolov8n': yolov8n_graph,
    'yolo11n': yolo11n_graph,
    'yolo26n': yolo26n_graph,
}
