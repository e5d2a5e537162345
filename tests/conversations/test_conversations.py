"""Every transcript of this folder, played against the daemon; and that together they leave nothing unsaid.

Nothing is decided or repeated here: what happens is in the text files, README.txt tells how to read them.
RFC 2865 4 (the packets), RFC 4226 and RFC 6238 (the codes).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.core.model import Flow, Reason, TokenState
from radiusd2fa.settings import SettingsError

from .conftest import Play
from .player import WentOtherwiseError
from .transcript import Conversation, Packet, TranscriptError, Written, read

FOLDER: Final = Path(__file__).parent
CONVERSATIONS: Final = [
    (path.stem, conversation)
    for path in sorted(FOLDER.glob("*.txt"))
    if path.name != "README.txt"
    for conversation in read(path)
]
NOT_IN_A_CONVERSATION: Final = {
    Reason.STORE_UNAVAILABLE,  # needs a broken disk
    Reason.INTERNAL_ERROR,  # needs a bug
}


@pytest.mark.parametrize(
    "conversation",
    [conversation for _, conversation in CONVERSATIONS],
    ids=[f"{name}: {conversation.title}" for name, conversation in CONVERSATIONS],
)
def test_a_conversation(conversation: Conversation, play: Play) -> None:
    """A conversation goes as its transcript says, reply by reply and audit row by audit row."""
    failure = ""
    try:
        play(conversation)
    except (TranscriptError, WentOtherwiseError, SettingsError) as otherwise:
        failure = f"{conversation.line.file}: {conversation.title}\n{otherwise}"
    if failure:
        pytest.fail(failure, pytrace=False)


def test_every_reason_is_heard() -> None:
    """Each reason that a conversation can reach is expected in at least one of them."""
    said = {word.removeprefix("reason=") for step in _written() for word in step.words}
    assert {reason.value for reason in set(Reason) - NOT_IN_A_CONVERSATION} <= said


def test_every_token_state_is_tried_in_every_flow() -> None:
    """The table of token states holds each state of a token and each flow."""
    table = [conversation for name, conversation in CONVERSATIONS if name == "token_states"]
    states = {word for one in table for setting in one.head for word in setting.words if word.startswith("state=")}
    flows = {word for one in table for setting in one.head for word in setting.words if word.startswith("flow=")}
    assert states == {f"state={state.value}" for state in TokenState}
    assert flows == {f"flow={flow.value}" for flow in Flow}


def test_only_active_tokens_accept_in_the_table() -> None:
    """In the table of token states an Accept is expected where the token is active or handed out, and nowhere else."""
    for name, conversation in CONVERSATIONS:
        if name == "token_states":
            words = {word for setting in conversation.head for word in setting.words}
            accepts = any(isinstance(step, Packet) and "accept" in step.reply for step in conversation.steps)
            assert accepts is bool({"state=active", "state=assigned"} & words), conversation.title


def _written() -> list[Written]:
    return [step for _, conversation in CONVERSATIONS for step in conversation.steps if isinstance(step, Written)]
