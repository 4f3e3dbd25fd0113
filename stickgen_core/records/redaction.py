"""Folders of one machine have no place in what a stranger reads: each is replaced by the name that the documents give it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

# A folder of one part (/top) is looked for only where a path begins: such a word may end an address. "\n" in JSON ends in a letter.
_BEGINS = r"(?:(?<![\w.~$-])|(?<=\\[bfnrt]))"
_ENDS = r"(?![\w-])"


class Redaction:
    """Takes folders out of text; `folders` is name -> folder, and of two that lie in each other the inner one gives the name."""

    def __init__(self, folders: Mapping[str, Path]):
        self._names = {
            written: name
            for name, folder in folders.items()
            for path in (folder, folder.resolve())
            if len(path.parts) > 1
            for written in (str(path), json.dumps(str(path))[1:-1], json.dumps(str(path), ensure_ascii=False)[1:-1])
        }
        patterns = [
            (_BEGINS if len(Path(written).parts) == 2 else "") + re.escape(written)
            for written in sorted(self._names, key=len, reverse=True)
        ]
        self._pattern = re.compile(f"({'|'.join(patterns)}){_ENDS}") if patterns else None

    def text(self, text: str) -> str:
        return self._pattern.sub(lambda match: self._names[match[1]], text) if self._pattern else text

    def found(self, text: str) -> str | None:
        """The first folder that the text holds."""
        match = self._pattern.search(text) if self._pattern else None
        return match[1] if match else None


NOTHING = Redaction({})
