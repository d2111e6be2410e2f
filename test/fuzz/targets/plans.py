# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Targets: what is stored beside and before TensorRT plans."""

from __future__ import annotations

import json
from pathlib import Path

from trt_detector.model_info import (
    add_plan_header,
    is_plan,
    merge_metadata,
    parse_names,
    read_plan_metadata,
    split_plan_header,
)
from trt_detector.plan import Manifest

from ..invariants import attempt, check_text
from ..scratch import scratch_files
from .models import check_interpretation


def check_manifest(data: bytes) -> None:
    """Read the manifest of a plan, and write it again."""
    manifest = attempt(Manifest.from_bytes, data)
    if manifest is None:
        return
    values = json.loads(data)
    assert values['plan_bytes'] == manifest.plan_bytes > 0
    assert values['model_sha256'] == manifest.key.model_sha256
    assert values['build_seconds'] == manifest.build_seconds >= 0
    assert values == json.loads(manifest.to_bytes())
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert manifest.key.differences(manifest.key) == ()
    name = manifest.key.filename
    assert Path(name).name == name
    assert len(manifest.key.digest) == 64


def check_plan_header(data: bytes) -> None:
    """Split the header of Ultralytics from a plan, and use its metadata."""
    metadata, plan = split_plan_header(data)
    assert data.endswith(plan)
    assert all(isinstance(text, str) for pair in metadata.items() for text in pair)
    if len(plan) < len(data):
        assert int.from_bytes(data[:4], 'little') + 4 + len(plan) == len(data)
    else:
        assert plan == data
    if metadata:
        assert split_plan_header(add_plan_header(metadata, plan)) == (metadata, plan)
    with scratch_files({'model.engine': data}) as folder:
        path = folder / 'model.engine'
        # An error names the file, so that one without header must still end in .engine.
        kind = attempt(is_plan, path)
        assert kind is not False
        assert read_plan_metadata(path) == metadata
        merged = merge_metadata(path, metadata, (), path.name)
    for warning in merged.warnings:
        check_text(warning)
    names = parse_names(merged.metadata)
    assert names is None or all(isinstance(name, str) for name in names)
    check_interpretation(merged.metadata)
