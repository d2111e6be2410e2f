# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare a model for the parser of a TensorRT version, in the precision of the build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TYPE_CHECKING

from ...errors import CalibrationCacheError
from ...model_info import ModelInfo, prepare_model
from ..library import TensorRTLibrary
from .precision import PrecisionChoice

if TYPE_CHECKING:
    import onnx

__all__ = [
    'PreparedModel',
    'pin_layer_precision',
    'prepare_network',
    'split_build_warnings',
]

# Report entry of convolutions without a scale.
_NOT_CALIBRATED = 'not calibrated'


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """
    Model as it is passed to the parser.

    :param data: ONNX bytes.
    :param path: file whose folder holds the external data, None if there is none.
    :param half_layers: layers that the builder has to keep at FP16.
    :param float_layers: layers that the builder has to keep at FP32.
    :param details: report entries for the manifest.
    """

    data: bytes
    path: Path | None
    half_layers: frozenset[str] = frozenset()
    float_layers: frozenset[str] = frozenset()
    details: Mapping[str, str] = field(default_factory=dict)


def prepare_network(
    library: TensorRTLibrary,
    model: ModelInfo,
    choice: PrecisionChoice,
    input_size: tuple[int, int],
) -> PreparedModel:
    """
    Prepare a model for the parser of a TensorRT version, with the image as its only input.

    If the version has precision flags, the network is unchanged, and the layers to keep at a
    higher precision are listed. Otherwise the types in the network decide the precision, so the
    network is converted, INT8 with the scales of the calibration cache.

    :param library: the library that parses it.
    :param model: the ONNX file.
    :param choice: the precision.
    :param input_size: (height, width) that the network runs at.
    :raises CalibrationCacheError: if no entry of the cache matches a tensor of the network.
    :raises ModelError: if the network cannot be converted, or the file changed on disk.
    """
    data = prepare_model(model, input_size)
    plain = PreparedModel(data, model.path if model.external_data else None)
    if model.precision == choice.precision != 'int8':
        return plain
    from ...quantize.model_file import load_onnx_bytes

    proto = load_onnx_bytes(data, model.path.parent)
    if choice.precision == 'int8' and choice.cache is None:
        return _with_own_scales(library, plain, proto)
    matched = _check_cache(model, proto, choice) if choice.cache is not None else {}
    if library.has_precision_flags:
        return _with_layer_precisions(plain, proto, choice, matched)
    return _converted(library, proto, choice, matched)


