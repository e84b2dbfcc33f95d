#!/usr/bin/env bash
set -uo pipefail

usage='usage: tools/gpu/check.sh BINARY_DIR [-o DIR] [--seconds N] [--steps N] [--commit HASH]
Checks netc on a machine with a GPU, installing nothing: the tests that need one, training of
AlexNet on drawn shapes, compute-sanitizer on LeNet, and the speed beside PyTorch where it is there.
  BINARY_DIR     of `cmake --preset portable` (build-portable), or of another build
  -o DIR         where check.json, check.md and all logs go (gpu-report)
  --seconds N    for everything together (480), three eighths of it for the speed; from 1500 on netc is
                 measured as tuned for this card, too
  --steps N      training steps of AlexNet (200)
  --commit HASH  what is checked, where git cannot say
Ends with 0 if all is well, 2 if something is not, 3 without a GPU, 1 for wrong arguments.'

wrong() {
  printf 'error: %s\n%s\n' "$1" "$usage" >&2
  exit 1
}

# -- Arguments

binaries='' out=gpu-report seconds=480 steps=200 commit=''
number() { [[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || wrong "$1 needs a number, not \`$2\`"; }
while [ $# -gt 0 ]; do
  case $1 in
  -h | --help)
    echo "$usage"
    exit
    ;;
  -o | --seconds | --steps | --commit)
    [ $# -gt 1 ] || wrong "\`$1\` needs a value"
    case $1 in
    -o) out=$2 ;;
    --seconds) seconds=$2 ;;
    --steps) steps=$2 ;;
    --commit) commit=$2 ;;
    esac
    shift 2
    ;;
  -*) wrong "unexpected \`$1\`" ;;
  *)
    [ -z "$binaries" ] || wrong "unexpected \`$1\`"
    binaries=$1
    shift
    ;;
  esac
done
number --seconds "$seconds"
number --steps "$steps"
[ -n "$binaries" ] || wrong "which BINARY_DIR?"
[ -x "$binaries/bin/netc" ] || wrong "there is no program $binaries/bin/netc"

gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1) || {
  printf 'error: no GPU on this machine: nvidia-smi %s\nnote: nothing was checked\n' \
    "$(command -v nvidia-smi >/dev/null && echo "says: $gpu" || echo 'is not there')" >&2
  exit 3
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binaries=$(cd "$binaries" && pwd)
netc=$binaries/bin/netc
mkdir -p "$out/logs" || exit 1
out=$(cd "$out" && pwd)
# Of an earlier run.
rm -rf "$out"/check.* "$out"/bench.* "$out"/alexnet-* "$out"/logs/*.log "$out"/torch-*.log \
  "$out"/plans
scratch=$(mktemp -d) || exit 1
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
# Every kernel is compiled anew, and nothing is left behind.
export XDG_CACHE_HOME=$scratch/cache TORCHINDUCTOR_CACHE_DIR=$scratch/inductor
cd "$scratch" || exit 1

# -- Stages: functions that return 0, 77 for skipped, anything else for failed, and set `note`

stages=("devices" "gpu tests" "memcheck" "racecheck" "train alexnet" "bench")
log='' note='' stage_end=0
spare=10 # seconds for the reports, and for what `timeout` has to kill

explain() { # STATUS COMMAND: of `timeout`
  case $1 in
  0) ;;
  124 | 137) note="stopped: its time was over" ;;
  *) note="\`$(basename "$2")\` ended with $1: $(tail -n 1 "$log")" ;;
  esac
  return "$1"
}

# Runs a command within what is left of the stage's time, its output in the stage's log.
limited() {
  local left=$((stage_end - SECONDS))
  [ $left -gt 0 ] || left=1
  printf '$ %s\n' "$*" >>"$log"
  timeout --kill-after=5 $left "$@" </dev/null >>"$log" 2>&1
  explain $? "$1"
}

# Result, seconds and note go into a file, as a stage may run beside others.
stage() { # NAME SECONDS FUNCTION ARGUMENTS...
  local name=$1 limit=$2 start=$SECONDS status=1 result=failed
  shift 2
  printf '== %s\n' "$name" >&2
  log=$out/logs/${name// /-}.log note=''
  : >>"$log"
  local left=$((seconds - SECONDS - spare))
  [ "$limit" -le $left ] || limit=$left
  stage_end=$((SECONDS + limit))
  if [ "$limit" -gt 0 ]; then
    "$@"
    status=$?
  else
    note="no time was left"
  fi
  [ $status = 0 ] && result=passed
  [ $status = 77 ] && result=skipped
  printf '%s\n' $result $((SECONDS - start)) "${note//$'\n'/ }" >"$scratch/${name// /-}.stage"
  printf '   %s %s in %d s%s\n' "$name" $result $((SECONDS - start)) "${note:+: $note}" >&2
}

see_device() {
  limited "$netc" devices || return 1
  grep -q '^cuda:0' "$log" && return
  note="netc sees no GPU: $(tail -n 1 "$log")"
  return 1
}

# One that skips itself on this machine has found no GPU.
gpu_suite() { # PROGRAM SUITE
  local name=${2%.}
  log=$out/logs/gpu-tests-${name//\//-}.log
  if ! limited "$1" --gtest_filter="$2*"; then
    echo "$name: $note" >>"$scratch/bad-suites"
  elif grep -q '^\[  SKIPPED \]' "$log"; then
    echo "$name: tests skipped themselves" >>"$scratch/bad-suites"
  fi
}

# The suites whose names end in `Gpu`, each in a process of its own, two a core at once: most of their
# time, kernels are compiled. Runs in a subshell, as it waits for all of its jobs.
gpu_tests() {
  trap 'kill $(jobs -p) 2>/dev/null' EXIT
  trap 'exit 130' INT TERM
  local program list suite most count=0
  most=$((2 * $(nproc)))
  for program in "$binaries"/bin/*_tests; do
    list=$("$program" --gtest_list_tests --gtest_filter='*Gpu.*' 2>>"$log") || {
      wait
      note="\`$(basename "$program")\` cannot list its tests"
      return 1
    }
    count=$((count + $(grep -c '^  ' <<<"$list")))
    for suite in $(sed -n 's/^\([^ ]*\.\).*/\1/p' <<<"$list"); do
      while [ "$(jobs -rp | wc -l)" -ge $most ]; do wait -n; done
      gpu_suite "$program" "$suite" &
    done
  done
  wait
  if [ -e "$scratch/bad-suites" ]; then
    note="$(wc -l <"$scratch/bad-suites") suites failed; $(head -n 1 "$scratch/bad-suites")"
    return 1
  fi
  note="$count tests"
  [ $count -gt 0 ] || {
    note="no program in $binaries/bin has such tests"
    return 1
  }
}

