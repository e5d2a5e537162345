"""Who is logging in: the facts about the person, what the directory says of them, and whether a password is enough.

Pure, and it accepts nobody: login.py does. An account is tied to the directory's own id, so that neither a renamed nor
a re-created account ever inherits a token; entryUUID is RFC 4530, objectGUID Active Directory's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from radiusd2fa.core.choosing import Circumstances, within
from radiusd2fa.core.finding import Find
from radiusd2fa.core.judging import Facts, Judgement
from radiusd2fa.core.model import (
    AccessRequest,
    Account,
    AddAccount,
    ChallengeKind,
    Effect,
    Flow,
    Known,
    NeedPrimary,
    NoteAccount,
    PrimaryAnswer,
    Reason,
    Silence,
    User,
    Verdict,
)
from radiusd2fa.core.names import has_one_reading
from radiusd2fa.core.record import record
from radiusd2fa.core.rules import LOCAL_ACCOUNTS, NO_RULE, Backend, Rule, Rules


def gather(
    request: AccessRequest,
    name: str,
    known: Known,
    now: float,
    nonce: bytes,
    site: Rules,
    factors: Mapping[str, Find],
) -> Facts:
    """Put together what one decision looks at: above all the rule, and who checks the password.

    An answer to a question is judged under the rule of that question, as that rule is now. Whom no rule fits is asked
    the same questions as everybody: a refusal at once would tell who is in which group.
    """
    user, challenge = known.user, known.challenge
    groups = user.groups if user is not None else ()
    at = Circumstances(request.nas.name, name, request.realm, groups, request.caller, now, request.attributes)
    if challenge is None or request.state is None:
        rule = before = site.for_login(at)
        backend = _who_checks(site, rule, user, at)
    else:
        at = replace(at, attributes=challenge.attributes)
        rule = before = site.named(challenge.rule)
        backend = _who_checks(site, rule, user, at)
        if challenge.kind is ChallengeKind.UPSTREAM:
            backend = site.backend(challenge.backend) or backend  # whoever has asked gets the answer
    fresh = None if _decides_alone(backend, before, user, now) else _fresh_groups(known)
    if fresh is not None and fresh != groups:
        groups = fresh
        rule = site.for_login(replace(at, groups=fresh))
    # what was typed was typed before anybody asked the directory
    flow, blind = before.flow or request.nas.flow, before.ask_always or rule.ask_always
    return Facts(
        request=request,
        name=name,
        known=known,
        now=now,
        nonce=nonce,
        site=site,
        # a text of the group's own would show that the password was right
        rules=site.under(before if blind else rule),
        rule=rule,
        # one text that can be read in two ways would show which password was right
        flow=Flow.CHALLENGE if blind and flow is Flow.AUTO else flow,
        blind=blind,
        backend=backend,
        groups=groups,
        factors=factors,
    )


def _fresh_groups(known: Known) -> tuple[str, ...] | None:
    if not known.primary:
        return None
    accounts = [answer.account for answer in known.primary.values() if answer.account is not None]
    return next((account.groups for account in accounts if account.groups is not None), None)


def _who_checks(site: Rules, rule: Rule, user: User | None, at: Circumstances) -> Backend:
    upstream = rule.enrolment.upstream
    if upstream is not None and _is_unenrolled(user) and rule.enrolment.lasts(at.now):
        return site.backend(upstream) or site.primary
    named = None if rule.primary is None else site.backend(rule.primary)
    return named or site.backend_for(at)


def _is_unenrolled(user: User | None) -> bool:
    return user is None or not user.enrolled


def _waives_for_the_unenrolled(facts: Facts) -> bool:
    enrolment = facts.rule.enrolment
    return facts.rule.enrolment.lasts(facts.now) and (not enrolment.required or enrolment.upstream is not None)


def is_upstreams(facts: Facts) -> bool:
    """Whether another authentication system decides alone about this person: they have never had a token of ours."""
    return _decides_alone(facts.backend, facts.rule, facts.known.user, facts.now)


def _decides_alone(backend: Backend, rule: Rule, user: User | None, now: float) -> bool:
    upstream = rule.enrolment.upstream
    return upstream is not None and upstream == backend.name and _is_unenrolled(user) and rule.enrolment.lasts(now)


# --- what the directory says ------------------------------------------------------------------------------------------


def note_account(facts: Facts, answer: PrimaryAnswer, backend: Backend) -> tuple[Effect, ...] | Reason:
    """What to remember of whom the backend has let in; a Reason when that is not whom we know under this name."""
    user, account = facts.known.user, answer.account
    if not backend.checks:
        return ()
    if facts.known.namesake not in (None, facts.name):
        return Reason.ACCOUNT_RENAMED
    if user is None and (account is None or account.id is None) and not has_one_reading(facts.name):
        # a backend may strip accents, widths and realms, and mean somebody whom we know under another spelling
        return Reason.ACCOUNT_AMBIGUOUS
    if facts.known.has_kin and _is_unenrolled(user) and _waives_for_the_unenrolled(facts):
        return Reason.ACCOUNT_RENAMED
    if is_upstreams(facts):
        return () if user is not None else (_newcomer(facts, _usual_source(facts), None),)
    if user is None:
        return (_newcomer(facts, backend.source, account),)
    if user.source != backend.source:
        return Reason.ACCOUNT_ELSEWHERE
    identity = None if account is None else account.id
    if user.directory_id is not None and user.directory_id != identity:
        return Reason.ACCOUNT_REPLACED
    if account is None or (user.directory_id == identity and account.groups in (None, user.groups)):
        return ()
    return (NoteAccount(user.id, identity, account.groups),)


def _newcomer(facts: Facts, source: str, account: Account | None) -> AddAccount:
    identity, groups = (None, None) if account is None else (account.id, account.groups)
    return AddAccount(facts.name, source, identity, groups or (), facts.now)


def _usual_source(facts: Facts) -> str:
    """Who will check this person's password once they have a token of ours."""
    request = facts.request
    at = Circumstances(
        request.nas.name, facts.name, request.realm, facts.groups, request.caller, facts.now, request.attributes
    )
    return facts.site.backend_for(at).source


