# One image for every role: `docker run anb serve`, `work`, `migrate` …; compose.yaml shows them together.

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# What `anb --version` shows; not set: the version alone.
ARG ANB_COMMIT
# Dependencies stay compiled between builds.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/anb /anb

FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates ffmpeg \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --home-dir /var/lib/anb --shell /usr/sbin/nologin anb \
    && install --directory --owner anb --group anb /var/lib/anb /var/lib/anb/media /var/lib/anb/scratch
COPY --from=build /anb /usr/local/bin/anb
ENV UPLOAD_PATH=/var/lib/anb/media/uploads \
    PROCESSED_PATH=/var/lib/anb/media/processed \
    SCRATCH_PATH=/var/lib/anb/scratch
# By number, so that a host can check that it is not root.
USER 10001
WORKDIR /var/lib/anb
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["anb"]
