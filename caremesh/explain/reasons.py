"""The reasons that the mesh gives, in words."""

OUTCOMES = {
    "ok": "is answered",
    "cancelled": "is cancelled by whoever asked",
    "answer_missing": "gets no answer, though others that travelled with it do",
    "attempt_timeout": "gets no answer in the time that one attempt has",
    "circuit_open": "is not sent: the endpoint's breaker is open",
    "client_closed": "is cut off: this process ends",
    "deadline_exceeded": "is under way when the call's time is over",
    "link_broke": "gets no answer: its connection breaks",
    "lost": "gets no answer",
    "mesh_error": "fails within the mesh",
    "no_endpoint": "finds nobody to ask",
    "no_time_left": "is not sent: no time is left",
    "overloaded": "finds no free place",
    "refused": "is turned away before the far side begins with it",
    "rejected": "is not sent",
    "unreachable": "finds no connection",
}
"""What becomes of an attempt or a call, after its name. `status_…` are answers and are told as such."""

WHY = {
    "answered": "that is an answer, and the next would be the same",
    "attempts_spent": "its attempts are used up",
    "budget_spent": "its service's budget for retries is spent",
    "in_shadow": "retries only say what they would do",
    "left_to_caller": "whoever asked for this call will ask again itself",
    "no_time_left": "no time is left for another attempt",
    "nobody_available": "nobody can be asked so soon",
    "not_repeatable": "it may have been carried out, and doing it twice may do harm",
    "pushback": "the far side asks not to be asked again, or not so soon",
    "none_available": "none of them can be asked at present",
    "none_known": "nobody is known who serves it",
    "cheaper": "it costs no more",
    "only_one": "no other is left to ask",
    "long_silent": "nobody has asked it for long, and what is known of it is old",
    "its_weight": "the cheaper one gets fewer calls at present",
    "anyone": "by chance",
    "caller": "by whoever asked",
    "breaker_open": "a breaker of the service is not closed",
    "hedges_spent": "its service's budget for hedges is spent",
    "too_little_time": "its caller would hardly wait for it",
    "nobody_else": "nobody else can be asked",
    "slower_than_most": "it takes longer than most",
    "handled": "by what is left of the call being handled",
    "policy": "by the policy",
    "absent": "nothing is kept of it",
    "expired": "what is kept of it is too old",
    "overtaken": "something was written meanwhile",
    "passed_by": "whoever asked wants no kept answer",
    "untagged": "it does not say what it is about",
    "too_large": "it is too large",
    "no_room": "as many are under way as may be, and those that wait go before it",
    "displaced": "another took its place in the queue: one that came later, or goes before it",
    "waited_too_long": "its turn did not come soon enough",
    "expired_waiting": "its caller's time ran out before its turn came",
    "slower_than_unloaded": "calls take longer than they do when there is little to do",
    "calls_lost": "too many calls are not answered in time",
    "room_for_more": "calls take no longer than they do when there is little to do",
}
"""Why something was done, or left."""

INVALIDATED = {
    "written": "something was written",
    "refused": "somebody relied on what is old",
    "told": "another process said so",
    "subscribed": "what was written before that moment is not known",
}
"""Why kept answers count as old."""


def outcome(word: str) -> str:
    """What became of an attempt, after "attempt 1"."""
    if word.startswith("status_"):
        return f"is answered {word.removeprefix('status_').upper()}"
    return OUTCOMES.get(word, f"ends in {word}")


def why(word: str) -> str:
    """A reason; one that is a text already stays as it is."""
    return WHY.get(word) or (outcome(word) if word in OUTCOMES else word.replace("_", " "))
