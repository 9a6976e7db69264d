"""Makes a failed call again, where that is safe and there is time."""

from random import Random

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from mesh.call import Call, Handler, Layer, Reply
from mesh.clock import Clock
from mesh.decide.backoff import full_jitter
from mesh.errors import Lost, MeshError, Rejected, RemoteError
from mesh.events import Events, NotRetried, Retried
from mesh.policy import Policy
from mesh.status import Status


def may_repeat(call: Call, error: BaseException) -> bool:
    """May a call that ended so be made again?

    What was never sent, always; what was lost or found nobody at work, only if doing it twice is harmless.
    """
    if isinstance(error, Rejected):
        return True
    failed = isinstance(error, Lost) or (isinstance(error, RemoteError) and error.status is Status.UNAVAILABLE)
    return failed and call.repeatable


def retry(policy: Policy, clock: Clock, rng: Random, events: Events) -> Layer:
    """Up to `policy.attempts` attempts, jittered pauses between them, each on another endpoint if there is one."""

    def layer(following: Handler) -> Handler:
        async def handler(call: Call) -> Reply:
            try:
                # Outside tenacity, whose bookkeeping a call that succeeds at once need not pay for.
                return await following(call)
            except MeshError as error:
                again = _Again(call, error, following, policy, clock, rng, events)
            return await again.run()

        return handler

    return layer


class _Again:
    """The attempts after the first, paced by tenacity, which is handed the first one's failure as its own."""

    def __init__(
        self,
        call: Call,
        failure: MeshError,
        following: Handler,
        policy: Policy,
        clock: Clock,
        rng: Random,
        events: Events,
    ) -> None:
        self._call, self._failure, self._following = call, failure, following
        self._policy, self._clock, self._rng, self._events = policy, clock, rng, events
        self._maybe_done = failure.maybe_done
        self._first = True

    async def run(self) -> Reply:
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: may_repeat(self._call, error)),
            wait=self._pause,
            stop=self._stop,
            sleep=self._clock.sleep,
            before_sleep=self._tell_retried,
            reraise=True,
        )
        try:
            return await retrying(self._attempt)
        except MeshError as error:
            self._tell_not_retried(error)
            error.maybe_done = self._maybe_done
            raise

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

    def _pause(self, state: RetryCallState) -> float:
        return full_jitter(state.attempt_number, self._policy.backoff_base, self._policy.backoff_cap, self._rng)

    def _stop(self, state: RetryCallState) -> bool:
        return self._spent() or self._late(state.upcoming_sleep)

    def _spent(self) -> bool:
        return self._call.attempt >= self._policy.attempts

    def _late(self, pause: float) -> bool:
        return self._clock.now() + pause >= self._call.deadline

    def _tell_retried(self, state: RetryCallState) -> None:
        call = self._call
        self._events.emit(
            Retried(call.method.path, call.request_id, call.attempt, self._failure.reason, state.upcoming_sleep)
        )

    def _tell_not_retried(self, error: MeshError) -> None:
        call = self._call
        if not may_repeat(call, error):
            reason = "not_repeatable"
        else:
            reason = "attempts_spent" if self._spent() else "no_time_left"
        self._events.emit(NotRetried(call.method.path, call.request_id, call.attempt, error.reason, reason))
