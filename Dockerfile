# syntax=docker/dockerfile:1.7
# One build stage, one small image for each program. The programs are static
# (CGO off), so an image holds the program, the certificates to reach Stripe with,
# and nothing to log in to. They run as user 65532.

FROM golang:1.26.8 AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-trimpath
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -ldflags='-s -w' -o /out/worker    ./worker && \
    go build -ldflags='-s -w' -o /out/starter   ./starter && \
    go build -ldflags='-s -w' -o /out/gateway   ./gateway/reference && \
    go build -ldflags='-s -w' -o /out/stripesim ./stripesim
# A volume that is mounted over an empty folder takes over its owner.
RUN mkdir /data

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532

FROM base AS worker
COPY --from=build /out/worker /worker
ENTRYPOINT ["/worker"]

FROM base AS starter
COPY --from=build /out/starter /starter
ENTRYPOINT ["/starter"]
CMD ["serve"]

# For trying things out: a gateway that keeps what it is told, and the Stripe double.
FROM base AS gateway
COPY --from=build /out/gateway /gateway
ENTRYPOINT ["/gateway"]

FROM base AS stripesim
COPY --from=build /out/stripesim /stripesim
ENTRYPOINT ["/stripesim"]
