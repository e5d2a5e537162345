"""Every transcript of this folder, played against the running daemon: promise P16.

Nothing is decided here: what happens is in the text files; tests/conversations/README.txt tells how to read them, and
conftest.py what comes besides. RFC 4226 7.2 and RFC 6238 5.2: no code counts twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.conversations.player import WentOtherwiseError
from tests.conversations.transcript import Conversation, read

from .conftest import Play

CONVERSATIONS: Final = [one for path in sorted(Path(__file__).parent.glob("*.txt")) for one in read(path)]


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=[one.title for one in CONVERSATIONS])
def test_back_in_time(conversation: Conversation, play: Play) -> None:
    """It goes as its transcript says: no code that was used before counts after, and the next one does as promised."""
    failure = ""
    try:
        play(conversation)
    except WentOtherwiseError as otherwise:
        failure = f"{conversation.line.file}: {conversation.title}\n{otherwise}"
    if failure:
        pytest.fail(failure, pytrace=False)
