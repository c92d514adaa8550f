# shellcheck shell=bash

# Copyright (C) Rush
#
# The build: nginx modules and the consumer, out of the tree.

CFLAGS_RUSH="-g -fPIC -Wall -Wextra -Wshadow -Wdeclaration-after-statement \
-Werror -Wno-unused-parameter"
NGINX_FLAGS_OWN=(--with-compat --with-debug --with-threads
    --with-http_ssl_module --with-http_v2_module --with-http_realip_module
    --with-http_stub_status_module)


nginx_version() {
    sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' \
        "${NGINX_SRC:-/usr/share/nginx/src}/src/core/nginx.h"
}


# BUILD, NGINX: where the build lands and which nginx loads it

build_paths() {
    local suffix=

    [ -z "$RUSH_SANITIZE" ] || suffix=-asan
    [ -z "$NGINX_SRC" ] || suffix=$suffix-nginx-$(nginx_version)

    BUILD=${RUSH_BUILD:-$ROOT/build$suffix}
    [[ $BUILD = /* ]] || BUILD=$PWD/$BUILD

    NGINX=/usr/sbin/nginx
    if [ -n "$NGINX_SRC" ]; then
        NGINX=$BUILD/nginx-binary/nginx
    elif [ ! -x $NGINX ]; then
        NGINX=$(command -v nginx || echo /usr/sbin/nginx)
    fi

    export RUSH_BUILD=$BUILD RUSH_NGINX=$NGINX
}


compile_flags() {
    local flags=$CFLAGS_RUSH

    if [ -n "$RUSH_SANITIZE" ]; then
        flags="$flags -O1 -fno-omit-frame-pointer -fsanitize=address,undefined"
        RUSH_FAILPOINTS=1
    else
        flags="$flags -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong"
    fi

    [ -z "$RUSH_FAILPOINTS" ] || flags="$flags -DRUSH_FAILPOINTS=1"

    CC_OPT=$flags
    LD_OPT="-Wl,-z,relro -Wl,-z,now -fPIC"
    [ -z "$RUSH_SANITIZE" ] || LD_OPT="$LD_OPT -fsanitize=address,undefined"
}


jobs() {
    echo "${RUSH_JOBS:-$(nproc)}"
}


# everything that would make nginx's configure say something else

configure_stamp() {
    {
        echo "$CC $CC_OPT $LD_OPT $NGINX_SRC $ROOT"
        dpkg-query -W nginx-dev 2> /dev/null || true
        cat "$ROOT/config" "$ROOT/config.make"
        ls "$ROOT"/shared "$ROOT"/ngx_*_module "$ROOT"/*/lua
    } | sha1sum
}


# nginx's configure writes into its own tree: a given one is copied

source_tree() {
    if [ -z "$NGINX_SRC" ]; then
        echo /usr/share/nginx/src
        return
    fi

    if [ "$(cat "$BUILD/src/.from" 2> /dev/null)" != "$NGINX_SRC" ]; then
        rm -rf "$BUILD/src"
        mkdir -p "$BUILD/src"
        ( cd "$NGINX_SRC" && tar cf - --exclude=./.git --exclude=./objs . ) \
            | tar xf - -C "$BUILD/src"
        # a checkout has it in auto/, a release at the top
        [ -e "$BUILD/src/configure" ] \
            || cp "$BUILD/src/auto/configure" "$BUILD/src/configure"
        echo "$NGINX_SRC" > "$BUILD/src/.from"
    fi

    echo "$BUILD/src"
}


configure_modules() {
    local src=$1 stamp flags=("${NGINX_FLAGS_OWN[@]}")

    stamp=$(configure_stamp)

    if [ -e "$BUILD/nginx/Makefile" ] \
        && [ "$(cat "$BUILD/stamp" 2> /dev/null)" = "$stamp" ]
    then
        return
    fi

    rm -rf "$BUILD/nginx" "$BUILD/stamp"
    mkdir -p "$BUILD/nginx"

    if [ -z "$NGINX_SRC" ]; then
        # shellcheck disable=SC1091
        . "$src/conf_flags"
        flags=("${NGX_CONF_FLAGS[@]}")
    fi

    ( cd "$src" && bash ./configure "${flags[@]}" --with-cc="$CC" \
        --with-cc-opt="$CC_OPT" --with-ld-opt="$LD_OPT" \
        --add-dynamic-module="$ROOT" --builddir="$BUILD/nginx" ) \
        > "$BUILD/configure.log" 2>&1 < /dev/null \
        || fail_with "nginx's configure failed" "$BUILD/configure.log"

    echo "$stamp" > "$BUILD/stamp"
}


# the nginx of a given tree, with its own warnings, not ours

build_nginx_binary() {
    local src=$1 dir=$BUILD/nginx-binary

    [ ! -x "$dir/nginx" ] || return 0

    say "building nginx $(nginx_version) itself"
    mkdir -p "$dir"
    {
        ( cd "$src" && bash ./configure "${NGINX_FLAGS_OWN[@]}" \
            --with-cc="$CC" --with-cc-opt="-g -O2" --builddir="$dir" ) &&
        make -f "$dir/Makefile" -C "$src" -j "$(jobs)" binary
    } > "$BUILD/nginx-binary.log" 2>&1 < /dev/null \
        || fail_with "nginx did not build" "$BUILD/nginx-binary.log"
}


fail_with() {
    printf 'build.sh: %s; the end of %s:\n' "$1" "$2" >&2
    grep -nE '(error|warning):|undefined reference' "$2" | head -n 20 >&2 \
        || true
    tail -n 15 "$2" | cut -c 1-200 >&2
    exit 1
}


build_all() {
    local src

    build_paths
    compile_flags
    mkdir -p "$BUILD"

    say "building for nginx $(nginx_version) with $CC into ${BUILD#"$ROOT/"}"

    # two runs at once in one directory would spoil each other
    exec 8> "$BUILD/lock"
    flock 8

    src=$(source_tree)
    configure_modules "$src"

    make -f "$BUILD/nginx/Makefile" -C "$src" -j "$(jobs)" modules \
        > "$BUILD/modules.log" 2>&1 < /dev/null \
        || fail_with "the modules did not build" "$BUILD/modules.log"

    make -C "$ROOT/consumer" -j "$(jobs)" OBJ="$BUILD/consumer" \
        BIN="$BUILD/rush-consumer" CC="$CC" CFLAGS="$CC_OPT" \
        LDFLAGS="$LD_OPT" \
        > "$BUILD/consumer.log" 2>&1 < /dev/null \
        || fail_with "the consumer did not build" "$BUILD/consumer.log"

    if [ -n "$NGINX_SRC" ]; then
        build_nginx_binary "$src"
    fi

    exec 8>&-
}


# all once more in fp/, with failpoints: tests with kills in the middle of
# things take it.  The sanitized build has them already

build_failpoints() {
    [ -z "$RUSH_SANITIZE" ] || return 0

    mkdir -p "$BUILD/fp"
    [ -z "$NGINX_SRC" ] || ln -sfn ../nginx-binary "$BUILD/fp/nginx-binary"

    ( RUSH_FAILPOINTS=1 RUSH_BUILD=$BUILD/fp; build_all )
}
