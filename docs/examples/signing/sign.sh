#!/usr/bin/env bash
# Signatures for Huiyuan, with bash, openssl and od. Runs on your server: the SecretKey never leaves it.
#   sign.sh upload [FILEID [SECONDS]]   any number of times; without FILEID any file of the bucket
#   sign.sh copy FILEID                 once
#   sign.sh delete FILEID               once
#   sign.sh download FILEID [SECONDS]   prints a signed URL
set -euo pipefail
export LC_ALL=C

to_hex() { od -An -v -tx1 | tr -d ' \n'; }

# HMAC-SHA1 (RFC 2104) of what comes in, raw. `openssl dgst -hmac KEY` would show the key to everyone who lists processes.
hmac_sha1() {
  local key inner='' outer='' at
  key=$(printf %s "$1" | to_hex)
  if ((${#key} > 128)); then key=$(printf %s "$1" | openssl dgst -sha1 -binary | to_hex); fi
  while ((${#key} < 128)); do key+=00; done
  for ((at = 0; at < 128; at += 2)); do
    inner+=$(printf '\\x%02x' $((0x${key:at:2} ^ 0x36)))
    outer+=$(printf '\\x%02x' $((0x${key:at:2} ^ 0x5c)))
  done
  { printf %b "$outer"; { printf %b "$inner"; cat; } | openssl dgst -sha1 -binary; } | openssl dgst -sha1 -binary
}

# EXPIRES NOW RANDOM FILEID: Unix seconds; EXPIRES 0 means one use. FILEID as it is, never URL-encoded.
make_token() {
  local plaintext="a=$HUIYUAN_APPID&b=$HUIYUAN_BUCKET&k=$HUIYUAN_SECRET_ID&e=$1&t=$2&r=$3&u=0&f=$4"
  { printf %s "$plaintext" | hmac_sha1 "$HUIYUAN_SECRET_KEY"; printf %s "$plaintext"; } | openssl base64 -A
}

# TEXT KEPT: percent-encodes all but letters, digits, - . _ ~ and KEPT.
url_encode() {
  local at byte
  for ((at = 0; at < ${#1}; at++)); do
    byte=${1:at:1}
    case $byte in
      [A-Za-z0-9._~-] | "${2:-/-}") printf %s "$byte" ;;
      *) printf %s "$byte" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g' | tr a-f A-F ;;
    esac
  done
}

operation=$1 fileid=${2:-} seconds=${3:-600}
now=${SIGN_NOW:-$(date +%s)} random=${SIGN_RANDOM:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')} # set for known answers only
case $operation in
  copy | delete) expires=0 ;;
  *) expires=$((now + seconds)) ;;
esac
token=$(make_token "$expires" "$now" "$random" "$fileid")
if [ "$operation" = download ]; then
  printf '%s/%s?sign=%s\n' "$HUIYUAN_DOWNLOADS" "$(url_encode "$fileid" /)" "$(url_encode "$token")"
else
  printf '%s\n' "$token"
fi
