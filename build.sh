#!/bin/bash

# Copyright (C) Rush
#
# The one door: everything that is built, run, tested or packed goes through
# here.  Its parts stand in tools/*.sh.

set -eu -o pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
export LC_ALL=C

# somebody may have sourced run/rush.env: what it tells is no wish of theirs
unset RUSH_URL "${!RUSH_ADMIN_@}" "${!RUSH_REDIS_@}" "${!RUSH_MYSQL_@}" \
    "${!RUSH_CONSUMER_@}" "${!RUSH_CONTROLLER_@}" "${!RUSH_COURIER_@}" \
    "${!RUSH_SMS_@}" "${!RUSH_MAIL_@}" "${!RUSH_JWT_@}" \
    "${!RUSH_PAY_@}" "${!RUSH_ALIPAY_@}" "${!RUSH_SANDBOX_@}" \
    "${!RUSH_NGINX_@}"

RUSH_SANITIZE=${RUSH_SANITIZE:-}
RUSH_FAILPOINTS=${RUSH_FAILPOINTS:-}
RUN=${RUSH_RUN:-$ROOT/run}
NGINX_SRC=
CC=${CC:-gcc}

[[ $RUN = /* ]] || RUN=$PWD/$RUN


say() {
    printf '==> %s\n' "$*"
}


die() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}


usage() {
    cat << END
Usage: ./build.sh COMMAND [options]

  deps     installs the Debian packages that are missing
  build    builds the modules and the consumer into build/
  up       builds, starts everything in run/, loads demo data, prints how to buy
  down     stops what up started; the data stays
  status   shows rush.env and the health of each process
  test     runs the unit tests and t/*.t (or the files named); --mode M
  bench    measures and writes bench/results.md
  lint     warnings of gcc and clang, cppcheck, clang-tidy, style and others
  asan     test with AddressSanitizer and UBSan
  chaos    kills and cuts while buyers buy, then checks; --seeds N, --planted
  model    checks the protocol's model with Spin, and that it can fail
  api      random calls against a reference model of the API; --seeds N
  fuzz     fuzzes the parsers with libFuzzer; --seconds N
  torture  fails the n-th allocation, Redis reply, MySQL call; --quick
  docs     makes docs/openapi.json, errors.md, metrics.md; --check compares
  deb      packs libnginx-mod-http-rush and rush-consumer into build/
  clean    stops everything and removes run/ and build*/

Options: --nginx-src DIR   builds against this nginx source tree, in its own
                           build directory, instead of Debian's nginx-dev
Environment: CC, RUSH_PORT (8080), RUSH_RUN (run/), RUSH_BUILD (build/),
    RUSH_SANITIZE=1, RUSH_FAILPOINTS=1, RUSH_SUPERVISE=0 (up: nothing is
    restarted when it dies), RUSH_JOBS (of test and make), RUSH_AGAIN (so many
    files of test that failed run once more, alone)
END
}


# shellcheck source=tools/deps.sh
. "$ROOT/tools/deps.sh"
# shellcheck source=tools/make.sh
. "$ROOT/tools/make.sh"
# shellcheck source=tools/daemons.sh
. "$ROOT/tools/daemons.sh"
# shellcheck source=tools/up.sh
. "$ROOT/tools/up.sh"
# shellcheck source=tools/check.sh
. "$ROOT/tools/check.sh"
# shellcheck source=tools/prove.sh
. "$ROOT/tools/prove.sh"


ARGS=()

parse_args() {
    while [ $# -gt 0 ]; do
        case $1 in
            --nginx-src)
                [ $# -ge 2 ] || die "--nginx-src needs a directory"
                NGINX_SRC=$2
                shift
                ;;
            --nginx-src=*)
                NGINX_SRC=${1#*=}
                ;;
            *)
                ARGS+=("$1")
                ;;
        esac
        shift
    done

    if [ -n "$NGINX_SRC" ]; then
        [ -f "$NGINX_SRC/src/core/nginx.h" ] \
            || die "\"$NGINX_SRC\" is no nginx source tree"
        NGINX_SRC=$(cd "$NGINX_SRC" && pwd -P)
    fi
}


main() {
    local command=${1:-help}

    [ $# -eq 0 ] || shift
    parse_args "$@"
    set -- "${ARGS[@]+"${ARGS[@]}"}"

    case $command in
        deps)       need build run test lint chaos model fuzz bench deb ;;
        build)      need build; build_all ;;
        up)         up ;;
        down)       down ;;
        status)     status ;;
        test)       need build run test; run_tests "$@" ;;
        asan)       RUSH_SANITIZE=1; need build run test; run_tests "$@" ;;
        chaos)      need build run test chaos; prove_by chaos "$@" ;;
        model)      need model; prove_by model "$@" ;;
        api)        need build run test; prove_by api "$@" ;;
        fuzz)       need build fuzz; prove_by fuzz "$@" ;;
        torture)    need build run test; prove_by torture "$@" ;;
        bench)      need build run bench; run_bench "$@" ;;
        lint)       need build run lint; run_lint ;;
        docs)       need build; make_docs "$@" ;;
        deb)        need build deb; make_deb ;;
        clean)      clean ;;
        supervise)  supervise ;;
        help|-h|--help)
            usage
            ;;
        *)
            usage >&2
            die "no command \"$command\""
            ;;
    esac
}


# bash reads a script while it runs it: nothing may follow this line
main "$@"; exit
