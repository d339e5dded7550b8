#!/usr/bin/env bash
# Builds the relay into build/, the Worker that wrangler.toml names: wrangler runs this before `dev` and `deploy`.
# Uses the tools that `make setup` left, else those on the PATH; never downloads any. Does nothing when nothing
# changed. TOWLINE_WASM_OPT=off leaves the wasm unoptimised, which is quicker to build and just as right.
set -euo pipefail
. "$(dirname "$0")/../tests/setup/common.sh"

# One build at a time in this folder.
exec 9<"$0"
flock 9

# The folders that set-up fills: the one that this folder's node_modules points into, then the usual one.
caches=("$cache")
if [[ -L $root/node_modules ]]; then
  caches=("$(dirname "$(dirname "$(readlink "$root/node_modules")")")" "${caches[@]}")
fi

# tool NAME [FOLDER]: prints the program of that name from FOLDER in a cache, from node_modules or from the PATH.
tool() {
  local candidate
  for candidate in "${caches[@]/%//${2:-}/bin/$1}" "$root/node_modules/.bin/$1"; do
    if [[ -x $candidate ]]; then
      echo "$candidate"
      return
    fi
  done
  command -v "$1" || {
    echo "relay/build.sh: $1 is missing: run make setup in $root, or put it on the PATH" >&2
    return 1
  }
}

worker=$(locked_version worker) bindgen=$(locked_version wasm-bindgen)
worker_build=$(tool worker-build "worker-build-$worker")
WASM_BINDGEN_BIN=$(tool wasm-bindgen "wasm-bindgen-cli-$bindgen")
ESBUILD_BIN=$(tool esbuild)
export WASM_BINDGEN_BIN ESBUILD_BIN
options=(--release)
if [[ ${TOWLINE_WASM_OPT:-on} == off ]]; then
  options+=(--no-opt)
else
  WASM_OPT_BIN=$(tool wasm-opt)
  export WASM_OPT_BIN
fi
# As worker-build sets it, so that the two cargo runs agree and the second one finds everything done.
export WASM_BINDGEN_USE_JS_SYS=1

cd "$root/relay"
made_by="$worker $bindgen ${options[*]} $(sha256sum <Cargo.toml)"
# Where nothing is newer than what was made of it, cargo need not be asked: it would wait, without a word, for any other
# build in this folder.
if [[ -f $root/build/index.js && $(cat "$root/build/.made-from" 2>/dev/null) == *" $made_by" &&
  -z $(find . ../Cargo.toml ../Cargo.lock -newer "$root/build/.made-from" -print -quit) ]]; then
  exit 0
fi

# What changes while it is compiled is newer than that.
begun=@$(date +%s.%N)
target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
wasm=$target/wasm32-unknown-unknown/release/towline_relay.wasm
if [[ ! -f $wasm ]]; then echo "compiling the relay to wasm (about a minute, the first time)" >&2; fi
cargo build --quiet --release --lib --target wasm32-unknown-unknown

made_from="$(sha256sum <"$wasm") $made_by"
if [[ -f $root/build/index.js && $(cat "$root/build/.made-from" 2>/dev/null) == "$made_from" ]]; then
  touch -d "$begun" "$root/build/.made-from"
  exit 0
fi
rm -f "$root/build/.made-from"
if ! words=$("$worker_build" "${options[@]}" --out-dir ../build 2>&1); then
  echo "$words" >&2
  exit 1
fi
echo "$made_from" >"$root/build/.made-from"
touch -d "$begun" "$root/build/.made-from"
