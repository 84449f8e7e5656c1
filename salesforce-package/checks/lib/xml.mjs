// Metadata XML as plain elements: a name, the text, the children in order.
// Here: reading. Not here: what an element means (model.mjs), whether it is allowed (rules/xml-schema.mjs).
import { XMLParser } from "fast-xml-parser";

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  parseTagValue: false,
  trimValues: true,
});

export class Element {
  constructor(name, text, children) {
    this.name = name;
    this.text = text;
    this.children = children;
  }

  /** Children of this name. */
  all(name) {
    return this.children.filter((child) => child.name === name);
  }

  /** The first child of this name, or undefined. */
  one(name) {
    return this.children.find((child) => child.name === name);
  }

  /** Text at a path such as "start/filterFormula"; undefined where it is absent. */
  value(path) {
    return path.split("/").reduce((element, name) => element?.one(name), this)?.text;
  }

  values(name) {
    return this.all(name).map((child) => child.text);
  }

  is(path) {
    return this.value(path) === "true";
  }

  /** This element and everything below it. */
  *walk() {
    yield this;
    for (const child of this.children) yield* child.walk();
  }
}

/** The root element. Lenient: broken XML gives what could be read; rules/xml-schema.mjs refuses it. */
export function parseXml(text) {
  const [root] = elements(parser.parse(text));
  return root ?? new Element("", "", []);
}

function elements(nodes) {
  return nodes
    .filter((node) => !("#text" in node))
    .map((node) => {
      const [name, inner] = Object.entries(node).find(([key]) => key !== ":@");
      const text = inner.map((part) => part["#text"] ?? "").join("");
      return new Element(name, String(text), elements(inner));
    });
}
