"""Sizes of a config: named changes to it, of which its key `size` chooses one."""

from collections.abc import Mapping

from pipeline.config.errors import unknown_name
from pipeline.config.schema import validate


def sized(config: dict, source: str, given: Mapping | None = None) -> tuple[dict, str]:
    """The config of the size that it chooses; as it stands where it chooses none.

    Every size is checked, whether or not it is chosen.

    Args:
        config: as a user wrote it.
        source: file that the config is from, for messages.
        given: what the command line sets, which is part of the config already and comes before a size's changes.

    Returns:
        The validated config without the keys size and sizes, and its source with the size's name.

    Raises:
        ConfigError: the config is wrong, with the changes of any size or without; or there is no such size.
    """
    written = validate(config, "config", source)
    chosen, sizes = written.pop("size", None), written.pop("sizes", {})
    if chosen is not None and chosen not in sizes:
        raise unknown_name(("size",), "size", chosen, list(sizes)).error(source, written)
    kept = {key: value for key, value in (given or {}).items() if key not in ("size", "sizes")}
    made = {}
    for name, changes in sizes.items():
        made[name] = validate(merged(merged(written, changes), kept), "config", f"{source}, size {name}")
    return (made[chosen], f"{source}, size {chosen}") if chosen is not None else (written, source)


def merged(content: Mapping, changes: Mapping) -> dict:
    """Content with changes: mappings key by key, anything else replaced as a whole."""
    result = dict(content)
    for key, value in changes.items():
        inside = result.get(key)
        both = isinstance(value, Mapping) and isinstance(inside, Mapping)
        result[key] = merged(inside, value) if both else value
    return result
