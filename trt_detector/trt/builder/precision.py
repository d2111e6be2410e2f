# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Which precision is built, and the two ways to it: builder flags, or the network's own types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import hashlib
from pathlib import Path
from typing import Any, TYPE_CHECKING

from ...config import DetectorConfig
from ...errors import CalibrationCacheError, ConfigError
from ...model_info import ModelInfo, prepare_model
from ...quantize import CalibrationCache, read_calibration_cache
from ..library import TensorRTLibrary

if TYPE_CHECKING:
    import onnx

__all__ = [
    'PrecisionChoice',
    'PreparedModel',
    'choose_precision',
    'pin_layer_precision',
    'prepare_network',
    'set_precision_flags',
]


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """
    The precision to build.

    :param precision: 'fp32', 'fp16' or 'int8'.
    :param cache: the scales for 'int8', None where the model brings its own.
    :param cache_sha256: of the cache file, '' without one.
    :param notes: sentences that the user has to see.
    :param exclude: patterns of nodes that INT8 leaves in float.
    """

    precision: str
    cache: CalibrationCache | None = None
    cache_sha256: str = ''
    notes: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """
    A model as the parser gets it.

    :param data: ONNX bytes.
    :param path: the file that external data lies beside, None where there is none.
    :param half_layers: layers to hold at FP16 by the builder.
    :param float_layers: layers to hold at FP32 by the builder.
    :param details: facts for the manifest.
    """

    data: bytes
    path: Path | None
    half_layers: frozenset[str] = frozenset()
    float_layers: frozenset[str] = frozenset()
    details: Mapping[str, str] = field(default_factory=dict)


def choose_precision(
    config: DetectorConfig, model: ModelInfo, *, fast_fp16: bool
) -> PrecisionChoice:
    """
    Return the precision that the parameters, the model and the device lead to.

    :param fast_fp16: whether the device is faster at FP16 than at FP32.
    :raises ConfigError: if int8 is asked for without a calibration cache.
    :raises CalibrationCacheError: if there is a cache file and it cannot be read.
    """
    wanted = config.precision
    text = config.calib_cache_path
    path = Path(text).expanduser() if text else None
    if model.precision == 'int8':
        return PrecisionChoice('int8', notes=_quantized_notes(wanted, path, model))
    if model.precision == 'fp16' and wanted != 'int8':
        note = f'precision is fp32, but {model.path.name} has FP16 weights: it runs in FP16'
        return PrecisionChoice('fp16', notes=(note,) if wanted == 'fp32' else ())
    notes: tuple[str, ...] = ()
    if wanted == 'auto':
        if path is not None and path.is_file():
            wanted = 'int8'
        else:
            wanted = 'fp16' if fast_fp16 else 'fp32'
            if path is not None:
                note = (
                    f'calib_cache_path {text!r} names no file, so the engine is '
                    f'{wanted.upper()}, not INT8; make the file with "ros2 run trt_detector '
                    'calibrate", or leave the parameter empty'
                )
                notes = (note,)
    elif wanted == 'int8' and path is None:
        raise ConfigError(
            "precision is 'int8', but calib_cache_path is empty and the model has no Q/DQ nodes; "
            'make a calibration cache with "ros2 run trt_detector calibrate" and name it there'
        )
    if wanted != 'int8' or path is None:
        return PrecisionChoice(wanted, notes=notes)
    cache = read_calibration_cache(path)
    return PrecisionChoice('int8', cache, _sha256(path), notes, config.quantize_exclude)


def prepare_network(
    library: TensorRTLibrary,
    model: ModelInfo,
    choice: PrecisionChoice,
    input_size: tuple[int, int],
) -> PreparedModel:
    """
    Return the model as this TensorRT has to get it for a precision, with the image as only input.

    A TensorRT with precision flags gets the model as it is, and the names of the layers that
    stay at a higher precision. One without takes the types in the network as they are: there
    the network is converted, INT8 with the scales of the same cache.

    :param input_size: (height, width) that the network runs at.
    :raises CalibrationCacheError: if no entry of the cache names a tensor of the network.
    :raises ModelError: if the network cannot be converted.
    """
    data = prepare_model(model, input_size)
    plain = PreparedModel(data, model.path if model.external_data else None)
    if model.precision == choice.precision and choice.cache is None:
        return plain
    proto = _load(model, data)
    matched = _check_cache(model, proto, choice.cache) if choice.cache is not None else {}
    if library.has_precision_flags:
        return _with_layer_precisions(plain, proto, choice, matched)
    return _converted(proto, choice, matched)


