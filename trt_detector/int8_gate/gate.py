# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""INT8 check: compare an INT8 detector with the full-precision model before it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..config import DetectorConfig
from ..errors import AccuracyError, ConfigError, DecodeError, DetectorError, ImageError
from ..image.files import picture_files
from ..image.image import Image
from ..model_info import read_model_info
from ..pipeline import Detector
from ..plan import find_cache_dir
from ..quantize.calibration import gate_folder
from ..values.detections import Detections
from ..values.int8_verdict import Int8Outcome, Int8Verdict
from ..values.user_path import expand_user
from .agreement import Agreement, low_threshold, run_gate
from .check_store import CheckStore, describe_check

__all__ = ['fallback_config', 'find_gate_frames', 'open_accepted']

OpenDetector = Callable[[DetectorConfig], Detector]


@dataclass(frozen=True, slots=True)
class _Check:
    """
    A verdict and its origin.

    :param verdict: on the INT8 engine.
    :param from_store: whether an earlier check gave it, so that the detector has not run.
    """

    verdict: Int8Verdict
    from_store: bool = False


def open_accepted(config: DetectorConfig, open_detector: OpenDetector) -> Detector:
    """
    Open a detector, in another precision if INT8 is refused.

    INT8 outputs that contradict the head already in the warm-up are refused, too.

    :param open_detector: makes a detector from parameters, INT8 unchecked.
    :raises AccuracyError: if INT8 is refused and int8_gate_action is fail.
    :raises DetectorError: if the detector cannot be opened, or the check that int8_gate_images
        asks for cannot be made.
    """
    try:
        return _accept_int8(config, open_detector(config), open_detector)
    except DecodeError as error:
        is_int8 = bool(config.calib_cache_path) and config.precision in ('auto', 'int8')
        if not is_int8 or config.int8_gate_action != 'fp16':
            raise
        warning = f'the INT8 engine is refused: {error}; calibrate again'
    detector = open_detector(fallback_config(config, ''))
    report = 'refused: its outputs contradict the head'
    detector.set_int8_verdict(Int8Verdict(Int8Outcome.REFUSED, report, warning))
    return detector


def _accept_int8(
    config: DetectorConfig, detector: Detector, open_detector: OpenDetector
) -> Detector:
    """
    Return the detector if it is not INT8 or passes the check, else its replacement.

    A refused detector is closed, and so is this one if an error is raised. The info of the
    returned detector holds the verdict.

    :param config: the parameters that it was made from.
    """
    with ExitStack() as undo:
        undo.callback(detector.close)
        if detector.info.precision != 'int8':
            undo.pop_all()
            return detector
        frames = () if config.int8_gate_action == 'off' else find_gate_frames(config)
        if not frames:
            off = config.int8_gate_action == 'off'
            reason = 'off: int8_gate_action is off' if off else 'none: no frames to check with'
            detector.set_int8_verdict(Int8Verdict(Int8Outcome.UNCHECKED, reason))
            undo.pop_all()
            return detector
        size_was_open = detector.input_size_pending
        check = _check(config, detector, frames, open_detector)
        refused = check.verdict.outcome is Int8Outcome.REFUSED
        if not refused and (check.from_store or not size_was_open):
            undo.pop_all()
        else:
            undo.close()
            # A camera, not the frames of the check, chooses an input size that is open.
            again = fallback_config(config, detector.info.backend) if refused else config
            detector = open_detector(again)
        detector.set_int8_verdict(check.verdict)
        return detector


def fallback_config(config: DetectorConfig, backend: str) -> DetectorConfig:
    """
    Return the parameters of the detector that replaces a refused INT8 engine.

    :param backend: that ran the INT8 engine; '' if unknown.
    """
    # ONNX Runtime has no FP16 of its own: it runs the model as it is.
    precision = 'auto' if backend in ('', 'onnxruntime') else 'fp16'
    return config.with_changes(
        precision=precision, calib_cache_path='', int8_gate_images='', quantize_exclude=()
    )


def find_gate_frames(config: DetectorConfig) -> tuple[Path, ...]:
    """
    Return the pictures to check INT8 with; empty if there are none.

    :raises ConfigError: if int8_gate_images is set and holds no pictures.
    """
    if config.int8_gate_images:
        try:
            return picture_files([Path(config.int8_gate_images)])
        except ImageError as error:
            raise ConfigError(f'int8_gate_images: {error}') from error
    if not config.calib_cache_path:
        return ()
    folder = gate_folder(expand_user(config.calib_cache_path))
    return picture_files([folder]) if folder.is_dir() and any(folder.iterdir()) else ()


def _reference_config(config: DetectorConfig, detector: Detector) -> DetectorConfig:
    """
    Return the parameters of the full-precision model, which runs with ONNX Runtime.

    It runs at the input size of the INT8 engine, unless both follow the frames.
    """
    if not detector.input_size_follows_images:
        height, width = detector.input_size
        config = config.with_changes(input_shape=f'{height}x{width}')
    return config.with_changes(
        backend='onnxruntime',
        precision='auto',
        calib_cache_path='',
        int8_gate_images='',
        quantize_exclude=(),
        # The first run allocates memory; do it before the comparison.
        warmup_iterations=1,
    )


