"""Users as Locust's documentation describes them."""

from locust import FastHttpUser, HttpUser, between, task


class Visitor(HttpUser):
    weight = 1
    wait_time = between(0.1, 0.3)

    @task
    def look(self) -> None:
        self.client.get("/async/")


class Checker(FastHttpUser):
    weight = 1
    wait_time = between(0.1, 0.3)

    @task
    def look(self) -> None:
        with self.client.get("/sync/", name="checked", catch_response=True) as response:
            if response.json() != {"waited": "sync"}:
                response.failure("not what was asked for")
