# One image for routers and shards: `docker build -t trunkline .`
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
COPY --from=build /source/target/release/trunkline /usr/local/bin/trunkline
USER nobody
ENTRYPOINT ["trunkline"]
