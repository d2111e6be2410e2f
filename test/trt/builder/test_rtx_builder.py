# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The real builder and parser of TensorRT for RTX, which work without a GPU."""

from __future__ import annotations

from collections import Counter
import os
from pathlib import Path
import signal
import threading
import time
from typing import Any

import onnx
import pytest
from support import networks
from support.profiles import check_rejected_profiles
from support.requirements import require_rtx_builder
from trt_detector.config import DetectorConfig
from trt_detector.errors import BuildCancelledError, BuildError, CalibrationCacheError, ConfigError
from trt_detector.model_info import is_plan, read_model_info
from trt_detector.quantize.graph import analyse_head
from trt_detector.trt.builder.build_plan import BuildOutcome
from trt_detector.trt.builder.make_plan import build_once
from trt_detector.trt.builder.parser import parse_network
from trt_detector.trt.builder.precision import choose_precision
from trt_detector.trt.builder.prepared_model import prepare_network
from trt_detector.trt.builder.request import BuildTarget
from trt_detector.trt.library import load_library, TensorRTLibrary
from trt_detector.trt.logger import LogLines, make_logger
from trt_detector.trt.start import create_builder
from trt_detector.values.progress import Progress

DEMO = Path(__file__).parents[3] / 'demo' / 'models'
MAGIC = b'vtrt'
TARGET = (8, 6)
DYNAMIC = {'min_shape': (1, 3, 32, 32), 'opt_shape': (2, 3, 64, 64), 'max_shape': (4, 3, 96, 128)}


@pytest.fixture(scope='module')
def library() -> TensorRTLibrary:
    """Return the library, or skip."""
    require_rtx_builder()
    return load_library('tensorrt_rtx')


def build(path: Path, **values: Any) -> BuildOutcome:
    """Build for a GPU that is not here."""
    hooks = {name: values.pop(name, None) for name in ('on_progress', 'cancel')}
    config = DetectorConfig.from_mapping({'backend': 'tensorrt_rtx', **values})
    return build_once(
        config, read_model_info(path), batch_size=4, target=BuildTarget(TARGET), **hooks
    )


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
@pytest.mark.parametrize('name', ['demo_end2end.onnx', 'demo_raw.onnx'])
def test_the_demo_model_builds(
    name: str, precision: str, library: TensorRTLibrary, tmp_path: Path
) -> None:
    model = DEMO / name
    cache = networks.write_cache(tmp_path / 'demo.cache', model)
    path = str(cache) if precision == 'int8' else ''
    outcome = build(model, precision=precision, calib_cache_path=path)
    assert outcome.plan.startswith(MAGIC)
    assert outcome.precision == precision
    assert len(outcome.plan) > 1_000_000
    if precision == 'int8':
        assert int(outcome.details['quantized'].split()[0]) > 20


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
@pytest.mark.parametrize('size', [(64, 64), ('h', 'w')], ids=['dynamic batch', 'dynamic size'])
def test_a_yolo_head_with_dfl_builds(
    size: tuple[Any, Any], precision: str, library: TensorRTLibrary, tmp_path: Path
) -> None:
    model = networks.yolo(tmp_path / 'yolo.onnx', size=size)
    cache = networks.write_cache(tmp_path / 'yolo.cache', model)
    shapes = DYNAMIC if size == ('h', 'w') else {}
    path = str(cache) if precision == 'int8' else ''
    outcome = build(model, precision=precision, calib_cache_path=path, **shapes)
    assert outcome.plan.startswith(MAGIC)
    assert outcome.details.get('quantized', '') == ('4 layers' if precision == 'int8' else '')


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
def test_the_parser_sees_the_types_of_the_precision(
    precision: str, library: TensorRTLibrary, tmp_path: Path
) -> None:
    model = read_model_info(networks.yolo(tmp_path / 'yolo.onnx'))
    cache = networks.write_cache(tmp_path / 'yolo.cache', model.path)
    config = DetectorConfig(
        precision=precision, calib_cache_path=str(cache) if precision == 'int8' else ''
    )
    choice = choose_precision(config, model, fast_fp16=True)
    prepared = prepare_network(library, model, choice, (64, 64))
    lines = LogLines()
    logger = make_logger(library, lines)
    builder = library.trt.Builder(logger)
    network = parse_network(library, builder, prepared.data, prepared.path, logger, lines)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    kinds = Counter(layer.type.name for layer in layers)
    convolutions = [
        layer.get_output(0).dtype.name for layer in layers if layer.type.name == 'CONVOLUTION'
    ]
    # The weights of four convolutions and their inputs; two output convolutions stay in float.
    assert kinds['DEQUANTIZE'] == (4 + 4 if precision == 'int8' else 0)
    assert (kinds['QUANTIZE'] > 0) is (precision == 'int8')
    kind = 'FLOAT' if precision == 'fp32' else 'HALF'
    assert convolutions[:6] == [kind] * 6
    assert network.get_input(0).dtype.name == network.get_output(0).dtype.name == 'FLOAT'


