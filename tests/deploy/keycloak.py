"""The realm of deploy/compose in a real Keycloak, behind it gateways with the settings that deploy/ has for it.

    keycloak.py ROOT KEYCLOAK BINARIES

Ports and directories are other ones than in the files; nothing else is. Ends with one line on stdout, or says what is
wrong on stderr, with what the programs logged.
"""

import base64
import contextlib
import hashlib
import json
import os
import random
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import httpx2

ROOT, KEYCLOAK, BINARIES = (Path(argument) for argument in sys.argv[1:4])
sys.path.insert(0, str(ROOT / "tests/e2e"))
from client import CALLBACK, Browser  # noqa: E402  the path to it is an argument

DEPLOY = ROOT / "deploy"
COMPOSED = "https://localhost:8443/mcp"
SCOPES = "mcp:read mcp:write"
# Every tool that the server offers, and what it takes.
TOOLS = {
    "calculate": {"operation": "add", "operands": [2, 3]},
    "echo": {"message": "hello"},
    "get_timestamp": {},
    "hello_world": {"name": "Ada"},
    "ping": {},
    "whoami": {},
}
START_SECONDS = 600


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory(prefix="keycloak-") as directory, Stage(Path(directory)) as stage:
        try:
            told = [check(stage) for check in (machine, person, official, another_server)]
        except BaseException:
            stage.tell_logs()
            raise
    print(f"keycloak: all is well with {KEYCLOAK.name}: {'; '.join(told)}")


def machine(stage: "Stage") -> str:
    """A program: the shell client, as compose/README.md has it."""
    account = stage.admin("GET", f"clients/{stage.client('mcp-machine')}/service-account-user").json()
    unroled = stage.machine_token()
    refused(stage, stage.composed, unroled, "hello_world", "insufficient_scope", "tool:user")
    stage.give_role(account["id"], "tool:user")
    token = stage.machine_token()
    assert header(token)["typ"] == "at+jwt", header(token)
    every_tool(stage, token)
    stage.shell(stage.composed, "test.sh", ACCESS_TOKEN=token)
    narrow = stage.machine_token(SCOPE="mcp:infer")
    refused(stage, stage.composed, narrow, "whoami", "403", 'error="insufficient_scope"', 'scope="mcp:read"')
    return f"{len(TOOLS)} tools by client credentials, none without scope or role"


def person(stage: "Stage") -> str:
    """Somebody with a browser, and a client that sends `resource` as MCP says."""
    token = stage.signed_in(stage.composed, CALLBACK)
    every_tool(stage, token)
    held = json.loads(stage.call(stage.composed, token, "whoami"))["scopes"]
    assert sorted(held) == sorted([*SCOPES.split(), "tool:admin", "tool:user"]), held
    roles = claims(token)["resource_access"]["mcp-server"]["roles"]
    assert sorted(roles) == ["tool:admin", "tool:user"], "where claims.roles reads them"
    # Clients of a machine listen wherever there is a port.
    for callback in ("http://127.0.0.1:33418/", "http://localhost:53127/callback"):
        stage.signed_in(stage.composed, callback)
    # The guide says that Keycloak takes no `resource`: once that is wrong, the mapper may go.
    elsewhere = claims(stage.signed_in("https://other.example/mcp", CALLBACK))
    assert elsewhere["aud"] == stage.composed, f"Keycloak minds `resource` now: {elsewhere['aud']}"
    told = parse_qs(urlsplit(stage.asked(stage.composed, CALLBACK, {})).query)
    assert told.get("error") == ["invalid_request"], f"without PKCE: {told}"
    return f"{len(TOOLS)} by code and PKCE (Keycloak ignores `resource`)"


def official(stage: "Stage") -> str:
    """The official client finds everything by itself, but for its client id."""
    arguments = ["--url", stage.composed, "--ca", stage.ca, "--client-id", "mcp-client", "--user", stage.user]
    told = json.loads(run([sys.executable, ROOT / "tests/e2e/client.py", *arguments]))
    assert told["tools"] == sorted(TOOLS), told
    return "the official Python client alone"


def another_server(stage: "Stage") -> str:
    """A gateway with the guide's settings, for which the realm has no audience until the guide's first step is done."""
    token = stage.machine_token()
    refused(stage, stage.guided, token, "whoami", "401", 'error="invalid_token"', "aud")
    stage.add_audience(stage.guided)
    stage.call(stage.guided, stage.machine_token(), "whoami")
    stage.call(stage.guided, stage.signed_in(stage.guided, CALLBACK), "whoami")
    return "a token for another server refused"


def every_tool(stage: "Stage", token: str) -> None:
    listed = stage.shell(stage.composed, "call_tool.sh", "--list", ACCESS_TOKEN=token)
    names = sorted(line.split("\t")[0] for line in listed.splitlines())
    assert names == sorted(TOOLS), f"the server offers {names}"
    for tool in names:
        stage.call(stage.composed, token, tool)


