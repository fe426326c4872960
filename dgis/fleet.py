"""From the configured nodes to the fleet that the replica index works with; folders are made once."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from dgis.configuration import Configuration, FolderNode
from dgis.configuration import S3Node as S3Entry
from dgis.watch.nodes import Timed
from replica.fleet import Fleet, Share
from replica.rules import Choice, Rules
from storage_nodes import folder
from storage_nodes.addresses import Kind
from storage_nodes.node import Node
from storage_nodes.wrappers.usual import guarded

_PREPARED = "nodes.json"


def open_fleet(configuration: Configuration) -> Fleet:
    """Return the fleet of a configuration."""
    nodes: dict[Kind, list[Node]] = {Kind.RECORD: [], Kind.SEALED: []}
    for entry in configuration.nodes:
        record, sealed = _folder_pair(entry) if isinstance(entry, FolderNode) else _s3_pair(entry)
        nodes[Kind.RECORD].append(Timed(guarded(record), Kind.RECORD))
        nodes[Kind.SEALED].append(Timed(guarded(sealed), Kind.SEALED))
    shares = {entry.name: Share(entry.weight, entry.capacity_bytes) for entry in configuration.nodes}
    return Fleet(nodes, configuration.gateway.site, shares=shares)


def rules(configuration: Configuration) -> Rules:
    """Return how many copies which objects have, and where."""
    placement = configuration.placement
    choices = (
        Choice(each.rule, each.facility, each.modality, Kind(each.kind) if each.kind else None)
        for each in placement.rules
    )
    return Rules(placement.rule, tuple(choices))


def prepared(configuration: Configuration) -> set[str]:
    """Return the nodes whose folders were made once, by name."""
    known = configuration.gateway.home / _PREPARED
    return set(json.loads(known.read_text())) if known.exists() else set()


def served_until_now(configuration: Configuration) -> list[str]:
    """Return the nodes that were in use before anything was decided about any."""
    known = prepared(configuration)
    return [
        entry.name
        for entry in configuration.nodes
        if entry.name in known or not isinstance(entry, FolderNode)
    ]


def prepare_new_nodes(configuration: Configuration) -> None:
    """Make the folders of nodes that are configured for the first time.

    A folder that was there before and is gone is a disk that is away, or a node that lost everything: it is
    never made anew by itself, or objects would go to the disk underneath a mount point.
    """
    known = prepared(configuration)
    prepare(configuration, {entry.name for entry in configuration.nodes} - known)


def prepare(configuration: Configuration, names: Collection[str]) -> None:
    """Make the folders of these nodes; buckets are made by whoever runs the server."""
    folders = [entry for entry in configuration.nodes if isinstance(entry, FolderNode)]
    wanted = [entry for entry in folders if entry.name in names]
    for entry in wanted:
        for node in _folder_pair(entry):
            node.prepare()
    if wanted:
        known = prepared(configuration) | {entry.name for entry in wanted}
        _write(configuration.gateway.home / _PREPARED, sorted(known))


def _folder_pair(entry: FolderNode) -> tuple[folder.FolderNode, folder.FolderNode]:
    path = entry.path.absolute()
    sealed = (entry.sealed_path or path.with_name(f"{path.name}-sealed")).absolute()
    return folder.FolderNode(entry.name, entry.site, path), folder.FolderNode(entry.name, entry.site, sealed)


def _s3_pair(entry: S3Entry) -> tuple[Node, Node]:
    from dgis import buckets  # noqa: PLC0415 - what speaks S3 takes 20 MB and half a second; folders do without

    return buckets.node_pair(entry)


def _write(path: Path, names: Sequence[str]) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(names))
    temporary.rename(path)
