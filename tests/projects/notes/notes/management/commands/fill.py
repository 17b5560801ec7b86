from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

from notes.models import Note


class Command(BaseCommand):
    help = "A user and some notes."

    def handle(self, *args: Any, **options: Any) -> None:
        User.objects.create_user("ada", password="lovelace")  # noqa: S106  # of a project for tests
        Note.objects.bulk_create(Note(text=f"note {number}") for number in range(20))
