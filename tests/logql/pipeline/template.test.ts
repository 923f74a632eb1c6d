import assert from 'node:assert/strict';
import test from 'node:test';
import { compilePipeline } from '../../../logql/pipeline/compile.ts';
import { run } from './block-of.ts';

const LINE = `user=Zoë n=7 f=2.5 empty=x took=1m30s size=2KiB json="{\\"a\\":{\\"b\\":[1,\\"two\\",null,true]},\\"big\\":1234567}"`;
const at = { from: 0, to: 0 };

/** The line that a template makes of LINE, and the error that it notes. */
function render(template: string): { line: string; details: string | undefined } {
  const options = { observed: 'all', nowNs: () => 1_700_000_000_123_456_789n } as const;
  const stages = [
    { kind: 'logfmt', strict: false, keepEmpty: false, expressions: [], at },
    { kind: 'line_format', template, at },
  ] as const;
  const bytes = Buffer.from(LINE);
  const block = {
    rows: 1,
    baseNs: 1_699_999_200_000_000_000n,
    minOffset: 0,
    maxOffset: 0,
    lineBytes: bytes.length,
    metadataBytes: 0,
    times: () => Float64Array.of(800_000_000_005),
    ends: () => Uint32Array.of(bytes.length),
    lines: () => bytes,
    metadata: () => [],
    metadataKeys: () => [],
  };
  const row = compilePipeline(stages, options)
    .forStream([['app', 'a']])
    .apply(block, 0)!;
  return { line: row.line().toString(), details: row.error === '' ? undefined : row.errorDetails };
}

