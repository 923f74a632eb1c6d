/** What loggers are given in life, and what formats get wrong. */
export const messages = [
  'plain',
  '',
  'two  spaces, a\ttab and a trailing one ',
  'first line\n\tat second (file.js:1:2)\r\nthird',
  'quotes "double" \'single\' `back` and back\\slash \\n \\u0041',
  '{"json":{"in":["a","string"]},"n":1e21}',
  'Zoë, 東京, 🦊🚀, e\u0301, \u2028 and \u0000',
  '\u001b[31mred\u001b[0m',
  '{app="x"} |= `y` %d %s {{ .z }}',
  'x'.repeat(20_000),
];
