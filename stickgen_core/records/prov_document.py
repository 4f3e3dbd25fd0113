"""A walk as W3C PROV: artefacts are entities, derivations activities, the code at a commit the agent."""

from stickgen_core.records.lineage import Walk

NAMESPACE = "urn:stickgen:"


def prov_json(walk: Walk, *, version: str, commit: str) -> str:
    """PROV-JSON."""
    from prov.model import ProvDocument

    document = ProvDocument()
    document.add_namespace("stickgen", NAMESPACE)
    agent = document.agent("stickgen:code", {"prov:type": "prov:SoftwareAgent", "stickgen:version": version, "stickgen:commit": commit})
    for entry in walk.entries:
        entity = document.entity(_name(entry.key, entry.digest), {
            "stickgen:key": entry.key, "stickgen:kind": entry.kind, "stickgen:sha256": entry.digest, "stickgen:recipe": entry.recipe,
        })  # fmt: skip
        if not entry.inputs:
            document.wasAttributedTo(entity, agent)
            continue
        facts = {"stickgen:configuration": entry.configuration, "stickgen:environment": entry.environment}
        making = document.activity(
            f"stickgen:making-{entry.key.replace('/', '.')}-{entry.digest[:16]}",
            None,
            entry.made.get("at"),
            {name: value for name, value in facts.items() if value},
        )
        document.wasAssociatedWith(making, agent)
        document.wasGeneratedBy(entity, making)
        for key, digest in sorted(entry.inputs.items()):
            document.used(making, _name(key, digest))
            document.wasDerivedFrom(entity, _name(key, digest), making)
    return f"{document.serialize(format='json', indent=1, sort_keys=True)}\n"


def _name(key: str, digest: str) -> str:
    return f"stickgen:{key.replace('/', '.')}-{digest[:16]}"
