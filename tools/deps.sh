# shellcheck shell=bash

# Copyright (C) Rush
#
# Debian packages: what is missing is installed, and said.

PACKAGES_build="gcc make perl pkg-config nginx nginx-dev libhiredis-dev
    libmariadb-dev libssl-dev libcrypt-dev libinih-dev libcurl4-openssl-dev
    libjansson-dev zlib1g-dev"
PACKAGES_run="nginx redis-server redis-tools mariadb-server-core
    mariadb-client-core openssl curl util-linux perl"
PACKAGES_test="libredis-perl libdbd-mariadb-perl libjson-validator-perl
    libyaml-libyaml-perl libcmocka-dev python3-aiosmtpd"
PACKAGES_lint="clang clang-tidy cppcheck lua-check shellcheck systemd"
PACKAGES_chaos="faketime"
PACKAGES_model="gcc spin"
PACKAGES_fuzz="clang libclang-rt-14-dev"
PACKAGES_bench="wrk nghttp2-client libredis-perl libdbd-mariadb-perl"
PACKAGES_deb="debhelper dpkg-dev fakeroot"


as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        die "this needs root and there is no sudo: $*"
    fi
}


# packages of the groups named that are not installed

missing_packages() {
    local group list p

    for group; do
        list=PACKAGES_$group
        for p in ${!list}; do
            [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2> /dev/null)" \
                = installed ] || echo "$p"
        done
    done | sort -u
}


need() {
    local missing policy=/usr/sbin/policy-rc.d ours='' rc=0

    if ! command -v dpkg-query > /dev/null; then
        say "this is no Debian: see tools/deps.sh for what is needed"
        return
    fi

    missing=$(missing_packages "$@" | tr '\n' ' ')

    if [ -z "$missing" ]; then
        return
    fi

    say "installing with apt-get: $missing"

    # nginx and redis would be started as services of the system, on ports
    # that may be somebody's; we start our own
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy > /dev/null
        as_root chmod 755 $policy
        ours=1
    fi

    # shellcheck disable=SC2086
    {
        as_root apt-get -qq -o DPkg::Lock::Timeout=300 update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
            -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
            --no-install-recommends install $missing > /dev/null
    } < /dev/null || rc=$?

    if [ -n "$ours" ]; then
        as_root rm -f $policy
    fi

    [ $rc = 0 ] || die "apt-get failed; the packages are: $missing"
}
