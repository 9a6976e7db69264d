"""Redis as a shared store: every command is one script, so that nothing comes between what it looks at and does.

Needs redis-py (`pip install caremesh[redis]`). The Redis is this store's own: it keeps nothing on disk, since what it
forgot of invalidations must not come back, and evicts by `volatile-ttl` or not at all, since entries must go before
the tags that they are judged by. Its memory holds what the services answered.
"""

from collections.abc import Callable, Collection
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mesh.cache.guarded import Found, Stamp

COMMAND = 1.0
"""Seconds that a command may take before its connection is given up. Those who asked do not wait so long."""

SILENCE = 1.0
"""Seconds after which the connection that listens is asked whether it lives; and for its answer."""

CONNECTIONS = 64

# The count of invalidations. It begins at the time, so that it goes on growing when Redis has lost it, and what was
# begun before that counts as old.
_COUNT = """
local prefix = ARGV[1]
local function count()
  local now = redis.call('GET', prefix .. 'count')
  if not now then
    local time = redis.call('TIME')
    now = string.format('%.0f', time[1] * 1000000 + time[2])
    redis.call('SET', prefix .. 'count', now)
    redis.call('SET', prefix .. 'floor', now)
  end
  return now
end
local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function old(tags, since)
  if tonumber(redis.call('GET', prefix .. 'floor')) > tonumber(since) then return true end
  for tag in string.gmatch(tags, '%S+') do
    local last = redis.call('GET', prefix .. 'tag:' .. tag)
    if last and tonumber(last) > tonumber(since) then return true end
  end
  return false
end
"""

_GET = (
    _COUNT
    + """
local now, at = count(), milliseconds()
local key = prefix .. 'entry:' .. ARGV[2]
local found = redis.call('HMGET', key, 'value', 'tags', 'since', 'made')
if not found[1] then return {now, at} end
if old(found[2], found[3]) then
  redis.call('DEL', key)
  return {now, at}
end
return {now, at, found[1], found[2], math.max(0, at - tonumber(found[4]))}
"""
)

_PUT = (
    _COUNT
    + """
count()
local key = prefix .. 'entry:' .. ARGV[2]
local value, tags, since, made, lifetime = ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local age = math.max(0, milliseconds() - tonumber(made))
if age >= lifetime or old(tags, since) then return 0 end
redis.call('HSET', key, 'value', value, 'tags', tags, 'since', since, 'made', made)
redis.call('PEXPIRE', key, lifetime - age)
return 1
"""
)

_INVALIDATE = (
    _COUNT
    + """
count()
local now = string.format('%.0f', redis.call('INCR', prefix .. 'count'))
local told, remembered = ARGV[2], ARGV[3]
if #ARGV == 3 then redis.call('SET', prefix .. 'floor', now) end
for i = 4, #ARGV do redis.call('SET', prefix .. 'tag:' .. ARGV[i], now, 'PX', remembered) end
redis.call('PUBLISH', prefix .. 'invalidated', told)
return 1
"""
)

REMEMBERED = 3_600_000
"""Milliseconds for which a tag's invalidation is remembered; no entry lives so long."""


class RedisStore:
    """A Store for one service.

    Args:
        url: redis://user:password@host:port/db, or rediss:// for TLS.
        name: what its keys begin with; stores of different names share nothing.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(self, url: str, name: str) -> None:
        # No retries: a second try would take a second time, and hide that the first connection was lost.
        self._redis: Any = Redis.from_url(
            url,
            socket_timeout=COMMAND,
            socket_connect_timeout=COMMAND,
            max_connections=CONNECTIONS,
            retry=Retry(NoBackoff(), 0),
        )
        self._prefix, self._me = f"{name}:", uuid4().hex
        self._get, self._put, self._invalidate = map(self._redis.register_script, (_GET, _PUT, _INVALIDATE))

    async def get(self, key: str) -> Found:
        found = await self._get(args=[self._prefix, key])
        stamp = Stamp(int(found[0]), int(found[1]))
        if len(found) == 2:  # noqa: PLR2004  # nothing but the stamp
            return Found(stamp)
        value, tags, age = found[2:]
        return Found(stamp, value, tuple(tags.decode().split()), age / 1000)

    async def put(self, key: str, value: bytes, tags: Collection[str], stamp: Stamp, lifetime: float) -> None:
        await self._put(args=[self._prefix, key, value, " ".join(tags), *stamp, round(lifetime * 1000)])

    async def invalidate(self, tags: Collection[str]) -> None:
        await self._tell(sorted(tags))

    async def invalidate_all(self) -> None:
        await self._tell(())

    async def check(self) -> None:
        await self._get(args=[self._prefix, "check"])

    async def follow(self, tell: Callable[[Collection[str] | None], None]) -> None:
        async with self._redis.pubsub() as channel:
            await channel.subscribe(f"{self._prefix}invalidated")
            asked = False
            while True:
                message = await channel.get_message(timeout=SILENCE)
                if message is None and asked:
                    raise TimeoutError("Redis has not answered a ping")
                if message is None:
                    await channel.ping()
                asked = message is None
                if message is not None:
                    self._told(message, tell)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _tell(self, tags: Collection[str]) -> None:
        await self._invalidate(args=[self._prefix, f"{self._me} {' '.join(tags)}", REMEMBERED, *tags])

    def _told(self, message: Any, tell: Callable[[Collection[str] | None], None]) -> None:
        if message["type"] == "subscribe":
            tell(None)
        elif message["type"] == "message":
            who, *tags = message["data"].decode().split()
            if who != self._me:
                tell(tags or None)
