"""A project that answers 200 whatever happens: its upstream is broken, and its page says so in a friendly way."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

SECRET_KEY = "polite"  # noqa: S105  # of a project for tests
ROOT_URLCONF = "polite"
ALLOWED_HOSTS = ["*"]


def weather(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<p>Sorry, the weather is not available right now.</p>")


urlpatterns = [path("", weather)]
