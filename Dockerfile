# syntax=docker/dockerfile:1

# The operator's image: docker build --tag REGISTRY/chainlink-operator:0.1.0 .
# For another platform, too: docker buildx build --platform linux/amd64,linux/arm64 …

# Compiled on the machine that builds, for the one that runs: emulated it would take hours.
FROM --platform=$BUILDPLATFORM rust:1.95-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
ARG BUILDARCH
ARG TARGETARCH
WORKDIR /build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN case $TARGETARCH in \
        amd64) machine=x86_64 ;; \
        arm64) machine=aarch64 ;; \
        *) echo "there is no image for $TARGETARCH" >&2; exit 1 ;; \
    esac; \
    triple=$machine-unknown-linux-gnu; \
    if [[ $BUILDARCH != "$TARGETARCH" ]]; then \
        apt-get update; \
        apt-get install --yes --no-install-recommends \
            "gcc-${machine//_/-}-linux-gnu" "libc6-dev-$TARGETARCH-cross"; \
        rm -rf /var/lib/apt/lists/*; \
    fi; \
    rustup target add "$triple"; \
    name=${triple//-/_}; \
    { \
        echo "triple=$triple"; \
        echo "export CARGO_TARGET_${name^^}_LINKER=$machine-linux-gnu-gcc CC_$name=$machine-linux-gnu-gcc"; \
    } >/target.sh
COPY . .
# One cache of built crates for each platform: a target folder is not for two of them at once.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/usr/local/cargo/git \
    --mount=type=cache,target=/build/target,id=chainlink-operator-target-${TARGETARCH},sharing=locked \
    source /target.sh; \
    cp "$(.github/compile chainlink-operator "$triple")" /chainlink-operator

# The C library and the certificate authorities, no shell. Debian 12, as where the binary was built.
FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
LABEL org.opencontainers.image.title="chainlink-operator" \
      org.opencontainers.image.description="A Kubernetes operator for redundant Chainlink nodes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /chainlink-operator /chainlink-operator
# By number: runAsNonRoot cannot tell what a name means.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/chainlink-operator"]
CMD ["run"]
