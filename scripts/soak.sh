#!/usr/bin/env bash
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs the node under continuous faults: see --help.

set -euo pipefail
# shellcheck source=bringup/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../bringup/lib.sh"

usage() {
  cat <<'TEXT'
usage: scripts/soak.sh --minutes M [--seed S] [--output DIR]

Prepares the environment (bringup/prepare.sh --with test), then runs the detector node with ONNX
Runtime and the model of the demo while cameras are killed, images are malformed, parameters change,
the lifecycle is cycled, the process is stopped and continued, and the model file is damaged. At the
end memory, threads, file descriptors and CPU use are compared with the start, and every image has to
be accounted for. The exit status is 0 only if nothing was wrong.

  --minutes M  length of the run; 5 or more for a comparison of memory
  --seed S     seed of faults and images (0)
  --output DIR folder for soak.json, soak.svg and node.log; default: .bringup/soak
  --help       this text
TEXT
}

output=$bringup_root/soak
read_options --output '--minutes --seed' "$@"

cd "$repository"
bringup/prepare.sh --with test
# shellcheck source=bringup/env.sh
source bringup/env.sh
export PYTHONPATH=$repository:$repository/test:$PYTHONPATH
exec python3 -m soak.run --output "$output" "${arguments[@]}"
