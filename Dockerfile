# The program `moga` in an image of Debian 12. A context of this repository:
#
#   docker build -t moga .                              CPU only
#   docker build -t moga --build-arg GPU=1 .            with the CUDA kernels; run with: docker run --gpus all …
#   docker run --rm -v "$PWD:/films" moga generate /films/film.toml --model /films/models/wan --out /films/film.mp4
FROM debian:12 AS build
ARG GPU=0
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl make && \
    if [ "$GPU" = 1 ]; then \
      curl -fsSLO https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/cuda-keyring_1.1-1_all.deb && \
      dpkg -i cuda-keyring_1.1-1_all.deb && apt-get update && \
      apt-get install -y --no-install-recommends cuda-nvcc-13-0 cuda-cudart-dev-13-0 libcublas-dev-13-0 libnccl-dev; \
    fi
COPY tools/setup.sh tools/
RUN MOGA_TORCH=$([ "$GPU" = 1 ] && echo full || echo cpu) tools/setup.sh
COPY . .
RUN make build && cmake --install build/$([ "$GPU" = 1 ] && echo cuda || echo cpu) --prefix /opt/moga --component program

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      libavfilter8 libavformat59 libavcodec59 libavutil57 libswscale6 libpng16-16 libcairo2 libjpeg62-turbo \
      libtomlplusplus3 libsentencepiece0 libutf8proc2 libcurl4 libcpp-httplib0.11 libgomp1 && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/moga /opt/moga
# LibTorch, where the program was linked to look for it
COPY --from=build /src/.venv/lib /src/.venv/lib
ENV PATH=/opt/moga/bin:$PATH
ENTRYPOINT ["moga"]
