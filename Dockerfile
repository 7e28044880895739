# The service without torch: docker build -t allocate . (docs/howto/embedding_http.md says how to run it)

FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY allocator allocator
COPY predictors predictors
COPY copygen copygen
COPY cli cli
RUN python -m venv /opt/allocate \
    && /opt/allocate/bin/pip install --no-cache-dir --constraint constraints.txt '.[serve,postgres,excel]' \
    && find /opt/allocate -type d -name tests -prune -exec rm -r {} +

FROM python:3.12-slim
COPY --from=build /opt/allocate /opt/allocate
# Compiled kernels suit one kind of processor: they are kept in the volume, not in the image.
ENV PATH=/opt/allocate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/data/kernels
RUN useradd --system --uid 10001 --home-dir /data allocate \
    && install --directory --owner allocate --mode 0700 /data
USER allocate
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://localhost:8000/readyz', timeout=4)"]
# Keys come as options or in ALLOCATE_API_KEYS; without any the service says so and ends.
ENTRYPOINT ["allocate", "serve", "--host", "0.0.0.0", "--port", "8000", "--data", "/data", "--log-json"]
CMD []
