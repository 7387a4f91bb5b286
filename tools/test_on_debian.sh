#!/usr/bin/env bash
# Runs scripts/test.sh inside another release of Debian, in a root made with debootstrap. The root is kept for the next
# call. Run as root, on any Debian with debootstrap installed:
#   tools/test_on_debian.sh trixie [arguments for ctest]
# The checkout is mounted read-only; the build is in the root. ROOT=folder sets the folder of the root.
set -euo pipefail

suite=${1:?give a release, such as trixie}
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=${ROOT:-${TMPDIR:-/var/tmp}/debian-$suite}

# In a mount namespace of our own, so that nothing stays mounted, however this ends.
if [[ -z "${TEMPERA_IN_NAMESPACE:-}" ]]; then
  TEMPERA_IN_NAMESPACE=1 exec unshare --mount --propagation private "${BASH_SOURCE[0]}" "$@"
fi
shift

if [[ ! -e $root/etc/debian_version ]]; then
  # The mirror that this machine uses, if its sources name one.
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -nE 's#^(URIs:|deb( \[[^]]*\])?) *(https?://[^ ]*/debian)/?( .*)?$#\3#p' | head -1)
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "${mirror:-http://deb.debian.org/debian}"
fi
apt-config dump | grep -iE '^Acquire::[a-z]+::proxy' >"$root/etc/apt/apt.conf.d/90proxy" || true
cp /etc/resolv.conf "$root/etc/resolv.conf"

mkdir -p "$repository/build" "$root/tempera" "$root/var/tempera-build"
mount --bind "$repository" "$root/tempera"
mount -o remount,bind,ro "$root/tempera"
mount --bind "$root/var/tempera-build" "$root/tempera/build"
if [[ -d $repository/../shared ]]; then
  mkdir -p "$root/shared"
  mount --bind "$repository/../shared" "$root/shared"
fi
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"

exec chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
  CCACHE_NOHASHDIR=1 CMAKE_CXX_COMPILER_LAUNCHER="$([[ -x $root/usr/bin/ccache ]] && echo ccache)" \
  /tempera/scripts/test.sh "$@"
