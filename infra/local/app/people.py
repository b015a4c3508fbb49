"""The demo's people in the stack's own Cognito user pool, made when they first sign in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from types_boto3_cognito_idp import CognitoIdentityProviderClient

PEOPLE = {"alice@example.com": "Alice", "bob@example.com": "Bob"}


@dataclass(frozen=True)
class CognitoPeople:
    """Signs people in and gives their access token, which is what the API takes."""

    pool: str
    client: str

    def sign_in(self, email: str) -> str:
        cognito: CognitoIdentityProviderClient = boto3.client("cognito-idp")
        password = _password(email)
        self._ensure(cognito, email, password)
        answer = cognito.initiate_auth(
            ClientId=self.client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": email, "PASSWORD": password},
        )
        return answer["AuthenticationResult"]["AccessToken"]

    def _ensure(self, cognito: CognitoIdentityProviderClient, email: str, password: str) -> None:
        """The pool lets nobody sign themselves up, so the app makes its users as an admin."""
        try:
            cognito.admin_create_user(
                UserPoolId=self.pool,
                Username=email,
                MessageAction="SUPPRESS",
                UserAttributes=[
                    {"Name": "email", "Value": email},
                    {"Name": "email_verified", "Value": "true"},
                ],
            )
        except cognito.exceptions.UsernameExistsException:
            return
        cognito.admin_set_user_password(
            UserPoolId=self.pool, Username=email, Password=password, Permanent=True
        )


def _password(email: str) -> str:
    """Made up, but the same each time: it opens nothing but a local pool of made-up people."""
    return "Demo-1-" + hashlib.sha256(email.encode()).hexdigest()[:24]
