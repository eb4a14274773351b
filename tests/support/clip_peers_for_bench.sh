#!/bin/bash
# clip_peers_for_bench - prints two lines: the Python with PyTorch, and the Node program with
# ONNX Runtime, ready to run, that bench_clip stands beside.  A line "no: WHY" for one that cannot
# be had.
cd "$(dirname "$0")/../.." || exit 1
SOURCE=tests/peers/clip
BUILT=build/peers/clip

python_line()
{
    local python
    for python in /usr/bin/python3 python3; do
        "$python" -c 'import torch, numpy' 2>/dev/null && { echo "$python"; return; }
    done
    echo "no: PyTorch is not installed (Debian: python3-torch python3-numpy)"
}

# Packages' own scripts are not run; that of onnxruntime-node would download what only GPUs need.
install_packages()
{
    mkdir -p "$BUILT" && cp "$SOURCE/package.json" "$SOURCE/package-lock.json" "$BUILT" || return 1
    (cd "$BUILT" && ONNXRUNTIME_NODE_INSTALL=skip timeout 300 npm ci --ignore-scripts \
        --no-audit --no-fund --fetch-retries 1 --fetch-timeout 60000) \
        >"$BUILT/npm.log" 2>&1 </dev/null && cp "$SOURCE/package-lock.json" "$BUILT/.installed"
}

node_line()
{
    local major
    major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null)
    if [ "${major:-0}" -lt 20 ]; then
        echo "no: node 20 or newer is needed (found: ${major:-none})"
        return
    fi
    command -v npm >/dev/null || { echo "no: npm is not installed"; return; }
    cmp -s "$SOURCE/package-lock.json" "$BUILT/.installed" || install_packages ||
        { echo "no: npm could not install onnxruntime-node (see $BUILT/npm.log)"; return; }
    cp "$SOURCE/bench_clip_onnx.mjs" "$BUILT"
    echo "$BUILT/bench_clip_onnx.mjs"
}

python_line
node_line
