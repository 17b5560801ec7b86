"""Django's settings: only what an aggregator of HTTP calls needs. No admin; a database where one is set."""

from __future__ import annotations

from services import database_url, env
from services.bounds import FAN_OUT, LATENCY, WORK, Bound

SECONDS = Bound("seconds", 0.01, 600, "seconds")

# The api and how it is called.
API_URL = env.text("API_URL")
DEFAULT_FAN_OUT = int(env.number("FAN_OUT", FAN_OUT))
CONNECT_TIMEOUT = env.number("CONNECT_TIMEOUT", SECONDS)
CALL_TIMEOUT = env.number("CALL_TIMEOUT", SECONDS)
MAX_CONNECTIONS = env.whole("MAX_CONNECTIONS", 1, 100_000)
THREADPOOL = env.whole("THREADPOOL", 1, 10_000)

# What a page does when its query does not say otherwise, and what the variants need.
DEFAULT_WORK = env.number("WORK", WORK)
DEADLINE = env.number("DEADLINE", SECONDS)
SELF_URL = env.text("SELF_URL")
# Pages of slow queries need a database. A connection lasts as long as the request, under ASGI as under WSGI;
# PostgreSQL's go back to a pool, SQLite's cost next to nothing.
if DATABASE_URL := env.optional("DATABASE_URL"):
    DATABASE_POOL = env.whole("DATABASE_POOL", 1, 10_000)
    DATABASES = {"default": database_url.parse(DATABASE_URL, DATABASE_POOL, CONNECT_TIMEOUT)}
    DEFAULT_LATENCY = env.number("LATENCY", LATENCY)

DEBUG = False
SECRET_KEY = "what this signs is nobody's secret"  # noqa: S105  # Django wants one to start
ALLOWED_HOSTS = ["*"]  # published on loopback only; asked by several names inside the lab
ROOT_URLCONF = "services.aggregator.urls"

OURS = "services.aggregator.middleware.server_timing"
MIDDLEWARE_SETS = {
    "lab": [OURS],
    "none": [],
    "sync_only": ["services.aggregator.pitfalls.server_timing_sync_only"],
    "django": [  # as startproject has it
        OURS,
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
}
MIDDLEWARE_SET = env.choice("MIDDLEWARE_SET", tuple(MIDDLEWARE_SETS))
MIDDLEWARE = MIDDLEWARE_SETS[MIDDLEWARE_SET]
# The authentication middleware imports its models, which want their apps; nothing asks a database.
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"] if MIDDLEWARE_SET == "django" else []
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

# Under ASGI Django runs its sync code in a thread for each request (each). no_receivers disconnects its receivers of
# request_started and request_finished; shared does that too, and uses one thread for all requests.
DJANGO_THREADS = env.choice("DJANGO_THREADS", ("each", "no_receivers", "shared"))
if DATABASE_URL and DJANGO_THREADS != "each":
    raise env.BadEnvironment(
        f"environment: DJANGO_THREADS must be each where DATABASE_URL is set; it is {DJANGO_THREADS!r}. Django's "
        "receivers close the connections of a request"
    )

USE_I18N = False
# A page that fails says why in its answer; a line for each would be load of its own.
LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {"django.request": {"level": "CRITICAL"}}}
