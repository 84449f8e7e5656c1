// Every class has its test, and tests assert something. Whether they pass, only an org can say.

export const name = "apex-tests";
export const reads = (path) => path.includes("/classes/");

export async function run({ model }) {
  const problems = [];
  for (const apex of model.classes) {
    if (!apex.source) continue;
    if (apex.meta.element.value("status") !== "Active") problems.push(`${apex.path}: is not Active`);
    const test = model.classes.find((other) => other.name === `${apex.name}Test`);
    if (!apex.isTest && !test?.isTest) problems.push(`${apex.path}: there is no test class ${apex.name}Test`);
    if (apex.isTest && apex.tests === 0) problems.push(`${apex.path}: has no test method`);
    if (apex.isTest && apex.asserts < apex.tests)
      problems.push(`${apex.path}: ${apex.tests} tests, ${apex.asserts} assertions`);
    if (apex.isTest && /SeeAllData\s*=\s*true/i.test(apex.source))
      problems.push(`${apex.path}: a packaged test must not see the customer's data`);
    if (!apex.isTest && !/\bwith sharing\b/i.test(apex.source)) problems.push(`${apex.path}: is not \`with sharing\``);
    if (/\bSystem\.debug\b/i.test(apex.source)) problems.push(`${apex.path}: writes to the debug log`);
  }
  return problems;
}
