#!/usr/bin/env python3
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Export a checkpoint to two ONNX files: with a raw output, and with an end-to-end output."""

import argparse
import json
from pathlib import Path
from typing import Any

from inference import Model
import numpy as np
import onnx
from scenes import CLASS_NAMES, render_scene
from splits import VAL_SEEDS
import torch
from torch import nn, Tensor
from trainer.network import decode_boxes, DemoDetector, grid_points

__all__ = ['EndToEndLayout', 'export', 'main', 'Raw']

_MOST = 300
_MAX_BYTES = 3_000_000
_MODELS = Path(__file__).parent / 'models'


class Raw(nn.Module):
    """(batch, 4 + classes, points): cx, cy, w, h in pixels and the scores of all classes."""

    def __init__(self, network: DemoDetector, size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.points: Tensor
        self.strides: Tensor
        points, strides = grid_points(*size)
        self.register_buffer('points', points)
        self.register_buffer('strides', strides)

    def forward(self, images: Tensor) -> Tensor:
        output = self.network.many(self.network.features(images))
        boxes = decode_boxes(output.distances, self.points, self.strides)
        low, high = boxes[..., :2], boxes[..., 2:]
        rows = torch.cat([(low + high) / 2, high - low, output.scores.sigmoid()], -1)
        return rows.transpose(1, 2)


class EndToEndLayout(Raw):
    """(batch, 300, 6): x1, y1, x2, y2 in pixels, score and class, best score first."""

    def forward(self, images: Tensor) -> Tensor:
        output = self.network.one(self.network.features(images))
        boxes = decode_boxes(output.distances, self.points, self.strides)
        best, kind = output.scores.sigmoid().max(-1)
        top, index = best.topk(_MOST, dim=1)
        rows = torch.cat([boxes, kind[..., None].to(boxes.dtype)], -1)
        rows = rows.gather(1, index[..., None].expand(-1, -1, 5))
        return torch.cat([rows[..., :4], top[..., None], rows[..., 4:]], -1)


def _fused(network: DemoDetector) -> DemoDetector:
    """Fold every batch normalization into the convolution before it."""
    for module in network.modules():
        if (
            isinstance(module, nn.Sequential)
            and len(module) == 3
            and isinstance(module[1], nn.BatchNorm2d)
        ):
            module[0] = torch.nn.utils.fuse_conv_bn_eval(module[0], module[1])
            module[1] = nn.Identity()
    return network


def _metadata(size: tuple[int, int], end2end: bool) -> dict[str, str]:
    kind = 'one-to-one heads, no suppression needed' if end2end else 'needs suppression'
    return {
        'description': f'trt_detector demo model, trained on drawn scenes ({kind})',
        'author': 'trt_detector',
        'license': 'Apache-2.0',
        'version': '1.0.0',
        'task': 'detect',
        'stride': '32',
        'batch': '1',
        'imgsz': str(list(size)),
        'names': str(dict(enumerate(CLASS_NAMES))),
        'end2end': str(end2end),
    }


def _write(model: nn.Module, size: tuple[int, int], path: Path, end2end: bool) -> None:
    example = torch.zeros(2, 3, *size)
    torch.onnx.export(
        model,
        (example,),
        str(path),
        opset_version=17,
        dynamo=False,
        input_names=['images'],
        output_names=['output0'],
        dynamic_axes={'images': {0: 'batch'}, 'output0': {0: 'batch'}},
    )
    proto = onnx.load(str(path))
    shape = proto.graph.output[0].type.tensor_type.shape
    wanted = [
        'batch',
        *((_MOST, 6) if end2end else (4 + len(CLASS_NAMES), model(example).shape[2])),
    ]
    for dim, value in zip(shape.dim, wanted, strict=True):
        if isinstance(value, str):
            dim.dim_param = value
        else:
            dim.dim_value = value
    onnx.helper.set_model_props(proto, _metadata(size, end2end))
    proto.doc_string = ''
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(path))
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(
            f'{path} has {path.stat().st_size} bytes, at most {_MAX_BYTES} are '
            'wanted: make the network narrower'
        )


def _difference(model: nn.Module, path: Path, batch: int) -> float:
    """
    Return the largest absolute difference between PyTorch's and ONNX Runtime's rows.

    Scenes of the validation set are the input. Of the end-to-end rows those that score at least
    0.01 count (half of the best one, if none does): below that, rounding decides which of two
    equal scores comes first.
    """
    runner = Model(path)
    images = np.stack(
        [runner.letterbox(render_scene(seed).image_bgr)[0] for seed in VAL_SEEDS[:batch]]
    )
    found = runner.run(images)
    with torch.no_grad():
        wanted = model(torch.from_numpy(images)).numpy()
    if runner.end2end:
        sure = wanted[..., 4] >= min(0.01, wanted[..., 4].max() / 2)
        found, wanted = found[sure], wanted[sure]
    return float(np.abs(found - wanted).max())


def export(checkpoint: Path, folder: Path) -> dict[str, Any]:
    """Write both files to `folder`; return sizes and differences to PyTorch."""
    saved = torch.load(checkpoint, map_location='cpu', weights_only=True)
    height, width = saved['info']['input_size']
    network = DemoDetector(len(CLASS_NAMES))
    network.load_state_dict(saved['state'])
    network = _fused(network.eval())
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {}
    for name, kind in (('demo_end2end', EndToEndLayout), ('demo_raw', Raw)):
        model = kind(network, (height, width)).eval()
        path = folder / f'{name}.onnx'
        _write(model, (height, width), path, kind is EndToEndLayout)
        report[name] = {
            'bytes': path.stat().st_size,
            'max_abs_difference_to_torch': {
                str(batch): _difference(model, path, batch) for batch in (1, 4)
            },
        }
    return report


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--checkpoint', type=Path, required=True)
    parser.add_argument('--out', type=Path, default=_MODELS, help='folder for the ONNX files')
    parser.add_argument('--json', type=Path, help='file for sizes and differences')
    options = parser.parse_args()
    text = json.dumps(export(options.checkpoint, options.out), indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + '\n')


if __name__ == '__main__':
    main()
