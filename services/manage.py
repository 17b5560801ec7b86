"""Django's command line for the views of article.py: `python -m services.manage runserver` and `test`.

On another port than 8000 set API_URL, because runserver serves the api as well.
"""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(
    DEBUG=True,
    SECRET_KEY="what this signs is nobody's secret",  # noqa: S106  # Django wants one to start
    ROOT_URLCONF="services.aggregator.article",
    MIDDLEWARE=["services.aggregator.article.timing"],
    STATIC_URL="static/",
    API_URL=os.environ.get("API_URL") or "http://127.0.0.1:8000/api/article/api/",
)

if __name__ == "__main__":
    if sys.argv[1:] == ["test"]:
        sys.argv.append("services.aggregator.test_article")  # the lab's own tests are pytest's
    execute_from_command_line(sys.argv)
