"""Hooks and an extension of mkdocs: what the site needs beyond the pages in `docs/`.

Three kinds of pages are generated: the home page (README.md), an API page for each public package
(the names in its `__all__`), and a page for each file or folder of the repository that a page links
to. Links are written for GitHub, relative to the page; here they are turned into links of the site.
"""

import ast
import posixpath
import re
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("core", "geometry", "render", "models", "data", "training", "metrics", "export")
PACKAGES += ("interop", "apps", "apps.latent", "apps.evaluation")
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
_TEXT = {".py": "python", ".yaml": "yaml", ".json": "json", ".toml": "toml", "": "text"}
_HEAD = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)  # of a model card, for model hubs


class ExampleSections(griffe.Extension):
    """Extension of mkdocstrings: `Example:` in a docstring is read like `Examples:`."""

    def on_object(self, *, obj: griffe.Object, **_kwargs: Any) -> None:
        """Rename the section."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    texts = {"README.md": (ROOT / "README.md").read_text(encoding="utf-8")}
    files.append(File.generated(config, "index.md", content=texts["README.md"]))
    for name in ("get3d", *(f"get3d.{package}" for package in PACKAGES)):
        files.append(File.generated(config, f"api/{name}.md", content=_api_page(name)))
    for file in files.documentation_pages():
        if file.generated_by is None:
            texts[f"docs/{file.src_uri}"] = file.content_string
    pending = ["CHANGELOG.md", "CONTRIBUTING.md", "examples/README.md"]
    pending += [target for path, text in texts.items() for target in _targets(path, text)]
    while pending:
        path = pending.pop()
        uri = _site_uri(path)
        if uri in files.src_uris or not (ROOT / path).exists():
            continue
        content = _content(path)
        if isinstance(content, Path):
            files.append(File.generated(config, uri, abs_src_path=str(content)))
            continue
        files.append(File.generated(config, uri, content=content))
        pending += _targets(path, content)
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_kwargs: Any) -> str:
    """Turn links within the repository into links of the site."""
    source = _repository_path(page.file.src_uri)
    here = posixpath.dirname(page.file.src_uri)

    def replace(match: re.Match[str]) -> str:
        if ":" in match[1]:
            return match[0]
        uri = _site_uri(_resolve(source, match[1]))
        if uri not in files.src_uris:  # mkdocs then reports the link as it is written
            return match[0]
        return posixpath.relpath(uri, here or ".") + (match[2] or "")

    return _LINK.sub(replace, markdown)


def _api_page(name: str) -> str:
    """List what a package exports, for mkdocstrings."""
    path = ROOT / "src" / name.replace(".", "/") / "__init__.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    [names] = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    shown = [each for each in names if not (path.parent / each).is_dir()]
    summary = ast.get_docstring(tree) or ""
    return "\n\n".join([f"# {name}", summary, *(f"::: {name}.{each}" for each in shown)])


def _content(path: str) -> str | Path:
    """Make the page of a file or folder; a path is copied as it is."""
    full = ROOT / path
    if full.is_dir():
        lines = [f"- [{each.name}]({each.name})" for each in _listed(full)]
        return "\n".join([f"# {path}", "", *lines])
    if full.suffix == ".md":
        return _HEAD.sub("", full.read_text(encoding="utf-8"))
    if full.suffix in _TEXT:
        text = full.read_text(encoding="utf-8")
        return f"# {full.name}\n\n`{path}`\n\n````{_TEXT[full.suffix]}\n{text}\n````\n"
    return full


def _listed(folder: Path) -> list[Path]:
    """List the files of a folder that its page links to."""
    found = [each for each in folder.iterdir() if each.suffix in (".py", ".yaml", ".md")]
    return sorted(each for each in found if each.is_file() and each.stat().st_size < 1 << 17)


def _targets(path: str, text: str) -> list[str]:
    """List what a file of the repository links to."""
    return [_resolve(path, link) for link, _ in _LINK.findall(text) if ":" not in link]


def _resolve(path: str, link: str) -> str:
    """Make a link relative to the root; that of a folder is relative to what is in it."""
    base = path if (ROOT / path).is_dir() else posixpath.dirname(path)
    return posixpath.normpath(posixpath.join(base, link))


def _site_uri(path: str) -> str:
    """Where the site has a file or folder of the repository."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    full = ROOT / path
    if full.is_dir():
        return f"repository/{path}/{'README' if (full / 'README.md').exists() else 'index'}.md"
    return f"repository/{path}" + (".md" if full.suffix in _TEXT else "")


def _repository_path(uri: str) -> str:
    """Undo `_site_uri`."""
    if uri == "index.md":
        return "README.md"
    if not uri.startswith("repository/"):
        return f"docs/{uri}"
    path = uri.removeprefix("repository/")
    if path.endswith("/index.md"):
        return path.removesuffix("/index.md")
    return path if (ROOT / path).exists() else path.removesuffix(".md")
