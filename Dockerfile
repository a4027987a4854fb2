# Images of the API and of the worker: `docker build --target api .` and `--target worker`.
# Migrations run in the API's image, with the command `highlights migrate`.

FROM node:24-bookworm-slim AS console
WORKDIR /src/console
COPY console/package.json console/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY console ./
RUN npm run build

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY bin/uv.lock.txt ./
RUN python -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r uv.lock.txt
ENV PATH=/opt/uv/bin:$PATH UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
COPY requirements-runtime.lock ./
RUN uv venv --python python3 /opt/highlights \
    && uv pip install --python /opt/highlights --no-deps --require-hashes -r requirements-runtime.lock
COPY . .
COPY --from=console /src/api/console/dist api/console/dist
RUN uv build --wheel --require-hashes --build-constraints requirements.lock --out-dir dist \
    && uv pip install --python /opt/highlights --no-deps dist/*.whl

FROM python:3.11-slim-bookworm AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tldrtv Highlight API" \
      org.opencontainers.image.vendor="tldrtv" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="LicenseRef-Proprietary" \
      tv.tldr.sbom="/usr/share/doc/highlights/requirements-runtime.lock"
# ffmpeg comes with the package imageio-ffmpeg. Debian removes old versions, so none can be pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 highlights \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/highlights highlights \
    && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/highlights
COPY --from=build /opt/highlights /opt/highlights
COPY requirements-runtime.lock /usr/share/doc/highlights/
ENV PATH=/opt/highlights/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HIGHLIGHTS_HOME=/var/lib/highlights \
    HIGHLIGHTS_LOG_FORMAT=json \
    HIGHLIGHTS_OFFLINE=true
WORKDIR /var/lib/highlights
USER 10001:10001
# All that is written; the rest of the file system may be read-only.
VOLUME ["/var/lib/highlights", "/tmp"]

FROM runtime AS api
ENV HIGHLIGHTS_API_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "app.health", "http://127.0.0.1:8000/healthz"]
CMD ["highlights", "serve"]

FROM runtime AS worker
ENV HIGHLIGHTS_WORKER_HEALTH_ADDRESS=127.0.0.1:8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "app.health", "http://127.0.0.1:8001/healthz"]
CMD ["highlights", "worker"]
