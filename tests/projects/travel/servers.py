"""What servers load."""

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

wsgi, asgi = get_wsgi_application(), get_asgi_application()
