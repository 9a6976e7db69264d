"""Where answers are kept: by the gateway itself, or in a Redis that several of them share, or nowhere."""

import asyncio
from collections.abc import Iterator, Mapping

from caremesh.config import Config
from caremesh.doctor.finding import Finding, note, well, wrong
from caremesh.up.plan import environments
from gateway.settings import GatewaySettings
from process.settings import SettingsError, load

ANSWER = 2.0  # seconds


def answers(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether what was read once need not be asked for again."""
    try:
        settings = load(GatewaySettings, environments(config, environ)["gateway"])
    except SettingsError:
        return  # told among the settings
    if settings.redis:
        yield _redis(settings.redis)
    elif settings.gateways > 1:
        told = f"no answer is kept: {settings.gateways} gateways would not hear of each other's writes"
        yield note("answers", told, f"name a Redis in {config.file}: CAREMESH_REDIS under [gateway.environment]")
    elif settings.cache_mb:
        yield well("answers", f"are kept by the gateway, in {settings.cache_mb} MB at the most")
    else:
        yield note("answers", "none is kept: CAREMESH_CACHE_MB is 0")


def _redis(url: str) -> Finding:
    where = f"the Redis at {url.rpartition('@')[2].removeprefix('redis://').removeprefix('rediss://')}"
    try:
        asyncio.run(_checked(url))
    except Exception as error:  # noqa: BLE001  # whatever the library raises; its text may hold the address
        remedy = "mend CAREMESH_REDIS or that Redis; gateways do without it meanwhile"
        return wrong("answers", f"{where} does not answer ({type(error).__name__})", remedy)
    return well("answers", f"are shared in {where}")


async def _checked(url: str) -> None:
    from mesh.cache.redis import RedisStore

    store = RedisStore(url, "caremesh:doctor")
    try:
        async with asyncio.timeout(ANSWER):
            await store.check()
    finally:
        await store.close()
