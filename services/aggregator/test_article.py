"""Test the views of article.py: `python -m services.manage test`."""

from unittest import mock

from django.test import LiveServerTestCase, override_settings


class ArticleTests(LiveServerTestCase):
    """A live server answers the calls; Django's clients ask for the pages."""

    databases: set[str] = set()  # noqa: RUF012  # as Django declares it

    def setUp(self) -> None:
        api_url = override_settings(API_URL=f"{self.live_server_url}/api/article/api/")
        api_url.enable()
        self.addCleanup(api_url.disable)
        self.enterContext(mock.patch("asyncio.sleep", mock.AsyncMock()))  # the api answers at once

    async def test_async_views_ask_for_every_task(self) -> None:
        for path in ("/api/article/", "/api/article/to-async/", "/api/article/class-based/"):
            response = await self.async_client.get(path)
            self.assertEqual([call["task_id"] for call in response.json()["responses"]], [str(n) for n in range(10)])

    def test_sync_views_ask_for_every_task(self) -> None:
        for path in ("/api/article/sync/", "/api/article/threadpool/"):
            response = self.client.get(path)
            self.assertEqual([call["task_id"] for call in response.json()["responses"]], [str(n) for n in range(10)])
            self.assertIn("X-Elapsed", response)