@pytest.mark.parametrize('name', ['demo_end2end.onnx', 'demo_raw.onnx', 'yolo.onnx'])
def test_sensitive_layers_go_by_the_names_of_their_nodes(
    name: str, library: TensorRTLibrary, tmp_path: Path
) -> None:
    model = networks.yolo(tmp_path / name) if name == 'yolo.onnx' else DEMO / name
    proto = onnx.load(model)
    lines = LogLines()
    logger = make_logger(library, lines)
    builder = library.trt.Builder(logger)
    network = parse_network(library, builder, model.read_bytes(), None, logger, lines)
    layers = {network.get_layer(index).name for index in range(network.num_layers)}
    constants = {
        node.name for node in proto.graph.node if node.op_type in ('Constant', 'ConstantOfShape')
    }
    sensitive = analyse_head(proto).tail_nodes - constants
    assert len(sensitive) > 5
    assert sensitive <= layers


@pytest.mark.parametrize(
    ('kind', 'facts'),
    [
        ('operators', ['head.nms', 'FancyNms', 'head.sorcery', 'Sorcery', 'plugin_libraries']),
        ('channels', ['stem', 'Conv', 'contradict each other']),
        ('reshape', ['flatten', 'Reshape', 'contradict each other']),
        ('types', ['bias', 'Add', 'mixes FP32 and FP16']),
        ('input', ['relu', 'Relu', 'onnx.checker']),
    ],
)
def test_what_the_parser_refuses_is_said_in_full(
    kind: str, facts: list[str], library: TensorRTLibrary, tmp_path: Path
) -> None:
    model = networks.broken(kind, tmp_path / f'{kind}.onnx')
    with pytest.raises(BuildError) as caught:
        build(model, precision='fp32')
    missing = [fact for fact in facts if fact not in str(caught.value)]
    assert not missing, str(caught.value)
    assert 'cannot parse' in str(caught.value)
    assert 'catchCudaError' not in str(caught.value)


def test_external_data_that_is_missing_is_named(library: TensorRTLibrary, tmp_path: Path) -> None:
    model = networks.broken('external', tmp_path / 'external.onnx')
    lines = LogLines()
    logger = make_logger(library, lines)
    builder = library.trt.Builder(logger)
    # read_model_info refuses it earlier; here the parser itself has to say it.
    with pytest.raises(BuildError, match=r'weights\.bin') as caught:
        parse_network(library, builder, model.read_bytes(), model, logger, lines)
    assert 'copy that file to the folder of the model' in str(caught.value)


def external_model(folder: Path) -> Path:
    """Write a model with external data as the cache of Hugging Face keeps it: links to blobs."""
    blobs, snapshot = folder / 'blobs', folder / 'snapshots' / 'revision'
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    model = onnx.load(networks.yolo(folder / 'yolo.onnx'))
    onnx.save_model(
        model, str(blobs / 'a'), save_as_external_data=True, location='b', size_threshold=0
    )
    proto = onnx.load(str(blobs / 'a'), load_external_data=False)
    relocate(proto, 'model.onnx_data')
    (blobs / 'a').write_bytes(proto.SerializeToString())
    (snapshot / 'model.onnx').symlink_to('../../blobs/a')
    (snapshot / 'model.onnx_data').symlink_to('../../blobs/b')
    return snapshot / 'model.onnx'


def relocate(proto: onnx.ModelProto, location: str) -> None:
    """Name another file for the external data of a model."""
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == 'location':
                entry.value = location


def test_a_plan_is_recognized_by_its_first_bytes(tmp_path: Path) -> None:
    model = networks.yolo(tmp_path / 'yolo.onnx')
    plan = tmp_path / 'plan'
    plan.write_bytes(build(model, precision='fp32').plan)
    assert is_plan(plan)


def test_external_data_behind_symbolic_links_is_parsed(tmp_path: Path) -> None:
    assert build(external_model(tmp_path), precision='fp32').plan


