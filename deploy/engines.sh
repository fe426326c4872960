#!/bin/sh
# Installs what some tests talk to: dcmtk clients, dicom3tools, dcm2niix, PostgreSQL, rsyslog, strace, MIT Kerberos, identity providers.
# Debian, root. Starts nothing.
set -eu
have() { command -v "$1" >/dev/null 2>&1; }
postgres() { ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || have initdb; }
syslog() { have rsyslogd && ls /usr/lib/*/rsyslog/lmnsd_gtls.so >/dev/null 2>&1; }
saml() { [ -d /usr/share/simplesamlphp/www ] && have php; }
oidc="$(dirname "$0")/../tests/engines/oidc"
kerberos() { have kinit && [ -x /usr/sbin/krb5kdc ] && have krb5-config && ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1; }
debian() { have storescu && have dciodvfy && have dcm2niix && have strace && have curl && postgres && syslog && saml && kerberos && have npm; }
if debian && [ -d "$oidc/node_modules" ]; then
    echo "engines: all there"
    exit 0
fi
if ! debian; then
    have apt-get || { echo "engines: this script knows Debian only; install dcmtk, dicom3tools, dcm2niix, postgresql, rsyslog with gnutls, strace, curl, simplesamlphp, krb5-kdc, krb5-user, libkrb5-dev, libfaketime and npm by hand" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "engines: needs root (try: sudo make engines)" >&2; exit 1; }
    export DEBIAN_FRONTEND=noninteractive
    # A package's own start scripts are kept from starting a server: the tests start their own, on loopback.
    policy=/usr/sbin/policy-rc.d
    made=
    if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=yes; fi
    trap '[ -z "$made" ] || rm -f "$policy"' EXIT
    apt-get update -q
    apt-get install -q -y --no-install-recommends dcmtk dicom3tools dcm2niix strace curl postgresql \
        rsyslog rsyslog-gnutls simplesamlphp php-cli php-xml php-mbstring php-curl \
        krb5-kdc krb5-admin-server krb5-user libkrb5-dev gcc libc6-dev libfaketime
    have npm || apt-get install -q -y --no-install-recommends nodejs npm
fi
npm ci --prefix "$oidc" --ignore-scripts --no-audit --no-fund  # as its lock file says, with digests
