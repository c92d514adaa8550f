# shellcheck shell=bash

# Copyright (C) Rush
#
# up, down, status, clean, and the supervisor that starts again what dies.


lock_run() {
    mkdir -p "$RUN"
    exec 9> "$RUN/lock"
    flock -w 120 9 || die "another build.sh is at work in $RUN"
}


check_port() {
    local wish=${RUSH_PORT:-$PORT}

    if ! [[ $wish =~ ^[0-9]+$ && $wish -ge 1 && $wish -le 65535 ]]; then
        die "RUSH_PORT must be a number from 1 to 65535, not \"$wish\""
    fi

    if alive nginx; then
        [ "$wish" = "$(cat "$RUN/port")" ] \
            || die "it runs on port $(cat "$RUN/port"); \"./build.sh down\"" \
                "first, to change it"
        return
    fi

    port_is_free "$wish" || die "port $wish is busy; stop what listens" \
        "there or choose another: RUSH_PORT=8081 ./build.sh up"

    alive consumer || port_is_free "$CONSUMER_PORT" \
        || die "port $CONSUMER_PORT, for the consumer's metrics, is busy;" \
            "choose another RUSH_PORT"
}


port_is_free() {
    perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(Listen => 1,
        LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], ReuseAddr => 1)' "$1"
}


# shell-sourceable; replaced as a whole, so that no reader sees half of it

write_env() {
    local name

    ( umask 077; {
        printf '%s=%q\n' \
            RUSH_URL "http://127.0.0.1:$PORT" \
            RUSH_ADMIN_USER admin \
            RUSH_ADMIN_PASSWORD "$(secret admin)" \
            RUSH_REDIS_SOCKET "$SOCK/redis.sock" \
            RUSH_MYSQL_SOCKET "$SOCK/mysql.sock" \
            RUSH_MYSQL_DB rush \
            RUSH_JWT_KEY_FILE "$RUN/secrets/jwt.key"

        for name in nginx redis mysql consumer; do
            printf 'RUSH_%s_PID=%s\n' "${name^^}" "$(pid_of $name || true)"
        done

        printf '%s=%q\n' \
            RUSH_NGINX_CONF "$RUN/nginx.conf" \
            RUSH_NGINX_ERROR_LOG "$RUN/log/nginx.log"
    } > "$RUN/rush.env.new" )

    mv "$RUN/rush.env.new" "$RUN/rush.env"
}


ready() {
    [ "$(curl -s -o /dev/null -w '%{http_code}' \
        "http://127.0.0.1:$PORT/ready")" = 200 ]
}


up() {
    local name

    need build run
    build_paths
    lock_run
    prepare_run
    check_port
    build_all

    # nobody may have been unable to run what was not built yet
    prepare_run
    ulimit -n "$(ulimit -Hn)" 2> /dev/null || true
    echo "$PORT" > "$RUN/port"

    for name in $SERVICES; do
        if ! alive "$name"; then
            say "starting $name"
            "start_$name" || exit 1
        fi

        if [ "$name" = mysql ]; then
            migrate
            demo
        fi
    done

    write_env
    say "waiting until it is ready to sell"
    wait_until nginx 30 ready || {
        curl -s "http://127.0.0.1:$PORT/ready" >&2 || true
        printf '\nbuild.sh: the end of %s:\n' "$RUN/log/consumer.log" >&2
        tail -n 15 "$RUN/log/consumer.log" >&2
        exit 1
    }
    wait_until nginx 10 on_sale

    if [ "${RUSH_SUPERVISE:-1}" != 0 ] && ! alive supervisor; then
        RUSH_RUN=$RUN RUSH_PORT=$PORT launch supervisor \
            "$ROOT/build.sh" supervise \
            ${NGINX_SRC:+--nginx-src "$NGINX_SRC"}
    fi

    explain
}


# --- demo data ---

bcrypt() {
    # shellcheck disable=SC2016
    perl -e 'my $s = join "", map { (".", "/", "A" .. "Z", "a" .. "z",
            0 .. 9)[$_ & 63] } unpack "C22", $ARGV[1];
        $s =~ s/.$/e/;
        my $h = crypt($ARGV[0], "\$2b\$10\$$s");
        die "crypt has no bcrypt\n" if $h !~ /^\$2b\$10\$.{53}$/;
        print $h' "$1" "$(openssl rand -hex 11)"
}


demo() {
    if ! applied demo; then
        say "demo data"
        sed -e "s|@admin@|$(bcrypt "$(secret admin)")|" \
            -e "s|@buyer@|$(bcrypt "$(secret buyers)")|" \
            "$ROOT/sql/demo.sql" | mysql_root rush
        note_applied demo
    fi

    # of an old demo, all may have ended
    demo_activity activity activity "pay_seconds > 20 AND sold < total"
    demo_activity quick activity-20s "pay_seconds = 20 AND sold = 0"
}


# the id of one that runs, in a file; a new one when there is none

