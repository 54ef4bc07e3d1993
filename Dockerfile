# adsum, and iptables for `adsum redirect-traffic`. Envoy comes in an image of its own.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY proto proto
COPY scripts scripts
COPY src src
# The copied file has the mode that the umask of the clone gave it.
RUN npm run build && npm prune --omit=dev --ignore-scripts && chmod a+r package.json

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
# No VOLUME: each container of this image would leave an anonymous one behind. Mount one here to keep the CA: -v adsum:/var/lib/adsum
ENTRYPOINT ["adsum"]
CMD ["--help"]
