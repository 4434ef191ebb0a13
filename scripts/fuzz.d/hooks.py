"""What schemathesis needs to know of this API: how one signs in, and that one does so again when a request has ended the session."""

import json
import os
import ssl
import time
import urllib.error
import urllib.request
import uuid

import schemathesis
from cbserver import session_cookie

URL = os.environ["CB_FUZZ_URL"]
# A fresh proof of identity lasts a few minutes.
FRESH_SECONDS = 120
TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TRUST.check_hostname, TRUST.verify_mode = False, ssl.CERT_NONE


class Session:
    """The administrator's. What is sent may end it: behind each write, and each 401, it is looked at before it is used again."""

    headers, since, doubted = None, 0.0, False

    @classmethod
    def current(cls):
        late = time.monotonic() - cls.since > FRESH_SECONDS
        if cls.headers is None or late or (cls.doubted and not cls.stands()):
            cls.begin()
        cls.doubted = False
        return cls.headers

    @classmethod
    def stands(cls):
        try:
            with ask("/auth/me", headers=cls.headers) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as refused:
            if refused.code != 401:
                raise
            return False

    @classmethod
    def begin(cls):
        body = json.dumps({"username": os.environ["CB_FUZZ_USER"], "password": os.environ["CB_FUZZ_PASSWORD"]})
        with ask("/auth/login", body.encode(), {"Content-Type": "application/json", "Origin": URL}) as answer:
            cookie = session_cookie(answer.headers.items())
            csrf = json.load(answer)["csrf_token"]
        cls.headers = {"Cookie": cookie, "X-CSRF-Token": csrf}
        cls.since = time.monotonic()


def ask(path, body=None, headers=None):
    return urllib.request.urlopen(
        urllib.request.Request(f"{URL}/api/v1{path}", body, headers or {}), context=TRUST, timeout=30
    )


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
    # Each from an address of its own, as the trusted proxy says: whoever guesses is slowed down, and that is no difference.
    # A method that is not described is refused to a stranger as everything is, with 401.
    if case.method.upper() not in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        case.headers.update(credentials())
    # Not by `random`, whose seed makes the data the same each time.
    part = os.urandom(4).hex()
    case.headers["X-Forwarded-For"] = f"2001:db8:{part[:4]}:{part[4:]}::1"
    # One key for two requests is a difference that no schema can describe.
    for name in [name for name in case.headers if name.lower() == "idempotency-key"]:
        case.headers[name] = str(uuid.uuid4())


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code == 401 or case.method.upper() not in ("GET", "HEAD"):
        Session.doubted = True


# What no schema can say: that something exists, fits something else, or is reached. A 422 that names another field for data that the
# description permits is a difference.
BEYOND = {
    "cursor": "comes from the page before",
    "sort": "each list names its own orders",
    "q": "some lists have no search",
    "asset_id": "exists", "a_asset_id": "exists", "b_asset_id": "exists", "interface_id": "is of that asset",
    "credential_id": "exists and is of the right kind", "tags": "exist",
    "ip": "is the address of one machine", "cidr": "is of a network that can be", "gateway": "is in the network",
    "current_password": "of whoever has one",
    "password": "is not guessed first", "new_password": "is not guessed first",
    "public": "as the kind has it", "secret": "as the kind has it", "hosts": "each a name, address or range",
    "host": "one of the credential's", "path": "of kinds that take one", "certificate_sha256": "64 digits",
    "host_key_sha256": "a fingerprint", "url": "judged, and its name resolved", "issuer": "judged",
    "targets": "private, and not too large", "scopes": "openid among them; no more than the role permits", "default_role": "or a group",
    "client_id": "unless a credential has it", "code": "exactly one proof", "credential": "what an authenticator answers",
    "body": "at least one field", "positions": "of assets that exist", "ids": "exist", "kind": "fits the finding", "name": "of new assets only",
    "email": "only of a user who has one",
}  # fmt: skip


@schemathesis.check
def nothing_undescribed_is_refused(ctx, response, case):
    if response.status_code != 422 or not case.meta or not case.meta.generation.mode.is_positive:
        return
    for wrong in response.json().get("errors", []):
        field = wrong["field"].split(".")[0].split("[")[0]
        assert field in BEYOND, f"{case.method} {case.path}: {wrong['field']} {wrong['reason']}"
