# syntax=docker/dockerfile:1

# The operator's image: docker build --tag REGISTRY/chainlink-operator:0.1.0 .

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# One cache of built crates for each platform: a target folder is not for two of them at once.
ARG TARGETPLATFORM
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/usr/local/cargo/git \
    --mount=type=cache,target=/build/target,id=chainlink-operator-target-${TARGETPLATFORM},sharing=locked \
    cargo build --release --locked --package chainlink-operator \
    && cp target/release/chainlink-operator /chainlink-operator

# The C library and the certificate authorities, no shell. Debian 12, as where the binary was built.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="chainlink-operator" \
      org.opencontainers.image.description="A Kubernetes operator for redundant Chainlink nodes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /chainlink-operator /chainlink-operator
# By number: runAsNonRoot cannot tell what a name means.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/chainlink-operator"]
CMD ["run"]
