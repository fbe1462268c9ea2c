#!/bin/sh
# SPDX-License-Identifier: MIT
# A PostgreSQL server of a test's own: its files and its unix socket in one directory, no network, nobody else's data.
#   postgres.sh start DIR [NAME=VALUE ...]   make the cluster if there is none, start it, print the connection string;
#                                            each NAME=VALUE is a setting of the server
#   postgres.sh stop DIR [MODE]              MODE: fast (default), immediate (as in a crash)
#   postgres.sh psql DIR [ARGUMENT ...]      as the owner of the cluster
#   postgres.sh sh DIR                       a shell script from standard input, as that owner, who finds PostgreSQL's
#                                            programs and, in DATA, the cluster's files
# PostgreSQL refuses to run as root; then it runs as the user that Debian's package has made.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
[ -n "$bin" ] || { echo "postgres.sh: no PostgreSQL server here (Debian: apt-get install postgresql)" >&2; exit 1; }
what=$1
dir=$2
shift 2

as_owner() {
    if [ "$(id -u)" = 0 ]; then
        # From a directory that this user may read, or it complains about that.
        (cd / && setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/ PGOPTIONS= "$@")
    else
        "$@"
    fi
}

case $what in
start)
    settings=
    for setting in "$@"; do settings="$settings -c $setting"; done
    if [ ! -d "$dir/data" ]; then
        mkdir -p "$dir"
        if [ "$(id -u)" = 0 ]; then
            chown postgres "$dir"
            chmod o+x "$(dirname "$dir")" # a test's own directory, through which that user has to pass
        fi
        as_owner "$bin/initdb" -D "$dir/data" -U dps -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 ||
            { cat "$dir/initdb.log" >&2; exit 1; }
    fi
    as_owner "$bin/pg_ctl" -D "$dir/data" -w -t 240 -l "$dir/data/server.log" \
        -o "-c listen_addresses= -k $dir $settings" start >/dev/null || { cat "$dir/data/server.log" >&2; exit 1; }
    echo "host=$dir user=dps dbname=postgres"
    ;;
stop)
    as_owner "$bin/pg_ctl" -D "$dir/data" -w -t 240 -m "${1:-fast}" stop >/dev/null
    ;;
psql)
    as_owner "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$dir" -U dps -d postgres "$@"
    ;;
sh)
    as_owner env DATA="$dir/data" PATH="$bin:$PATH" sh -e
    ;;
*)
    echo "usage: postgres.sh start|stop|psql|sh DIR ..." >&2
    exit 2
    ;;
esac
