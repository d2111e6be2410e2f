# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Files with local functions, as exporters of PyTorch 2 write them."""

from __future__ import annotations

from pathlib import Path
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import pytest
from trt_detector.errors import ModelError
from trt_detector.model_info.local_functions import inline_functions
from trt_detector.model_info.read import read_model_info

DOMAIN = 'pkg.torch'


def _function(name: str, *calls: tuple[str, str]) -> onnx.FunctionProto:
    """Make a function of one input that applies (domain, operator) after each other."""
    nodes = [
        helper.make_node(kind, [f'x{n}'], [f'x{n + 1}'], domain=domain)
        for n, (domain, kind) in enumerate(calls)
    ]
    imports = [helper.make_opsetid('', 17), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_function(DOMAIN, name, ['x0'], [f'x{len(calls)}'], nodes, imports)


def _model(functions: list[onnx.FunctionProto], nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        'g',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, (1, 3, 32, 32))],
        [helper.make_tensor_value_info('out', TensorProto.FLOAT, (1, 3, 32, 32))],
        [numpy_helper.from_array(np.array(255, np.float32), 'white')],
    )
    imports = [helper.make_opsetid('', 17), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=imports, functions=functions)
    model.ir_version = 8
    return model


def test_operators_inside_functions_are_read(tmp_path: Path) -> None:
    divide = helper.make_function(
        DOMAIN, 'scale', ['a', 'b'], ['c'], [helper.make_node('Div', ['a', 'b'], ['c'])],
        [helper.make_opsetid('', 17)],
    )  # fmt: skip
    nodes = [
        helper.make_node('scale', ['images', 'white'], ['shares'], domain=DOMAIN),
        helper.make_node('outer', ['shares'], ['out'], domain=DOMAIN),
    ]
    functions = [
        divide,
        _function('outer', (DOMAIN, 'inner'), ('', 'Exp')),
        _function('inner', ('', 'Sigmoid')),
    ]
    onnx.save(_model(functions, nodes), tmp_path / 'm.onnx')
    info = read_model_info(tmp_path / 'm.onnx')
    assert info.tails['out'] == {'Div', 'Sigmoid', 'Exp'}
    assert info.input_pixels.maximum == 255


def test_functions_that_stand_for_too_many_nodes_stay() -> None:
    functions = [_function('f0', *[('', 'Exp')] * 2)]
    functions += [_function(f'f{n}', *[(DOMAIN, f'f{n - 1}')] * 2) for n in range(1, 40)]
    nodes = [helper.make_node('f39', ['images'], ['out'], domain=DOMAIN)]
    model = _model(functions, nodes)
    assert inline_functions(model) is model


@pytest.mark.parametrize('calls', [[(DOMAIN, 'f')], [(DOMAIN, 'missing')]])
def test_functions_that_are_broken_are_left_to_the_runtime(calls: list[tuple[str, str]]) -> None:
    nodes = [helper.make_node('f', ['images'], ['out'], domain=DOMAIN)]
    model = _model([_function('f', *calls)], nodes)
    assert [node.op_type for node in inline_functions(model).graph.node][:1] in (
        ['f'],
        [calls[0][1]],
    )


def test_an_old_onnx_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [helper.make_node('f', ['images'], ['out'], domain=DOMAIN)]
    model = _model([_function('f', ('', 'Exp'))], nodes)
    monkeypatch.setitem(sys.modules, 'onnx.inliner', None)
    monkeypatch.delattr(onnx, 'inliner', raising=False)
    with pytest.raises(ModelError, match=r'1 local functions, which onnx reads from 1\.16 on'):
        inline_functions(model)