const cases: [template: string, line: string][] = [
  ['{{.user}}-{{ .app }}-{{.none}}|', 'Zoë-a-|'],
  ['{{ "a\\tb\\u00e9\\x41" }}{{ `r\\n` }}', 'a\tbéAr\\n'],
  ['a {{- " b " -}} c{{/* no */}}{{- /* no */ -}} d', 'a b cd'],
  ['{{ if eq .n "7" }}seven{{ else }}other{{ end }}', 'seven'],
  ['{{ if .none }}1{{ else if .user }}2{{ else }}3{{ end }}', '2'],
  ['{{ with .none }}1{{ else with .user }}{{ . }}{{ end }}', 'Zoë'],
  ['{{ with $x := .n }}{{ $x }}{{ $.user }}{{ end }}', '7Zoë'],
  ['{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ end }}{{ $x }}', '2'],
  ['{{ $j := fromJson .json }}{{ range $i, $v := $j.a.b }}{{ $i }}={{ $v }} {{ end }}', '0=1 1=two 2=<no value> 3=true '],
  ['{{ range (fromJson "[]") }}x{{ else }}none{{ end }}', 'none'],
  ['{{ range $k, $v := fromJson "{\\"b\\":1,\\"a\\":2}" }}{{ $k }}{{ $v }}{{ end }}', 'a2b1'],
  ['{{ range fromJson "[1,2,3,4]" }}{{ if eq . 2.0 }}{{ continue }}{{ end }}{{ if eq . 4.0 }}{{ break }}{{ end }}{{ . }}{{ end }}', '13'],
  ['{{ range 3 }}{{ . }}{{ end }}', '012'],
  ['{{ define "t" }}<{{ . }}>{{ end }}{{ template "t" .n }}{{ block "b" . }}{{ .n }}{{ end }}', '<7>7'],
  ['{{ (fromJson .json).big }} {{ fromJson .json }}', '1.234567e+06 map[a:map[b:[1 two <nil> true]] big:1.234567e+06]'],
  ['{{ fromJson "x" }}', '<no value>'],
  ['{{ .user | upper | printf "%s!%s" "a" }}', 'a!ZOË'],
  ['{{ len .user }} {{ index .user 0 }} {{ slice .user 1 2 }} {{ trunc 2 .user }}', '4 90 o Zo'],
  ['{{ and .n .none "x" }}|{{ or .none .n }}|{{ not .none }}', '|7|true'],
  ['{{ lt 1 2 }} {{ le 2.0 2.0 }} {{ gt "b" "a" }} {{ ge 1 2 }} {{ ne 1 2 }} {{ eq 1 2 3 1 }}', 'true true true false true true'],
  [
    '{{ add .n 1 2 }} {{ sub 1 .n }} {{ mul .n "0x10" }} {{ div 7 2 }} {{ mod -7 3 }} {{ max 1 .n 3 }} {{ min 1 .n }}',
    '10 -6 112 3 -1 7 1',
  ],
  ['{{ addf 0.1 0.2 }} {{ subf 1 0.9 }} {{ mulf .f 3 }} {{ divf 10 4 }} {{ maxf 1 .f }} {{ minf 1 .f }}', '0.3 0.1 7.5 2.5 2.5 1'],
  ['{{ divf 2 3 }} {{ divf -2 3 }}', '0.6666666666666667 -0.6666666666666667'],
  [
    '{{ int "7.0" }} {{ int "x" }} {{ int 2.9 }} {{ float64 "1e3" }} {{ ceil 1.1 }} {{ floor -1.1 }} {{ round 2.345 2 }}',
    '7 0 2 1000 2 -2 2.35',
  ],
  ['{{ default "d" .none }} {{ default "d" .n }}', 'd 7'],
  ['{{ bytes .size }} {{ duration .took }} {{ duration_seconds "1h" }}', '2048 90 3600'],
  ['{{ lower "ÀΣ" }} {{ title "a b-c d_e" }} {{ upper "straße" }}', 'àσ A B-C D_e STRAßE'],
  ['{{ replace "a" "b" "aXa" }} {{ Replace "aaa" "a" "b" 2 }} {{ repeat 3 "ab" }}', 'bXb bba ababab'],
  ['{{ trim " x " }}|{{ trimAll "ab" "abxba" }}|{{ TrimLeft "aax" "a" }}|{{ TrimRight "xaa" "a" }}|{{ Trim "éxé" "é" }}', 'x|x|x|x|x'],
  ['{{ trimPrefix "a" "ab" }}{{ TrimPrefix "ab" "a" }}{{ trimSuffix "b" "ab" }}{{ TrimSuffix "ab" "b" }}', 'bbaa'],
  ['{{ substr 1 3 "abcd" }} {{ substr -1 2 "abcd" }} {{ substr 2 -1 "abcd" }}', 'bc ab cd'],
  ['{{ contains "b" "abc" }} {{ hasPrefix "a" "abc" }} {{ hasSuffix "a" "abc" }}', 'true true false'],
  ['{{ indent 2 "a\\nb" }}|{{ nindent 1 "a" }}', '  a\n  b|\n a'],
  ['{{ alignLeft 5 "é" }}|{{ alignRight 5 "é" }}|{{ alignLeft 2 "abc" }}|{{ alignRight 2 "abc" }}', 'é    |    é|ab|bc'],
  [
    `{{ regexReplaceAll "(\\\\w)(\\\\w)" "abcd e" "$2\${1}x" }} {{ regexReplaceAllLiteral "b" "abc" "$1" }} {{ count "b*" "abé" }}`,
    'baxdcx e a$1c 3',
  ],
  ['{{ regexReplaceAll "x*" "aé" "-" }}', '-a-é-'],
  ['{{ urlencode "a b&é" }} {{ urldecode "a+b%26%C3%A9" }} {{ b64enc "é" }} {{ b64dec "w6k=" }}', 'a+b%26%C3%A9 a b&é w6k= é'],
  ['{{ html "<a&\\"b\\">" }} {{ js "it\'s <b>" }} {{ urlquery "a b" 1 }}', "&lt;a&amp;&#34;b&#34;&gt; it\\'s \\u003Cb\\u003E a+b1"],
  ['{{ print 1 2 "a" "b" 3 }}|{{ println "a" 1 }}', '1 2ab3|a 1\n'],
  [
    '{{ printf "%5d|%-5d|%05d|%+d|%x|%X|%o|%b|%c|%q|%U" 42 42 42 42 42 42 42 5 233 65 233 }}',
    "   42|42   |00042|+42|2a|2A|52|101|é|'A'|U+00E9",
  ],
  [
    '{{ printf "%6.2f|%e|%g|%v|%t|%T %T %T" 3.14159 1234.5 1e21 0.000001 true 1 1.5 "s" }}',
    '  3.14|1.234500e+03|1e+21|1e-06|true|int float64 string',
  ],
  ['{{ printf "%5s|%-5s|%.2s|%q|%x" "é" "é" "éab" "a\\"b" "hi" }}', '    é|é    |éa|"a\\"b"|6869'],
  [
    '{{ printf "%d %s" "x" }} {{ printf "%%" }} {{ printf "%" }} {{ printf "a" 1 }}',
    '%!d(string=x) %!s(MISSING) % %!(NOVERB) a%!(EXTRA int=1)',
  ],
  ['{{ printf "%*d" 5 42 }}', '   42'],
  [
    '{{ __line__ | len }} {{ __timestamp__ | date "2006-01-02T15:04:05.000000000Z07:00" }}',
    `${Buffer.byteLength(LINE)} 2023-11-14T22:13:20.000000005Z`,
  ],
  ['{{ __timestamp__.Unix }} {{ __timestamp__.Format "Jan _2 3PM" }} {{ __timestamp__.Year }}', '1700000000 Nov 14 10PM 2023'],
  ['{{ unixEpoch now }} {{ unixEpochMillis now }} {{ unixEpochNanos now }}', '1700000000 1700000000123 1700000000123456789'],
  ['{{ unixToTime "1700000000" | date "Mon Jan 2 2006 at 03:04pm" }}', 'Tue Nov 14 2023 at 10:13pm'],
  ['{{ toDate "2006-01-02 15:04:05 -0700" "2024-02-29 12:00:00 +0200" | unixEpoch }}', '1709200800'],
  ['{{ toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2024-07-01 12:00" | unixEpoch }}', '1719828000'],
  ['{{ toDate "2006-01-02" "nonsense" | unixEpoch }}', '-62135596800'],
  ['{{ toDate "2006-01-02 15:04:05 -0700" "2024-02-29 12:00:00 +0200" }}', '2024-02-29 12:00:00 +0200 +0200'],
  ['{{ toDate "02 Jan 06 15:04 MST" "29 Feb 24 12:00 GMT" }}', '2024-02-29 12:00:00 +0000 GMT'],
  ['{{ toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2024-07-01 12:00" }}', '2024-07-01 12:00:00 +0200 CEST'],
  ['{{ toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2026-03-29 02:30" }}', '2026-03-29 03:30:00 +0200 CEST'],
  ['{{ toDateInZone "15:04" "America/New_York" "10:00" }}', '0000-01-01 10:00:00 -0456 LMT'],
  ['{{ toDateInZone "2006-01-02" "Asia/Tokyo" "2024-02-29" }}', '2024-02-29 00:00:00 +0900 JST'],
  ['{{ toDateInZone "2006-01-02" "No/Where" "2024-02-29" }}', '2024-02-29 00:00:00 +0000 UTC'],
  [
    '{{ printf "%[2]d %[1]d|%[9]d" 1 2 }} {{ printf "%s %d" (fromJson "[1,\\"a\\"]") (fromJson "{\\"a\\":1}") }}',
    '2 1|%!d(BADINDEX) [%!s(float64=1) a] map[%!d(string=a):%!d(float64=1)]',
  ],
  ['{{ printf "%.2f" 1e21 }} {{ fromJson "1e400" }} {{ (fromJson "x").a }}', '1000000000000000000000.00 <no value> <no value>'],
  ['{{ .none | default "x" }} {{ add }} {{ addf }} {{ int "1.5" }} {{ int "x" }}', 'x 0 0 1 0'],
  ['{{ b64dec "a" }} {{ b64enc "é" }}', 'illegal base64 data at input byte 0 w6k='],
  ['{{ round 2.5 0 }} {{ round 2.345 2 0.9 }}', '3 2.34'],
];
for (const [template, line] of cases) test(`template: ${template}`, () => assert.deepEqual(render(template), { line, details: undefined }));

