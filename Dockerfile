# One base, four targets: api, aggregator, locust, postgres.
ARG PYTHON_IMAGE=python:3.13-slim

# The packages of each target, in a virtual environment of its own. Only requirements/ is copied
# first, so that a change of code does not install anything again.
FROM ${PYTHON_IMAGE} AS install
RUN python -m venv /venv
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

FROM install AS install-api
COPY requirements/api.txt /requirements.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    /venv/bin/pip install --require-hashes -r /requirements.txt && /venv/bin/pip uninstall -y pip

FROM install AS install-aggregator
COPY requirements/aggregator.txt /requirements.txt
# Django carries the sources of its translations (*.po), which nothing reads when it runs.
RUN --mount=type=cache,target=/root/.cache/pip \
    /venv/bin/pip install --require-hashes -r /requirements.txt && /venv/bin/pip uninstall -y pip \
    && find /venv -name '*.po' -delete

FROM install AS install-locust
COPY requirements/loadtests.txt /requirements.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    /venv/bin/pip install --require-hashes -r /requirements.txt && /venv/bin/pip uninstall -y pip

# What every image runs as: not root, in a place it cannot write to.
FROM ${PYTHON_IMAGE} AS base
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin lab
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /lab

FROM base AS api
COPY --from=install-api /venv /venv
COPY services /lab/services
USER lab

FROM base AS aggregator
COPY --from=install-aggregator /venv /venv
COPY services /lab/services
USER lab

FROM base AS locust
COPY --from=install-locust /venv /venv
COPY loadtests /lab/loadtests
COPY compose.yaml /lab/
USER lab

# Debian's PostgreSQL, because it needs nothing but the base and Debian's packages. The database is made here, once, and
# copied when the container starts. Anybody in the lab's own network may use it, and nobody else can reach it.
FROM ${PYTHON_IMAGE} AS postgres
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/* \
    && ln -s /usr/lib/postgresql/*/bin /usr/lib/postgresql/bin \
    && mkdir /lab && chown postgres /lab
ENV PATH=/usr/lib/postgresql/bin:$PATH
WORKDIR /lab
USER postgres
RUN initdb --pgdata=/lab/data --username=lab --auth=trust --encoding=UTF8 --locale=C \
    && echo 'CREATE DATABASE lab' | postgres --single -D /lab/data postgres \
    && echo 'host all all samenet trust' >> /lab/data/pg_hba.conf
