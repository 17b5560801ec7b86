"""/: what this deployment is, and links to its pages."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_safe

from services.aggregator import article, identity
from services.aggregator.variants import STRATEGIES, VARIANTS


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    pages = {
        "Strategies": [strategy.url_path for strategy in STRATEGIES.values()],
        "The articles' views": [f"/{pattern.pattern}" for pattern in article.urlpatterns],
        "Variants": [variant.url_path for variant in VARIANTS.values()],
        "This deployment": ["/healthz"],
    }
    body = format_html_join("", "<h2>{}</h2><ul>{}</ul>", ((name, links(paths)) for name, paths in pages.items()))
    title = f"{identity.server(request)}, {identity.slots()}"
    return HttpResponse(format_html(PAGE, title=title, body=body))


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body {{ font: 17px/1.5 system-ui, sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em }}</style>
<h1>{title}</h1>{body}</html>
"""


def links(paths: list[str]) -> str:
    return format_html_join("", '<li><a href="{}">{}</a></li>', ((path, path) for path in paths))
