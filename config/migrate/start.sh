#!/bin/sh
. "$(dirname "$0")/env.sh"
exec $program migrate start --lenient "$@"
