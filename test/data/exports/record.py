# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Record what recognition uses of ONNX files, without their weights.

    PYTHONPATH=. python3 test/data/exports/record.py FOLDER_WITH_ONNX_FILES

writes one JSON file a model beside this script: inputs, outputs, operators, the operators of each
output's tail, the metadata that matter and the number of class names. The README in this folder
tells which exporters wrote the models that are recorded.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys
from typing import Any

from trt_detector.model_info import ModelInfo, read_model_info
from trt_detector.tensor_spec import TensorSpec

_METADATA = (
    'args', 'batch', 'description', 'end2end', 'head', 'imgsz', 'kpt_shape', 'stride', 'task',
)  # fmt: skip


def main() -> None:
    """Record every ONNX file of the folder that the first argument names."""
    for path in sorted(Path(sys.argv[1]).glob('*.onnx')):
        facts = _facts(read_model_info(path))
        target = Path(__file__).with_name(f'{path.stem}.json')
        lines = [f'  {json.dumps(key)}: {json.dumps(value)}' for key, value in facts.items()]
        target.write_text('{\n' + ',\n'.join(lines) + '\n}\n', encoding='utf-8')
        print(target.name)


def _facts(info: ModelInfo) -> dict[str, Any]:
    """Return what is recorded of a model."""
    return {
        'inputs': [_tensor(spec) for spec in info.inputs],
        'outputs': [_tensor(spec) for spec in info.outputs],
        'metadata': {key: info.metadata[key] for key in _METADATA if key in info.metadata},
        'input_size': info.input_size,
        'num_names': None if info.class_names is None else len(info.class_names),
        'operators': sorted(info.operators),
        'tails': {name: sorted(tail) for name, tail in info.tails.items()},
    }


def _tensor(spec: TensorSpec) -> list[Any]:
    """Return name, shape and dtype."""
    return [spec.name, list(spec.shape), spec.dtype.name]


if __name__ == '__main__':
    main()