def refused(stage: "Stage", url: str, token: str, tool: str, *signs: str) -> None:
    try:
        answer = stage.call(url, token, tool)
    except Failed as failed:
        missing = [sign for sign in signs if sign not in str(failed)]
        assert not missing, f"refused, but without {missing}: {failed}"
    else:
        raise AssertionError(f"{url} takes a token that it must not: {claims(token)}: {answer}")


class Stage:
    """Keycloak with the realm, a backend, and a gateway for each of the settings."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs = contextlib.ExitStack()
        self.user = secrets.token_hex(8)
        self.web = httpx2.Client(trust_env=False, timeout=60)
        self.keycloak, self.composed, self.guided = (f"localhost:{port}" for port in free_ports(3))
        self.keycloak = f"http://{self.keycloak}"
        self.composed, self.guided = f"https://{self.composed}/mcp", f"https://{self.guided}/mcp"

    def __enter__(self) -> "Stage":
        try:
            self.make_secrets()
            self.start_keycloak()
            self.start_backend()
            self.start_gateway("compose/postern.yaml", "http://localhost:8080", COMPOSED, self.composed)
            self.start_gateway(
                "guides/keycloak.yaml", "https://keycloak.example.com", "https://mcp.example.com/mcp", self.guided
            )
            self.add_person()
        except BaseException:
            self.tell_logs()
            self.programs.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.programs.close()

    def make_secrets(self) -> None:
        shutil.copy(DEPLOY / "compose/prepare.sh", self.directory)
        run([self.directory / "prepare.sh"])
        self.ca = str(self.directory / "secrets/ca.crt")

    def secret(self, name: str) -> str:
        return (self.directory / "secrets" / name).read_text()

    def start_keycloak(self) -> None:
        shutil.rmtree(KEYCLOAK / "data", ignore_errors=True)
        imports = KEYCLOAK / "data/import"
        imports.mkdir(parents=True)
        realm = (DEPLOY / "compose/keycloak/realm.json").read_text()
        (imports / "realm.json").write_text(replaced(realm, {COMPOSED: self.composed}))
        management, port = free_ports(1)[0], urlsplit(self.keycloak).port
        log = self.start(
            "keycloak",
            [KEYCLOAK / "bin/kc.sh", "start-dev", "--import-realm", "--http-host=127.0.0.1", f"--http-port={port}",
             f"--http-management-port={management}"],
            KC_DB="dev-file",
            KC_HEALTH_ENABLED="true",
            KC_CACHE="local",
            KC_HOSTNAME=self.keycloak,
            KC_BOOTSTRAP_ADMIN_USERNAME="admin",
            KC_BOOTSTRAP_ADMIN_PASSWORD=self.secret("keycloak_admin_password"),
            MCP_MACHINE_SECRET=self.secret("mcp_machine_secret"),
        )
        self.wait_for(log, f"http://127.0.0.1:{management}/health/ready")

    def start_backend(self) -> None:
        self.socket = f"unix:{self.directory}/backend.sock"
        self.start("backend", [BINARIES / "mcp-backend", "--listen", self.socket])

    def start_gateway(self, file: str, issuer: str, resource: str, here: str) -> None:
        admin = f"127.0.0.1:{free_ports(1)[0]}"
        settings = (DEPLOY / file).read_text()
        listen = next(line for line in settings.splitlines() if line.startswith("listen: ")).split()[1]
        changes = {
            listen: f"127.0.0.1:{urlsplit(here).port}",
            "/etc/postern/tls": f"{self.directory}/secrets/tls",
            issuer: self.keycloak,
            resource: here,
            "unix:/run/postern/backend.sock": self.socket,
        }
        if "\nadmin:" in settings:
            changes["0.0.0.0:9464"] = admin
        else:
            settings += f"admin: {{listen: '{admin}'}}\n"
        name = Path(file).parent.name
        path = self.directory / f"{name}.yaml"
        path.write_text(replaced(settings, changes))
        log = self.start(
            f"gateway of {name}", [BINARIES / "postern", "run", "--config", path], POSTERN_LOG_LEVEL="info"
        )
        self.wait_for(log, f"http://{admin}/readyz")

    def start(self, name: str, command: list, **environment: str) -> subprocess.Popen:
        with (self.directory / f"{name}.log").open("wb") as log:
            program = subprocess.Popen(
                command,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.programs.callback(stop, program)
        return program

    def wait_for(self, program: subprocess.Popen, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if self.web.get(url).status_code == 200:
                    return
            if program.poll() is not None:
                raise Failed(f"{program.args[0]} ended with {program.returncode}")
            if time.monotonic() > deadline:
                raise Failed(f"{program.args[0]} is not ready after {START_SECONDS} s")
            time.sleep(0.1)

    def tell_logs(self) -> None:
        for log in sorted(self.directory.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-40:]
            print(f"--- {log.stem}", *lines, sep="\n", file=sys.stderr)

    def admin(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """Keycloak's own interface. Its tokens live for a minute: each call has a new one."""
        asked = self.web.post(
            f"{self.keycloak}/realms/master/protocol/openid-connect/token",
            data={
                "grant_type": "password",
                "client_id": "admin-cli",
                "username": "admin",
                "password": self.secret("keycloak_admin_password"),
            },
        )
        answer = self.web.request(
            method,
            f"{self.keycloak}/admin/realms/mcp/{path}",
            headers={"Authorization": f"Bearer {good(asked).json()['access_token']}"},
            json=body,
        )
        return good(answer)

    def add_person(self) -> None:
        """With a role, as compose/README.md says."""
        person = {
            "username": self.user,
            "firstName": "Ada",
            "lastName": "Lovelace",
            "email": f"{self.user}@example.com",
            "enabled": True,
            "credentials": [{"type": "password", "value": self.user, "temporary": False}],
        }
        made = self.admin("POST", "users", person).headers["location"].rsplit("/", 1)[1]
        self.give_role(made, "tool:admin")

    def give_role(self, user: str, role: str) -> None:
        server = self.client("mcp-server")
        role = self.admin("GET", f"clients/{server}/roles/{role}").json()
        self.admin("POST", f"users/{user}/role-mappings/clients/{server}", [role])

    def client(self, name: str) -> str:
        return self.admin("GET", f"clients?clientId={name}").json()[0]["id"]

    def add_audience(self, url: str) -> None:
        scope = next(scope for scope in self.admin("GET", "client-scopes").json() if scope["name"] == "mcp")
        mapper = {
            "name": "another audience",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": {
                "included.custom.audience": url,
                "access.token.claim": "true",
                "id.token.claim": "false",
            },
        }
        self.admin("POST", f"client-scopes/{scope['id']}/protocol-mappers/models", mapper)

    def shell(self, url: str, script: str, *arguments: str, **environment: str) -> str:
        environment = {
            "MCP_URL": url,
            "CA_FILE": self.ca,
            "CLIENT_SECRET_FILE": str(self.directory / "secrets/mcp_machine_secret"),
        } | environment
        return run([DEPLOY / "clients" / script, *arguments], **environment)

    def machine_token(self, **environment: str) -> str:
        return self.shell(self.composed, "get_token.sh", **({"SCOPE": SCOPES} | environment)).strip()

    def call(self, url: str, token: str, tool: str) -> str:
        return self.shell(url, "call_tool.sh", tool, json.dumps(TOOLS[tool]), ACCESS_TOKEN=token)

    def asked(self, resource: str, callback: str, pkce: dict[str, str]) -> str:
        """Where the browser ends when a client has sent it to Keycloak."""
        asked = {
            "response_type": "code",
            "client_id": "mcp-client",
            "redirect_uri": callback,
            "scope": SCOPES,
            "state": "state",
            "resource": resource,
        }
        browser = Browser(ssl.create_default_context(), self.user, callback)
        anyio.run(browser.open, f"{self.protocol()}/auth?{urlencode(asked | pkce)}")
        return browser.callback

    def signed_in(self, resource: str, callback: str) -> str:
        """The token of somebody who signs in, and consents."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        pkce = {"code_challenge": challenge, "code_challenge_method": "S256"}
        told = parse_qs(urlsplit(self.asked(resource, callback, pkce)).query)
        if "code" not in told:
            raise Failed(f"no code: {told}")
        asked = {
            "grant_type": "authorization_code",
            "client_id": "mcp-client",
            "redirect_uri": callback,
            "code": told["code"][0],
            "code_verifier": verifier,
            "resource": resource,
        }
        return good(self.web.post(f"{self.protocol()}/token", data=asked)).json()["access_token"]

    def protocol(self) -> str:
        return f"{self.keycloak}/realms/mcp/protocol/openid-connect"


class Failed(Exception):
    """What somebody else said no to."""


def run(command: list, **environment: str) -> str:
    done = subprocess.run(
        command, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Failed(f"{Path(command[0]).name}: {done.stdout}{done.stderr}")
    return done.stdout


def stop(program: subprocess.Popen) -> None:
    """It, and what it started: Keycloak's is a shell that starts Java."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()


def good(answer: httpx2.Response) -> httpx2.Response:
    if not answer.is_success:
        raise Failed(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")
    return answer


def replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"{old} is in it no longer"
        text = text.replace(old, new)
    return text


def free_ports(count: int) -> list[int]:
    """Below those that the system gives to whoever dials out, so that they stay free until they are listened on."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in ports:
                ports.append(port)
    return ports


def header(token: str) -> dict:
    return part(token, 0)


def claims(token: str) -> dict:
    return part(token, 1)


def part(token: str, index: int) -> dict:
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


main()
