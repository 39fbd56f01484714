#!/bin/sh
# Installs or renews Isthmus from this folder: sudo sh infra/connector/systemd/install.sh
# Needs npm with any Node.js; a Node.js that fits comes with the packages. With DESTDIR it only puts files there, and
# leaves users, services and the kernel alone.
set -eu
umask 022
source=$(cd "$(dirname "$0")/../../.." && pwd)
units="$source/infra/connector/systemd"
root="${DESTDIR:-}"
prefix="$root/opt/isthmus"

if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
  echo "install.sh: it writes to /opt, /etc and /usr/local/bin: run it with sudo" >&2
  exit 1
fi
if [ -z "$root" ] && ! command -v ip >/dev/null; then
  echo "install.sh: the ip program is missing: install iproute2 (on some systems iproute) first" >&2
  exit 1
fi
if ! command -v npm >/dev/null; then
  echo "install.sh: npm is missing: install it with the packages of your system, such as apt-get install npm" >&2
  exit 1
fi

# Beside the old one, so that a failure leaves that as it is.
new="$prefix.new"
rm -rf "$new"
mkdir -p "$new/infra"
for part in package.json package-lock.json asconfig.json LICENSE README.md protocol wasm connector control functions docs; do
  cp -R "$source/$part" "$new/"
done
cp -R "$source/infra/connector" "$new/infra/"
(cd "$new" && npm ci --omit=dev --no-audit --no-fund && node_modules/.bin/node wasm/build.ts)
rm -rf "$prefix.old"
[ ! -e "$prefix" ] || mv "$prefix" "$prefix.old"
mv "$new" "$prefix"
rm -rf "$prefix.old"

mkdir -p "$root/usr/local/bin" "$root/etc/systemd/system" "$root/etc/sysusers.d" "$root/etc/sysctl.d"
ln -sf /opt/isthmus/connector/bin/isthmus.cjs "$root/usr/local/bin/isthmus"
cp "$units/isthmus.service" "$units/isthmus-control.service" "$root/etc/systemd/system/"
cp "$units/isthmus.sysusers" "$root/etc/sysusers.d/isthmus.conf"
[ -e "$root/etc/sysctl.d/60-isthmus.conf" ] || cp "$units/isthmus.sysctl" "$root/etc/sysctl.d/60-isthmus.conf"
[ -z "$root" ] || exit 0

systemd-sysusers isthmus.conf
install -d -o isthmus -g isthmus -m 0700 /var/lib/isthmus
install -d -o root -g isthmus -m 0750 /etc/isthmus
sysctl -q -p /etc/sysctl.d/60-isthmus.conf
systemctl daemon-reload
# What runs goes on with the new files.
systemctl try-restart isthmus.service isthmus-control.service
echo "Isthmus is in /opt/isthmus. What next: infra/connector/systemd/README.md"
