#!/usr/bin/env bash
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the documentation: see --help.

set -euo pipefail
# shellcheck source=bringup/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../bringup/lib.sh"

usage() {
  cat <<'TEXT'
usage: scripts/docs.sh [--output DIR] [--external-links]

Prepares the environment (bringup/prepare.sh --with docs) and builds the documentation as a web site.
Every warning is an error: a wrong link, a wrong anchor, a page that no table of contents has.

  --output DIR       folder of the site (default: .bringup/site)
  --external-links   also request every link to another site, which needs a network
TEXT
}

output=''
external=''
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h)
      usage
      exit
      ;;
    --output)
      [[ -n ${2:-} ]] || die '--output takes a folder.'
      mkdir -p "$2"
      output=$(cd "$2" && pwd -P)
      shift 2
      ;;
    --external-links)
      external=yes
      shift
      ;;
    *)
      usage >&2
      die '' "unknown argument '$1'"
      ;;
  esac
done

cd "$repository"
bringup/prepare.sh --with docs
# shellcheck source=bringup/env.sh
source bringup/env.sh
export PYTHONPATH="$prefix/docs:$PYTHONPATH"
output=${output:-$prefix/site}
build=("$venv_python" -m sphinx -W --keep-going --quiet --fresh-env -d "$prefix/site.doctrees" docs)
"${build[@]}" "$output"
if [[ -n $external ]]; then
  "${build[@]}" -b linkcheck "$prefix/site.links"
fi
say '' "The site is $output/index.html"
