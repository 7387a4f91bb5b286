#!/usr/bin/env bash
# Runs a command of this checkout inside another release of Debian, in a root made with debootstrap; without a command,
# scripts/test.sh. The root is kept for the next call. Run as root, on any Debian with debootstrap installed:
#   tools/test_on_debian.sh trixie [COMMAND [ARGUMENT ...]]
# The commands of the hosted jobs (.github/workflows/ci.yml):
#   tools/test_on_debian.sh bookworm .ci/run
#   tools/test_on_debian.sh bookworm scripts/test.sh -L install     # README's program with the installed library
#   tools/test_on_debian.sh trixie
#   tools/test_on_debian.sh trixie scripts/test.sh -L install
# The checkout is mounted read-only; the build is in the root. ROOT=folder sets the folder of the root.
set -euo pipefail

suite=${1:?give a release, such as trixie}
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=${ROOT:-${TMPDIR:-/var/tmp}/debian-$suite}

# In a separate mount namespace, so that nothing stays mounted, even after an error.
if [[ -z "${TEMPERA_IN_NAMESPACE:-}" ]]; then
  TEMPERA_IN_NAMESPACE=1 exec unshare --mount --propagation private "${BASH_SOURCE[0]}" "$@"
fi
shift
[[ $# -gt 0 ]] || set -- scripts/test.sh

if [[ ! -e $root/etc/debian_version ]]; then
  # The mirror of this machine, if its sources name one.
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -nE 's#^(URIs:|deb( \[[^]]*\])?) *(https?://[^ ]*/debian)/?( .*)?$#\3#p' | sed -n 1p || true)
  debootstrap --variant=minbase --include=ca-certificates,git,ccache "$suite" "$root" "${mirror:-http://deb.debian.org/debian}"
fi
apt-config dump | grep -iE '^Acquire::[a-z]+::proxy' >"$root/etc/apt/apt.conf.d/90proxy" || true
cp /etc/resolv.conf "$root/etc/resolv.conf"

# bind_read_only FOLDER PLACE: mounts the folder at the place in the root.
bind_read_only() {
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  mount -o remount,bind,ro "$root$2"
}

mkdir -p "$repository/build" "$root/var/tempera-build"
bind_read_only "$repository" /tempera
mount --bind "$root/var/tempera-build" "$root/tempera/build"
# The objects of a worktree are in another checkout. The worktree refers to it by its full path.
objects=$(git -C "$repository" rev-parse --path-format=absolute --git-common-dir 2>/dev/null || true)
[[ -z $objects || $objects == "$repository/.git" ]] || bind_read_only "$objects" "$objects"
if [[ -d $repository/../shared ]]; then
  mkdir -p "$root/shared"
  mount --bind "$repository/../shared" "$root/shared"
fi
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"

# git refuses a checkout of another user, unless safe.directory has it.
exec chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
  GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' \
  CCACHE_NOHASHDIR=1 CMAKE_CXX_COMPILER_LAUNCHER=ccache \
  bash -c 'cd /tempera && exec "$@"' bash "$@"
