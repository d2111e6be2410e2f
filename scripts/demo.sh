#!/usr/bin/env bash
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs the demo: see --help.

set -euo pipefail
# shellcheck source=bringup/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../bringup/lib.sh"

usage() {
  cat <<'TEXT'
usage: scripts/demo.sh [--seconds S | --frames N] [--output DIR] [--config FILE] [--rate RATE]
                       [--images DIR] [--show] [--dashboard]

Prepares the environment (bringup/prepare.sh), then publishes images to the detector node and shows
its detections. No camera and no GPU are needed.

  --seconds S    stop after S seconds (20)
  --frames N     stop after N images
  --output DIR   write detections, annotated images and summary there
  --config FILE  parameters of the node
  --rate RATE    images per second (5)
  --images DIR   folder with images to use instead of those of the demo
  --show         open a window as well
  --dashboard    serve a web page with live pictures and controls, until Ctrl-C
  --help         this text
TEXT
}

options=()
for argument in "$@"; do
  case $argument in
    --help | -h)
      usage
      exit
      ;;
    --show) options+=(--with show) ;;
    --dashboard) options+=(--with dashboard) ;;
    --seconds | --frames | --output | --config | --rate | --images) ;;
    --seconds=* | --frames=* | --output=* | --config=* | --rate=* | --images=*) ;;
    --*)
      # Here, because the preparation may take minutes.
      usage >&2
      die '' "unknown argument '$argument'"
      ;;
  esac
done

"$repository/bringup/prepare.sh" "${options[@]}"
# shellcheck source=bringup/env.sh
source "$repository/bringup/env.sh"
PYTHONPATH=$repository/demo${PYTHONPATH:+:$PYTHONPATH} exec python3 -m play "$@"
