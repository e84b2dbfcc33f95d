#!/usr/bin/env bash
set -euo pipefail

usage='usage: tools/quickstart.sh
From a fresh clone on Debian 12 to AlexNet compiled and drawn and a small network trained, in some
minutes. Builds in build/ and puts everything else into quickstart/; a second run skips what is done.'
case "$*" in
"") ;;
-h | --help)
  echo "$usage"
  exit
  ;;
*)
  printf 'error: unexpected `%s`\n%s\n' "$*" "$usage" >&2
  exit 1
  ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=quickstart
netc=build/bin/netc
cache=(--cache $out/cache)
images=imagefolder:$out/shapes
mkdir -p $out

bold='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

# What is being done, and what helps if it fails.
task='' help=''
step() {
  task=$1 help=$2
  printf '\n%s== %s%s\n' "$bold" "$task" "$plain"
}
stopped() {
  local status=$?
  [ $status = 0 ] && return
  printf '\nquickstart stopped at: %s\n%s\nThen run tools/quickstart.sh again: it goes on here.\n' \
    "$task" "$help" >&2
}
trap stopped EXIT

# Whether `$1` is there and not older than netc.
is_done() { [ -e "$1" ] && [ ! $netc -nt "$1" ]; }

step "packages" "See the message above; netc needs Debian 12's packages and, once, the network."
tools/install_packages.sh build

step "building netc (Release, some minutes at first)" \
  "The first \`error:\` above says why; about 2 GB of memory and of disk are needed. A folder build/
that another version left behind may be removed."
tests=()
[ -e build/CMakeCache.txt ] || tests=(-DNETC_TESTS=OFF) # Their packages are tools/test.sh's matter.
cmake --preset release "${tests[@]}" >$out/configure.log 2>&1 || {
  tail -20 $out/configure.log >&2
  exit 1
}
cmake --build build --target netc
built_seconds=$SECONDS

step "compiling AlexNet (half a minute at first)" \
  "\`$netc doctor\` checks the compiler and the cache folder."
if ! is_done $out/alexnet.txt; then
  $netc compile alexnet.yaml "${cache[@]}" -o $out/alexnet.plan >$out/alexnet.txt.part
  mv $out/alexnet.txt.part $out/alexnet.txt
fi
cat $out/alexnet.txt

step "drawing AlexNet" "\`$netc doctor\` says whether netc was built with Graphviz."
is_done $out/alexnet.svg || $netc viz alexnet.yaml -o $out/alexnet.svg
is_done $out/alexnet-training.svg ||
  $netc viz alexnet.yaml --mode train -o $out/alexnet-training.svg
echo "$out/alexnet.svg, and the whole training step: $out/alexnet-training.svg"

step "drawing 6,000 labelled JPEGs" "Is there room on the disk? 30 MB are needed."
[ -d $out/shapes ] || $netc data shapes $out/shapes
$netc data info $images

step "training alexnet-small on them (10 epochs, one or two minutes)" \
  "$out/run/ keeps the checkpoints of what was done."
if [ ! -e $out/run/finished ]; then
  resume=()
  [ -e $out/run/metrics.csv ] && resume=(--resume)
  $netc train alexnet-small.yaml --data $images "${cache[@]}" --run $out/run "${resume[@]}"
  touch $out/run/finished
fi
top1=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; ++i) if ($i == "val_top1") column = i }
                $column != "" { best = $column } END { print best }' $out/run/metrics.csv)
awk -v top1="$top1" 'BEGIN {
  printf "held-out accuracy: %.1f %%\n", 100 * top1
  exit !(top1 > 0.9)
}' || {
  help="Over 90 % was to be expected; remove $out/run to train once more, and please report it."
  rm -f $out/run/finished
  exit 1
}

step "predicting pictures it has not seen" "Remove $out/run to train once more."
pictures=()
for class in arrow circle crescent ring star; do
  pictures+=("$(find $out/shapes/val/$class -name '*.jpg' | sort | head -n 1)")
done
$netc predict alexnet-small.yaml --weights $out/run --topk 3 "${cache[@]}" "${pictures[@]}"

cat <<END

${bold}Done$plain in $((SECONDS / 60)) min $((SECONDS % 60)) s; packages and build took \
$((built_seconds / 60)) min $((built_seconds % 60)) s of it.

pictures      $out/alexnet.svg  $out/alexnet-training.svg
curves        $out/run/curves.svg  (their numbers: $out/run/metrics.csv)
checkpoints   $out/run/step-*.safetensors
the plan      $out/alexnet.plan/  (every kernel, as text and binary: kernels/)

${bold}Next$plain
  $netc eval alexnet-small.yaml --data $images --weights $out/run
  $netc bench alexnet.yaml --batch 32
  $netc train alexnet-small.yaml --data imagefolder:DIR    # yours: DIR/<class>/*.jpg, 10 classes
END
