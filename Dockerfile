# syntax=docker/dockerfile:1
#
# docker build -t envoxyd . && docker run --rm -p 8080:8080 envoxyd
# A service of your own: FROM envoxyd, copy it to /srv (with its envoxy.json), pip install what it needs.

FROM golang:1.26-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-dev libzmq3-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=docker
RUN make install DESTDIR=/out PREFIX=/usr/local VERSION="$VERSION"

# The worker uses Python's stable ABI: any glibc image with python3 from 3.8 on will do here.
FROM python:3.12-slim-bookworm
# For services that use ZeroMQ; without it everything else runs.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libzmq5 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/usr/local/ /usr/local/
COPY examples/cards/ /srv/
RUN pip install --no-cache-dir -r /srv/requirements.txt \
    && useradd --system --no-create-home --home-dir /srv envoxyd
USER envoxyd
WORKDIR /srv
EXPOSE 8080
# TERM drains what is in flight before the container ends.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=2)"]
ENTRYPOINT ["envoxyd"]
CMD ["--http", ":8080", "--set", "conf=/srv/envoxy.json"]
