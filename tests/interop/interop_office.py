# SPDX-License-Identifier: Apache-2.0
"""An office that was set up through the web: people who can sign in, as the console's pages would make them."""

import http.client
import json
import re
import ssl
from typing import Any

from interop_process import wait_until
from interop_ringback import Ringback

PASSWORD = "correct horse battery staple"
OWNER = "Anna Berg"


class Office:
    """A server with its owner signed in. `site` is where its pages are; with `login` it was set up before."""

    def __init__(self, server: Ringback, *, login: str = "") -> None:
        self.server = server
        self.site = f"https://{server.wss}"
        self._tls = ssl.create_default_context(cafile=server.ca)
        self._cookie = ""
        self._csrf = ""
        wait_until(self._is_there, 30, "the web process")
        if login:
            self._sign_in(login)
        else:
            self._set_up()

    def add(self, name: str) -> str:
        """A colleague who has accepted the invitation; their number."""
        account = self.ask("POST", "/users", {"name": name})["account"]
        if account["invitation"] is not None:
            token = account["invitation"]["link"].rsplit("/", 1)[1]
            self._request("POST", f"/invitations/{token}", {"password": PASSWORD})
        return str(account["number"])

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """As the owner; a refusal fails the test."""
        headers = {"Cookie": self._cookie, "X-Ringback-CSRF": self._csrf}
        return self._request(method, path, body, headers)[1]

    def download(self, path: str) -> bytes:
        """A file that a page offers, as the owner."""
        return self._answer("GET", path, None, {"Cookie": self._cookie})[1]

    def _sign_in(self, login: str) -> None:
        cookie, session = self._request("POST", "/session", {"login": login, "password": PASSWORD})
        self._cookie, self._csrf = cookie.split(";")[0], session["csrf"]

    def _set_up(self) -> None:
        link = re.search(r"/setup/(\S+)", self.server.run("setup-link"))
        assert link is not None
        owner = {"name": OWNER, "office": "Berg & Partners", "country": "DE", "password": PASSWORD}
        cookie, session = self._request("POST", f"/setup/{link[1]}", owner)
        self._cookie, self._csrf = cookie.split(";")[0], session["csrf"]

    def _is_there(self) -> bool:
        try:
            self._request("GET", "/session")
        except (OSError, http.client.HTTPException, AssertionError):
            return False
        return True

    def _request(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[str, Any]:
        cookie, content = self._answer(method, path, body, headers)
        return cookie, json.loads(content) if content else None

    def _answer(
        self, method: str, path: str, body: object, headers: dict[str, str] | None
    ) -> tuple[str, bytes]:
        connection = http.client.HTTPSConnection(self.server.wss, timeout=20, context=self._tls)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(
                method, f"/api/v1{path}", text, {"Content-Type": "application/json", **(headers or {})}
            )
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status < 300, f"{method} {path}: {answer.status} {content[:500]!r}"
            return answer.headers.get("Set-Cookie", ""), content
        finally:
            connection.close()