def split_build_warnings(details: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Split the report entries of a build into entries, and warnings for each start."""
    entries = {name: text for name, text in details.items() if name != _NOT_CALIBRATED}
    return entries, tuple(text for name, text in details.items() if name == _NOT_CALIBRATED)


def pin_layer_precision(
    library: TensorRTLibrary,
    builder_config: Any,
    network: Any,
    prepared: PreparedModel,
    *,
    strict: bool,
) -> int:
    """
    Set the precision of the layers that the prepared model lists.

    :param library: the library that builds.
    :param builder_config: IBuilderConfig to set the constraint flag in.
    :param network: INetworkDefinition of the prepared model.
    :param prepared: the model with the names of its layers.
    :param strict: whether the build fails if a layer cannot run at its precision.
    :return: number of layers that were set.
    """
    half = library.enum('DataType', 'HALF')
    single = library.enum('DataType', 'FLOAT')
    pinned = 0
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        name = layer.name
        wanted = half if name in prepared.half_layers else single
        if name in prepared.half_layers | prepared.float_layers and _computes_floats(
            layer, (half, single)
        ):
            # Set on the base class: casts to the class of a layer fail in TensorRT 10.
            layer.precision = wanted
            for output in range(layer.num_outputs):
                layer.set_output_type(output, wanted)
            pinned += 1
    if pinned:
        obey = library.enum('BuilderFlag', 'OBEY_PRECISION_CONSTRAINTS')
        prefer = library.enum('BuilderFlag', 'PREFER_PRECISION_CONSTRAINTS')
        builder_config.set_flag(obey if strict else prefer)
    return pinned


def _check_cache(
    model: ModelInfo, proto: onnx.ModelProto, choice: PrecisionChoice
) -> dict[str, str]:
    """
    Count the tensors and convolutions that a cache has scales for, as report entries.

    :raises CalibrationCacheError: if it has none for a tensor, or for too few convolutions.
    """
    from ...quantize.coverage import measure_coverage
    from ...quantize.graph_index import match_nodes, tensor_names

    cache = choice.cache
    if cache is None:
        return {}
    names = tensor_names(proto)
    matched = len(cache.matching(names).scales)
    if not matched:
        raise CalibrationCacheError(
            f'none of the {len(cache.scales)} entries of the calibration cache '
            f'({", ".join(list(cache.scales)[:3])}, ...) matches one of the {len(names)} tensors '
            f'of {model.path.name} ({", ".join(sorted(names)[:3])}, ...); calibrate this file'
        )
    coverage = measure_coverage(proto, cache, match_nodes(proto, choice.exclude))
    coverage.check()
    entries = {
        'calibration': f'{matched} of {len(cache.scales)} entries of the cache match a tensor'
    }
    if coverage.warning:
        entries[_NOT_CALIBRATED] = coverage.warning
    return entries


def _with_own_scales(
    library: TensorRTLibrary, plain: PreparedModel, proto: onnx.ModelProto
) -> PreparedModel:
    """Prepare a network with Q/DQ nodes: biases in float, the float layers in FP16."""
    from ...quantize.channel_scales import move_channel_scales
    from ...quantize.model_file import serialize_onnx
    from ...quantize.precision_fp16 import convert_to_fp16
    from ...quantize.qat import fold_constants

    folded = fold_constants(proto)
    if not library.has_channel_scales:
        move_channel_scales(proto)
    if not library.has_precision_flags:
        return PreparedModel(serialize_onnx(convert_to_fp16(proto)), None)
    return PreparedModel(serialize_onnx(proto), None) if folded else plain


def _with_layer_precisions(
    plain: PreparedModel,
    proto: onnx.ModelProto,
    choice: PrecisionChoice,
    details: dict[str, str],
) -> PreparedModel:
    """List the layers that the builder has to keep at a higher precision."""
    from ...quantize.graph import analyse_head
    from ...quantize.graph_index import match_nodes

    if choice.precision == 'fp32':
        return plain
    head = analyse_head(proto)
    half: frozenset[str] = frozenset()
    if choice.precision == 'int8':
        kept = head.output_convolutions | match_nodes(proto, choice.exclude)
        half = (head.tail_nodes | kept) - head.decode_nodes
    return PreparedModel(plain.data, plain.path, half, head.decode_nodes, details)


def _converted(
    library: TensorRTLibrary,
    proto: onnx.ModelProto,
    choice: PrecisionChoice,
    details: dict[str, str],
) -> PreparedModel:
    """Convert the network to the precision, as one ONNX file."""
    from ...quantize.channel_scales import move_channel_scales
    from ...quantize.graph_index import match_nodes
    from ...quantize.model_file import serialize_onnx
    from ...quantize.precision_fp16 import convert_to_fp16
    from ...quantize.qdq import insert_qdq

    if choice.cache is not None:
        exclude = sorted(match_nodes(proto, choice.exclude))
        result = insert_qdq(proto, choice.cache, exclude=exclude)
        details['quantized'] = f'{len(result.quantized_nodes)} layers'
        if result.skipped:
            details['not quantized'] = f'{len(result.skipped)} layers'
        proto = result.model
        if not library.has_channel_scales:
            move_channel_scales(proto)
    if choice.precision != 'fp32':
        proto = convert_to_fp16(proto)
    return PreparedModel(serialize_onnx(proto), None, details=details)


def _computes_floats(layer: Any, float_types: tuple[Any, ...]) -> bool:
    """Return whether all outputs of a layer are floating-point execution tensors."""
    outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
    return bool(outputs) and all(
        tensor.dtype in float_types and not tensor.is_shape_tensor for tensor in outputs
    )
