# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Setup of a model: everything that is known before and after its engine is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..config import DetectorConfig
from ..decode import GraphInfo, recognize, Recognized, SanityCheck
from ..engine import InferenceEngine
from ..errors import ConfigError, ModelError
from ..model_info import merge_metadata, ModelInfo, parse_names, read_plan_metadata
from ..preprocess import CpuPreprocessor, Preprocessor
from ..values.tensor_spec import TensorSpec
from .classes import describe_first_name
from .graph_pixels import adapt_to_graph
from .preprocessing import choose_preprocessing, Preprocessing

__all__ = ['ModelSetup', 'given_metadata']


@dataclass(frozen=True, slots=True)
class ModelSetup:
    """
    Setup of a model.

    :param config: the parameters.
    :param path: the model or plan.
    :param model: None for a plan.
    :param metadata: of the model or plan, completed by the metadata files beside it.
    :param sources: per metadata entry its source, for messages.
    :param names: of the classes, empty if nothing gives any.
    :param names_source: source of the names, for messages.
    :param warnings: sentences about metadata that could not be used.
    """

    config: DetectorConfig
    path: Path
    model: ModelInfo | None
    metadata: Mapping[str, str]
    sources: Mapping[str, str]
    names: tuple[str, ...]
    names_source: str
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, config: DetectorConfig, path: Path, model: ModelInfo | None) -> ModelSetup:
        """Combine the sources: the parameter class_names outranks all others."""
        if model is not None:
            metadata, sources, warnings = model.metadata, model.sources, model.warnings
        else:
            merged = merge_metadata(
                path, read_plan_metadata(path), given_metadata(config), path.name
            )
            metadata, sources, warnings = merged.metadata, merged.sources, merged.warnings
        if config.anchors:
            metadata = {**metadata, 'anchors': str(list(config.anchors))}
        names, source = parse_names(metadata), sources.get('names', '')
        if config.class_names:
            names, source = config.class_names, 'parameter class_names'
        return cls(config, path, model, metadata, sources, names or (), source, warnings)

    def recognize(self, outputs: Sequence[TensorSpec], input_size: tuple[int, int]) -> Recognized:
        """
        Recognize the decoder of a network.

        :param input_size: (height, width) in pixels that it runs at.
        :raises ModelError: if no layout fits, or not the one that parameter head names.
        """
        info = GraphInfo(
            outputs=tuple(outputs),
            metadata=self.metadata,
            input_size=input_size,
            operators=frozenset() if self.model is None else self.model.operators,
            tails={} if self.model is None else self.model.tails,
            parts={} if self.model is None else self.model.parts,
            box_forms={} if self.model is None else self.model.box_forms,
            objectness=frozenset() if self.model is None else self.model.objectness,
            output_steps={} if self.model is None else self.model.output_steps,
            resizes_input=self.model is not None and self.model.input_pixels.resized,
            from_tensorflow=self.model is not None and self.model.producer.startswith('tf2onnx'),
            num_names=len(self.names) or None,
            task_source=self.sources.get('task', ''),
        )
        config = self.config
        found = recognize(
            info, config.head, outputs=config.outputs, boxes=config.boxes, scores=config.scores
        )
        return replace(
            found, warnings=(*found.warnings, *describe_first_name(found.name, self.names))
        )

    def recognize_before_load(self, input_size: tuple[int, int]) -> Recognized | None:
        """
        Recognize the decoder of the model before it is loaded, None if only a run can tell.

        :raises ModelError: as :meth:`recognize`.
        """
        if self.model is None:
            return None
        try:
            return self.recognize(self.model.outputs, input_size)
        except ModelError:
            if any(_is_open(output) for output in self.model.outputs):
                return None
            raise

    def recognize_engine(self, engine: InferenceEngine) -> Recognized:
        """
        Recognize the decoder of a loaded network at its current input size.

        A network that leaves the shapes of its outputs open runs once to tell them.

        :raises ModelError: as :meth:`recognize`.
        """
        outputs = engine.output_specs
        if any(_is_open(output) for output in outputs):
            blank = np.zeros(engine.batch_shape(1), engine.input_spec.dtype)
            outputs = tuple(
                replace(spec, shape=(spec.shape[0], *array.shape[1:])) if _is_open(spec) else spec
                for spec, array in zip(outputs, engine.run(blank), strict=True)
            )
        return self.recognize(outputs, engine.get_input_shape())

    def class_names(self, found: Recognized) -> tuple[str, ...]:
        """Return the class names, after a check of their number."""
        count = found.head.num_classes
        if self.names and count is not None and len(self.names) != count:
            rest, hint = count - len(self.names), ''
            if found.name == 'yolo' and rest == 1:
                hint = ', or set head to yolo_obb if the last value is the angle of a box'
            elif found.name in ('yolo', 'yolo_transposed') and rest > 1:
                hint = (
                    f', or task (and kpt_shape) in {self.path.stem}.yaml if the last {rest} '
                    'values are keypoints or mask coefficients'
                )
            raise ConfigError(
                f'{self.names_source} has {len(self.names)} names and the model has {count} '
                f'classes ({found.head.layout}); give one name per class in '
                f'class_names{hint}'
            )
        if not self.names and count is not None:
            return tuple(str(number) for number in range(count))
        return self.names

    def sanity_check(self, found: Recognized, precision: str) -> SanityCheck:
        """
        Make the check of what the head decodes.

        :param precision: that of the engine, see :class:`.values.engine_info.EngineInfo`.
        """
        return SanityCheck(
            found.name,
            len(self.names) or None,
            boxes_given=self.config.boxes != 'auto',
            quantized=precision in ('int8', 'unknown'),
            queries=found.queries,
            dense=found.dense,
        )

    def preprocessing(self, found: Recognized, outputs: Sequence[TensorSpec]) -> Preprocessing:
        """Choose the preprocessing of a network with a recognized head."""
        pixels = None if self.model is None else self.model.input_pixels
        patches = pixels is not None and pixels.patches and not pixels.is_scaled
        chosen = choose_preprocessing(
            self.config, self.path, self.metadata, found, outputs, patches=patches
        )
        if pixels is None:
            return chosen
        return adapt_to_graph(chosen, self.config, found, pixels)

    def preprocessor(self, engine: InferenceEngine, preprocessing: Preprocessing) -> Preprocessor:
        """Return the preprocessor of an engine at its current input size."""
        spec, config = preprocessing.spec, self.config
        if engine.input_spec.dtype == np.uint8 and (
            config.input_scale or config.input_mean or config.input_std
        ):
            raise ConfigError(
                f'the input is {engine.input_spec}: the network scales its pixels itself; remove '
                'input_scale, input_mean and input_std'
            )
        from ..gpu.device_preprocessor import preprocess_on_device

        on_device = preprocess_on_device(
            spec, engine, mapped_memory=config.mapped_memory, cuda_graph=config.cuda_graph
        )
        return on_device or CpuPreprocessor(spec, engine.input_spec, engine.get_input_shape())


def given_metadata(config: DetectorConfig) -> frozenset[str]:
    """Name the metadata entries that parameters give."""
    given = {'names'} if config.class_names else set()
    if config.input_shape != 'auto' or config.opt_shape:
        given.add('imgsz')
    return frozenset(given)


def _is_open(output: TensorSpec) -> bool:
    """Return whether an output of rank 3 or more has an unknown dimension."""
    return len(output.shape) >= 3 and None in output.shape[1:]
