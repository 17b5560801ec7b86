"""The one table, and a query that is as slow as it is asked to be."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from services.bounds import FAN_OUT
from services.env import BadEnvironment

ROWS = int(FAN_OUT.maximum)
TABLE = "lab_row"
SLEEP = "pg_sleep"  # SQLite has no function that waits: every connection is given this one of PostgreSQL's


class Row(models.Model):  # noqa: DJ008  # nobody prints it
    """There is one for each query of the largest page."""

    task_id: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(primary_key=True)
    message: models.CharField[str, str] = models.CharField(max_length=40)

    class Meta:
        app_label = "aggregator"
        db_table = TABLE


def slowly(seconds: float, nonce: str) -> models.QuerySet[Row]:
    """Return rows that take so long each, and hold the nonce of the page that asks."""
    text: models.TextField[str, str] = models.TextField()
    slept = models.Func(models.Value(seconds), function=SLEEP, output_field=text)
    return Row.objects.annotate(slept=slept, page=models.Value(nonce, output_field=text))


def add_sleep(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.vendor == "sqlite":
        connection.connection.create_function(SLEEP, 1, time.sleep)


connection_created.connect(add_sleep)


def prepare() -> None:
    """Make the table, where there is a database. Raises BadEnvironment when it cannot be used."""
    if not settings.DATABASE_URL:
        return
    try:
        make_table()
    except (DatabaseError, InterfaceError) as error:
        raise BadEnvironment(f"environment: DATABASE_URL: the database cannot be used: {error}") from error
    finally:
        connections.close_all()  # pages have connections of their own


def make_table() -> None:
    """Make the table, also if it is there already, or another process makes it in the same moment."""
    try:
        with connection.schema_editor() as editor:
            editor.create_model(Row)
    except DatabaseError:
        if TABLE not in connection.introspection.table_names():
            raise
    if Row.objects.count() < ROWS:
        rows = (Row(task_id=task, message="Hello World!") for task in range(ROWS))
        Row.objects.bulk_create(rows, ignore_conflicts=True)
