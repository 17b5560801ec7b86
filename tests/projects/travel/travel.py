"""An async page that calls two upstreams at once: at the address that a variable names, or else by their own names."""

import asyncio
import os

import httpx
from django.http import HttpRequest, JsonResponse
from django.urls import path

SECRET_KEY = "travel"  # noqa: S105  # of a project for tests
ROOT_URLCONF = "travel"
ALLOWED_HOSTS = ["localhost"]
WEATHER = os.environ.get("WEATHER_URL", "https://weather.example")
HOTELS = os.environ.get("HOTELS_URL", "http://hotels.example")


async def trip(request: HttpRequest, city: str) -> JsonResponse:
    async with httpx.AsyncClient(timeout=10) as client:
        weather, hotels = await asyncio.gather(
            client.get(f"{WEATHER}/forecast/{city}"),
            client.get(f"{HOTELS}/search", params={"city": city}),
        )
    degrees = weather.json()["degrees"] if weather.is_success else None
    return JsonResponse({"city": city, "degrees": degrees, "hotels": len(hotels.json()["hotels"])})


urlpatterns = [path("trips/<city>/", trip)]