def _check(
    config: DetectorConfig,
    detector: Detector,
    frames: tuple[Path, ...],
    open_reference: OpenDetector,
) -> _Check:
    """
    Compare an INT8 detector with the full-precision model on pictures.

    :param detector: the INT8 one; its options are as before afterwards.
    :param open_reference: makes a detector from parameters.
    :raises AccuracyError: if they agree too little and int8_gate_action is fail.
    :raises DetectorError: if the check cannot be made and int8_gate_images asks for it.
    """
    store, key = _find_check(config, detector, frames)
    known = store.read(key) if store else None
    if known is not None:
        agreement, day = known
        verdict = _judge(config, agreement, f'{agreement}; checked on {day}')
        return _Check(verdict, from_store=True)
    try:
        with open_reference(_reference_config(config, detector)) as reference:
            _check_reference(reference)
            agreement = _compare(config, reference, detector, frames)
    except DetectorError as error:
        if config.int8_gate_images:
            raise
        warning = f'the INT8 engine could not be checked: {error}'
        return _Check(Int8Verdict(Int8Outcome.UNCHECKED, 'failed: see the warning', warning))
    if store:
        # Frames have settled an open size meanwhile; nothing else may have changed.
        _, after = _find_check(config, detector, frames)
        if {**after, 'input size': key['input size']} == key:
            store.write(key, agreement)
    return _Check(_judge(config, agreement, str(agreement)))


def _find_check(
    config: DetectorConfig, detector: Detector, frames: tuple[Path, ...]
) -> tuple[CheckStore | None, dict[str, str]]:
    """Return the store and the key of a check; None if it cannot be kept."""
    if not detector.info.digest:
        return None, {}
    try:
        directory = find_cache_dir(config.engine_cache_dir)
        model = read_model_info(expand_user(config.model_path))
        key = describe_check(config, detector, model, frames)
    except (OSError, DetectorError):
        # The check itself reports the error.
        return None, {}
    return CheckStore(directory / 'int8_checks'), key


def _judge(config: DetectorConfig, agreement: Agreement, report: str) -> Int8Verdict:
    """
    Compare an agreement with the minimum.

    :param report: the agreement as text.
    :raises AccuracyError: if it is not and int8_gate_action is fail.
    """
    if not agreement.reference:
        sentence = (
            f'the INT8 engine could not be checked: the full-precision model finds nothing on '
            f'the {agreement.frames} frames; set int8_gate_images to a folder of pictures with '
            'objects'
        )
        return Int8Verdict(Int8Outcome.UNCHECKED, report, sentence)
    if agreement.share >= config.int8_min_agreement:
        return Int8Verdict(Int8Outcome.PASSED, report)
    sentence = (
        f'the INT8 engine is refused: {agreement}; int8_min_agreement is '
        f'{config.int8_min_agreement:g}. Calibrate again with 300 to 500 frames from the place '
        'of use, try --method minmax, or keep sensitive layers out with quantize_exclude '
        '(calibrate --sensitivity ranks them)'
    )
    if config.int8_gate_action == 'fail':
        raise AccuracyError(sentence)
    return Int8Verdict(Int8Outcome.REFUSED, report, sentence)


def _check_reference(reference: Detector) -> None:
    """Refuse a reference model that is quantized itself."""
    if reference.info.precision == 'int8':
        raise ConfigError(
            f'{reference.model_name} has Q/DQ nodes of its own, so there is no full-precision '
            'model to compare with; give the FP32 export and a calibration cache, or leave '
            'int8_gate_images empty'
        )


def _compare(
    config: DetectorConfig, reference: Detector, candidate: Detector, frames: tuple[Path, ...]
) -> Agreement:
    """Run two detectors on pictures and count what they have in common."""
    threshold = config.score_threshold
    with _lowered(reference, threshold), _lowered(candidate, threshold):
        return run_gate(
            lambda images: reference.detect(images).detections,
            partial(_detect_or_nothing, candidate),
            (Image.from_file(path) for path in frames),
            threshold,
        )


def _detect_or_nothing(detector: Detector, images: Sequence[Image]) -> Sequence[Detections]:
    """Detect; outputs that contradict the head, e.g. of a bad calibration, count as nothing."""
    try:
        return detector.detect(images).detections
    except DecodeError:
        return [Detections.empty() for _ in images]


@contextmanager
def _lowered(detector: Detector, threshold: float) -> Iterator[None]:
    """Lower the score thresholds of a detector for a comparison, and restore them."""
    before = detector.options
    detector.options = replace(
        before, score_threshold=low_threshold(threshold), class_score_thresholds=()
    )
    try:
        yield
    finally:
        detector.options = before