def _load(model: ModelInfo, data: bytes) -> onnx.ModelProto:
    """
    Return the network in the bytes of a prepared model, its external data included.

    :raises ModelError: if the external data cannot be read.
    """
    if model.target_sizes_input is None:
        from ...quantize.model_file import load_onnx

        return load_onnx(model.path)
    import onnx

    proto = onnx.load_model_from_string(data)
    if model.external_data:
        onnx.external_data_helper.load_external_data_for_model(proto, str(model.path.parent))
    return proto


def _quantized_notes(wanted: str, path: Path | None, model: ModelInfo) -> tuple[str, ...]:
    """Return what to say of a model that has Q/DQ nodes already."""
    notes = []
    if wanted not in ('auto', 'int8'):
        notes.append(
            f'precision is {wanted}, but {model.path.name} is quantized (it has Q/DQ nodes): it '
            'runs in INT8'
        )
    if path is not None:
        notes.append(
            f'calib_cache_path is not used: {model.path.name} has Q/DQ nodes with its own scales'
        )
    return tuple(notes)


def _sha256(path: Path) -> str:
    """Return the hash of a calibration cache file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_cache(
    model: ModelInfo, proto: onnx.ModelProto, cache: CalibrationCache
) -> dict[str, str]:
    """
    Return how much of a cache fits a network, for the manifest.

    :raises CalibrationCacheError: if nothing does.
    """
    from ...quantize.graph_index import tensor_names

    names = tensor_names(proto)
    matched = len(cache.matching(names).scales)
    if not matched:
        raise CalibrationCacheError(
            f'none of the {len(cache.scales)} entries of the calibration cache '
            f'({", ".join(list(cache.scales)[:3])}, ...) names one of the {len(names)} tensors of '
            f'{model.path.name} ({", ".join(sorted(names)[:3])}, ...); calibrate this very file'
        )
    return {'calibration': f'{matched} of {len(cache.scales)} entries of the cache name a tensor'}


def _with_layer_precisions(
    plain: PreparedModel,
    proto: onnx.ModelProto,
    choice: PrecisionChoice,
    details: dict[str, str],
) -> PreparedModel:
    """Return the model's own file and the layers that the builder holds at higher precision."""
    from ...quantize.graph import analyse_head
    from ...quantize.graph_index import match_nodes

    if choice.precision == 'fp32':
        return plain
    head = analyse_head(proto)
    half: frozenset[str] = frozenset()
    if choice.precision == 'int8':
        half = (head.tail_nodes | match_nodes(proto, choice.exclude)) - head.decode_nodes
    return PreparedModel(plain.data, plain.path, half, head.decode_nodes, details)


def _converted(
    proto: onnx.ModelProto, choice: PrecisionChoice, details: dict[str, str]
) -> PreparedModel:
    """Return the network converted to the precision, as one ONNX file."""
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
    if choice.precision != 'fp32':
        proto = convert_to_fp16(proto)
    return PreparedModel(serialize_onnx(proto), None, details=details)


def set_precision_flags(library: TensorRTLibrary, builder_config: Any, precision: str) -> None:
    """
    Tell a TensorRT up to 10 which precisions it may use; INT8 always beside FP16.

    :raises BackendUnavailableError: if this version lacks the flag.
    """
    if precision in ('fp16', 'int8'):
        builder_config.set_flag(library.enum('BuilderFlag', 'FP16'))
    if precision == 'int8':
        builder_config.set_flag(library.enum('BuilderFlag', 'INT8'))


def pin_layer_precision(
    library: TensorRTLibrary,
    builder_config: Any,
    network: Any,
    prepared: PreparedModel,
    *,
    obey: bool,
) -> int:
    """
    Hold the layers of the prepared model at their precision; return how many there are.

    :param obey: fail the build rather than take another precision.
    """
    half = library.enum('DataType', 'HALF')
    single = library.enum('DataType', 'FLOAT')
    held = 0
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        name = layer.name
        wanted = half if name in prepared.half_layers else single
        if name in prepared.half_layers | prepared.float_layers and _computes_floats(
            layer, (half, single)
        ):
            # By name and through the base class: casts to a layer's own class fail in TensorRT 10.
            layer.precision = wanted
            held += 1
    if held:
        must = library.enum('BuilderFlag', 'OBEY_PRECISION_CONSTRAINTS')
        may = library.enum('BuilderFlag', 'PREFER_PRECISION_CONSTRAINTS')
        builder_config.set_flag(must if obey else may)
    return held


def _computes_floats(layer: Any, float_types: tuple[Any, ...]) -> bool:
    """Return whether all outputs of a layer are floating-point tensors of the execution."""
    outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
    return bool(outputs) and all(
        tensor.dtype in float_types and not tensor.is_shape_tensor for tensor in outputs
    )
