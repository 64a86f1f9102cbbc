# httpmon, and what the one-shots of compose/ need besides: Python and openssl, which the base image has.
ARG PYTHON_VERSION=3.13.7
FROM python:${PYTHON_VERSION}-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/httpmon && /opt/httpmon/bin/pip install --no-cache-dir --no-compile .

FROM python:${PYTHON_VERSION}-slim-bookworm
LABEL org.opencontainers.image.title="httpmon" org.opencontainers.image.licenses="Apache-2.0"
# Named volumes take over the owner of the folder that they are first mounted on.
RUN openssl version \
    && install -d -m 0750 -o 1000 -g 0 /secrets/authority /secrets/engine /secrets/kibana /secrets/logstash \
        /secrets/httpmon /state \
    && install -d -m 0755 -o 1000 -g 0 /logs
COPY --from=build /opt/httpmon /opt/httpmon
ENV PATH=/opt/httpmon/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/state
USER 1000:0
WORKDIR /state
ENTRYPOINT ["httpmon"]
CMD ["--help"]
