"""`radiusd2fa-key`, the program on the laptop: as SSH_ASKPASS it answers prompts, by hand it does the rest.

It keeps itself small, because it starts for every password prompt: what is not needed is not loaded. ssh gives one
argument, the prompt, and standard output goes to the server as it is, so nothing but an answer may ever stand there.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

COMMANDS: Final = ("respond", "add", "remove", "list", "register", "setup-ssh", "doctor")


def main() -> int:
    """Run the program; returns its exit code: 0 done, 1 refused or failed, 2 wrong usage."""
    from radiusd2fa.laptop.screen import Ended

    arguments = sys.argv[1:]
    try:
        if is_prompt(arguments, os.getppid()):
            from radiusd2fa.laptop.askpass import answer_prompt

            return answer_prompt(arguments[0], os.getppid())
        from radiusd2fa.laptop.commands import run

        return run(arguments)
    except KeyboardInterrupt:
        return _die_of(signal.SIGINT)
    except Ended as ended:
        return _die_of(ended.number)


def is_prompt(arguments: Sequence[str], caller: int) -> bool:
    """Whether this is one prompt to be answered and no command of ours.

    One argument is a prompt unless it is a word that only a person types. From ssh even that is a prompt: else a server
    could ask for "list", and be told which keys there are.
    """
    if len(arguments) != 1:
        return False
    word = arguments[0]
    if word not in COMMANDS and not word.startswith("-") and not (word.isascii() and word.isalpha() and word.islower()):
        return True
    from radiusd2fa.laptop.caller import is_ssh

    return is_ssh(caller)


def _die_of(number: int) -> int:
    """End as the signal would have ended us, so that a shell sees what has happened."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


if __name__ == "__main__":
    sys.exit(main())
