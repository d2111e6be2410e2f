#!/usr/bin/env bash
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# Make everything in this folder again: train, export, evaluate, draw the pictures.
# Usage: demo/regenerate.sh [FOLDER FOR INTERMEDIATE FILES] [OPTIONS OF train.py]
set -euo pipefail

demo="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
build="${1:-$(mktemp -d)}"
shift || true
mkdir -p "$build"

python3 "$demo/train.py" --out "$build/training.pt" "$@"
python3 "$demo/export.py" --checkpoint "$build/training.pt" --json "$build/export.json"
for kind in end2end raw; do
  python3 "$demo/evaluate.py" --model "$demo/models/demo_$kind.onnx" \
    --cache "$build/test_scenes" --json "$build/$kind.json"
done
python3 "$demo/record_figures.py" --folder "$build"
python3 "$demo/make_pictures.py"
