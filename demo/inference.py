# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Run a demo model with ONNX Runtime, independently of the package `trt_detector`."""

import ast
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
import onnxruntime

__all__ = ['Boxes', 'Model']

_PAD = 114
_IOU = 0.7


@dataclass(frozen=True, slots=True)
class Boxes:
    """Detections: (n, 4) x1, y1, x2, y2 in picture pixels, (n,) scores and class indices."""

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]


def _suppress(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], classes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the indices that class-wise non-maximum suppression keeps, best first."""
    shifted = boxes + (classes * 10000.0)[:, None].astype(np.float32)
    sides = np.concatenate([shifted[:, :2], shifted[:, 2:] - shifted[:, :2]], 1)
    kept = cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), 0.0, _IOU)
    return np.asarray(kept, np.int64).reshape(-1)


class Model:
    """
    A demo model on the CPU.

    :param path: an ONNX file that export.py wrote.
    :param threads: threads of ONNX Runtime; 0 lets it choose.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=['CPUExecutionProvider']
        )
        info = self._session.get_modelmeta().custom_metadata_map
        self.names: dict[int, str] = ast.literal_eval(info['names'])
        self.end2end = info['end2end'] == 'True'
        self.height, self.width = self._session.get_inputs()[0].shape[2:]

    def letterbox(
        self, image_bgr: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], float, tuple[int, int]]:
        """
        Letterbox an image: scale it into the input, centered on gray.

        :param image_bgr: (h, w, 3) uint8.
        :return: (3, height, width) float32 RGB in 0..1, the scale, and left and top padding.
        """
        rows, cols = image_bgr.shape[:2]
        scale = min(self.width / cols, self.height / rows)
        wide, high = round(cols * scale), round(rows * scale)
        left, top = (self.width - wide) // 2, (self.height - high) // 2
        canvas = np.full((self.height, self.width, 3), _PAD, np.uint8)
        canvas[top : top + high, left : left + wide] = cv2.resize(
            image_bgr, (wide, high), interpolation=cv2.INTER_LINEAR
        )
        pixels = canvas[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255
        return np.ascontiguousarray(pixels), scale, (left, top)

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run (batch, 3, height, width) letterboxed pictures; return the output as it is."""
        output: NDArray[np.float32] = self._session.run(None, {'images': images})[0]
        return output

    def detect(
        self, image_bgr: NDArray[np.uint8], threshold: float = 0.001, most: int = 100
    ) -> Boxes:
        """Return at most `most` detections above `threshold`, best first."""
        pixels, scale, offset = self.letterbox(image_bgr)
        rows = self.run(pixels[None])[0]
        found = self._decode_rows(rows) if self.end2end else self._decode_raw(rows, threshold)
        keep = np.flatnonzero(found.scores >= threshold)[:most]
        boxes = (found.xyxy[keep] - np.array(offset * 2, np.float32)) / np.float32(scale)
        limit = np.array([image_bgr.shape[1], image_bgr.shape[0]] * 2, np.float32)
        return Boxes(np.clip(boxes, 0, limit), found.scores[keep], found.classes[keep])

    @staticmethod
    def _decode_rows(rows: NDArray[np.float32]) -> Boxes:
        return Boxes(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))

    @staticmethod
    def _decode_raw(rows: NDArray[np.float32], threshold: float) -> Boxes:
        scores, classes = rows[4:].max(0), rows[4:].argmax(0)
        able = np.flatnonzero(scores >= threshold)
        center, half = rows[:2, able].T, rows[2:4, able].T / 2
        boxes = np.concatenate([center - half, center + half], 1)
        kept = _suppress(boxes, scores[able], classes[able])
        return Boxes(boxes[kept], scores[able][kept], classes[able][kept])