train_alexnet() {
  limited "$netc" train alexnet.yaml --data shapes --device cuda:0 --steps "$steps" --seed 1 \
    --run "$scratch/run" --json || return 1
  cp run/metrics.csv "$out/alexnet-metrics.csv" && cp run/curves.svg "$out/alexnet-curves.svg"
  note=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; ++i) if ($i == "train_loss") column = i; next }
                  $column != "" { if (!rows++) first = $column; last = $column }
                  END { printf "loss %.4f to %.4f", first, last
                        # Written so that a loss that is no number falls nowhere.
                        exit !(rows > 1 && last + 0 > 0 && last + 0 < first + 0) }' \
    run/metrics.csv)
}

sanitize() { # TOOL
  [ -n "$sanitizer" ] || {
    note="compute-sanitizer is not on this machine"
    return 77
  }
  limited "$sanitizer" --tool "$1" --error-exitcode 86 "$netc" train lenet.yaml --data shapes \
    --device cuda:0 --batch 16 --steps 3 --run "$scratch/$1" --json --quiet
  local status=$?
  if grep -q 'Device not supported' "$log"; then
    note="compute-sanitizer does not support this machine's device"
    return 77
  fi
  [ $status = 0 ] || return 1
  note=$(grep 'SUMMARY' "$log" | tail -n 1 | sed 's/^=* *//')
  [[ $note == *SUMMARY:\ 0\ * ]]
}

# Compiles for the benchmark beside other stages, which need no quiet; it waits for `quiet`.
bench_process=''
begin_bench() {
  local left=$((seconds - SECONDS - spare)) tune=()
  command -v python3 >/dev/null && [ $left -gt 8 ] || return
  [ "$seconds" -ge 1500 ] || tune=(--no-tune)
  timeout --kill-after=5 $left python3 "$here/bench_torch.py" "$netc" -o "$out" "${tune[@]}" \
    --seconds $((left - 8)) --after "$scratch/quiet" </dev/null >"$out/logs/bench.log" 2>&1 &
  bench_process=$!
}

