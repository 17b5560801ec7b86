"""An async page that calls two upstreams at once; where they are comes from outside."""

import asyncio
import os

import httpx
from django.http import HttpRequest, JsonResponse
from django.urls import path

SECRET_KEY = "travel"  # noqa: S105  # of a project for tests
ROOT_URLCONF = "travel"
ALLOWED_HOSTS = ["localhost"]


async def trip(request: HttpRequest, city: str) -> JsonResponse:
    async with httpx.AsyncClient(timeout=10) as client:
        weather, hotels = await asyncio.gather(
            client.get(f"{os.environ['WEATHER_URL']}/forecast/{city}"),
            client.get(f"{os.environ['HOTELS_URL']}/search", params={"city": city}),
        )
    degrees = weather.json()["degrees"] if weather.is_success else None
    return JsonResponse({"city": city, "degrees": degrees, "hotels": len(hotels.json()["hotels"])})


urlpatterns = [path("trips/<city>/", trip)]
