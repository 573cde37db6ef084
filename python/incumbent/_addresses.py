"""The addresses of `incumbent` as those of redis-py, and the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._options import Options

# The parameters of an address over TLS, and what redis-py calls them.
_TLS = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}


def for_incumbent(url: str, options: Mapping[str, Any]) -> Options:
    """The options of a lock for an address of redis-py and its options. What only redis-py has is left out.

    >>> for_incumbent("unix:///run/redis.sock?db=2", {})
    {'store': 'redis+unix:///run/redis.sock?db=2'}
    >>> for_incumbent("rediss://db?protocol=3&ssl_ca_certs=ca.pem", {"db": 2, "password": "secret"})
    {'store': 'rediss://db/2?ca=ca.pem', 'password': 'secret'}
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    known = {**options, **query}
    given = {name: known[name] for name in ("username", "password") if known.get(name)}
    if parts.scheme == "unix":
        place, kept = f"redis+unix://{parts.netloc}{parts.path}", {"db": known.get("db")}
    else:
        database = query.get("db") or parts.path.strip("/") or known.get("db") or ""
        place = f"{parts.scheme}://{parts.netloc}/{database}".rstrip("/")
        kept = {ours: known.get(theirs) for ours, theirs in _TLS.items() if parts.scheme == "rediss"}
    parameters = urlencode({name: value for name, value in kept.items() if value}, safe="/")
    return cast("Options", {"store": f"{place}?{parameters}" if parameters else place, **given})


def for_redis_py(address: str) -> str:
    """
    >>> for_redis_py("redis+unix:///run/redis.sock"), for_redis_py("valkeys://db/2?ca=ca.pem")
    ('unix:///run/redis.sock', 'rediss://db/2?ssl_ca_certs=ca.pem')

    Raises `ConfigError` for a store that redis-py cannot use by its address.
    """
    scheme, _, rest = address.partition("://")
    scheme = scheme.replace("valkey", "redis", 1)
    if scheme == "redis+unix":
        return f"unix://{rest}"
    if scheme not in ("redis", "rediss"):
        raise ConfigError(
            f"a store {scheme.partition(':')[0]} cannot mark queued tasks: it must be a Redis at redis://, rediss:// or "
            "redis+unix://, or three or five of them"
        )
    place, _, query = rest.partition("?")
    parameters = dict(parse_qsl(query))
    if unknown := parameters.keys() - _TLS.keys():
        raise ConfigError(f"redis-py, which marks queued tasks, has no {min(unknown)} in the address of a store")
    kept = urlencode({_TLS[name]: value for name, value in parameters.items()}, safe="/")
    return f"{scheme}://{place}?{kept}" if kept else f"{scheme}://{place}"
