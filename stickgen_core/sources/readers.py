"""Readers by the name that a data set's YAML gives; a module is imported when its reader is first asked for."""

import difflib
from importlib import import_module

from stickgen_core.errors import ConfigError
from stickgen_core.sources.reader import Reader
from stickgen_core.sources.registry import SourceSpec

READERS: dict[str, str] = {
    "aistpp": "stickgen_core.sources.aistpp:AistReader",
    "amass": "stickgen_core.sources.amass:AmassReader",
    "babel": "stickgen_core.sources.babel:BabelReader",
    "beat": "stickgen_core.sources.beat:BeatReader",
    "bvh": "stickgen_core.sources.bvh_source:BvhReader",
    "deepmimic": "stickgen_core.sources.deepmimic:DeepMimicReader",
    "humanml3d": "stickgen_core.sources.humanml3d:HumanMl3dReader",
    "interhuman": "stickgen_core.sources.interhuman:InterHumanReader",
    "joints": "stickgen_core.sources.joints_source:JointsReader",
    "lsmb19": "stickgen_core.sources.lsmb19:Lsmb19Reader",
    "ntu_rgbd": "stickgen_core.sources.ntu:NtuReader",
    "style100": "stickgen_core.sources.style100:Style100Reader",
    "synthetic": "stickgen_core.sources.synthetic:SyntheticReader",
}


def reader_for(spec: SourceSpec) -> Reader:
    """The reader that a data set's YAML names."""
    if spec.reader not in READERS:
        near = difflib.get_close_matches(spec.reader, READERS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigError(f"configs/datasets/{spec.name}.yaml: no reader {spec.reader!r}{hint}; there are {', '.join(sorted(READERS))}")
    module, _, name = READERS[spec.reader].partition(":")
    reader: Reader = getattr(import_module(module), name)(spec)
    return reader
