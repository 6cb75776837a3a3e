import { seededRandom } from "./random";

const WORDS = (
  "the model returns a frame with one row per day and you can group it by region before plotting " +
  "because missing values would otherwise shift every mean check that types match then join both tables"
).split(" ");

const PYTHON = [
  "import pandas as pd",
  'frame = pd.read_csv("sales.csv", parse_dates=["day"])',
  "",
  "def mean_by(frame, column):",
  '    """The mean of each group."""',
  '    return frame.groupby(column)["amount"].mean()  # skips NaN',
  "",
  'print(mean_by(frame, "region").sort_values(ascending=False).head(10))',
];

/** A long answer as models write them: prose, lists, tables, code, formulas and quotes. */
export function writeDocument(length: number, seed = 1): string {
  const random = seededRandom(seed);
  const pick = <Item>(items: Item[]): Item => items[Math.floor(random() * items.length)]!;
  const words = (count: number) => Array.from({ length: count }, () => pick(WORDS)).join(" ");
  const phrase = () =>
    pick([
      () => words(6),
      () => words(9),
      () => `**${words(2)}**`,
      () => `\`${pick(WORDS)}_${pick(WORDS)}()\``,
      () => `*${words(3)}*`,
      () => `[${words(2)}](https://docs.example.org/${pick(WORDS)})`,
      () => `$x_{${Math.floor(random() * 9)}} + y^2$`,
    ])();
  const sentence = () => `Then ${phrase()} ${words(4)} ${phrase()}, ${words(5)} ${phrase()}. `;
  const paragraph = () =>
    Array.from({ length: 2 + Math.floor(random() * 3) }, sentence)
      .join("")
      .trim();
  const list = () =>
    Array.from(
      { length: 4 },
      (_, index) => `${index + 1}. ${sentence().trim()}\n   - ${words(7)}\n   - ${phrase()}`,
    ).join("\n");
  const table = () =>
    [
      `| name | mean | note |`,
      `|---|--:|:-:|`,
      ...Array.from({ length: 6 }, () => `| ${words(2)} | ${random().toFixed(3)} | \`${pick(WORDS)}\` |`),
    ].join("\n");
  const code = () => `\`\`\`python\n${[...PYTHON, ...PYTHON].join("\n")}\n\`\`\``;
  const blocks = [
    paragraph,
    paragraph,
    paragraph,
    list,
    table,
    code,
    () => `## ${words(4)}`,
    () => `> ${sentence()}\n> ${sentence()}`,
    () => `$$\n\\frac{a_${Math.floor(random() * 9)}}{b} = \\sum_{i=1}^{n} x_i\n$$`,
  ];
  let text = "# An answer\n\n";
  while (text.length < length) text += `${pick(blocks)()}\n\n`;
  return text;
}
