# shellcheck shell=bash
# Debian roots and base images out of this machine's own package mirror, where there is no image
# registry. Source it after lib.sh.

# machine_archive FIELD: the archive this machine installs from, from apt's own configuration.
# FIELD is "" for the archive itself and "-security" for the security archive.
machine_archive() {
  local codename
  if [[ -z $1 && -n ${POOLER_DEBIAN_MIRROR:-} ]]; then
    echo "$POOLER_DEBIAN_MIRROR"
    return
  fi
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v release="$codename$1" '$1 == release && $2 == "main" { print $3; exit }'
}

# write_build_apt SUITE: makes what image builds mount below /etc/apt for as long as they take: this
# machine's mirror, proxy and certificates. Nothing of it gets into an image. Prints the folder.
write_build_apt() {
  local suite=$1 dir=$images_dir/apt/$1 mirror security
  mirror=$(machine_archive "")
  [[ -n $mirror ]] || die "found no Debian archive in this machine's apt configuration" \
    "Set POOLER_DEBIAN_MIRROR to the URL of one."
  mkdir -p "$dir"/{sources.list.d,keyrings}
  cp /usr/share/keyrings/debian-archive-keyring.gpg "$dir/keyrings/debian.gpg"
  {
    echo "deb [signed-by=/etc/apt/keyrings/debian.gpg] $mirror $suite main"
    security=$(machine_archive -security)
    [[ $suite == forky || -z $security ]] ||
      echo "deb [signed-by=/etc/apt/keyrings/debian.gpg] $security $suite-security main"
  } >"$dir/sources.list.d/build.list"
  {
    apt-config dump | grep -E '^Acquire::(http|https|ftp|Retries|Check-|Max-FutureTime)' || true
    # A snapshot of the archive is as good as the archive, for a build that only tests see.
    echo 'Acquire::Check-Valid-Until "false";'
    echo 'Acquire::Languages "none";'
    echo 'APT::Install-Recommends "false";'
    echo 'APT::Sandbox::User "root";'
    if [[ -s /etc/ssl/certs/ca-certificates.crt ]]; then
      cp /etc/ssl/certs/ca-certificates.crt "$dir/keyrings/machine-ca.crt"
      echo 'Acquire::https::CAInfo "/etc/apt/keyrings/machine-ca.crt";'
    fi
  } >"$dir/machine.conf"
  echo "$dir"
}

# make_root SUITE DIR: a minimal Debian, as small as the -slim images.
make_root() {
  local suite=$1 dir=$2 mirror script=() proxy
  mirror=$(machine_archive "")
  # The host's debootstrap may be older than the suite; all suites of today are made alike.
  [[ -e /usr/share/debootstrap/scripts/$suite ]] || script=(/usr/share/debootstrap/scripts/sid)
  proxy=$(apt-config dump | sed -nE 's/^Acquire::http::Proxy "([^"]+)".*/\1/p')
  unmount_below "$dir"
  rm -rf --one-file-system "$dir"
  mkdir -p "$dir"
  ${proxy:+env http_proxy="$proxy"} debootstrap --variant=minbase \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    "$suite" "$dir" "$mirror" ${script[@]+"${script[@]}"}
  unmount_below "$dir"
  rm -rf "$dir"/var/cache/apt/archives/*.deb "$dir"/var/cache/apt/*.bin "$dir"/var/lib/apt/lists/* \
    "$dir"/var/log/{apt,bootstrap.log,dpkg.log} "$dir"/usr/share/{man,info,locale}/* \
    "$dir/etc/apt/sources.list" "$dir/etc/resolv.conf" "$dir/etc/hostname"
  find "$dir/usr/share/doc" -mindepth 2 ! -name copyright ! -type d -delete
  mkdir -p "$dir/etc/dpkg/dpkg.cfg.d" "$dir"/etc/apt/{sources.list.d,apt.conf.d,keyrings}
  printf 'path-exclude /usr/share/%s/*\n' man info locale >"$dir/etc/dpkg/dpkg.cfg.d/slim"
  # Where an image build mounts this machine's settings, see write_build_apt.
  touch "$dir/etc/apt/apt.conf.d/00-machine"
  # No service starts because its package was unpacked.
  printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
  chmod 755 "$dir/usr/sbin/policy-rc.d"
}

# unmount_below DIR: every mount at or under DIR, innermost first.
unmount_below() {
  local mount_point
  awk -v dir="$1" '$5 == dir || index($5, dir "/") == 1 { print $5 }' /proc/self/mountinfo | sort -r |
    while read -r mount_point; do umount -l "$(printf '%b' "$mount_point")"; done
}
