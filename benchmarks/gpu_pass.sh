#!/bin/sh
# Test and measure medzoo on a machine with a GPU and without a package registry, in 8 minutes:
#
#     make wheels                                    # at home: what that machine lacks
#     MEDZOO_DATA=data benchmarks/gpu_pass.sh out    # there, with wheels/ and data/dermamnist.npz
#
# It needs torch, timm, safetensors, huggingface-hub and scikit-learn. The folder receives what the
# tests say, the tables, and speed.json with a record of this GPU. To try the script on a CPU:
# MEDZOO_TEST_DEVICE=cpu SPEED_OPTIONS="--quick --only loading" benchmarks/gpu_pass.sh out
set -u
out=${1:-gpu_pass}
mkdir -p "$out"
out=$(cd "$out" && pwd)
data=${MEDZOO_DATA:+$(cd "$MEDZOO_DATA" && pwd)}
cd "$(dirname "$0")/.." || exit 1
device=${MEDZOO_TEST_DEVICE:-cuda}
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
python -m pip install --quiet --no-index --no-deps --target "$packages" wheels/*.whl || exit 1
export PYTHONPATH="$PWD:$packages" ${data:+MEDZOO_DATA="$data"}

failed=0
timeout 120 python -m pytest tests/gpu -q -rs -p no:cacheprovider --durations=5 \
    >"$out/tests.txt" 2>&1 || failed=1
tail -n 40 "$out/tests.txt"
# shellcheck disable=SC2086  # several options
timeout 350 python benchmarks/speed.py --device "$device" ${SPEED_OPTIONS:-} \
    >"$out/speed.md" 2>"$out/speed.log" || failed=1
cat "$out/speed.md"
tail -n 5 "$out/speed.log"
cp benchmarks/results/speed.json "$out"
exit $failed
