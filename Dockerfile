# One base, six targets: api, aggregator, own, locust, postgres, prometheus.
#
# The base is named by its tag, which moves with every patch of Python and Debian: a build takes those at the next
# `docker pull python:3.13-slim`. To build from exactly one image, name it by its digest (the workflow in .github/ does):
#   docker pull python:3.13-slim
#   export PYTHON_IMAGE=$(docker image inspect --format '{{index .RepoDigests 0}}' python:3.13-slim)
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

# The packages of a project of one's own (compose/own.yaml), and the servers in the lab's versions, whatever it names.
FROM install AS install-own
COPY --from=project . /own
COPY requirements/serve.txt /serve.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    cd /own && /venv/bin/python check_python.py && /venv/bin/pip install -r requirements.txt \
    && /venv/bin/pip install --require-hashes -r /serve.txt

FROM install AS install-locust
COPY requirements/loadtests.txt /requirements.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    /venv/bin/pip install --require-hashes -r /requirements.txt && /venv/bin/pip uninstall -y pip

# What every image runs as: not root, in a place it cannot write to. It can read what is copied there whatever the umask
# of the clone was.
FROM ${PYTHON_IMAGE} AS base
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin lab
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /lab

FROM base AS api
COPY --from=install-api /venv /venv
COPY --chmod=755 services /lab/services
USER lab

FROM base AS aggregator
COPY --from=install-aggregator /venv /venv
COPY --chmod=755 services /lab/services
USER lab

FROM base AS own
COPY --from=install-own /venv /venv
COPY --chmod=755 services /lab/services
USER lab

FROM base AS locust
COPY --from=install-locust /venv /venv
COPY --chmod=755 loadtests /lab/loadtests
COPY --chmod=644 compose.yaml /lab/
COPY --chmod=755 compose /lab/compose
USER lab

# Debian's PostgreSQL, because it needs nothing but the base and Debian's packages. The database is made here, once, and
# copied when the container starts. Over the network there is one role, which owns the one database and may nothing else;
# it needs no password, because only the aggregators share a network with it (compose.yaml). The superuser is let in by
# the container's own socket alone.
FROM ${PYTHON_IMAGE} AS postgres
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/* \
    && ln -s /usr/lib/postgresql/*/bin /usr/lib/postgresql/bin \
    && mkdir /lab && chown postgres /lab
ENV PATH=/usr/lib/postgresql/bin:$PATH
WORKDIR /lab
USER postgres
RUN initdb --pgdata=/lab/data --auth-local=peer --auth-host=reject --encoding=UTF8 --locale=C \
    && printf '%s\n' 'CREATE ROLE lab LOGIN' 'CREATE DATABASE lab OWNER lab' | postgres --single -D /lab/data postgres \
    && echo 'host lab lab samenet trust' >> /lab/data/pg_hba.conf

# Debian's Prometheus, without the exporter of the machine's figures that Debian recommends beside it.
FROM base AS prometheus
RUN apt-get update \
    && apt-get install -y --no-install-recommends prometheus \
    && rm -rf /var/lib/apt/lists/*
COPY --chmod=755 compose/prometheus /lab/prometheus
USER lab
