// Apex read as text: just what other files refer to. Types are judged by apex-ls (rules/apex-types.mjs).

export function readApex(tree, documents) {
  return documents.map((document) => {
    const path = document.path.replace(/-meta\.xml$/, "");
    const source = tree.files.get(path);
    return { name: document.name, path, meta: document, source, ...(source ? describe(source) : {}) };
  });
}

function describe(source) {
  const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "");
  const inputs = [...code.matchAll(/@InvocableVariable\s*\(([^)]*)\)\s*(?:global|public)\s+(\w+)\s+(\w+)/gi)];
  return {
    isTest: /@IsTest\b/i.test(code.split(/\bclass\b/i)[0]),
    isGlobal: /\bglobal\b[^{]*\bclass\b/i.test(code.split("{")[0]),
    isInvocable: /@InvocableMethod\b/i.test(code),
    asserts: (code.match(/\bAssert\.\w+|\bSystem\.assert\w*/gi) ?? []).length,
    tests: (code.match(/@IsTest\s+(?:private\s+)?static\b/gi) ?? []).length,
    inputs: new Map(
      inputs.map(([, options, type, name]) => [name, { type, required: /required\s*=\s*true/i.test(options) }]),
    ),
    constants: new Map(
      [...code.matchAll(/static\s+final\s+Integer\s+(\w+)\s*=\s*(\d+)/gi)].map(([, name, n]) => [name, Number(n)]),
    ),
  };
}
