#!/bin/sh
# with-secrets.sh NAME=FILE... -- COMMAND...: runs the command with the files' contents in its environment, where
# neither the list of processes nor `docker inspect` shows them.
set -eu
while [ $# -gt 0 ] && [ "$1" != "--" ]; do
    name=${1%%=*}
    file=${1#*=}
    [ -r "$file" ] || { echo "with-secrets.sh: $file cannot be read; has the service 'secrets' run?" >&2; exit 1; }
    export "$name=$(cat "$file")"
    shift
done
[ $# -gt 1 ] || { echo "with-secrets.sh: no command after --" >&2; exit 2; }
shift
exec "$@"
