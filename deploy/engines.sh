#!/bin/sh
# Installs what some tests talk to: dcmtk clients, dicom3tools, PostgreSQL, strace. Debian, root. Starts nothing.
set -eu
have() { command -v "$1" >/dev/null 2>&1; }
postgres() { ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || have initdb; }
if have storescu && have dciodvfy && have strace && postgres; then
    echo "engines: all there"
    exit 0
fi
have apt-get || { echo "engines: this script knows Debian only; install dcmtk, dicom3tools, postgresql and strace by hand" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "engines: needs root (try: sudo make engines)" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
# A package's own start scripts are kept from starting a server: the tests start their own, on loopback.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=yes; fi
trap '[ -z "$made" ] || rm -f "$policy"' EXIT
apt-get update -q
apt-get install -q -y --no-install-recommends dcmtk dicom3tools strace postgresql
