# talkies in a container. CPU by default:
#
#     docker build --tag talkies .
#     docker run --rm --volume /films:/films:ro --volume /library:/library talkies ingest /films --library /library
#
# With CUDA wheels of PyTorch, for a host with an NVIDIA driver and its container toolkit:
#
#     docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 --tag talkies:cuda .
#     docker run --rm --gpus all … talkies:cuda pretrain …
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=all

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORKDIR /opt/talkies

# PyTorch first: it is the largest layer, and changes least.
COPY constraints.txt ./
RUN pip install --index-url "${TORCH_INDEX}" "$(grep '^torch==' constraints.txt)"

COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --constraint constraints.txt ".[${EXTRAS}]"

RUN useradd --create-home talkies
USER talkies
WORKDIR /home/talkies
EXPOSE 8017
ENTRYPOINT ["talkies"]
CMD ["--help"]
