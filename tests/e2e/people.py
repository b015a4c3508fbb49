"""Users of the app: made for one test, in the stack's own user pool, with real tokens."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.e2e import canaries
from tests.e2e.deployed import Deployment, aws
from valet.models import UserId, user_key

if TYPE_CHECKING:
    import httpx

    from tests.e2e.api import Api

CONFIG: Final = "email-calendar-assistant"


@dataclass(frozen=True)
class User:
    """Somebody who is signed in to the app."""

    id: str
    email: str
    token: str
    id_token: str
    api: Api

    @property
    def key(self) -> str:
        """What stands for this user in the table."""
        return user_key(UserId(self.id))

    def call(self, method: str, path: str, body: object = None, **more: Any) -> httpx.Response:
        return self.api.send(method, path, body, token=self.token, **more)

    def ensure(self, config: str = CONFIG) -> dict[str, Any]:
        answer = self.call("POST", "/instances", {"config": config})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def token_for_mcp(self, **wanted: Any) -> dict[str, Any]:
        """A new session token for the user's instance."""
        answer = self.call("POST", f"/instances/{self.ensure()['id']}/tokens", wanted)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def connections(self) -> dict[str, dict[str, Any]]:
        answer = self.call("GET", "/connections")
        assert answer.status_code == 200, answer.text
        return {entry["connection"]: entry for entry in answer.json()["connections"]}

    def verify(self, authorization: str, body: object = None) -> httpx.Response:
        return self.call("POST", f"/authorizations/{authorization}/verify", body)


def sign_up(deployment: Deployment, api: Api) -> User:
    cognito = aws("cognito-idp")
    pool = deployment.outputs["UserPoolId"]
    email, password = f"e2e-{uuid.uuid4().hex}@example.com", f"Aa1-{secrets.token_hex(16)}"
    made = cognito.admin_create_user(
        UserPoolId=pool,
        Username=email,
        MessageAction="SUPPRESS",
        UserAttributes=[
            {"Name": "email", "Value": email},
            {"Name": "email_verified", "Value": "true"},
        ],
    )
    attributes = {each["Name"]: each["Value"] for each in made["User"]["Attributes"]}
    cognito.admin_set_user_password(
        UserPoolId=pool, Username=email, Password=password, Permanent=True
    )
    tokens = cognito.initiate_auth(
        ClientId=deployment.outputs["UserPoolClientId"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": email, "PASSWORD": password},
    )["AuthenticationResult"]
    canaries.remember("JWT", tokens["AccessToken"], tokens["IdToken"])
    canaries.remember("user", email, attributes["sub"])
    return User(attributes["sub"], email, tokens["AccessToken"], tokens["IdToken"], api)
