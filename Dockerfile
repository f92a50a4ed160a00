# A CPU image:   docker build -t ctgrid .
# With CUDA:     docker build -t ctgrid:cuda --build-arg BASE=nvidia/cuda:13.0.2-base-ubuntu24.04 \
#                    --build-arg TORCH_INDEX=https://pypi.org/simple .
# docs/howto/containers.md says how to run either, with Apptainer too.
ARG BASE=python:3.12-slim
FROM ${BASE}

# where torch comes from: the CPU build, or PyPI's, which brings CUDA's libraries
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=all

# no version is named here: the base image is an argument
# hadolint ignore=DL3008
RUN python3 -c 'import sys, ensurepip; sys.version_info >= (3, 11) or sys.exit(1)' 2>/dev/null || \
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv && \
      rm -rf /var/lib/apt/lists/*; }

WORKDIR /usr/src/ctgrid
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY .ci/install.py .ci/install.py
COPY ctgrid ctgrid
COPY cli cli
COPY configs configs
RUN python3 -m venv /usr/local/ctgrid && \
    /usr/local/ctgrid/bin/pip install -q --no-cache-dir --no-deps --index-url "$TORCH_INDEX" \
        "$(grep '^torch==' constraints.txt)" && \
    PIP_NO_CACHE_DIR=1 /usr/local/ctgrid/bin/python .ci/install.py ".[$EXTRAS]" && \
    mkdir -m 1777 /var/cache/ctgrid

ENV PATH=/usr/local/ctgrid/bin:$PATH CTGRID_HOME=/var/cache/ctgrid
USER 1000
WORKDIR /data
ENTRYPOINT ["ctgrid"]
CMD ["--help"]
