#!/usr/bin/env bash
# Installs the Debian packages that netc needs and this machine lacks:
#   tools/install_packages.sh [build] [test] [ci]     (default: build)
set -euo pipefail

declare -A groups=(
  [build]="cmake ninja-build g++ pkg-config libfmt-dev libyaml-cpp-dev libcli11-dev
           nlohmann-json3-dev libjpeg62-turbo-dev libpng-dev zlib1g-dev libxxhash-dev
           libgraphviz-dev graphviz"
  [test]="libgtest-dev libgmock-dev libbenchmark-dev python3"
  [ci]="clang clang-format libclang-rt-dev"
)

fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  printf 'note: %s\n' "$@" >&2
  exit 1
}

wanted=()
for group in "${@:-build}"; do
  [ -n "${groups[$group]:-}" ] || fail "there is no group of packages \`$group\`" \
    "the groups are: ${!groups[*]}"
  # shellcheck disable=SC2206
  wanted+=(${groups[$group]})
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "no apt on this machine: install what Debian calls ${wanted[*]}, if it is not there" >&2
  exit 0
fi

missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
    missing+=("$package")
done
if [ ${#missing[@]} = 0 ]; then
  echo "packages: all there"
  exit 0
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || fail "packages are missing and only root may install them" \
    "as root: apt-get install ${missing[*]}"
  as_root=(sudo)
fi
echo "packages: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" </dev/null >"$log" 2>&1
}
apt update || { tail -5 "$log" >&2; echo "note: the list of packages is not fresh" >&2; }
apt install -y --no-install-recommends "${missing[@]}" || {
  tail -20 "$log" >&2
  fail "apt-get could not install the packages" \
    "is the network there? by hand: apt-get install ${missing[*]}"
}
