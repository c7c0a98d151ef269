#!/bin/sh
# Test and measure medzoo on a machine with a GPU and without a package registry, in 8 minutes:
#
#     make wheels                                      # at home: what that machine lacks
#     MEDZOO_DATA=data benchmarks/gpu_pass.sh out      # there, with wheels/ and data/dermamnist.npz
#     python benchmarks/speed.py --merge out/speed.json    # at home again
#
# It needs torch, torchvision, safetensors, huggingface-hub, scikit-learn, scikit-image, pandas,
# psutil and pytest, and compares with Lightning if that is installed. Of the bundled
# weights, it reads those of advanced_cnn.dermamnist alone. The folder receives what the tests say,
# the tables, and speed.json with a record of this GPU, which grows as rows are measured. To try the
# script on a CPU:
# MEDZOO_TEST_DEVICE=cpu SPEED_OPTIONS="--quick --only loading" benchmarks/gpu_pass.sh out
set -u
began=$(date +%s)
left() { echo $((470 - $(date +%s) + began)); }
out=${1:-gpu_pass}
mkdir -p "$out"
out=$(cd "$out" && pwd)
data=${MEDZOO_DATA:+$(cd "$MEDZOO_DATA" && pwd)}
cd "$(dirname "$0")/.." || exit 1
device=${MEDZOO_TEST_DEVICE:-cuda}
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
python3 -m pip install --quiet --no-index --no-deps --target "$packages" wheels/*.whl || exit 1
export PYTHONPATH="$PWD:$packages" ${data:+MEDZOO_DATA="$data"}

failed=0
# An interrupt, so that pytest still says what has failed until then.
timeout -s INT -k 10 150 env --default-signal=INT python3 -m pytest tests/gpu -vv -rfEs \
    --tb=short -p no:cacheprovider --durations=5 >"$out/tests.txt" 2>&1 || failed=1
tail -n 60 "$out/tests.txt"
# shellcheck disable=SC2086  # several options
timeout -k 10 "$(left)" python3 benchmarks/speed.py --device "$device" \
    --results "$out/speed.json" ${SPEED_OPTIONS:-} >"$out/speed.md" 2>"$out/speed.log" || failed=1
cat "$out/speed.md"
tail -n 20 "$out/speed.log"
exit $failed
