"""A page as a reader meets it: its words, the cells of its tables, its elements, and the data of its script."""

import json
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "input", "link", "hr"}
INLINE = {"a", "b", "code", "em", "small", "span", "strong"}
UNSEEN = {"script", "style", "svg", "title", "noscript"}


class Page(HTMLParser):
    """A parsed page; elements that are not closed, or closed and never opened, are an error.

    Attributes:
        words: All text that is shown, spaces made one.
        elements: (name, attributes) of every element.
        tables: Table → rows → texts of cells.
        headings: (name, id, text) of every heading.
        scripts: Attributes and text of every script.
    """

    def __init__(self, text):
        super().__init__()
        self.elements, self.tables, self.headings, self.scripts = [], [], [], []
        self._open, self._text, self._starts = [], [], []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"
        self.words = " ".join("".join(self._text).split())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag in ("h1", "h2", "h3", "h4"):
            self.headings.append([tag, attributes.get("id"), ""])
            self._starts.append(len(self._text))
        elif tag == "script":
            self.scripts.append([attributes, ""])
        if tag in VOID:
            self.handle_data(" ")
        else:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open, f"{tag} was never opened"
        assert self._open.pop() == tag, f"{tag} ends within another"
        if tag not in INLINE:
            self._text.append(" ")

    def handle_data(self, data):
        if "script" in self._open:
            self.scripts[-1][1] += data
        if UNSEEN & {*self._open}:
            return
        self._text.append(data)
        if {"td", "th"} & {*self._open}:
            self.tables[-1][-1][-1] = " ".join(f"{self.tables[-1][-1][-1]} {data}".split())
        if self._open and self._open[-1] in ("h1", "h2", "h3", "h4"):
            self.headings[-1][2] += data

    @property
    def data(self):
        """What the script is given."""
        (text,) = [text for attributes, text in self.scripts if attributes.get("id") == "data"]
        return json.loads(text)

    def under(self, heading):
        """Words between a heading, by its id, and the next one of its kind or above."""
        place = [found[1] for found in self.headings].index(heading)
        later = range(place + 1, len(self.headings))
        end = next((self._starts[i] for i in later if self.headings[i][0] <= self.headings[place][0]), None)
        return " ".join("".join(self._text[self._starts[place] : end]).split())


def read_page(path):
    """The page of a file."""
    return Page(path.read_text(encoding="utf-8"))
