#!/bin/sh
# Makes a certificate authority, certificates and passwords in the folders below $1, once: what is there is kept.
set -eu
root=${1:-/secrets}
days=${CERTIFICATE_DAYS:-825}
umask 077

password() {
    [ -s "$1" ] || { openssl rand -hex 24 | tr -d '\n' > "$1.new" && mv "$1.new" "$1"; }
}

# A key and a certificate for the host names $2... in the folder $1.
certificate() {
    folder=$1
    shift
    cp "$root/authority/ca.pem" "$folder/ca.pem"
    [ -s "$folder/cert.pem" ] && return
    names="DNS:localhost,IP:127.0.0.1"
    for name in "$@"; do names="$names,DNS:$name"; done
    openssl req -new -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$folder/key.pem" -out "$folder/request" 2>/dev/null
    {
        echo "subjectAltName=$names"
        echo "extendedKeyUsage=serverAuth,clientAuth"
        # Python 3.13 and newer refuse certificates without these.
        echo "basicConstraints=CA:FALSE"
        echo "subjectKeyIdentifier=hash"
        echo "authorityKeyIdentifier=keyid"
    } > "$folder/extensions"
    openssl x509 -req -in "$folder/request" -days "$days" -extfile "$folder/extensions" -out "$folder/cert.new" \
        -CA "$root/authority/ca.pem" -CAkey "$root/authority/ca.key" -CAcreateserial 2>/dev/null
    rm "$folder/request" "$folder/extensions"
    mv "$folder/cert.new" "$folder/cert.pem"
}

for folder in authority engine kibana logstash httpmon; do
    mkdir -p "$root/$folder"
done
if [ ! -s "$root/authority/ca.pem" ]; then
    openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/CN=httpmon compose authority" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout "$root/authority/ca.key" -out "$root/authority/ca.new" 2>/dev/null
    mv "$root/authority/ca.new" "$root/authority/ca.pem"
fi
certificate "$root/engine" elasticsearch elasticsearch2 elasticsearch3 opensearch
certificate "$root/kibana" kibana dashboards
certificate "$root/logstash" logstash
cp "$root/authority/ca.pem" "$root/httpmon/ca.pem"
password "$root/engine/password"
password "$root/kibana/password"
password "$root/kibana/encryption"
password "$root/logstash/password"
password "$root/httpmon/password"