@record
class Standing:
    """What the directory has said about somebody whose password nobody checks."""

    noted: tuple[Effect, ...] = ()
    """What to remember of it."""
    reason: Reason | None = None
    """Why they may not log in, whatever their token says."""

    def over(self, judgement: Judgement) -> Judgement:
        """The judgement that counts: of somebody who may not log in no code is right, and none is a guess."""
        return judgement if self.reason is None else Judgement(self.reason, judgement.token)


def still_there(facts: Facts) -> Standing | NeedPrimary | Silence:
    """Where nobody checks a password, ask the directory that the person comes from whether they may still log in.

    Whatever the code is, and for strangers too: a directory that does not answer is silence whatever was typed.
    """
    user = facts.known.user
    source = facts.backend if user is None else facts.site.backend(user.source)
    if source is None and user is not None and user.source != LOCAL_ACCOUNTS:
        return Standing(reason=Reason.ACCOUNT_ELSEWHERE)  # nobody can be asked about them any more
    if source is None or not source.looks_up:
        return Standing()
    answer = facts.known.primary.get(None)
    if answer is None:
        return NeedPrimary(None, source.name)
    if answer.verdict is Verdict.UNAVAILABLE:
        return Silence(Reason.PRIMARY_UNAVAILABLE)
    if user is None:
        return Standing()
    if answer.verdict is not Verdict.PASSED:
        return Standing(reason=answer.reason or Reason.ACCOUNT_UNKNOWN)
    noted = note_account(facts, answer, source)
    if isinstance(noted, Reason):
        return Standing(reason=noted)
    if facts.backend.checks and _wants_a_password_by_now(facts):
        return Standing(noted, Reason.PASSWORD_WANTED)  # so say the groups that they are in by now
    return Standing(noted)


def _wants_a_password_by_now(facts: Facts) -> bool:
    """Whether the groups that the directory has just said put them under a rule with another flow."""
    return facts.flow is Flow.CODE_ONLY and (facts.rule.flow or facts.request.nas.flow) is not Flow.CODE_ONLY


# --- when a password is enough ----------------------------------------------------------------------------------------


@record
class Waiver:
    """Why a rule asks this very login for no second factor."""

    reason: Reason
    for_the_unenrolled: bool
    """Whether it is meant for those alone who have never had a token."""


def why_password_is_enough(facts: Facts) -> Waiver | None:
    """Return why the rule asks for no second factor; None: it does, as for everybody locked or disabled.

    Never where nobody checks the password.
    """
    rule, user = facts.rule, facts.known.user
    if rule is NO_RULE or not facts.backend.checks or facts.flow is Flow.CODE_ONLY or facts.blind:
        return None
    if user is not None and (not user.enabled or user.locked_until > facts.now):
        return None
    if is_upstreams(facts):
        return Waiver(Reason.UPSTREAM, for_the_unenrolled=True)
    if is_skipping(facts):
        return Waiver(Reason.SKIP_GRANTED, for_the_unenrolled=False)
    enrolment = rule.enrolment
    if not enrolment.required and _is_unenrolled(user) and enrolment.lasts(facts.now):
        return Waiver(Reason.NOT_ENROLLED if enrolment.until is None else Reason.GRACE, for_the_unenrolled=True)
    skip = rule.skip
    if skip is not None and facts.now < skip.until and within(facts.request.caller, skip.networks):
        return Waiver(Reason.SKIPPED, for_the_unenrolled=False)
    return None


def is_skipping(facts: Facts) -> bool:
    """Whether an administrator asks this person for no second factor now, where the rule lets that count."""
    user = facts.known.user
    return user is not None and facts.now < user.skip_until and "skip" in facts.rule.grants
