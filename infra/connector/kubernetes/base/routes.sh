# Keeps the routes to the other sites on a node: PREFIXES by way of GATEWAY, marked with a protocol number of their own.
# Looks every PAUSE seconds, because others renew the routes of a node too; takes them away at its end.
set -u
PROTOCOL=152
PAUSE=${PAUSE:-30}
waiting=

forget() {
  for family in -4 -6; do ip "$family" route flush proto "$PROTOCOL" 2>/dev/null; done
}
finish() {
  forget
  [ -z "$waiting" ] || kill "$waiting" 2>/dev/null
  exit 0
}
trap finish TERM INT

# What was configured before may be another list.
forget
echo "routes to $PREFIXES by way of $GATEWAY"
while :; do
  for prefix in $PREFIXES; do
    ip route replace "$prefix" via "$GATEWAY" proto "$PROTOCOL" || echo "no route to $prefix: is $GATEWAY a neighbour of this node?" >&2
  done
  sleep "$PAUSE" &
  waiting=$!
  wait "$waiting"
done
