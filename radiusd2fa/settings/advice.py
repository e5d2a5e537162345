"""What the settings allow although it is weaker than it should be: one sentence each, for every start and ``check``.

Advice never refuses anything and never shows a secret, nor how long it is.
RFC 3579 3.2 (Message-Authenticator), RFC 2865 3 (secrets of 16 octets or more), CVE-2024-3596.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from radiusd2fa.core.rules import ChallengeRules, Rule
from radiusd2fa.settings.values import ClientSettings, PrimarySettings

# RFC 2865 3: "preferred that the secret be at least 16 octets"
ENOUGH_SECRET: Final = 16


def about_client(client: ClientSettings) -> Iterator[str]:
    """Yield what should be changed about one client, or about the device behind it."""
    who = f"client {client.nas.name}"
    if min(map(len, client.secrets)) < ENOUGH_SECRET:
        yield (
            f"{who}: its secret is shorter than {ENOUGH_SECRET} characters, so one recorded packet is enough to guess "
            "it; set a longer one on both sides, e.g. from `openssl rand -base64 24`"
        )
    if not client.require_message_authenticator:
        yield (
            f"{who}: its requests are answered without a Message-Authenticator, so whoever sits between can forge an "
            "Access-Accept (CVE-2024-3596); let the device send one, then write message_authenticator: required"
        )
    if not client.sign_replies:
        yield (
            f"{who}: replies to it carry no Message-Authenticator, so whoever sits between can forge an Access-Accept "
            "(CVE-2024-3596); update the device, then write sign_replies: yes"
        )
    if any(network.prefixlen == 0 for network in client.networks):
        yield (
            f"{who}: its network is the whole internet, so only the secret keeps strangers out; "
            "write the addresses that the device really has"
        )


def about_prompts(challenge: ChallengeRules) -> Iterator[str]:
    """Yield a sentence for each prompt that not every client can show."""
    for key in ("code_prompt", "next_code_prompt", "password_prompt"):
        if not getattr(challenge, key).isascii():
            yield (
                f"challenge.{key}: it is not plain ASCII, and some devices show such characters wrongly; "
                "try it on each device, or write it in ASCII"
            )


def about_hashing(primary: PrimarySettings) -> Iterator[str]:
    """Yield a sentence when a stolen store would be cheap to search for passwords."""
    usual = PrimarySettings()
    if primary.kind == "local" and primary.memory_kib * primary.passes < usual.memory_kib * usual.passes:
        yield (
            "primary: its password hashes cost less than the default, so passwords are easier to find in a stolen "
            "store; delete memory_kib and passes"
        )


def about_rules(rules: tuple[Rule, ...]) -> Iterator[str]:
    """Yield a sentence for each rule that stands behind one that fits everybody."""
    first = next((index for index, rule in enumerate(rules) if not (rule.clients or rule.users or rule.groups)), None)
    if first is not None:
        for rule in rules[first + 1 :]:
            yield (
                f"rule {rule.name}: it never applies, because rule {rules[first].name} above it fits everybody; "
                "move it up, or delete it"
            )
