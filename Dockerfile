# Build: docker build -t huiyuan .
# Run:   docker run -v "$PWD/settings:/etc/huiyuan:ro" -v huiyuan-data:/data -p 8080:8080 huiyuan
# Mount the folder that holds huiyuan.yaml, not the file: an editor saves by renaming, which a mount of one file does not
# see. The settings should say `data: /data`. To reach the admin port from outside, set server.adminHost and adminToken.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Without scripts, since `prepare` needs the sources, which would cost this layer its cache.
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY config config
COPY src src
RUN npm run build && npm prune --omit=dev --ignore-scripts \
 && sed -i 's#^data: \./data#data: /data#' config/huiyuan.yaml && grep -q '^data: /data' config/huiyuan.yaml

FROM node:24-slim
# Two arenas: glibc's default of eight a core keeps what image work frees. Eight threads: file reads and image work share them.
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 UV_THREADPOOL_SIZE=8
WORKDIR /app
# The fonts of text watermarks, Chinese included.
RUN apt-get update && apt-get install -y --no-install-recommends fonts-noto-cjk fonts-dejavu-core \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/config config
COPY --from=build /app/config/huiyuan.yaml /app/config/huiyuan.schema.json /etc/huiyuan/
COPY package.json LICENSE ./
RUN install -d -o node -g node /data
USER node
VOLUME /data
EXPOSE 8080 8081
# Asks the default adminPort. With another one start the container with --health-cmd and this command for that port, or
# with --no-healthcheck.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8081/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Without a shell between, so that SIGTERM reaches the server: it drains within 10 s. The flag is the young generation of
# V8: misses take a tenth less CPU, for up to 60 MB more memory under load.
ENTRYPOINT ["node", "--max-semi-space-size=32", "/app/dist/main.js"]
CMD ["serve", "--config", "/etc/huiyuan/huiyuan.yaml"]
