#!/usr/bin/env bash
# A Prefect server on this machine with its UI, and the flow run against it.
#   deployments/ui.sh start PORT BIN DOCUMENTS    start the server unless it is up, run the flow, print the address
#   deployments/ui.sh stop                        stop the server
set -euo pipefail

home=$PWD/.nightpress/prefect
pidfile=$home/server.pid

running() { [ -f "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }

ready() {
  "$1/python" - "$2" <<'PY'
import sys, urllib.request
try:
    urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/api/health", timeout=2).close()
except OSError:
    sys.exit(1)
PY
}

start() {
  local port=$1 bin=$2 documents=$3
  mkdir -p "$home"
  export PREFECT_HOME=$home
  export PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1   # both: each silences another sender
  export PREFECT_SERVER_UI_V2_ENABLED=false                      # the second UI asks a foreign host for its settings
  export PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT=false
  export PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=events,flow_runs
  export PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD=2592000   # 30 days for runs, their logs and artifacts
  export PREFECT_API_URL=http://127.0.0.1:$port/api
  export PREFECT_SERVER_UI_API_URL=$PREFECT_API_URL              # else the page calls port 4200 whatever the port

  if ! running; then
    if ready "$bin" "$port"; then
      echo "port $port already answers: choose another one with make ui UI_PORT=…" >&2
      exit 2
    fi
    echo "starting the Prefect server (log: .nightpress/prefect/server.log)"
    setsid nohup "$bin/prefect" server start --host 127.0.0.1 --port "$port" >"$home/server.log" 2>&1 </dev/null &
    echo $! >"$pidfile"
  fi
  for _ in $(seq 240); do
    ready "$bin" "$port" && break
    running || { echo "the Prefect server stopped:" >&2; tail -n 20 "$home/server.log" >&2; exit 1; }
    sleep 0.5
  done
  ready "$bin" "$port" || { echo "the Prefect server did not answer within two minutes" >&2; exit 1; }

  "$bin/nightpress" run --source "$documents" --store .nightpress/ui-store --full
  printf '\nlook at it: http://127.0.0.1:%s/runs   (make ui-stop ends the server)\n' "$port"
}

stop() {
  running || { echo "no server of ours is running"; exit 0; }
  local pid
  pid=$(cat "$pidfile")
  kill -- "-$pid" 2>/dev/null || kill "$pid"
  while running; do sleep 0.2; done
  rm -f "$pidfile"
  echo "stopped"
}

case "${1:-}" in
  start) start "$2" "$3" "$4" ;;
  stop) stop ;;
  *) sed -n '2,4p' "$0" >&2; exit 2 ;;
esac
