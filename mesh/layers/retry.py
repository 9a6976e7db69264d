"""Makes a failed call again, where that is safe, there is time, and the service's budget has room."""

from math import inf
from random import Random

from tenacity import AsyncRetrying, retry_if_exception

from mesh.call import Call, Handler, Reply
from mesh.clock import Clock
from mesh.decide.backoff import full_jitter
from mesh.decide.budget import Budget
from mesh.decide.repeat import Again, WhyNot, repeat
from mesh.errors import MeshError
from mesh.events import Events, NotRetried, Retried, WouldHave
from mesh.policy import Policy


class Retry:
    """One service's retries: the policy, and the budget that all of its calls share."""

    def __init__(self, service: str, policy: Policy, clock: Clock, rng: Random, events: Events) -> None:
        self._service, self._policy = service, policy
        self.clock, self._rng, self._events = clock, rng, events
        self._budget = Budget(policy.budget)

    def __call__(self, following: Handler) -> Handler:
        """Up to `call.attempts` attempts, jittered pauses between them, each on another endpoint if there is one."""

        async def handler(call: Call) -> Reply:
            begun = self.clock.now()
            self._budget.called(begun)
            try:
                # Outside tenacity, whose bookkeeping a call that succeeds at once need not pay for.
                reply = await following(call)
            except MeshError as error:
                again = _Again(call, error, following, self)
                reply = await again.run()
            return reply._replace(seconds=self.clock.now() - begun)

        return handler

    def decide(self, call: Call, error: MeshError) -> Again | None:
        """What follows on a failed attempt; told to whoever listens."""
        now = self.clock.now()
        left = self._budget.left(now)
        verdict = self._verdict(call, error, now, left)
        if not isinstance(verdict, Again):
            why = verdict
        elif self._policy.retry.mode == "enforce":
            return self._granted(call, error, verdict, now, left)
        else:
            why = "in_shadow"
            what = f"made attempt {call.attempt + 1} after {verdict.delay * 1000:.0f} ms"
            self._would_have(call, "retry", what, error.reason)
        self._events.emit(NotRetried(call.method.path, call.request_id, call.attempt, error.reason, why, left))
        return None

    def _verdict(self, call: Call, error: MeshError, now: float, left: int) -> Again | WhyNot:
        # In shadow a call has one attempt, and what is asked is what would become of those that it does not have.
        attempts = self._policy.of(call.method).attempts if self._policy.retry.mode == "shadow" else call.attempts
        pause = full_jitter(call.attempt, self._policy.retry.base, self._policy.retry.cap, self._rng)
        return repeat(call, error, attempts, pause, now, left if self._policy.budget.mode == "enforce" else inf)

    def _granted(self, call: Call, error: MeshError, verdict: Again, now: float, left: int) -> Again:
        if not verdict.free:
            if not left and self._policy.budget.mode == "shadow":
                self._would_have(call, "budget", "not made the call again", "budget_spent")
            self._budget.spend(now)
            left = max(0, left - 1)
        path, outcome = call.method.path, error.reason
        self._events.emit(Retried(path, call.request_id, call.attempt, outcome, verdict.delay, left))
        return verdict

    def _would_have(self, call: Call, policy: str, what: str, reason: str) -> None:
        path = call.method.path
        self._events.emit(WouldHave(self._service, policy, what, reason, "", path, call.request_id))


class _Again:
    """The attempts after the first, paced by tenacity, which is handed the first one's failure as its own."""

    def __init__(self, call: Call, failure: MeshError, following: Handler, retry: Retry) -> None:
        self._call = call._replace(attempt=call.attempt + failure.beside) if failure.beside else call
        self._failure, self._following, self._retry = failure, following, retry
        self._maybe_done = failure.maybe_done
        self._delay = 0.0
        self._first = True

    async def run(self) -> Reply:
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._decided),
            wait=lambda _: self._delay,
            sleep=self._retry.clock.sleep,
            reraise=True,
        )
        try:
            return await retrying(self._attempt)
        except MeshError as error:
            error.maybe_done = self._maybe_done
            raise

    def _decided(self, error: BaseException) -> bool:
        again = self._retry.decide(self._call, error) if isinstance(error, MeshError) else None
        self._delay = again.delay if again else 0.0
        return again is not None

    async def _attempt(self) -> Reply:
        if self._first:
            self._first = False
            raise self._failure
        avoid = self._call.avoid | {self._failure.endpoint}
        self._call = self._call._replace(attempt=self._call.attempt + 1, avoid=avoid)
        try:
            return await self._following(self._call)
        except MeshError as error:
            self._failure = error
            self._maybe_done = self._maybe_done or error.maybe_done
            raise
