#!/usr/bin/env bash
# Installs the real peers and tools that the interop tests and benchmarks talk to, from Debian packages only.
# Safe to run again. Needs root. Peers that cannot live beside each other are unpacked under $PEERS.
set -euo pipefail
PEERS=${ISTHMUS_PEERS:-/opt/isthmus-peers}
export DEBIAN_FRONTEND=noninteractive

packages=(
  strongswan-charon charon-systemd strongswan-swanctl libcharon-extra-plugins
  libstrongswan-standard-plugins libstrongswan-extra-plugins
  tshark iperf3 nftables iproute2 iputils-ping wireguard-tools openssl ethtool postgresql redis-server
  bird2 frr gobgpd exabgp python3-exabgp awscli
  systemd libcap2-bin
)
# What libreswan links against; the package itself conflicts with strongSwan.
libreswan_libraries=(libldns3 libevent-pthreads-2.1-7 libnss3-tools libunbound8 libcurl3-nss libcap-ng0)

missing=()
for package in "${packages[@]}" "${libreswan_libraries[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${#missing[@]} packages: ${missing[*]}"
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

# unpack PACKAGE[=VERSION] FOLDER [apt options]: a package's files without installing it.
unpack() {
  local package=$1 folder=$2 work
  shift 2
  work=$(mktemp -d)
  chmod 755 "$work"
  (cd "$work" && apt-get -qq "$@" download "$package" && dpkg -x ./*.deb "$folder.new")
  rm -rf "$folder" "$work"
  mv "$folder.new" "$folder"
}

mkdir -p "$PEERS"
if [ ! -x "$PEERS/libreswan/usr/libexec/ipsec/pluto" ]; then
  echo "unpacking libreswan"
  apt-get -qq update
  unpack libreswan "$PEERS/libreswan"
fi

# The wireguard-go of bookworm predates its UDP and TUN offloads and is no yardstick: take a newer suite's.
if [ ! -x "$PEERS/wireguard-go/usr/bin/wireguard-go" ]; then
  echo "unpacking a current wireguard-go"
  state=$(mktemp -d)
  chmod 755 "$state"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  uri=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
  [ -n "$uri" ] || uri=$(sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*main.*/\2/p' /etc/apt/sources.list | head -n 1)
  unpacked=
  for suite in sid bookworm-backports; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main" >"$state/sources.list"
    options=(-o "Dir::Etc::SourceList=$state/sources.list" -o Dir::Etc::SourceParts=/dev/null
      -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache")
    if apt-get -qq "${options[@]}" update && unpack wireguard-go "$PEERS/wireguard-go" "${options[@]}"; then
      unpacked=$suite
      break
    fi
  done
  rm -rf "$state"
  [ -n "$unpacked" ] && echo "wireguard-go comes from $unpacked"
fi

for command in swanctl charon-systemd tshark iperf3 nft ping wg openssl ethtool redis-server bird birdc vtysh gobgpd gobgp python3-exabgp aws systemd-analyze setcap; do
  command -v "$command" >/dev/null || [ -x "/usr/sbin/$command" ] || { echo "peer tool missing after installation: $command" >&2; exit 1; }
done
[ -x "$PEERS/libreswan/usr/libexec/ipsec/pluto" ] || { echo "libreswan is missing" >&2; exit 1; }
echo "peers are in place"
