"""A Django project in one file: a page that waits for others, as a sync view and as an async one."""

import asyncio
import time

from django.http import HttpRequest, JsonResponse
from django.urls import path

SECRET_KEY = "tiny"  # noqa: S105  # of a project for tests
ROOT_URLCONF = "tiny"
ALLOWED_HOSTS = ["localhost"]


def waits(request: HttpRequest) -> JsonResponse:
    time.sleep(0.2)
    return JsonResponse({"waited": "sync"})


async def waits_async(request: HttpRequest) -> JsonResponse:
    await asyncio.sleep(0.2)
    return JsonResponse({"waited": "async"})


urlpatterns = [path("sync/", waits), path("async/", waits_async)]