const failures: [template: string, details: string][] = [
  ['{{ div 1 0 }}', 'template: line:1:3: executing "line" at <div 1 0>: error calling div: runtime error: integer divide by zero'],
  ['a\n{{ .user | mod 1 }}', 'template: line:2:11: executing "line" at <mod 1>: error calling mod: runtime error: integer divide by zero'],
  ['{{ duration "x" }}', 'template: line:1:3: executing "line" at <duration "x">: error calling duration: time: invalid duration "x"'],
  ['{{ index .user 99 }}', 'template: line:1:3: executing "line" at <index .user 99>: error calling index: index out of range: 99'],
  ['{{ .user.name }}', 'template: line:1:8: executing "line" at <.user.name>: can\'t evaluate field name in type string'],
  [
    '{{ lt 1 "a" }}',
    'template: line:1:3: executing "line" at <lt 1 "a">: error calling lt: incompatible types for comparison: int and string',
  ],
  ['{{ .n | len | slice }}', `template: line:1:14: executing "line" at <slice>: error calling slice: can't slice item of type int`],
  ['{{ nil }}', 'template: line:1:3: executing "line" at <nil>: nil is not a command'],
  ['{{ len 5 }}', 'template: line:1:3: executing "line" at <len 5>: error calling len: len of type int'],
  [
    '{{ eq "a" 1 }}',
    'template: line:1:3: executing "line" at <eq "a" 1>: error calling eq: incompatible types for comparison: string and int',
  ],
  [
    '{{ unixToTime "x" }}',
    `template: line:1:3: executing "line" at <unixToTime "x">: error calling unixToTime: unable to parse time 'x': strconv.ParseInt: parsing "x": invalid syntax`,
  ],
  ['{{ upper 1 }}', 'template: line:1:9: executing "line" at <1>: expected string; found 1'],
  [
    '{{ repeat 100000000 "x" }}',
    'template: line:1:3: executing "line" at <repeat 100000000 "x">: error calling repeat: result of 100000000 bytes is over the limit of 1048576',
  ],
  ['{{ range 1000000000 }}{{ end }}', 'template: line: exceeded 100000 steps'],
  [
    '{{ define "t" }}{{ template "t" }}{{ end }}{{ template "t" }}',
    'template: line:1:0: executing "t" at <{{template "t"}}>: exceeded maximum template depth (100)',
  ],
];
for (const [template, details] of failures)
  test(`template: ${template} fails`, () => assert.deepEqual(render(template), { line: LINE, details }));

const refused: [template: string, message: string][] = [
  ['{{ .a', 'unclosed action'],
  ['{{ nofunc .a }}', 'function "nofunc" not defined'],
  ['{{ if .a }}x', 'unexpected EOF'],
  ['{{ end }}', 'unexpected {{end}}'],
  ['{{ }}', 'missing value for command'],
  ['{{ $x }}', 'undefined variable "$x"'],
  ['{{ "a }}', 'unterminated quoted string'],
  ['{{ (.a }}', 'unclosed left paren'],
  ['{{ break }}', '{{break}} outside {{range}}'],
];
for (const [template, message] of refused) {
  test(`template: ${template} is refused`, () => {
    assert.throws(
      () => render(template),
      (fault: Error) => fault.message.endsWith(`invalid line template: template: line:1: ${message}`),
    );
  });
}

test('label_format: templates of one stage see the labels from before it, renames take a label away', () => {
  const [{ labels }] = run('{app="a"} | logfmt | label_format b="1", c="{{.b}}{{.x}}", d=x', ['x=7'], {});
  assert.deepEqual(labels, { b: '1', c: '7', d: '7' });
});
