#!/bin/sh
# Installs what some tests talk to, as far as it is missing. Debian, root. Starts nothing.
set -eu
have() { command -v "$1" >/dev/null 2>&1; }
there() { ls $1 >/dev/null 2>&1; }
engines="$(dirname "$0")/../tests/engines"

missing=
# need PACKAGES CHECK...: the packages are wanted where the check fails.
need() { packages=$1; shift; "$@" || missing="$missing $packages"; }
need dcmtk                         have storescu
need dicom3tools                   have dciodvfy
need dcm2niix                      have dcm2niix
need strace                        have strace
need curl                          have curl
need chromium                      have chromium
need postgresql                    there "/usr/lib/postgresql/*/bin/initdb"
need "patroni python3-etcd python3-psycopg2" have patroni
need etcd-server                   have etcd
need "ceph-mon ceph-common"        have ceph-mon
need ceph-osd                      have ceph-osd
need radosgw                       have radosgw
need "rsyslog rsyslog-gnutls"      there "/usr/lib/*/rsyslog/lmnsd_gtls.so"
need prometheus                    have promtool
need systemd                       have systemd-analyze
need shellcheck                    have shellcheck
need simplesamlphp                 there /usr/share/simplesamlphp/www
need "php-cli php-xml php-mbstring php-curl" have php
need "krb5-kdc krb5-admin-server"  there /usr/sbin/krb5kdc
need krb5-user                     have kinit
need "libkrb5-dev gcc libc6-dev"   have krb5-config
need "orthanc orthanc-dicomweb"    there /usr/share/orthanc/plugins/libOrthancDicomWeb.so
need libfaketime                   there "/usr/lib/*/faketime/libfaketime.so.1"
need "nodejs npm"                  have npm

if [ -n "$missing" ]; then
    have apt-get || { echo "engines: this script knows Debian only; install by hand what these packages bring:$missing" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "engines: needs root (try: sudo make engines)" >&2; exit 1; }
    export DEBIAN_FRONTEND=noninteractive
    # A package's own start scripts are kept from starting a server: the tests start their own, on loopback.
    policy=/usr/sbin/policy-rc.d
    made=
    if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=yes; fi
    trap '[ -z "$made" ] || rm -f "$policy"' EXIT
    apt-get update -q
    apt-get install -q -y --no-install-recommends $missing
fi
# As their lock files say, with digests.
for engine in oidc browser; do
    [ -d "$engines/$engine/node_modules" ] || npm ci --prefix "$engines/$engine" --ignore-scripts --no-audit --no-fund
done
# What `dgis viewer install` gives browsers; it knows the file by its digest.
viewer="$engines/viewer"
there "$viewer/*.tgz" || { mkdir -p "$viewer"; npm pack @ohif/app@3.13.2 --pack-destination "$viewer" --ignore-scripts --silent; }
