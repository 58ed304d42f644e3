"""The official Python MCP client, sent to a protected server of which it knows only the URL.

It finds its own way from the first 401 to a token, with a browser that is a cookie jar and a reader
of forms, then calls two tools, and with --teams a third, after a request to the address there. Prints one line of JSON on success; otherwise says why on stderr.
"""

import argparse
import json
import logging
import ssl
import sys
from html.parser import HTMLParser
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import parse_qs, urljoin, urlsplit

import anyio
import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
)

USER = "alice"
# Nothing listens there: the browser stops when it is sent to this address.
CALLBACK = "http://127.0.0.1/callback"
TIMEOUT_SECONDS = 60


async def visit(given: argparse.Namespace, trust: ssl.SSLContext, journal: "Journal") -> dict[str, object]:
    """The whole dance; what came of it."""
    url, mode, teams = given.url, given.mode, given.teams
    browser = Browser(trust, given.user)
    auth = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(
            client_name="postern e2e (python)",
            redirect_uris=[CALLBACK],
            token_endpoint_auth_method="none",
        ),
        storage=Memory(given.client_id),
        redirect_handler=browser.open,
        callback_handler=browser.answer,
    )
    http = httpx2.AsyncClient(
        auth=auth,
        verify=trust,
        event_hooks={"response": [journal.note]},
        timeout=TIMEOUT_SECONDS,
        trust_env=False,  # no proxies: everything here is on loopback
    )
    async with http, Client(streamable_http_client(url, http_client=http), mode=mode) as client:
        tools = await client.list_tools()
        whoami = await call(client, "whoami", {})
        echo = await call(client, "echo", {"message": "hello"})
        protocol_version = client.protocol_version
        if teams:
            httpx2.post(teams, trust_env=False).raise_for_status()
            journal.steps.append("POST /withdraw")
            teams = (await call(client, "otus_teams", {})).structured_content
    return {
        "client": "python",
        "mode": mode,
        "protocol_version": protocol_version,
        "tools": sorted(tool.name for tool in tools.tools),
        "whoami": whoami.structured_content,
        "echo": text_of(echo),
        "teams": teams,
        "steps": journal.steps,
        "challenge": journal.challenge,
    }


async def call(client: Client, tool: str, arguments: dict[str, str]):
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        raise RuntimeError(f"{tool} failed: {text_of(result)}")
    return result


def text_of(result) -> str:
    return "".join(block.text for block in result.content if block.type == "text")


class Journal:
    """What the client sent and was told, in order; the browser's requests are not the client's."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.challenge: str | None = None

    async def note(self, response: httpx2.Response) -> None:
        request = response.request
        self.steps.append(f"{request.method} {request.url.path} {response.status_code}")
        if response.status_code == 401 and self.challenge is None:
            self.challenge = response.headers.get("www-authenticate")


class Memory:
    """A token store that starts empty, so that the client has to register, unless it is known, and ask."""

    def __init__(self, client_id: str | None) -> None:
        self.tokens = None
        self.client_info = client_id and OAuthClientInformationFull(
            client_id=client_id, redirect_uris=[CALLBACK], token_endpoint_auth_method="none"
        )

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens) -> None:
        self.tokens = tokens

    async def get_client_info(self):
        return self.client_info

    async def set_client_info(self, client_info) -> None:
        self.client_info = client_info


class Browser:
    """Follows redirects, signs in, consents to everything, and stops at the callback."""

    def __init__(self, trust: ssl.SSLContext, user: str = USER, callback: str = CALLBACK) -> None:
        self.trust = trust
        self.user = user
        self.awaited = callback
        self.callback = ""

    async def open(self, url: str) -> None:
        # As browsers have it, what comes from this machine is as good as what comes by TLS.
        trusting = DefaultCookiePolicy(secure_protocols=("https", "http"))
        http = httpx2.AsyncClient(
            verify=self.trust,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            cookies=CookieJar(trusting),
        )
        async with http:
            page = await http.get(url)
            for _ in range(20):
                if page.has_redirect_location:
                    target = urljoin(str(page.url), page.headers["location"])
                    if target.startswith(self.awaited):
                        self.callback = target
                        return
                    page = await http.get(target)
                else:
                    form = Form(page, self.user)
                    page = await http.request(form.method, form.action, data=form.fields)
        raise RuntimeError(f"the login led nowhere: still at {page.url}")

    async def answer(self) -> AuthorizationCodeResult:
        answer = {
            name: values[0] for name, values in parse_qs(urlsplit(self.callback).query).items()
        }
        if "code" not in answer:
            raise RuntimeError(f"the authorization server refused: {answer}")
        return AuthorizationCodeResult(
            code=answer["code"], state=answer.get("state"), iss=answer.get("iss")
        )


class Form(HTMLParser):
    """The form of a page, filled in by a person whose password is the name, and sent by its first button."""

    def __init__(self, page: httpx2.Response, user: str) -> None:
        self.user = user
        self.pressed = False
        super().__init__()
        self.action = str(page.url)
        self.method = ""
        self.fields: dict[str, str] = {}
        self.feed(page.text)
        if not self.method:
            raise RuntimeError(f"no form at {page.url} ({page.status_code}): {page.text[:300]}")

    def handle_starttag(self, tag: str, attrs) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self.action = urljoin(self.action, attributes.get("action", ""))
            self.method = attributes.get("method", "get").upper()
        elif tag == "input" and "name" in attributes:
            kind = attributes.get("type")
            if kind == "submit":
                if self.pressed:
                    return
                self.pressed = True
            typed = kind in ("text", "password")
            self.fields[attributes["name"]] = self.user if typed else attributes.get("value", "")


def reasons(error: BaseException) -> list[str]:
    """The client runs in task groups, which wrap a failure in groups of one."""
    if isinstance(error, BaseExceptionGroup):
        return [reason for inner in error.exceptions for reason in reasons(inner)]
    return [f"{type(error).__name__}: {error}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca", required=True, help="PEM file, the only authority that is trusted")
    parser.add_argument("--mode", choices=["auto", "legacy"], default="auto")
    parser.add_argument("--user", default=USER, help="who signs in")
    parser.add_argument("--client-id", help="be this one, and do not register")
    parser.add_argument("--teams", help="post here, then ask for otus_teams")
    arguments = parser.parse_args()
    journal = Journal()
    # It would log, as a traceback, the failure that is reported below.
    logging.getLogger("mcp").addHandler(logging.NullHandler())

    async def visit_in_time() -> dict[str, object]:
        trust = ssl.create_default_context(cafile=arguments.ca)
        with anyio.move_on_after(TIMEOUT_SECONDS):
            return await visit(arguments, trust, journal)
        raise TimeoutError(f"not done after {TIMEOUT_SECONDS} s")

    try:
        print(json.dumps(anyio.run(visit_in_time)))
    except Exception as error:
        steps = [f"  {step}" for step in journal.steps]
        print("\n".join([*reasons(error), "after", *steps]), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
