#!/usr/bin/env bash
# Installs what is missing, builds netc and runs every test that this machine can run:
#   tools/test.sh [--slow]
# `--slow` adds the tests that take many minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=release
case "${1:-}" in
"") ;;
--slow) preset=slow ;;
*)
  echo "usage: tools/test.sh [--slow]" >&2
  exit 1
  ;;
esac

tools/install_packages.sh build test
launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
cmake --preset release -DNETC_TESTS=ON "${launcher[@]}" >/dev/null
cmake --build --preset release
ctest --preset $preset -j "$(nproc)" </dev/null
