#!/bin/sh
# Writes OpenSearch's users with the generated passwords, then starts it. $1 is its home. The users are read
# once, when the cluster starts for the first time.
set -eu
home=${1:-/usr/share/opensearch}
secrets=${SECRETS:-/secrets}

# A user $1 with the password in the file $2 and the role $3.
user() {
    PLAIN=$(cat "$2")
    export PLAIN
    hash=$("$home/plugins/opensearch-security/tools/hash.sh" -env PLAIN | tail -n 1)
    unset PLAIN
    case $hash in
        \$2*) ;;
        *) echo "opensearch.sh: hash.sh gave no hash for $1" >&2; exit 1 ;;
    esac
    printf '%s:\n  hash: "%s"\n  reserved: true\n  backend_roles: [%s]\n' "$1" "$hash" "$3"
}

{
    printf '_meta: {type: internalusers, config_version: 2}\n'
    user admin "$secrets/engine/password" '"admin"'
    user httpmon "$secrets/httpmon/password" '"admin"'
    user kibanaserver "$secrets/kibana/password" ''
} > "$home/config/opensearch-security/internal_users.yml"
exec "$home/opensearch-docker-entrypoint.sh" opensearch
