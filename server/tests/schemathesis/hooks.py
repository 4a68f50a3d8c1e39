"""What schemathesis must know beside the document: how to log in, and what web addresses and moments look like."""

import itertools
import os
import string
import uuid

import requests
import schemathesis
from hypothesis import strategies as st

BASE = os.environ["HEYHO_BASE"]
CREDENTIALS = {"email": os.environ["HEYHO_EMAIL"], "password": os.environ["HEYHO_PASSWORD"]}
# These end a session, or use up the attempts at an account's password.
COSTLY = {"path": ["/api/v1/auth/logout", "/api/v1/auth/change-password"], "method": "POST"}
HOST = st.from_regex(r"[a-z][a-z0-9]{0,20}(\.[a-z]{2,8}){0,3}", fullmatch=True)
PATH = st.text(alphabet=string.ascii_letters + string.digits + "/?#&=%|^{}[]~é", max_size=40)

ADDRESSES = itertools.count(1)


def next_address():
    """Nobody is refused because of the requests before."""
    number = next(ADDRESSES)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@schemathesis.hook
def before_call(context, case, kwargs):
    case.headers = case.headers or {}
    case.headers["X-Forwarded-For"] = next_address()


schemathesis.openapi.format(
    "uri", st.builds(lambda scheme, host, path: f"{scheme}://{host}/{path}", st.sampled_from(["http", "https"]), HOST, PATH)
)
schemathesis.openapi.format("hostname", HOST)
# From 1970 to 9999.
schemathesis.openapi.format(
    "date-time",
    st.from_regex(
        r"(19[7-9][1-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]{1,3})?(Z|\+0[0-9]:00)",
        fullmatch=True,
    ),
)
schemathesis.openapi.format("email", st.from_regex(r"[a-z0-9.+-]{1,20}@[a-z0-9.-]{1,20}", fullmatch=True))


# At most 72 bytes.
schemathesis.openapi.format("password", st.text(alphabet=string.ascii_letters + string.punctuation, min_size=8, max_size=72))


def ask(route, form):
    address = {"X-Forwarded-For": next_address()}
    answer = requests.post(f"{BASE}/api/v1/auth/{route}", json=form, headers=address, timeout=30)
    answer.raise_for_status()
    return answer.json()["data"]


class Session:
    def get(self, case, context):
        return ask("login", CREDENTIALS)["AccessToken"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.auth().skip_for(**COSTLY)
class SharedSession(Session):
    pass


@schemathesis.auth(refresh_interval=None).apply_to(**COSTLY)
class SessionOfANewAccount(Session):
    def get(self, case, context):
        form = {**CREDENTIALS, "email": f"{uuid.uuid4()}@example.com"}
        ask("create-account", form)
        return ask("login", form)["AccessToken"]