bench() {
  if [ -n "$bench_process" ]; then
    touch "$scratch/quiet"
    wait "$bench_process"
    explain $? bench_torch.py || return 1
    note="bench.md"
    return
  fi
  local which
  for which in tf32,128 bf16,128 tf32,256 bf16,256 fp32,128 fp32,256 3xtf32,128 3xtf32,256; do
    limited "$netc" bench alexnet.yaml --device cuda:0 --batch "${which#*,}" \
      --precision "${which%,*}" --steps 100 || return 1
  done
  note="netc alone, see its log: there is no python3"
}

# -- Facts

if [ -z "$commit" ]; then
  commit=$(git -C "$here" rev-parse HEAD 2>/dev/null) || commit=unknown
  [ -z "$(git -C "$here" status --porcelain 2>/dev/null)" ] || commit+=" with changes"
fi
date=$(date -u +%Y-%m-%dT%H:%M:%SZ)
toolkit=/usr/local/cuda/bin
cuda=$({ nvcc --version || $toolkit/nvcc --version; } 2>/dev/null |
  sed -n 's/.*release \([^,]*\).*/\1/p')
doctor=$(timeout 30 "$netc" doctor 2>&1)
nvrtc=$(sed -n 's/^ok *NVRTC *//p' <<<"$doctor")
sanitizer=$(command -v compute-sanitizer || command -v $toolkit/compute-sanitizer)
IFS=, read -r device driver memory <<<"$(head -n 1 <<<"$gpu")"

for name in "${stages[@]}"; do
  printf '%s\n' failed 0 'did not end' >"$scratch/${name// /-}.stage"
done
quarter=$((seconds / 4))
stage "devices" 30 see_device
begin_bench
# Many kernels are compiled, which takes its time however little there is; the benchmark's, too.
tests_limit=$((seconds * 3 / 8))
stage "gpu tests" $((tests_limit > 90 ? tests_limit : 90)) gpu_tests &
wait $!
together=()
for tool in memcheck racecheck; do
  stage $tool $quarter sanitize $tool &
  together+=($!)
done
stage "train alexnet" $quarter train_alexnet &
wait "${together[@]}" $!
stage "bench" "$seconds" bench

# -- Reports

text() { # a JSON string
  local escaped=${1//\\/\\\\}
  escaped=${escaped//\"/\\\"}
  printf '"%s"' "$(tr '\n\t' '  ' <<<"$escaped" | tr -d '\000-\037' | sed 's/ *$//')"
}

# Calls a function with name, result, seconds and note of each stage.
each_stage() {
  local name facts
  for name in "${stages[@]}"; do
    mapfile -t facts <"$scratch/${name// /-}.stage"
    "$1" "$name" "${facts[@]}"
  done
}

json_stage() {
  printf '%s\n    {"name": %s, "result": "%s", "seconds": %d, "note": %s}' "$comma" \
    "$(text "$1")" "$2" "$3" "$(text "$4")"
  comma=,
}

write_json() {
  local comma=''
  printf '{\n  "date": %s,\n  "commit": %s,\n  "device": %s,\n  "memory": %s,\n  "driver": %s,\n' \
    "$(text "$date")" "$(text "$commit")" "$(text "$device")" "$(text "${memory# }")" \
    "$(text "${driver# }")"
  printf '  "cuda": %s,\n  "nvrtc": %s,\n  "green": %s,\n  "seconds": %d,\n  "stages": [' \
    "$(text "$cuda")" "$(text "$nvrtc")" "$green" "$SECONDS"
  each_stage json_stage
  printf '\n  ],\n  "bench": %s\n}\n' "$(cat "$out/bench.json" 2>/dev/null || echo null)"
}

markdown_stage() {
  printf '| %s | %s | %d | %s |\n' "$1" "$2" "$3" "${4//|/\\|}"
}

write_markdown() {
  printf '# netc on %s\n\n%s, commit %s, driver %s, CUDA %s, %s: %s.\n\n' "$device" "$date" \
    "$commit" "${driver# }" "${cuda:-unknown}" "${nvrtc:-no NVRTC}" \
    "$([ $green = true ] && echo 'all well' || echo 'NOT all well')"
  printf '| stage | result | seconds | |\n|---|---|--:|---|\n'
  each_stage markdown_stage
  printf '\n```\n%s\n```\n' "$doctor"
  [ ! -e "$out/bench.md" ] ||
    printf '\n## AlexNet, a training step\n\n%s\n' "$(cat "$out/bench.md")"
}

green=true
! grep -qx failed "$scratch"/*.stage || green=false
write_json >"$out/check.json" && write_markdown >"$out/check.md" || green=false
cat "$out/check.md"
[ $green = true ] || exit 2
