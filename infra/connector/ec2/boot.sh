# What a new instance of Amazon Linux 2023 does at its first boot to be the connector of a VPC, after the one before it.
# User data sets, before it: REGION; BUNDLE, where the project lies in S3; SECRET, whose JSON has url and token;
# VOLUME, which has the connector's identity; ALLOCATION, its address; ROUTE_TABLES and PREFIXES, divided by spaces.
# It ends the instance when it cannot go on, so that its group makes another.
set -eu
export AWS_DEFAULT_REGION="$REGION"
root="${ROOT:-}"
pause="${PAUSE:-5}"
state="$root/var/lib/isthmus"
trap 'code=$?; [ "$code" = 0 ] || { echo "boot.sh: failed ($code); this instance ends in five minutes" >&2; shutdown -h +5; }' EXIT

# Five minutes of trying: the instance before this one may still hold the volume.
again() {
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || return 1
    sleep "$pause"
  done
}

session=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token)
instance=$(curl -sf -H "X-aws-ec2-metadata-token: $session" http://169.254.169.254/latest/meta-data/instance-id)

# It forwards what is not its own, and is reached at the address that the peers know.
again aws ec2 modify-instance-attribute --instance-id "$instance" --no-source-dest-check
again aws ec2 associate-address --allocation-id "$ALLOCATION" --instance-id "$instance" --allow-reassociation

# The identity and the keys of its site outlive the instance.
again aws ec2 attach-volume --volume-id "$VOLUME" --instance-id "$instance" --device /dev/sdf
device="$root/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_$(echo "$VOLUME" | tr -d -)"
again test -e "$device"
blkid "$device" >/dev/null || mkfs.ext4 -q "$device"
mkdir -p "$state"
echo "$device $state ext4 defaults,nofail 0 2" >>"$root/etc/fstab"
mount "$state"

dnf install -y -q nodejs22 nodejs22-npm unzip
aws s3 cp --only-show-errors "$BUNDLE" "$root/opt/isthmus.zip"
unzip -q -o "$root/opt/isthmus.zip" -d "$root/opt/isthmus-source"
sh "$root/opt/isthmus-source/infra/connector/systemd/install.sh"

# Says that it has joined already where the volume has an identity.
secret=$(aws secretsmanager get-secret-value --secret-id "$SECRET" --query SecretString --output text)
field() { printf '%s' "$secret" | node -e 'const text = require("fs").readFileSync(0, "utf8"); console.log(JSON.parse(text)[process.argv[1]])' "$1"; }
sudo -u isthmus isthmus join --no-start "$(field url)" "$(field token)"
systemctl enable --now isthmus

for table in $ROUTE_TABLES; do
  for prefix in $PREFIXES; do
    case "$prefix" in *:*) kind=--destination-ipv6-cidr-block ;; *) kind=--destination-cidr-block ;; esac
    again aws ec2 replace-route --route-table-id "$table" "$kind" "$prefix" --instance-id "$instance"
  done
done
