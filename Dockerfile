# adsum, and iptables for `adsum redirect-traffic`. Envoy comes in an image of its own.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
COPY proto proto
COPY scripts scripts
COPY src src
RUN npm ci && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends iptables \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
RUN chmod +x dist/main.js \
 && ln -s /app/dist/main.js /usr/local/bin/adsum \
 && install -d -o node -g node -m 0700 /var/lib/adsum
# Only redirect-traffic needs root, and asks for it.
USER node
VOLUME /var/lib/adsum
ENTRYPOINT ["adsum"]
CMD ["--help"]
