# Runs the studies again in a clean Debian 12 (docs/reproduce.md):
#     docker build -t kpksim . && docker run --rm kpksim
FROM debian:bookworm-slim
WORKDIR /kpksim
# Packages first: a change of the sources does not install them again.
COPY scripts/setup scripts/setup
RUN scripts/setup python3 python3-matplotlib && rm -rf /var/lib/apt/lists/*
COPY . .
RUN scripts/build kpksim
ENTRYPOINT ["scripts/reproduce"]
