#!/usr/bin/env bash
# Makes the secrets of compose.yaml: random ones, and a certificate for localhost that its own authority
# signs. What is there already is kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
umask 077

mkdir -p secrets/tls
for name in postgres_password keycloak_admin_password mcp_machine_secret; do
    if [[ ! -s secrets/$name ]]; then
        openssl rand -hex 32 | tr -d '\n' >"secrets/$name"
    fi
    # Other users read them: the containers are not root.
    chmod 444 "secrets/$name"
done

if [[ ! -s secrets/tls/tls.crt ]]; then
    authority=$(mktemp -d)
    trap 'rm -rf "$authority"' EXIT
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
        -subj '/CN=Postern on Compose' -keyout "$authority/ca.key" -out secrets/ca.crt 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=localhost' \
        -keyout secrets/tls/tls.key -out "$authority/tls.csr" 2>/dev/null
    openssl x509 -req -in "$authority/tls.csr" -CA secrets/ca.crt -CAkey "$authority/ca.key" \
        -CAcreateserial -days 365 -out secrets/tls/tls.crt 2>/dev/null -extfile <(
            printf '%s\n' 'subjectAltName=DNS:localhost,IP:127.0.0.1' 'extendedKeyUsage=serverAuth' \
                'authorityKeyIdentifier=keyid'
        )
fi
chmod 444 secrets/ca.crt secrets/tls/tls.crt secrets/tls/tls.key
chmod 755 secrets secrets/tls
echo 'the secrets are in deploy/compose/secrets' >&2
