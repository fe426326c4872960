#!/bin/sh
# Brings Orthanc 1.12 for `make bench`: a small tree of Debian trixie under var/orthanc, with Orthanc in it.
# Debian, root. Starts nothing. Without it `make bench` takes the Orthanc that is installed (bookworm: 1.10).
set -eu
tree="${1:-$(dirname "$0")/../var/orthanc}"
[ -x "$tree/usr/sbin/Orthanc" ] && { echo "orthanc: there"; exit 0; }
[ "$(id -u)" = 0 ] || { echo "orthanc: needs root" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
command -v debootstrap >/dev/null || { apt-get update -q; apt-get install -q -y --no-install-recommends debootstrap; }
# the mirror this machine takes its own packages from
mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/*$')"
mkdir -p "$tree"
debootstrap --variant=minbase trixie "$tree" "$mirror" >/dev/null
umount "$tree/proc" 2>/dev/null || true  # the tree may be removed like any folder
cp /etc/resolv.conf "$tree/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"  # packages start no servers in there
chmod +x "$tree/usr/sbin/policy-rc.d"
chroot "$tree" sh -c 'apt-get update -q && apt-get install -q -y --no-install-recommends orthanc orthanc-dicomweb'
chroot "$tree" /usr/sbin/Orthanc --version | head -1
