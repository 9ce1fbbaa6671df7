# Sourced by the other scripts. Put this folder where the old tool's bin/ was: conf/ and log/ are beside it.
home=$(cd "$(dirname "$0")/.." && pwd) || exit 1
program=${HUIYUAN:-huiyuan}
set -- --config "$home/conf/config.ini" --job "$home/log" "$@"
