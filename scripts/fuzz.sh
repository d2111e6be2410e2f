#!/usr/bin/env bash
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Fuzzes what reads foreign data: see --help.

set -euo pipefail
# shellcheck source=bringup/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../bringup/lib.sh"

usage() {
  cat <<'TEXT'
usage: scripts/fuzz.sh --minutes M [--target T]... [--jobs N] [--output DIR]

Prepares the environment (bringup/prepare.sh --with test) and atheris, then fuzzes the targets of
test/fuzz/targets, each for M minutes, several at once. The exit status is 1 if a rule was broken.

  --minutes M    minutes per target
  --target T     only this target; can be repeated
  --jobs N       targets at once; default: the number of cores
  --output DIR   keeps corpora, faulty inputs, logs and summary.txt; a further run goes on with the
                 corpora. Default: .bringup/fuzz
  --help         this text

An input that broke a rule belongs into test/fuzz/crashes/TARGET/: it is a test from then on.
TEXT
}

output=$bringup_root/fuzz
read_options --output '--minutes --target --jobs' "$@"

cd "$repository"
bringup/prepare.sh --with test
# shellcheck source=bringup/env.sh
source bringup/env.sh
fuzz_venv=$prefix/fuzz_venv
install_atheris() {
  "$venv_python" -m venv --clear "$fuzz_venv"
  "$fuzz_venv/bin/python3" -m pip install -q -r bringup/requirements/fuzz.txt
}
lock_prefix
step_count=1
step fuzz "$(hash_of bringup/requirements/fuzz.txt)" 'installing atheris' \
  'Is the package index reachable?' install_atheris
exec 9>&-
atheris=$("$fuzz_venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
export PYTHONPATH=$repository:$repository/test:$PYTHONPATH:$atheris
# One core per target.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec python3 -m fuzz.run --output "$output" "${arguments[@]}"