demo_activity() {
    local sql=$1 file=$2 rule=$3 running

    running=$(mysql_root rush -e "SELECT id FROM seckill_activity
        WHERE status = 1 AND $rule
          AND start_ms <= UNIX_TIMESTAMP() * 1000
          AND stop_ms > (UNIX_TIMESTAMP() + 600) * 1000
        ORDER BY id LIMIT 1")

    if [ -z "$running" ]; then
        say "a new activity in $file"
        mysql_root rush < "$ROOT/sql/demo-$sql.sql"
        running=$(mysql_root rush -e "SELECT MAX(id) FROM seckill_activity")
    fi

    echo "$running" > "$RUN/$file"
}


# generation 0: known from MySQL, not yet seen in Redis

on_sale() {
    curl -s "http://127.0.0.1:$PORT/api/v1/seckill/activities/$(
        cat "$RUN/activity")/stock" | grep -q '"generation":[1-9]'
}


explain() {
    local url="http://127.0.0.1:$PORT" json auth id token

    json="-H 'Content-Type: application/json'"
    # shellcheck disable=SC2016
    auth='-H "Authorization: Bearer $TOKEN"'
    # shellcheck disable=SC2016
    token="sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/'"
    id=$(cat "$RUN/activity")

    cat << END

Rush is ready:  $url      (variables: ${RUN#"$PWD/"}/rush.env)

  admin              $(secret admin)
  alice, bob, carol  $(secret buyers)
  codes for numbers  ${RUN#"$PWD/"}/outbox/messages

Log in, buy, see the order:

$(printf '%s ' "TOKEN=\$(curl -s $url/api/v1/user/login $json" \
    "-d '{\"username\":\"alice\",\"password\":\"$(secret buyers)\"}'" \
    "| $token)")
$(printf '%s ' "curl -s $url/api/v1/seckill/activities/$id/buy" \
    "$auth $json -H 'Idempotency-Key: first-buy' -d '{\"quantity\":1}'")
curl -s $url/api/v1/orders $auth

"./build.sh status" looks at it, "./build.sh down" stops it.
END
}


# --- the others ---

down() {
    if [ ! -d "$RUN/pid" ]; then
        say "nothing runs in $RUN"
        return
    fi

    lock_run
    RUN=$(cd "$RUN" && pwd -P)

    stop supervisor TERM 5
    rm -f "$RUN/rush.env"

    alive nginx || alive consumer || alive mysql || alive redis \
        || say "nothing runs in $RUN"

    stop nginx QUIT 15
    stop consumer TERM 20
    stop mysql TERM 60
    stop redis TERM 30
    say "stopped; the data is in ${RUN#"$ROOT/"}"
}


status() {
    local name rc=0

    if [ ! -f "$RUN/rush.env" ]; then
        say "nothing runs in $RUN"
        exit 3
    fi

    RUN=$(cd "$RUN" && pwd -P)
    PORT=$(cat "$RUN/port")
    cat "$RUN/rush.env"
    echo

    for name in $SERVICES; do
        if alive "$name"; then
            printf '%-10s running, pid %s\n' "$name" "$(pid_of "$name")"
        else
            printf '%-10s DEAD, see %s\n' "$name" "$RUN/log/$name.log"
            rc=1
        fi
    done

    alive supervisor \
        && printf '%-10s running, pid %s\n' supervisor "$(pid_of supervisor)"

    if ready; then
        echo "/ready     200"
    else
        printf '/ready     NOT READY: %s\n' \
            "$(curl -s "http://127.0.0.1:$PORT/ready" || echo "no answer")"
        rc=1
    fi

    exit $rc
}


clean() {
    local dir

    [ ! -d "$RUN/pid" ] || down

    if [ -L "$RUN/sock" ]; then
        rm -rf "$(readlink "$RUN/sock")"
    fi

    # only what up made: somebody may have pointed RUSH_RUN at a home
    if [ -e "$RUN/secrets" ] || [ -e "$RUN/pid" ]; then
        rm -rf "${RUN:?}"/{pid,log,secrets,redis,mysql,outbox,tmp,sock} \
            "${RUN:?}"/{lock,port} \
            "${RUN:?}"/{activity,activity-20s,rush.env,users.acl} \
            "${RUN:?}"/{redis.conf,my.cnf} \
            "${RUN:?}"/{consumer.conf,nginx.conf}
        rmdir "$RUN" 2> /dev/null || true
    fi

    for dir in "$ROOT"/build "$ROOT"/build-*; do
        [ ! -d "$dir" ] || rm -rf "$dir"
    done

    say "removed run/ and build*/"
}


# --- the supervisor ---

# What dies is started again after a second, later each time it dies soon,
# and rush.env tells the new pid.

supervise() {
    local name now
    declare -A pause last

    build_paths
    prepare_run

    while sleep 0.5; do
        for name in $SERVICES; do
            ! alive "$name" || continue
            [ -e "$RUN/pid/$name" ] || continue

            now=$SECONDS
            [ $((now - ${last[$name]:--60})) -lt 60 ] || pause[$name]=1
            [ $((now - ${last[$name]:--60})) -ge "${pause[$name]}" ] || continue
            last[$name]=$now
            pause[$name]=$((pause[$name] < 30 ? pause[$name] * 2 : 30))

            start_again "$name"
        done
    done
}


start_again() {
    exec 9> "$RUN/lock"

    if flock -n 9 && ! alive "$1"; then
        echo "$(date '+%F %T') $1 died and is started again"
        ( "start_$1" ) || echo "$(date '+%F %T') $1 did not start"
        write_env
    fi

    exec 9>&-
}
