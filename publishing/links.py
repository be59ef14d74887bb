"""Links between pages of the site, and from pages to files that the site does not have. Pure."""

import posixpath
import re
from collections.abc import Mapping

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
_ABSOLUTE = re.compile(r"[a-z]+:|#")


def rewrite_links(markdown: str, source: str, page: str, pages: Mapping[str, str]) -> str:
    """Let each link lead to the page of the site that shows the file.

    Args:
        markdown: text of the page.
        source: path in the repository of the file that the text is from.
        page: path of the page in the site.
        pages: path in the repository → path in the site.

    A link to a file that the site does not show becomes the file's path, as code.
    """

    def rewrite(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        if _ABSOLUTE.match(target):
            return match.group()
        path, hash_, anchor = target.partition("#")
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if file in pages:
            link = posixpath.relpath(pages[file], posixpath.dirname(page) or ".")
            return f"{mark}[{text}]({link}{hash_}{anchor})"
        return f"{text} (`{file}`)" if text.strip("`") != file else f"`{file}`"

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(rewrite, part) for part in parts)
