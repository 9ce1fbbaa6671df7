#!/usr/bin/env bash
# A real S3 store on loopback for tests: Ceph RGW on one monitor and one OSD that keeps everything in memory.
# Debian: radosgw ceph-mon ceph-osd. The user is testkey / testsecret.
#
#   ceph-rgw.sh start DIR MON_PORT RGW_PORT OWNER   once per DIR: a second start waits for the first and does nothing.
#                                    Everything stops, and DIR goes, when the process OWNER ends.
#   ceph-rgw.sh gateway DIR PORT     one more gateway to the same store, in the foreground (exec)
#   ceph-rgw.sh stop DIR             stops all and removes DIR
#
# DIR/ready holds the gateway's port once it answers. Four things are not as one would think: osd_class_dir must be
# absolute, cephx must stay on, and without a manager no command may be used that asks one (`ceph osd df` waits for ever).
# Gateways keep no caches: a new bucket would wait half a minute for each killed gateway to be told of it.
set -euo pipefail

action="$1"
dir="$2"
conf="$dir/ceph.conf"

wait_for() { # what, tries of 0.2 s, command...
  local what="$1" tries="$2"
  shift 2
  for ((i = 0; i < tries; i += 1)); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.2
  done
  echo "Cannot start Ceph: $what did not come up; its log:" >&2
  tail -n 20 "$dir"/log/*.out >&2 || true
  return 1
}

# A zombie is gone: a container may have no process that reaps orphans.
is_alive() { [ -d "/proc/$1" ] && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }

stop() {
  local name pid
  for name in rgw osd mon; do
    pid="$(cat "$dir/$name.pid" 2>/dev/null)" || continue
    # Nothing in memory is worth a clean end.
    kill -KILL "$pid" 2>/dev/null || continue
    while is_alive "$pid"; do sleep 0.05; done
  done
  rm -rf "$dir"
}

write_configuration() { # monitor's port
  cat >"$conf" <<EOF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon_initial_members = a
mon_host = v2:127.0.0.1:$1
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_data_avail_warn = 2
ms_bind_ipv6 = false
ms_bind_msgr1 = false
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
keyring = $dir/keyring
run_dir = $dir/run
admin_socket = $dir/run/\$name.\$pid.asok
log_file = $dir/log/\$name.\$pid.log
mon_cluster_log_file = $dir/log/cluster.log
[mon]
mon_data = $dir/mon
[osd]
osd_data = $dir/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_memory_target = 939524096
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
osd_class_dir = /usr/lib/$(uname -m)-linux-gnu/rados-classes
osd_class_load_list = *
osd_class_default_list = *
osd_mclock_skip_benchmark = true
[client]
rgw_enable_usage_log = false
rgw_dynamic_resharding = false
rgw_thread_pool_size = 32
rgw_cache_enabled = false
EOF
}

gateway() { # port; the caller puts it where it wants it
  exec radosgw -c "$conf" -n client.rgw.a -f --rgw-frontends "beast endpoint=127.0.0.1:$1"
}

osd_is_up() { ceph -c "$conf" osd stat | grep -q '1 up'; }
answers() { (: <"/dev/tcp/127.0.0.1/$1"); }

start() { # monitor's port, gateway's port, owner's pid
  mkdir -p "$dir"/{mon,osd,log,run}
  # Whatever happens to the tests, nothing of this outlives them.
  (
    exec >/dev/null 2>&1 9>&-
    while is_alive "$3" && [ -d "$dir" ]; do sleep 1; done
    stop
  ) &
  write_configuration "$1"
  {
    ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool "$dir/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    ceph-authtool "$dir/keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
    ceph-authtool "$dir/keyring" --gen-key -n client.rgw.a --cap mon 'allow rw' --cap osd 'allow rwx'
    local fsid
    fsid="$(sed -n 's/^fsid = //p' "$conf")"
    monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$1]" "$dir/monmap"
    ceph-mon -c "$conf" -i a --mkfs --monmap "$dir/monmap" --keyring "$dir/keyring"
  } >"$dir/log/prepare.out" 2>&1 9>&-
  ceph-mon -c "$conf" -i a -f >"$dir/log/mon.out" 2>&1 9>&- &
  echo $! >"$dir/mon.pid"
  wait_for "the monitor" 100 ceph -c "$conf" --connect-timeout 5 mon stat
  local osd
  osd="$(cat /proc/sys/kernel/random/uuid)"
  ceph -c "$conf" osd new "$osd" >/dev/null
  ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$osd" >"$dir/log/osd-prepare.out" 2>&1 9>&-
  ceph-osd -c "$conf" -i 0 -f >"$dir/log/osd.out" 2>&1 9>&- &
  echo $! >"$dir/osd.pid"
  wait_for "the OSD" 150 osd_is_up
  (gateway "$2") >"$dir/log/rgw.out" 2>&1 9>&- &
  echo $! >"$dir/rgw.pid"
  wait_for "the gateway" 150 answers "$2"
  radosgw-admin -c "$conf" -n client.rgw.a user create --uid=test --display-name=Test \
    --access-key=testkey --secret-key=testsecret >"$dir/log/user.out" 2>&1 9>&-
  echo "$2" >"$dir/ready"
}

case "$action" in
  start)
    # Held by this process alone: the daemons close descriptor 9, or nobody else would ever get it.
    mkdir -p "$(dirname "$dir")"
    exec 9>"$dir.lock"
    flock 9
    [ -s "$dir/ready" ] || start "$3" "$4" "$5"
    cat "$dir/ready"
    ;;
  gateway) gateway "$3" ;;
  stop)
    stop
    rm -f "$dir.lock"
    ;;
  *)
    echo "unknown action: $action" >&2
    exit 2
    ;;
esac
