#!/bin/bash

# Copyright (C) Rush
#
# Makes docs/openapi.json, docs/errors.md and docs/metrics.md from the tables
# of the source; --check fails when the committed ones differ.

set -eu -o pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT

"${CC:-cc}" -O1 -Wall -Wextra -Werror -I"$ROOT/shared" -I"$ROOT/tools" \
    -I"$ROOT/ngx_user_module" -I"$ROOT/ngx_seckill_module" \
    -o "$TMP/apidoc" "$ROOT"/tools/apidoc*.c \
    "$ROOT"/shared/rush_{buf,permissions,time,utf8}.c

"$TMP/apidoc" openapi > "$TMP/openapi.json"
"$TMP/apidoc" errors > "$TMP/errors.md"
"$TMP/apidoc" metrics > "$TMP/metrics.md"

for f in openapi.json errors.md metrics.md; do
    if [ "${1:-}" = --check ]; then
        cmp -s "$TMP/$f" "$ROOT/docs/$f" || {
            echo "docs/$f is not what the source says: ./build.sh docs" >&2
            exit 1
        }
    else
        cmp -s "$TMP/$f" "$ROOT/docs/$f" || cp "$TMP/$f" "$ROOT/docs/$f"
    fi
done
