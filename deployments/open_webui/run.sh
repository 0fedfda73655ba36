#!/usr/bin/env bash
# run.sh BIN STORE: set up Open WebUI in an environment of its own (about 3 GB, once), start it beside the retriever of
# a store, both on this machine only, and ask both questions of ask_in_browser.py in a browser without a window.
# KEEP=1 leaves both running until Ctrl-C. Nothing is sent anywhere: Open WebUI runs in its offline mode.
set -euo pipefail
bin=$1 store=$2
home=${OPEN_WEBUI_HOME:-.nightpress/open-webui}
port=${OPEN_WEBUI_PORT:-8322} retriever_port=${OPEN_WEBUI_RETRIEVER_PORT:-8321}
version=0.12.4

for tool in chromium chromedriver; do
  command -v $tool >/dev/null || { echo "$tool is missing: apt-get install chromium chromium-driver" >&2; exit 2; }
done
[ -d "$store" ] || { echo "no store at $store yet: run make demo first" >&2; exit 2; }
mkdir -p "$home/data"
if [ ! -x "$home/venv/bin/open-webui" ]; then
  "$bin/python" -m venv "$home/venv"
  "$home/venv/bin/pip" install -qq torch==2.13.0   # first, so that no build for graphics cards is drawn in
  "$home/venv/bin/pip" install -qq open-webui==$version
fi

started=()
trap 'for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done' EXIT
"$bin/nightpress" serve --store "$store" --port "$retriever_port" >"$home/retriever.log" 2>&1 &
started+=($!)
export OFFLINE_MODE=True HF_HUB_OFFLINE=1 WEBUI_AUTH=False ENABLE_OLLAMA_API=False ENABLE_PERSISTENT_CONFIG=False
export ANONYMIZED_TELEMETRY=False DO_NOT_TRACK=true SCARF_NO_ANALYTICS=true ENABLE_VERSION_UPDATE_CHECK=False
export RAG_EMBEDDING_ENGINE=openai RAG_OPENAI_API_BASE_URL=http://127.0.0.1:$retriever_port/v1 RAG_OPENAI_API_KEY=none
export OPENAI_API_BASE_URL=http://127.0.0.1:$retriever_port/v1 OPENAI_API_KEY=none
export WEBUI_SECRET_KEY=only-on-this-machine NIGHTPRESS_URL=http://127.0.0.1:$retriever_port
DATA_DIR=$(cd "$home/data" && pwd) "$home/venv/bin/open-webui" serve --host 127.0.0.1 --port "$port" >"$home/open-webui.log" 2>&1 &
started+=($!)
for _ in $(seq 600); do
  curl -fs -o /dev/null "http://127.0.0.1:$port/health" && break
  kill -0 "${started[@]}" 2>/dev/null || { tail -5 "$home"/*.log >&2; exit 1; }
  sleep 1
done
"$bin/python" deployments/open_webui/ask_in_browser.py --url "http://127.0.0.1:$port" --pictures "$home/pictures" \
  --function deployments/open_webui/nightpress_function.py --retriever "http://127.0.0.1:$retriever_port"
if [ -n "${KEEP:-}" ]; then echo "http://127.0.0.1:$port stays up until Ctrl-C"; wait; fi
