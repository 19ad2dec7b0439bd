# One image for every role: `docker run anb serve`, `work`, `migrate` …; compose.yaml shows them together, and
# `make artifact` packs it for the instances of cloudformation/.

# --- ffmpeg ---------------------------------------------------------------------------------------
# Debian's source with what src/media asks for and nothing else: its package brings 400 MB of what we never run,
# and with every decoder that is not there a hostile file has one door less.
FROM docker.io/library/debian:bookworm-slim AS ffmpeg
RUN sed -i 's/^Types: deb$/& deb-src/' /etc/apt/sources.list.d/debian.sources \
    && apt-get update \
    && apt-get install --yes --no-install-recommends \
        dpkg-dev gcc libc6-dev libdav1d-dev libx264-dev libzimg-dev make nasm pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
RUN apt-get update && apt-get source ffmpeg && mv ffmpeg-*/ ffmpeg && rm -rf /var/lib/apt/lists/*
WORKDIR /src/ffmpeg
# Decoders: what `verdict.rs` accepts, and PNG for the watermark. Filters: what `plan.rs` writes; ffmpeg adds those
# that turn a picture upright by itself. The bit stream filter is the concat demuxer's.
RUN ./configure --prefix=/opt/ffmpeg --disable-everything --disable-autodetect --disable-network --disable-doc \
        --disable-debug --disable-avdevice --disable-ffplay --enable-gpl \
        --enable-libx264 --enable-libzimg --enable-libdav1d --enable-zlib \
        --enable-protocol=file,pipe \
        --enable-demuxer=concat,image_png_pipe,mov --enable-muxer=image2,mp4 \
        --enable-decoder=h263,h264,hevc,libdav1d,mjpeg,mpeg4,png,prores,vp9 --enable-encoder=libx264,mjpeg \
        --enable-parser=av1,h263,h264,hevc,mjpeg,mpeg4video,png,vp9 \
        --enable-bsf=extract_extradata,h264_mp4toannexb \
        --enable-filter=fade,format,fps,loop,overlay,pad,scale,select,setpts,setsar,split,tonemap,zscale \
    && make -j"$(nproc)" install

# --- anb ------------------------------------------------------------------------------------------
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# What `anb --version` shows; not set: the version alone.
ARG ANB_COMMIT
# Dependencies stay compiled between builds, also when Cargo.lock changes or a build is broken off.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/anb /anb

# --- image ----------------------------------------------------------------------------------------
FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libdav1d6 libx264-164 libzimg2 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && useradd --uid 10001 --user-group --home-dir /var/lib/anb --shell /usr/sbin/nologin anb \
    && install --directory --owner anb --group anb /var/lib/anb /var/lib/anb/media /var/lib/anb/scratch
COPY --from=ffmpeg /opt/ffmpeg/bin/ffmpeg /opt/ffmpeg/bin/ffprobe /usr/local/bin/
COPY --from=build /anb /usr/local/bin/
# Nothing else is written to, so the root may be read-only. A job's folder must be a disk: memory is for ffmpeg.
ENV UPLOAD_PATH=/var/lib/anb/media/uploads \
    PROCESSED_PATH=/var/lib/anb/media/processed \
    SCRATCH_PATH=/var/lib/anb/scratch
VOLUME /var/lib/anb/scratch
# By number, so that a host can check that it is not root.
USER 10001
WORKDIR /var/lib/anb
EXPOSE 8080
STOPSIGNAL SIGTERM
# The listener of either role: where METRICS_ADDR says, or by default.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["bash", "-c", "\
    for port in \"${METRICS_ADDR##*:}\" 9464 9465; do \
        if { exec 3<>\"/dev/tcp/127.0.0.1/$port\"; } 2>/dev/null; then \
            printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]; exit; \
        fi; \
    done; exit 1"]
ARG ANB_VERSION ANB_COMMIT
LABEL org.opencontainers.image.title="anb" \
    org.opencontainers.image.description="ANB Rising Stars Showcase" \
    org.opencontainers.image.version="$ANB_VERSION" \
    org.opencontainers.image.revision="$ANB_COMMIT"
ENTRYPOINT ["anb"]
