#!/bin/sh
# Makes what the compose file mounts, in ./secrets: passwords, and certificates of an authority for this trial alone.
# Changes nothing that is there. For real use put your own in the same places.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets && chmod 0700 secrets && cd secrets
password() { [ -s "$1" ] || openssl rand -hex 24 >"$1"; }
password database-password
password idp-password
for node in s3-a s3-b s3-c; do password "$node"; done
[ -s catalog-url ] || printf 'postgresql+psycopg://dgis:%s@database/dgis\n' "$(cat database-password)" >catalog-url

[ -s ca.pem ] || openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj "/CN=DGIS trial CA" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca-key.pem -out ca.pem 2>/dev/null
certificate() {
    [ -s "$1.pem" ] && return 0
    printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' "$1" >"$1.ext"
    openssl req -newkey rsa:3072 -nodes -subj "/CN=$1" -keyout "$1-key.pem" -out "$1.csr" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 365 -extfile "$1.ext" -out "$1.pem" 2>/dev/null
    rm -f "$1.csr" "$1.ext"
}
certificate gateway
certificate idp
# What containers mount belongs to their user (10001 of the gateway, 1000 of the identity provider).
chmod 0400 ./*
if [ "$(id -u)" = 0 ]; then
    chown 10001 gateway*.pem s3-? catalog-url ca.pem && chown 1000 idp*.pem && chmod 0444 ca.pem
else
    chmod 0444 ./*  # the folder is yours alone
fi
echo "prepared: $(pwd)"
