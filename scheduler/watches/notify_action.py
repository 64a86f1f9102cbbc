"""The ``notify`` action, httpmon's own: whatever service Apprise knows."""

from __future__ import annotations

from typing import Any

from provisioning.settings import NotifySettings
from scheduler.watches.actions import ActionFailed, Result, Send
from scheduler.watches.run import Run


class Notifier:
    """Tells by Apprise's URLs, given in the action or, as secrets should be, by name in the settings."""

    def __init__(self, accounts: NotifySettings) -> None:
        self._accounts = accounts

    def __call__(
        self, action: dict[str, Any], _run: Run, _payload: dict[str, Any], simulate: bool
    ) -> Result | Send:
        """Prepare telling all of a rendered action's services. Raises ActionFailed."""
        # A URL holds what lets one in, so only its service's name is shown.
        shown = {
            "title": action.get("title"),
            "body": action["body"],
            "type": action.get("type", "info"),
            "services": [url.partition("://")[0] for url in action["urls"]],
        }
        if action.get("account"):
            shown["account"] = action["account"]
        shown = {key: value for key, value in shown.items() if value is not None}
        if simulate:
            return {"status": "simulated", "notify": {"message": shown}}
        try:
            import apprise
        except ImportError:
            raise ActionFailed("notify actions need the package apprise: install httpmon[notify]") from None
        told = apprise.Apprise()
        for url in self._urls(action):
            if not told.add(url):
                raise ActionFailed(f"Apprise takes no such URL: {url.partition('://')[0]}://...")

        def tell() -> Result:
            title = action.get("title") or ""
            if not told.notify(body=action["body"], title=title, notify_type=shown["type"]):
                raise ActionFailed("Apprise could not tell all of the services")
            return {"status": "success", "notify": {"message": shown}}

        return tell

    def _urls(self, action: dict[str, Any]) -> list[str]:
        urls = list(action["urls"])
        account = action.get("account")
        if account is not None:
            services = self._accounts.services
            if account not in services:
                there = f"there are {', '.join(services)}" if services else "there is none"
                raise ActionFailed(f"there is no notify service {account!r}; {there}")
            urls.append(services[account].get_secret_value())
        return urls
