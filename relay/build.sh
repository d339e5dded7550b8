#!/usr/bin/env bash
# Builds the relay into build/, the Worker that wrangler.toml names: wrangler runs this before `dev` and `deploy`.
# Uses the tools that `make setup` left, else those on the PATH; never downloads any. Does nothing when nothing
# changed. TOWLINE_WASM_OPT=off leaves the wasm unoptimised, which is quicker to build and just as right.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# One build at a time in this folder.
exec 9<"$0"
flock 9

locked_version() {
  awk -v name="\"$1\"" '$1 == "name" { hit = $3 == name } hit && $1 == "version" { gsub(/"/, "", $3); print $3; exit }' \
    "$root/Cargo.lock"
}

# The folders that set-up fills: the one that this folder's node_modules points into, then the usual one.
caches=("${XDG_CACHE_HOME:-$HOME/.cache}/towline")
if [[ -L $root/node_modules ]]; then
  caches=("$(dirname "$(dirname "$(readlink "$root/node_modules")")")" "${caches[@]}")
fi

# tool NAME CANDIDATE...: prints the first that is a program, or the one on the PATH.
tool() {
  local name=$1 candidate
  shift
  for candidate in "$@"; do
    if [[ -x $candidate ]]; then
      echo "$candidate"
      return
    fi
  done
  command -v "$name" || {
    echo "relay/build.sh: $name is missing: run make setup in $root, or put it on the PATH" >&2
    return 1
  }
}

in_caches() { printf '%s\n' "${caches[@]/%//$1}"; }

worker=$(locked_version worker) bindgen=$(locked_version wasm-bindgen) modules=$root/node_modules
mapfile -t candidates < <(in_caches "worker-build-$worker/bin/worker-build")
worker_build=$(tool worker-build "${candidates[@]}")
mapfile -t candidates < <(in_caches "wasm-bindgen-cli-$bindgen/bin/wasm-bindgen")
WASM_BINDGEN_BIN=$(tool wasm-bindgen "${candidates[@]}")
ESBUILD_BIN=$(tool esbuild "$modules/.bin/esbuild")
options=(--release)
if [[ ${TOWLINE_WASM_OPT:-on} == off ]]; then
  options+=(--no-opt)
else
  WASM_OPT_BIN=$(tool wasm-opt "$modules/.bin/wasm-opt")
  export WASM_OPT_BIN
fi
export WASM_BINDGEN_BIN ESBUILD_BIN
# As worker-build sets it, so that the two cargo runs agree and the second one finds everything done.
export WASM_BINDGEN_USE_JS_SYS=1

cd "$root/relay"
target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
wasm=$target/wasm32-unknown-unknown/release/towline_relay.wasm
if [[ ! -f $wasm ]]; then echo "compiling the relay to wasm (about a minute, the first time)" >&2; fi
cargo build --quiet --release --lib --target wasm32-unknown-unknown

made_from="$(sha256sum <"$wasm") $worker $bindgen ${options[*]}"
if [[ -f $root/build/index.js && $(cat "$root/build/.made-from" 2>/dev/null) == "$made_from" ]]; then exit 0; fi
rm -f "$root/build/.made-from"
if ! words=$("$worker_build" "${options[@]}" --out-dir ../build 2>&1); then
  echo "$words" >&2
  exit 1
fi
echo "$made_from" >"$root/build/.made-from"
