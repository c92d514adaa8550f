# shellcheck shell=bash

# Copyright (C) Rush
#
# The processes of "up": their configuration, start and end.  Each runs in
# the foreground of a session of its own, so its pid is known from the start;
# run/pid/NAME keeps "pid starttime", because a pid alone may be somebody
# else's by now.

SERVICES="redis mysql consumer nginx"   # in order of start


# --- who and where ---

# As root, daemons run as nobody; unless nobody can reach run/ (say, below
# /root): then as root.

choose_user() {
    AS=()
    OWNER=$(id -un):$(id -gn)
    MYSQL_USER=()
    NGINX_USER=

    [ "$(id -u)" = 0 ] || return 0

    AS=(setpriv --reuid=nobody --regid=nogroup --clear-groups)

    if "${AS[@]}" test -x "$RUN" && "${AS[@]}" test -x "$BUILD/rush-consumer"
    then
        OWNER=nobody:nogroup
        NGINX_USER="user nobody nogroup;"
    else
        AS=()
        MYSQL_USER=(--user=root)
        NGINX_USER="user root;"
    fi
}


# the path of a unix socket has at most 107 bytes

choose_sockets() {
    SOCK=$RUN/sock

    if [ ${#RUN} -le 85 ]; then
        mkdir -p "$SOCK"
        return
    fi

    if [ ! -d "$(readlink "$SOCK" 2> /dev/null)" ]; then
        rm -f "$SOCK"
        ln -s "$(mktemp -d /tmp/rush.XXXXXX)" "$SOCK"
    fi

    SOCK=$(readlink "$SOCK")
}


prepare_run() {
    mkdir -p "$RUN"
    chmod 755 "$RUN"
    RUN=$(cd "$RUN" && pwd -P)
    PORT=${RUSH_PORT:-$(cat "$RUN/port" 2> /dev/null || echo 8080)}
    CONSUMER_PORT=$((PORT < 64000 ? PORT + 1040 : PORT - 1040))

    choose_user
    choose_sockets

    mkdir -p "$RUN"/{pid,log,secrets,redis,mysql,outbox,tmp}
    chmod 700 "$RUN"/{secrets,redis,mysql,outbox}
    chmod 755 "$SOCK"
    make_secrets
    [ "$(id -u)" != 0 ] \
        || chown -R "$OWNER" "$RUN"/{log,secrets,redis,mysql,outbox,tmp} \
            "$SOCK/"
}


make_secrets() {
    local name dir=$RUN/secrets

    umask 077

    for name in redis_worker redis_consumer redis_ops mysql admin buyers; do
        [ -s "$dir/$name" ] || openssl rand -hex 16 > "$dir/$name"
    done

    if [ ! -s "$dir/jwt.key" ]; then
        printf 'k1:%s\n' "$(openssl rand 32 | base64 -w 0 | tr '+/' '-_' \
            | tr -d '=')" > "$dir/jwt.key"
    fi

    if [ ! -s "$dir/seal.key" ]; then
        openssl rand 32 | base64 -w 0 | tr '+/' '-_' | tr -d '=' \
            > "$dir/seal.key"
    fi

    chmod 600 "$dir"/*
    umask 022
}


secret() {
    cat "$RUN/secrets/$1"
}


# --- processes ---

# state and start time of a process, nothing when there is none

proc_start() {
    local line fields

    { read -r line < "/proc/$1/stat"; } 2> /dev/null || return 1
    read -r -a fields <<< "${line##*) }"
    [[ ${fields[0]} != [ZX] ]] || return 1
    echo "${fields[19]}"
}


# the pid of a service, if it is the process that was started

pid_of() {
    local pid start

    { read -r pid start < "$RUN/pid/$1"; } 2> /dev/null || return 1
    [ "$(proc_start "$pid")" = "$start" ] || return 1
    echo "$pid"
}


alive() {
    pid_of "$1" > /dev/null
}


# launch NAME command...: what it prints goes to run/log/NAME.log

launch() {
    local name=$1 log=$RUN/log/$1.log
    shift

    setsid "$@" < /dev/null >> "$log" 2>&1 9>&- &
    echo "$! $(proc_start $!)" > "$RUN/pid/$name"
    disown
}


# wait_until SERVICE SECONDS command...: dies with the log when it does not
# come

wait_until() {
    local name=$1 end=$((SECONDS + $2)) why=
    shift 2

    until "$@" > /dev/null 2>&1; do
        if ! alive "$name"; then
            why="ended at once"
        elif [ $SECONDS -ge $end ]; then
            why="is not ready"
        fi

        if [ -n "$why" ]; then
            printf 'build.sh: %s %s; the end of %s:\n' "$name" "$why" \
                "$RUN/log/$name.log" >&2
            tail -n 15 "$RUN/log/$name.log" >&2
            return 1
        fi

        sleep 0.05
    done
}


# stop NAME SIGNAL SECONDS

stop() {
    local name=$1 pid i

    if pid=$(pid_of "$name"); then
        kill -CONT "$pid"
        kill -"$2" "$pid"

        for ((i = 0; i < $3 * 20; i++)); do
            alive "$name" || break
            sleep 0.05
        done

        if alive "$name"; then
            say "$name did not stop in $3 s and is killed"
            kill -KILL "$pid"
            while alive "$name"; do
                sleep 0.05
            done
        fi
    fi

    rm -f "$RUN/pid/$name"
}


# --- redis ---

conf_redis() {
    local user hash script=

    for user in worker consumer ops; do
        hash=$(secret redis_$user | tr -d '\n' | sha256sum | cut -d ' ' -f 1)
        script="$script;s/@rush_$user@/$hash/"
    done

    # who can open the socket may look, as rush_ops may, without a password
    script="$script;s/^user default .*/user default on nopass ~* resetchannels"
    script="$script -@all +@read +@connection -@dangerous +info +dbsize/"

    rm -f "$RUN/users.acl"
    ( umask 077; sed "/^#/d${script}" "$ROOT/conf/users.acl" \
        > "$RUN/users.acl" )

    sed -e "s|^unixsocket .*|unixsocket $SOCK/redis.sock|" \
        -e "s|^dir .*|dir $RUN/redis|" -e "s|^logfile .*|logfile \"\"|" \
        -e "s|^aclfile .*|aclfile $RUN/users.acl|" -e "/^supervised /d" \
        "$ROOT/conf/redis.conf" > "$RUN/redis.conf"

    [ "$(id -u)" != 0 ] || chown "$OWNER" "$RUN/users.acl" "$RUN/redis.conf"
}


redis_answers() {
    redis-cli -s "$SOCK/redis.sock" ping | grep -q PONG
}


start_redis() {
    conf_redis
    launch redis "${AS[@]+"${AS[@]}"}" redis-server "$RUN/redis.conf"
    wait_until redis 30 redis_answers
}


# --- mysql ---

conf_mysql() {
    sed -e "s|^datadir *=.*|datadir = $RUN/mysql|" \
        -e "s|^socket *=.*|socket = $SOCK/mysql.sock|" \
        -e "s|^pid-file *=.*|pid-file = $RUN/tmp/mysql.pid|" \
        -e "s|^tmpdir *=.*|tmpdir = $RUN/tmp|" \
        "$ROOT/conf/my.cnf" > "$RUN/my.cnf"
}


# the caller is MySQL's root by the identity of its process, no password

mysql_root() {
    mariadb --no-defaults -S "$SOCK/mysql.sock" --batch --skip-column-names \
        "$@"
}


install_mysql() {
    local me

    [ ! -d "$RUN/mysql/mysql" ] || return 0

    me=$(id -un)
    "${AS[@]+"${AS[@]}"}" mariadb-install-db --defaults-file="$RUN/my.cnf" \
        "${MYSQL_USER[@]+"${MYSQL_USER[@]}"}" --skip-test-db \
        --auth-root-authentication-method=socket --auth-root-socket-user="$me" \
        > "$RUN/log/mysql-install.log" 2>&1 < /dev/null || {
            # half a data directory would be taken for a whole one
            rm -rf "${RUN:?}/mysql/"*
            fail_with "MariaDB's data directory could not be made" \
                "$RUN/log/mysql-install.log"
        }
}


start_mysql() {
    conf_mysql
    install_mysql
    launch mysql "${AS[@]+"${AS[@]}"}" mariadbd --defaults-file="$RUN/my.cnf" \
        "${MYSQL_USER[@]+"${MYSQL_USER[@]}"}"
    wait_until mysql 60 mysql_root -e 'SELECT 1'
}


# each file of sql/ once, in order

migrate() {
    local file name password

    password=$(secret mysql)
    mysql_root << END
CREATE DATABASE IF NOT EXISTS rush CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS rush@localhost;
ALTER USER rush@localhost IDENTIFIED BY '$password';
GRANT SELECT, INSERT, UPDATE, DELETE ON rush.* TO rush@localhost;
CREATE TABLE IF NOT EXISTS rush.schema_migration (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    applied_ms BIGINT NOT NULL
);
END

    for file in "$ROOT"/sql/[0-9]*.sql; do
        name=$(basename "$file" .sql)
        ! applied "$name" || continue

        say "migration $name"
        mysql_root rush < "$file" 2> "$RUN/log/migration.log" \
            || fail_with "migration $name failed" "$RUN/log/migration.log"
        note_applied "$name"
    done
}


applied() {
    [ -n "$(mysql_root rush -e \
        "SELECT 1 FROM schema_migration WHERE name = '$1'")" ]
}


note_applied() {
    mysql_root rush -e "INSERT INTO schema_migration
        VALUES ('$1', UNIX_TIMESTAMP() * 1000)"
}


# --- consumer ---

conf_consumer() {
    cat > "$RUN/consumer.conf" << END
[consumer]
name = up-1
listen = 127.0.0.1:$CONSUMER_PORT
seal_key = $RUN/secrets/seal.key

; codes go nowhere but into a file: this is for trying things out
[courier]
file = $RUN/outbox/messages

[sms]
driver = log

[mail]
driver = log

; payments without money, for trying things out
[sandbox]
enabled = 1

[redis]
socket = $SOCK/redis.sock
user = rush_consumer
password_file = $RUN/secrets/redis_consumer

[mysql]
socket = $SOCK/mysql.sock
user = rush
password_file = $RUN/secrets/mysql
database = rush
END
}


sanitizer_env() {
    SAN=()

    if [ -n "$RUSH_SANITIZE" ]; then
        SAN=(env "ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0"
            "LD_PRELOAD=$(gcc -print-file-name=libasan.so) $(
                gcc -print-file-name=libubsan.so)")
    fi
}


start_consumer() {
    conf_consumer
    launch consumer "${AS[@]+"${AS[@]}"}" "$BUILD/rush-consumer" \
        -c "$RUN/consumer.conf"
    wait_until consumer 20 curl -s -o /dev/null \
        "http://127.0.0.1:$CONSUMER_PORT/health"
}


# --- nginx ---

conf_nginx() {
    local script=

    script="s|@RUN@|$RUN|g;s|@SOCK@|$SOCK|g;s|@MODULES@|$BUILD/nginx|g"
    script="$script;s|@PORT@|$PORT|g;s|@USER@|$NGINX_USER|g"
    sed "/^#/d;$script" "$ROOT/conf/dev.conf" > "$RUN/nginx.conf"
}


start_nginx() {
    local log=$RUN/log/nginx.log

    conf_nginx
    mkdir -p "$RUN"/tmp/{body,proxy,fastcgi,uwsgi,scgi}
    sanitizer_env

    # shellcheck disable=SC2094
    "${SAN[@]+"${SAN[@]}"}" "$NGINX" -e "$log" -p "$RUN/" \
        -c "$RUN/nginx.conf" -t -q >> "$log" 2>&1 \
        || fail_with "nginx refuses $RUN/nginx.conf" "$log"

    launch nginx "${SAN[@]+"${SAN[@]}"}" "$NGINX" -e "$log" -p "$RUN/" \
        -c "$RUN/nginx.conf" -g "daemon off;"
    wait_until nginx 20 curl -s -o /dev/null "http://127.0.0.1:$PORT/health"
}
