# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the precision of a build and apply it by builder flags or by the types in the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TYPE_CHECKING

from ...config import DetectorConfig
from ...errors import CalibrationCacheError, ConfigError
from ...model_info import ModelInfo, prepare_model
from ...quantize import CalibrationCache, read_calibration_cache
from ...values.user_path import expand_user
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
    'split_build_warnings',
]


# Report entry of convolutions without a scale.
_NOT_CALIBRATED = 'not calibrated'


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """
    Precision to build.

    :param precision: 'fp32', 'fp16' or 'int8'.
    :param cache: scales for 'int8', None if the model has Q/DQ nodes.
    :param notes: sentences for the user.
    :param exclude: patterns of nodes that INT8 leaves in floating point.
    :param allows_tf32: whether FP32 layers may run in TF32; not those that FP16 and INT8 leave in
        FP32, which need its precision.
    """

    precision: str
    cache: CalibrationCache | None = None
    notes: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allows_tf32: bool = False

    @property
    def cache_sha256(self) -> str:
        """Return the hash of the calibration cache, '' if there is none."""
        return '' if self.cache is None else self.cache.sha256


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


def choose_precision(
    config: DetectorConfig, model: ModelInfo, *, fast_fp16: bool
) -> PrecisionChoice:
    """
    Choose the precision from the parameters, the model and the device.

    :param config: the parameters.
    :param model: the ONNX file.
    :param fast_fp16: whether the device is faster at FP16 than at FP32.
    :raises ConfigError: if int8 is requested without a calibration cache.
    :raises CalibrationCacheError: if the cache file exists and cannot be read.
    """
    wanted = config.precision
    text = config.calib_cache_path
    path = expand_user(text) if text else None
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
                    f'calib_cache_path {text!r} does not exist, so the engine is '
                    f'{wanted.upper()}, not INT8; create the file with "ros2 run trt_detector '
                    'calibrate", or leave the parameter empty'
                )
                notes = (note,)
    elif wanted == 'int8' and path is None:
        raise ConfigError(
            "precision is 'int8', but calib_cache_path is empty and the model has no Q/DQ nodes; "
            'create a calibration cache with "ros2 run trt_detector calibrate" and set it'
        )
    if wanted != 'int8' or path is None:
        return PrecisionChoice(
            wanted, notes=notes, allows_tf32=(config.precision, wanted) == ('auto', 'fp32')
        )
    cache = read_calibration_cache(path)
    return PrecisionChoice('int8', cache, notes, config.quantize_exclude)


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


def _quantized_notes(wanted: str, path: Path | None, model: ModelInfo) -> tuple[str, ...]:
    """Make the notes for a model that has Q/DQ nodes."""
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


def split_build_warnings(details: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Split the report entries of a build into entries, and warnings for each start."""
    entries = {name: text for name, text in details.items() if name != _NOT_CALIBRATED}
    return entries, tuple(text for name, text in details.items() if name == _NOT_CALIBRATED)


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


def set_precision_flags(library: TensorRTLibrary, builder_config: Any, precision: str) -> None:
    """
    Set the precision flags of TensorRT up to 10; INT8 includes FP16.

    :raises BackendUnavailableError: if this version does not have the flag.
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


def _computes_floats(layer: Any, float_types: tuple[Any, ...]) -> bool:
    """Return whether all outputs of a layer are floating-point execution tensors."""
    outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
    return bool(outputs) and all(
        tensor.dtype in float_types and not tensor.is_shape_tensor for tensor in outputs
    )
