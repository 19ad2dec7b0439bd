# One image for every role: `docker run anb serve`, `work`, `migrate` …. compose.yaml combines the roles, and
# `make artifact` packs the image for the instances of cloudformation/.

# --- ffmpeg ---------------------------------------------------------------------------------------
# Debian's source with only the components that src/media uses. Debian's package adds 400 MB of unused files, and
# every omitted decoder reduces the attack surface for hostile files.
FROM docker.io/library/debian:bookworm-slim AS ffmpeg
RUN sed -i 's/^Types: deb$/& deb-src/' /etc/apt/sources.list.d/debian.sources \
    && apt-get update \
    && apt-get install --yes --no-install-recommends \
        dpkg-dev gcc libc6-dev libdav1d-dev libx264-dev libzimg-dev make nasm pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
RUN apt-get update && apt-get source ffmpeg && mv ffmpeg-*/ ffmpeg && rm -rf /var/lib/apt/lists/*
WORKDIR /src/ffmpeg
# Decoders: those that `codec.rs` accepts, and PNG for the watermark. Filters: those of `src/media/encode`, and `rotate`,
# which ffmpeg adds for odd angles. The muxer `null` decodes alone. The concat demuxer needs h264_mp4toannexb.
RUN ./configure --prefix=/opt/ffmpeg --disable-everything --disable-autodetect --disable-network --disable-doc \
        --disable-debug --disable-avdevice --disable-ffplay --enable-gpl \
        --enable-libx264 --enable-libzimg --enable-libdav1d --enable-zlib \
        --enable-protocol=file,pipe \
        --enable-demuxer=concat,image_png_pipe,mov,rawvideo --enable-muxer=image2,mp4,null,rawvideo \
        --enable-decoder=h263,h264,hevc,libdav1d,mjpeg,mpeg4,png,prores,rawvideo,vp9 --enable-encoder=libx264,mjpeg,rawvideo,wrapped_avframe \
        --enable-parser=av1,h263,h264,hevc,mjpeg,mpeg4video,png,vp9 \
        --enable-bsf=extract_extradata,h264_mp4toannexb \
        --enable-filter=bwdif,fade,format,fps,hflip,loop,overlay,pad,rotate,scale,select,setparams,setpts,setsar,split \
        --enable-filter=sidedata,tonemap,tpad,transpose,vflip,zscale \
    && make -j"$(nproc)" install

# --- anb ------------------------------------------------------------------------------------------
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The commit that `anb --version` shows; if unset, it shows only the version.
ARG ANB_COMMIT
# Keeps compiled dependencies between builds, even if Cargo.lock changes or a build is interrupted.
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
# The only writable folders, so the root may be read-only. SCRATCH_PATH must be a disk, since ffmpeg needs the memory.
ENV UPLOAD_PATH=/var/lib/anb/media/uploads \
    PROCESSED_PATH=/var/lib/anb/media/processed \
    SCRATCH_PATH=/var/lib/anb/scratch
VOLUME /var/lib/anb/scratch
# A numeric id, so that hosts can verify that it is not root.
USER 10001
WORKDIR /var/lib/anb
EXPOSE 8080
STOPSIGNAL SIGTERM
# The internal listener of either role: the port of METRICS_ADDR, or the defaults.
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
