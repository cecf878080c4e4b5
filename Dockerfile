# syntax=docker/dockerfile:1
#
#   docker build --target base -t envoxyd .              for WSGI and ASGI applications
#   docker build --target envoxy -t envoxyd:envoxy .     for Envoxy services
#   docker build -t cards . && docker run --rm -p 8080:8080 cards     the example
#
# docs/deployment.md has the recipes for images of applications. packaging/test-image carries out this file and the recipes.
ARG GO_VERSION=1.26
ARG PYTHON_VERSION=3.13

# ---- the wheel, as make packages builds it: by the machine's own compiler, for the architecture of the image
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-bookworm AS wheel
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libzmq3-dev pkg-config python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY packaging/tools packaging/requirements.txt packaging/
RUN packaging/tools go-licenses cyclonedx-gomod
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# For --version, since .git is not in the context: --build-arg COMMIT=$(git rev-parse --short=9 HEAD)
ARG COMMIT
ARG TARGETARCH
RUN packaging/notices /out/share/doc/envoxyd \
    && packaging/stage "$TARGETARCH" /out \
    && mkdir /dist \
    && python3 packaging/wheel.py /out "$TARGETARCH" /dist

# ---- python3 and the wheel. It does not end with USER: images made from it may install packages, and say USER 10001 then.
FROM python:${PYTHON_VERSION}-slim-bookworm AS base
# Compiled now, for no user may write there. Group 0 may write to the home: that is what a cluster's arbitrary users belong to.
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    pip install --no-cache-dir /dist/*.whl \
    && python3 -m compileall -q /usr/local/lib/envoxyd \
    && useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin envoxyd \
    && chgrp 0 /home/envoxyd \
    && chmod 770 /home/envoxyd
COPY --chmod=755 packaging/image/healthcheck.py /usr/local/bin/envoxyd-healthcheck
ENV HEALTH_URL=tcp://127.0.0.1:8080 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /srv
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["envoxyd-healthcheck"]
# TERM finishes what is in progress.
STOPSIGNAL SIGTERM
# Where USER was forgotten, envoxyd gives up root's rights itself; as another user it ignores uid and gid.
ENTRYPOINT ["envoxyd", "--uid", "envoxyd", "--gid", "envoxyd", "--env", "HOME=/home/envoxyd"]

# ---- what the bundled Envoxy services import
FROM base AS envoxy
RUN --mount=type=bind,source=packaging/envoxy-requirements.txt,target=/envoxy-requirements.txt \
    pip install --no-cache-dir -r /envoxy-requirements.txt
ENV HEALTH_URL=http://127.0.0.1:8080/health
CMD ["--http", ":8080", "--set", "conf=/srv/envoxy.json"]

# ---- the example
FROM envoxy AS example
COPY examples/cards/ /srv/
RUN pip install --no-cache-dir -r requirements.txt \
    && python3 -m compileall -q .
USER 10001
