import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSource, sourcesOptions } from '../../../actors/source/options.ts';
import { sourceOf } from '../../support/source-record.ts';

const LABELS = { labels: { app: 'a' } };

const wrong: [options: Record<string, unknown>, authEnabled: boolean, message: RegExp][] = [
  [{ ...LABELS, topics: [] }, false, /sources\.kafka\[3\]: names no topics/],
  [{}, false, /gives entries no label/],
  [LABELS, true, /names no tenant/],
  [{ ...LABELS, tenant: 't' }, false, /there are none: auth_enabled is false/],
  [{ ...LABELS, tenant: 'a|b' }, true, /contains unsupported character '\|'/],
  [{ ...LABELS, tenant_header: 'x', tenant_from_key: true }, true, /from a header and from the key/],
  [{ ...LABELS, line_field: 'msg' }, false, /a text has no fields: line_field/],
  [{ ...LABELS, format: 'otlp' }, false, /a record of otlp says all of this itself: labels/],
  [{ labels: { 'a-b': 'c' } }, false, /not the name of a label: a-b/],
  [{ ...LABELS, label_from_key: 'app' }, false, /label app is given twice/],
];
for (const [options, authEnabled, message] of wrong) {
  test(`a source that cannot work: ${message.source}`, () => {
    assert.throws(() => checkSource(sourceOf(options), 3, authEnabled), { message });
  });
}

test('sources that can work', () => {
  checkSource(sourceOf(LABELS), 0, false);
  checkSource(sourceOf({ ...LABELS, tenant: 't' }), 0, true);
  checkSource(sourceOf({ format: 'otlp', tenant_from_key: true }), 0, true);
  checkSource(sourceOf({ format: 'json', labels_from_fields: { level: 'l' }, line_field: 'm' }), 0, false);
});

const unreadable: [text: string, message: RegExp][] = [
  ['[', /not JSON/],
  ['{}', /not a list/],
  ['[1]', /\[0\]: wants keys with values/],
  ['[{"topic": "a"}]', /\[0\]: unknown key topic, not one of topics, group_id/],
  ['[{}, {"format": "xml"}]', /\[1\]\.format: not one of text, json, logfmt, otlp, loki-push: xml/],
  ['[{"labels": {"a": {}}}]', /\[0\]\.labels: a wants a single value/],
  ['[{"labels": "a"}]', /\[0\]\.labels: not name=value: a/],
  ['[{"topics": {"a": 1}}]', /\[0\]\.topics: it wants a single value/],
];
for (const [text, message] of unreadable) {
  test(`options of sources that cannot be read: ${text}`, () => {
    assert.throws(() => sourcesOptions.rows.kafka.parse(text), { message });
  });
}

test('options of sources are printed as they are read', () => {
  const { kafka } = sourcesOptions.rows;
  const text = '[{"topics": ["a", "b"], "labels": "x=1,y=2", "distinct": true, "session_timeout": "10s"}]';
  const once = kafka.print(kafka.parse(text));
  assert.deepEqual(kafka.parse(once), kafka.parse(text));
  assert.equal(kafka.parse(text)[0].labels.y, '2');
});