@pytest.mark.parametrize('kind', ['parent', 'absolute'])
def test_external_data_outside_of_the_folder_is_refused(
    kind: str, library: TensorRTLibrary, tmp_path: Path
) -> None:
    model = external_model(tmp_path)
    proto = onnx.load(str(model), load_external_data=False)
    relocate(proto, '../../blobs/b' if kind == 'parent' else str(tmp_path / 'blobs' / 'b'))
    lines = LogLines()
    logger = make_logger(library, lines)
    builder = library.trt.Builder(logger)
    said = {'parent': 'Relative paths to parent', 'absolute': 'Failed to open file'}[kind]
    with pytest.raises(BuildError, match=said):
        parse_network(library, builder, proto.SerializeToString(), model, logger, lines)


def test_bytes_that_are_no_model_are_refused(library: TensorRTLibrary) -> None:
    lines = LogLines()
    logger = make_logger(library, lines)
    builder = library.trt.Builder(logger)
    with pytest.raises(BuildError, match='not an ONNX model or is damaged'):
        parse_network(library, builder, b'no model', None, logger, lines)


def test_a_profile_that_tensorrt_rejects_is_an_error_with_its_reason(
    library: TensorRTLibrary,
) -> None:
    for error in check_rejected_profiles(library):
        # On a machine without a GPU each error is followed by one of CUDA.
        assert 'cudaError' not in error


def test_a_network_that_cannot_be_created_is_an_error(
    library: TensorRTLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TensorRTLibrary, 'network_flags', lambda _: 1 << 20)
    lines = LogLines()
    logger = make_logger(library, lines)
    builder = create_builder(library, logger, lines)
    with pytest.raises(BuildError, match='cannot create a network: .*createNetworkV2'):
        parse_network(library, builder, b'no model', None, logger, lines)


def test_progress_names_phases_and_ends_at_one(library: TensorRTLibrary, tmp_path: Path) -> None:
    said: list[Progress] = []
    build(networks.yolo(tmp_path / 'yolo.onnx'), precision='fp32', on_progress=said.append)
    fractions = [p.fraction for p in said if p.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert [p.phase for p in said][:3] == [
        'loading the model', 'parsing the model', 'building the FP32 engine'
    ]  # fmt: skip


@pytest.mark.parametrize('when', ['before', 'building'])
def test_a_build_is_cancelled_at_once(when: str, library: TensorRTLibrary) -> None:
    cancel = threading.Event()
    times: list[float] = []

    def stop(progress: Progress) -> None:
        if when == 'before' or progress.phase.startswith('building'):
            times.append(time.monotonic())
            cancel.set()

    with pytest.raises(BuildCancelledError):
        build(DEMO / 'demo_raw.onnx', precision='fp32', on_progress=stop, cancel=cancel)
    # The requirement is 2 s on any machine; a whole build takes about that here.
    assert times


def test_an_interrupt_during_a_build_in_the_main_thread_is_not_lost(
    library: TensorRTLibrary,
) -> None:
    # Python would raise it in whatever callback of TensorRT runs, the log or the progress, and the
    # bindings would drop it.
    building = threading.Event()

    def interrupt() -> None:
        assert building.wait(30)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    def watch(progress: Progress) -> None:
        if progress.phase.startswith('building'):
            building.set()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        build(DEMO / 'demo_raw.onnx', precision='fp32', on_progress=watch)
    thread.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_cache_of_another_model_is_refused(library: TensorRTLibrary, tmp_path: Path) -> None:
    model = networks.yolo(tmp_path / 'yolo.onnx')
    cache = tmp_path / 'other.cache'
    cache.write_text('TRT-101401-EntropyCalibration2\nelsewhere: 3c010a14\n')
    with pytest.raises(CalibrationCacheError, match='matches one of the'):
        build(model, calib_cache_path=str(cache))


def test_a_gpu_that_is_not_supported_is_refused(library: TensorRTLibrary, tmp_path: Path) -> None:
    model = networks.yolo(tmp_path / 'yolo.onnx')
    with pytest.raises(ConfigError, match=r'compute capability is 8\.7; .* 8\.6, 8\.9, 12\.0'):
        build_once(
            DetectorConfig(precision='fp32'),
            read_model_info(model),
            batch_size=1,
            target=BuildTarget((8, 7)),
        )


def test_a_size_that_is_no_multiple_of_the_stride_builds(
    library: TensorRTLibrary, tmp_path: Path
) -> None:
    model = networks.yolo(tmp_path / 'yolo.onnx', size=('h', 'w'))
    outcome = build(model, precision='fp32', opt_shape=(1, 3, 33, 47))
    assert outcome.plan.startswith(MAGIC)
