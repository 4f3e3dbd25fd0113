"""A corpus as Croissant JSON-LD: its files by hash and its columns by name and type, so that a loader knows it without its code."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stickgen_core.records.citations import DataSet, bibtex
from stickgen_core.records.history import Entry

CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column", "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field", "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject", "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace", "sc": "https://schema.org/",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip
ARRAYS = "arrays"


def croissant(entry: Entry, columns: Sequence[tuple[str, str]], arrays: Mapping[str, str], sets: Iterable[DataSet], *, path: str, pool: str,
              version: str, date: str) -> dict[str, Any]:  # fmt: skip
    """The description of a corpus that stays where it is.

    columns   of the index: name, Croissant data type
    arrays    of the shards: name, what it means
    path      of the corpus, below the data root; pool: of the shards
    """
    sets = list(sets)
    index = next(name for name in entry.manifest.files if name.startswith("index-"))
    record = entry.manifest.files[index]
    shards = {"@type": "cr:FileSet", "@id": "shards", "name": "shards", "description": "Arrow IPC files named by their SHA-256; rows are found by the index's `shard` and `row`.",
              "encodingFormat": "application/vnd.apache.arrow.file", "includes": f"{pool}/*.arrow"}  # fmt: skip
    table = {"@type": "cr:FileObject", "@id": "index", "name": index, "description": "One row a clip.", "contentUrl": f"{path}/{index}",
             "contentSize": f"{record.bytes} B", "encodingFormat": "application/vnd.apache.parquet", "sha256": record.sha256}  # fmt: skip
    return {
        "@context": CONTEXT, "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.0", "name": entry.key.replace("/", "-"),
        "description": f"{entry.manifest.counts.get('clips', 0)} motion clips of {len(sets)} data sets; content digest {entry.digest}. The motion stays with its licensee.",
        "version": version, "datePublished": date, "url": f"urn:sha256:{entry.digest}", "identifier": f"sha256:{entry.digest}",
        "license": sorted({found.licence_url or found.licence for found in sets}), "citeAs": bibtex(sets).strip(),
        "creator": [{"@type": "sc:Organization", "name": found.title} for found in sets], "isLiveDataset": False, "distribution": [table, shards],
        "recordSet": [
            {"@type": "cr:RecordSet", "@id": "clips", "name": "clips", "key": {"@id": "clips/id"}, "field": [_field("clips", n, t, {"fileObject": {"@id": "index"}, "extract": {"column": n}}) for n, t in columns]},
            {"@type": "cr:RecordSet", "@id": ARRAYS, "name": ARRAYS, "field": [
                {**_field(ARRAYS, n, "sc:Float", {"fileSet": {"@id": "shards"}, "extract": {"column": n}}), "description": says, "repeated": True} for n, says in arrays.items()
            ]},
        ],
    }  # fmt: skip


def _field(record_set: str, name: str, kind: str, source: Mapping[str, Any]) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": f"{record_set}/{name}", "name": name, "dataType": kind, "source": dict(source)}
