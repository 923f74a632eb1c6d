import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLokiFlag, isLokiKey, parseNames } from '../../ops/loki-names.ts';

test('names stand below each group of their line', () => {
  const { keys, flags } = parseNames('# x: y\n[keys]\n.: a b\na a.c: d e\n[flags]\nf.g: h-i\n.: j\n');
  assert.deepEqual([...keys], ['a', 'b', 'a.d', 'a.e', 'a.c.d', 'a.c.e']);
  assert.deepEqual([...flags], ['f.g.h-i', 'j']);
});

const keys: [path: string, known: boolean][] = [
  ['schema_config', true],
  ['schema_config.configs', true],
  ['common.storage.filesystem.chunks_directory', true],
  ['common.ring.kvstore.consul.host', true],
  ['limits_config.retention_stream', true],
  ['limits_config.otlp_config', true],
  ['ruler.storage.s3.access_key_id', true],
  ['server.http_tls_config.cert_file', true],
  ['filesystem', false],
  ['limits_config.schema_config', false],
];
for (const [path, known] of keys)
  test(`${path} is ${known ? 'a' : 'no'} key of Loki`, () => assert.equal(isLokiKey(path.split('.')), known));

const flags: [flag: string, known: boolean][] = [
  ['target', true],
  ['memberlist.bind-port', true],
  ['ruler.storage.type', true],
  ['common.storage.ring.consul.hostname', true],
  ['config.file', true],
  ['memberlist', false],
  ['schema-config.configs', false],
];
for (const [flag, known] of flags) test(`-${flag} is ${known ? 'a' : 'no'} flag of Loki`, () => assert.equal(isLokiFlag(flag), known));
