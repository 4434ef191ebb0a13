"""What schemathesis needs to know of this API: how to sign in, and how to keep a session that the requests themselves keep ending."""

import http.client
import json
import os
import time
import urllib.parse
import uuid

import schemathesis
from cbserver import CONTEXT, session_cookie

URL = os.environ["CB_FUZZ_URL"]
# A fresh proof of identity lasts a few minutes.
FRESH_SECONDS = 120
TIMEOUT = 30


class Session:
    """The administrator's session. The requests sign out, replace it and remove its user's factors; `current` notices that."""

    headers, since, device, connection = None, 0.0, None, None
    # The cookies of all sessions so far.
    cookies = set()

    @classmethod
    def ask(cls, method, path, headers, body=None):
        if cls.connection is None:
            cls.connection = http.client.HTTPSConnection(urllib.parse.urlsplit(URL).netloc, timeout=TIMEOUT, context=CONTEXT)
        # The server closes a connection that was idle for long. The second try opens a new one.
        for last in (False, True):
            try:
                cls.connection.request(method, f"/api/v1{path}", body, headers)
                answer = cls.connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            except (OSError, http.client.HTTPException):
                cls.connection.close()
                if last:
                    raise

    @classmethod
    def lives(cls):
        if cls.headers is None or time.monotonic() - cls.since > FRESH_SECONDS:
            return False
        status, _, text = cls.ask("GET", "/auth/me", cls.headers)
        assert status in (200, 401), f"/auth/me answered {status}: {text[:300]}"
        return status == 200

    @classmethod
    def current(cls):
        """The headers of a session that was alive a moment ago. Nothing but the request that is sent next can end it."""
        if not cls.lives():
            # As a browser that signed in before: strangers who guess at this user then do not slow it down.
            known = {"Cookie": cls.device} if cls.device else {}
            body = json.dumps({"username": os.environ["CB_FUZZ_USER"], "password": os.environ["CB_FUZZ_PASSWORD"]})
            sent = {"Content-Type": "application/json", "Origin": URL, **known}
            status, headers, text = cls.ask("POST", "/auth/login", sent, body)
            assert status == 200, f"the administrator cannot sign in any more, {status}: {text[:300]}"
            cookie = session_cookie(headers)
            cls.device = device_cookie(headers) or cls.device
            cls.headers = {"Cookie": cookie, "X-CSRF-Token": json.loads(text)["csrf_token"]}
            cls.cookies.add(cookie)
            cls.since = time.monotonic()
        return cls.headers


def device_cookie(headers):
    cookies = (value.split(";")[0] for name, value in headers if name.lower() == "set-cookie")
    return next((cookie for cookie in cookies if cookie.startswith("__Host-cb_device")), None)


def credentials():
    token = os.environ.get("CB_FUZZ_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else Session.current()


@schemathesis.auth(refresh_interval=None)
class Administrator:
    def get(self, case, context):
        return credentials()

    def set(self, case, data, context):
        case.headers.update(data)
        # As the description of a session has it, for a write without a body.
        if case.method.upper() != "GET":
            case.headers.setdefault("Content-Type", "application/json")


@schemathesis.hook
def before_call(context, case, kwargs):
    # The session may have ended since this request was made up. One that the request itself made up stays.
    ours = case.headers.get("Cookie") in Session.cookies
    # A method that is not described is refused to a stranger as everything is, with 401.
    if ours or case.method.upper() not in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        case.headers.update(credentials())
    # Each from an address of its own, as the trusted proxy says: whoever guesses is slowed down, and that is no difference.
    # Not by `random`, whose seed makes the data the same each time.
    part = os.urandom(4).hex()
    case.headers["X-Forwarded-For"] = f"2001:db8:{part[:4]}:{part[4:]}::1"
    # No schema says what the server is called, and a request to another name is refused with 421.
    for name in [name for name in case.headers if name.lower() == "host"]:
        del case.headers[name]
    # One key for two requests is a difference that no schema can describe.
    for name in [name for name in case.headers if name.lower() == "idempotency-key"]:
        case.headers[name] = str(uuid.uuid4())


# What no schema can say: that something exists, fits something else, or is reached. A 422 that names another field for data that the
# description permits is a difference.
BEYOND = {
    "cursor": "comes from the page before",
    "sort": "each list names its own orders",
    "q": "some lists have no search",
    "asset_id": "exists", "a_asset_id": "exists", "b_asset_id": "exists", "interface_id": "is of that asset",
    "credential_id": "exists and is of the right kind", "tags": "exist",
    "ip": "is the address of one machine", "addresses": "each of one machine", "cidr": "is of a network that can be", "gateway": "is in the network",
    "current_password": "of whoever has one",
    "password": "is not guessed first", "new_password": "is not guessed first",
    "public": "as the kind has it", "secret": "as the kind has it", "hosts": "each a name, address or range",
    "host": "one of the credential's", "path": "of kinds that take one", "certificate_sha256": "64 digits",
    "host_key_sha256": "a fingerprint", "url": "judged, and its name resolved", "issuer": "judged",
    "targets": "private, and not too large", "scopes": "openid among them; no more than the role permits", "default_role": "or a group",
    "client_id": "unless a credential has it",
    "client_secret": "again, when the issuer changes", "code": "exactly one proof", "credential": "the response of a passkey",
    "body": "at least one field", "positions": "of assets that exist", "ids": "exist", "kind": "fits the finding", "name": "of new assets only",
    "filter": "instead of ids", "count": "with a filter", "group": "with group_by",
    "email": "only of a user who has one", "site": "one that a worker belongs to",
}  # fmt: skip


@schemathesis.check
def nothing_undescribed_is_refused(ctx, response, case):
    if response.status_code != 422 or not case.meta or not case.meta.generation.mode.is_positive:
        return
    for wrong in response.json().get("errors", []):
        # The field of the body, or the one within it, without the places in lists.
        names = [name.split("[")[0] for name in wrong["field"].split(".")]
        assert names[0] in BEYOND or names[-1] in BEYOND, f"{case.method} {case.path}: {wrong['field']} {wrong['reason']}"
