# shellcheck shell=bash

# Copyright (C) Rush
#
# test, lint, bench, docs, deb.


# --- test ---

run_unit() {
    local tests

    say "unit tests"
    make -C "$ROOT/t/unit" -j "$(jobs)" OBJ="$BUILD/unit" CC="$CC" \
        CFLAGS="${CC_OPT/-D_FORTIFY_SOURCE=2/}" LDFLAGS="$LD_OPT" all \
        > "$BUILD/unit.log" 2>&1 < /dev/null \
        || fail_with "the unit tests did not build" "$BUILD/unit.log"

    mapfile -t tests < <(find "$BUILD/unit" -name 'test_*' -executable \
        -type f | sort)
    CMOCKA_MESSAGE_OUTPUT=TAP prove --timer --exec '' "${tests[@]}" \
        < /dev/null
}


# A test of real daemons may meet a machine that stands still for a second.
# With RUSH_AGAIN=N up to N files that failed beside others are run once more,
# alone, and are told to be unsteady when they pass then.  What a sanitizer or
# a log has said is no matter of time: it fails at once.

run_files() {
    local failed log=$BUILD/prove.log state=$BUILD/prove.state
    local found='Sanitizer|runtime error:|\[(alert|crit|emerg)\]'

    rm -f "$state"
    prove --state=save --statefile "$state" --timer --jobs "${RUSH_JOBS:-2}" \
        -I "$ROOT/t/lib" "$@" < /dev/null 2>&1 | tee "$log" && return 0

    [ "${RUSH_AGAIN:-0}" -gt 0 ] && ! grep -qaE "$found" "$log" || return 1

    mapfile -t failed < <(prove --dry --state=failed --statefile "$state")
    [ ${#failed[@]} -gt 0 ] && [ ${#failed[@]} -le "$RUSH_AGAIN" ] || return 1

    say "once more, alone: ${failed[*]}"
    prove --timer -I "$ROOT/t/lib" "${failed[@]}" < /dev/null || return 1
    say "unsteady: ${failed[*]}"
}


# with names: these files only.  t/99-*.t judge what the others recorded, so
# they run after them

run_tests() {
    local first=() last=() rc=0

    while [ $# -gt 0 ]; do
        case $1 in
            --mode)   [ $# -ge 2 ] || die "--mode needs a name"
                      export RUSH_MODE=$2; shift ;;
            --mode=*) export RUSH_MODE=${1#*=} ;;
            *)        first+=("$1") ;;
        esac
        shift
    done

    build_all
    build_failpoints
    export RUSH_SANITIZE RUSH_RECORD="$BUILD/t-record.jsonl"
    : > "$RUSH_RECORD"

    if [ ${#first[@]} = 0 ]; then
        # what was skipped in a mode was not recorded
        [ -n "${RUSH_MODE:-}" ] || export RUSH_WHOLE=1
        ( run_unit ) || rc=1
        mapfile -t first < <(ls "$ROOT"/t/[0-8]*.t "$ROOT"/t/9[0-8]*.t \
            "$ROOT"/t/issue-*.t 2> /dev/null)
        mapfile -t last < <(ls "$ROOT"/t/99-*.t 2> /dev/null)
    fi

    [ ${#first[@]} = 0 ] || run_files "${first[@]}" || rc=1
    [ ${#last[@]} = 0 ] || prove --timer -I "$ROOT/t/lib" "${last[@]}" \
        < /dev/null || rc=1

    return $rc
}


# --- bench ---

run_bench() {
    build_all
    [ -x "$ROOT/bench/run" ] || die "bench/run is missing"
    "$ROOT/bench/run" "$@"
}


# --- docs ---

make_docs() {
    build_all
    [ -x "$ROOT/tools/docs.sh" ] || die "tools/docs.sh is missing"
    "$ROOT/tools/docs.sh" "$@"
}


# --- lint ---

LINT_FAILED=

lint_step() {
    local name=$1 start=$SECONDS log=$BUILD/lint-${1// /-}.log
    shift

    if "$@" > "$log" 2>&1 < /dev/null; then
        printf '==> lint: %-18s ok, %d s\n' "$name" $((SECONDS - start))
    else
        printf '==> lint: %-18s FAILED\n' "$name"
        head -n 60 "$log"
        LINT_FAILED="$LINT_FAILED $name,"
    fi
}


c_sources() {
    ls "$ROOT"/shared/*.c "$ROOT"/ngx_*_module/*.c "$ROOT"/consumer/*.c \
        "$ROOT"/tools/*.c 2> /dev/null
}


c_includes() {
    local src=/usr/share/nginx/src/src dir

    for dir in core event event/modules os/unix http http/modules http/v2; do
        printf '%s\n' "-isystem" "$src/$dir"
    done

    printf -- '-I%s\n' "$BUILD/consumer" "$ROOT/shared" "$ROOT/consumer" \
        "$ROOT"/ngx_*_module
    printf '%s\n' -isystem "$BUILD/nginx"
}


lint_clang() {
    local CC=clang RUSH_BUILD=$BUILD-clang

    ( build_all )
}


# the checks are named in .clang-tidy

lint_tidy() {
    local flags rc=0

    mapfile -t flags < <(c_includes)
    flags+=(-DRUSH_FAILPOINTS=1 -DNGX_DEBUG=0)

    # It cannot follow nginx's queues: with NGX_DEBUG a removed item looks
    # like a null pointer in use, without it like memory in use after free.
    c_sources | grep '/ngx_[^/]*$' \
        | tidy --checks=-clang-analyzer-unix.Malloc -- "${flags[@]}" || rc=1
    c_sources | grep -v '/ngx_[^/]*$' | tidy -- "${flags[@]}" || rc=1

    return $rc
}


# one file a run: with several, its check of va_list reports nonsense

tidy() {
    local options=()

    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done

    xargs -P "$(nproc)" -I '{}' clang-tidy --quiet \
        --warnings-as-errors='*' "${options[@]+"${options[@]}"}" '{}' "$@"
}


lint_cppcheck() {
    local flags=() dir

    for dir in "$ROOT"/shared "$ROOT"/consumer "$ROOT"/ngx_*_module; do
        flags+=(-I "$dir")
    done

    c_sources | cppcheck --file-list=- --quiet --error-exitcode=1 -j 2 \
        --enable=warning,performance,portability --inline-suppr \
        --std=c11 --library=posix --suppress=missingInclude \
        --suppress=missingIncludeSystem --suppress=unknownMacro \
        --suppress=preprocessorErrorDirective -DRUSH_FAILPOINTS=1 \
        --suppressions-list="$ROOT/tools/cppcheck.txt" "${flags[@]}"
}


lint_lua() {
    local files

    mapfile -t files < <(find "$ROOT"/*/lua -name '*.lua')
    luacheck --std lua51 --read-globals redis KEYS ARGV cjson cmsgpack bit \
        struct -q --no-color -- "${files[@]}"
}


lint_shell() {
    local files

    mapfile -t files < <(cd "$ROOT" && find . -path ./.git -prune -o \
        -path './build*' -prune -o -path ./run -prune -o -type f -print0 \
        | xargs -0 grep -lE '^#!/bin/(ba)?sh$')
    cd "$ROOT" && shellcheck --external-sources --check-sourced "${files[@]}"
}


lint_perl() {
    local file rc=0

    while read -r file; do
        perl -I"$ROOT/t/lib" -I"${file%/lib/*}/lib" -wc "$file" 2>&1 \
            | grep -v ' syntax OK$' \
            | grep -v 'used only once: possible typo' && rc=1
    done < <(find "$ROOT"/t "$ROOT"/tools "$ROOT"/bench -name '*.p[lm]' \
        -o -name '*.t')

    return $rc
}


# units are judged with the binaries where the build put them

lint_units() {
    local dir=$BUILD/units unit rc=0

    rm -rf "$dir"
    mkdir -p "$dir"

    for unit in "$ROOT"/conf/*.service; do
        sed "s|/usr/sbin/rush-consumer|$BUILD/rush-consumer|" "$unit" \
            > "$dir/${unit##*/}"
    done

    systemd-analyze verify --man=no "$dir"/*.service > "$dir/out" 2>&1 || rc=1
    cat "$dir/out"
    [ $rc = 0 ] && [ ! -s "$dir/out" ]
}


run_lint() {
    build_all
    lint_step gcc true
    lint_step clang lint_clang
    lint_step style perl "$ROOT/tools/style.pl" "$ROOT"
    lint_step cppcheck lint_cppcheck
    lint_step luacheck lint_lua
    lint_step shellcheck lint_shell
    lint_step perl lint_perl
    lint_step systemd-units lint_units
    [ ! -x "$ROOT/tools/docs.sh" ] \
        || lint_step docs "$ROOT/tools/docs.sh" --check
    lint_step clang-tidy lint_tidy

    [ -z "$LINT_FAILED" ] || die "lint failed:${LINT_FAILED%,}"
    say "lint is clean"
}


# --- deb ---

make_deb() {
    local version dir

    build_paths
    version=$(sed -n 's/^#define RUSH_VERSION *"\(.*\)"/\1/p' \
        "$ROOT/shared/rush_base.h")
    dir=$BUILD/deb/rush-$version

    say "packing rush $version for nginx $(nginx_version)"
    rm -rf "$BUILD/deb"
    mkdir -p "$dir"
    ( cd "$ROOT" && tar cf - --exclude=./build --exclude='./build-*' \
        --exclude=./run \
        --exclude=./.git . ) | tar xf - -C "$dir"

    ( cd "$dir" && dpkg-buildpackage -us -uc -b ) \
        > "$BUILD/deb.log" 2>&1 < /dev/null \
        || fail_with "dpkg-buildpackage failed" "$BUILD/deb.log"

    mv "$BUILD"/deb/*.deb "$BUILD/"
    ls "$BUILD"/*.deb
}
