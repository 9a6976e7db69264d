"""Each layer alone, on a clock turned by hand."""

import pytest

from mesh.call import Call, Handler, Reply, stack
from tests.fakes.mesh import Scripted, a_call


class TestStack:
    async def test_the_first_layer_named_is_the_outermost(self) -> None:
        """The order of the stack is its meaning."""
        order: list[str] = []

        def named(name: str) -> "object":
            def layer(following: Handler) -> Handler:
                async def handler(call: Call) -> Reply:
                    order.append(name)
                    return await following(call)

                return handler

            return layer

        await stack(named("outer"), named("inner"))(Scripted())(a_call())  # type: ignore[arg-type]
        assert order == ["outer", "inner"]


async def test_calls_are_never_changed_in_place() -> None:
    """A layer that changed a call would change its neighbours' too."""
    call = a_call()
    assert call._replace(attempt=2) is not call
    with pytest.raises(AttributeError):
        call.attempt = 2  # type: ignore[misc]
