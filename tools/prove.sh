# shellcheck shell=bash

# Copyright (C) Rush
#
# chaos, model, api, fuzz, torture: what is run beside the suite.  Each is the
# program t/NAME/run; it gets the build by environment and says --help.

prove_by() {
    local name=$1
    shift

    [ -x "$ROOT/t/$name/run" ] || die "t/$name/run is missing"

    build_paths
    compile_flags

    case " $* " in
        *" --help "*)
            ;;
        *)
            # the model needs no build, these others make their own
            case $name in
                model|fuzz|torture) ;;
                *)
                    build_all
                    build_failpoints
                    ;;
            esac
            ;;
    esac

    mkdir -p "$BUILD"
    export CC RUSH_SANITIZE RUSH_JOBS="${RUSH_JOBS:-2}"

    exec "$ROOT/t/$name/run" "$@"
}
