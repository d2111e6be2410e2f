# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Setup of a model: its parameters, its metadata and the files beside it, for any runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .config import DetectorConfig
from .decode import GraphInfo, Head, recognize, Recognized, SanityCheck
from .engine import InferenceEngine
from .errors import ConfigError, ModelError
from .model_info import ModelInfo, parse_names, read_metadata_files
from .pipeline import ChooseInputSize
from .preprocess import choose_input_size, CpuPreprocessor, Preprocessor, PreprocessSpec
from .values.tensor_spec import DEFAULT_INPUT_SIZE, TensorSpec

__all__ = ['ModelSetup']

# If the model gives none.
_DEFAULT_STRIDE = 32


@dataclass(frozen=True, slots=True)
class ModelSetup:
    """
    Setup of a model.

    :param config: the parameters.
    :param model: None for a plan.
    :param metadata: of the model, or of the metadata files beside a plan.
    :param names: of the classes, empty if nothing gives any.
    :param names_source: source of the names, for messages.
    """

    config: DetectorConfig
    model: ModelInfo | None
    metadata: Mapping[str, str]
    names: tuple[str, ...]
    names_source: str

    @classmethod
    def read(cls, config: DetectorConfig, path: Path, model: ModelInfo | None) -> ModelSetup:
        """Combine the sources: the parameter class_names outranks all others."""
        if model is not None:
            metadata, names, source = model.metadata, model.class_names, model.names_source
        else:
            beside = read_metadata_files(path)
            source = f'{beside.sources.get("names", "")} of {path.name}'
            metadata, names = beside.metadata, parse_names(beside.metadata, source)
        if config.class_names:
            names, source = config.class_names, 'class_names'
        return cls(config, model, metadata, names or (), source)

    def recognize(self, outputs: Sequence[TensorSpec], input_size: tuple[int, int]) -> Recognized:
        """
        Recognize the decoder of a network.

        :param input_size: (height, width) in pixels that it runs at.
        :raises ModelError: if no layout fits, or not the one that parameter head names.
        """
        info = GraphInfo(
            outputs=tuple(outputs),
            metadata=self._metadata(),
            input_size=input_size,
            operators=frozenset() if self.model is None else self.model.operators,
            tails={} if self.model is None else self.model.tails,
            parts={} if self.model is None else self.model.parts,
            num_names=len(self.names) or None,
        )
        config = self.config
        return recognize(
            info, config.head, outputs=config.outputs, boxes=config.boxes, scores=config.scores
        )

    def _metadata(self) -> Mapping[str, str]:
        """Get the metadata, with what parameters replace of them."""
        if not self.config.anchors:
            return self.metadata
        return {**self.metadata, 'anchors': str(list(self.config.anchors))}

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
            raise ConfigError(
                f'{self.names_source} has {len(self.names)} names and the model has {count} '
                f'classes ({found.head.layout}); give one name per class in class_names'
            )
        if not self.names and count is not None:
            return tuple(str(number) for number in range(count))
        return self.names

    def sanity_check(self, found: Recognized) -> SanityCheck:
        """Make the check of what the head decodes."""
        return SanityCheck(
            found.name, len(self.names) or None, boxes_given=self.config.boxes != 'auto'
        )

    def preprocessor(self, engine: InferenceEngine, found: Recognized) -> Preprocessor:
        """Return the preprocessor of an engine at its current input size."""
        spec = PreprocessSpec.from_config(self.config, found.preset)
        config = self.config
        if engine.input_spec.dtype == np.uint8 and (
            config.input_scale or config.input_mean or config.input_std
        ):
            raise ConfigError(
                f'the input is {engine.input_spec}: the network scales its pixels itself; remove '
                'input_scale, input_mean and input_std'
            )
        from .gpu.device_preprocessor import preprocess_on_device

        on_device = preprocess_on_device(
            spec, engine, mapped_memory=config.mapped_memory, cuda_graph=config.cuda_graph
        )
        return on_device or CpuPreprocessor(spec, engine.input_spec, engine.get_input_shape())

    def input_size_chooser(self, engine: InferenceEngine) -> ChooseInputSize | None:
        """Return the function that sets an open input size, None if the size is known."""
        config, model = self.config, self.model
        smallest, largest = engine.get_input_shape_range()
        known = config.input_shape != 'auto' or bool(config.opt_shape) or smallest == largest
        if known or model is None or model.target_sizes_input is not None:
            return None
        if config.min_shape:
            low = engine.input_spec.height_width(config.min_shape)
            smallest = (max(smallest[0], low[0]), max(smallest[1], low[1]))
        if config.max_shape:
            high = engine.input_spec.height_width(config.max_shape)
            largest = (min(largest[0], high[0]), min(largest[1], high[1]))
        limit = model.input_size or DEFAULT_INPUT_SIZE
        stride = model.stride or _DEFAULT_STRIDE

        def choose(
            image_size: tuple[int, int], before_change: Callable[[], None]
        ) -> tuple[Preprocessor, Head] | None:
            size = choose_input_size(image_size, limit, stride, smallest, largest)
            if size == engine.get_input_shape():
                return None
            before_change()
            engine.set_input_shape(size)
            found = self.recognize_engine(engine)
            return self.preprocessor(engine, found), found.head

        return choose


def _is_open(output: TensorSpec) -> bool:
    """Return whether an output of rank 3 or more has an unknown dimension."""
    return len(output.shape) >= 3 and None in output.shape[1:]
