import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type AnyValue, type Attributes, context, type Logger, SeverityNumber, TraceFlags, trace } from '@opentelemetry/api';
import { OTLPLogExporter as JsonExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtobufExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider, type LogRecordExporter } from '@opentelemetry/sdk-logs';
import { allEntries, get, nowNs, secondsNs } from '../support/client.ts';
import { messages } from '../support/messages.ts';
import { TestServer } from '../support/server.ts';

let server: TestServer;
before(async () => {
  server = await TestServer.start();
});
after(() => server[Symbol.asyncDispose]());

const ATTRIBUTES: Attributes = { 'http.route': '/x', count: 3, ratio: 0.5, ok: true, list: ['a', 1], nested: { deep: { er: 'y' } } };
const RESOURCE = { 'service.namespace': 'tests', 'host.name': 'h', 'process.pid': 42 };
const TRACE = { traceId: '0102030405060708090a0b0c0d0e0fff', spanId: 'f102030405060708', traceFlags: TraceFlags.SAMPLED };

type Options = { url: string; compression?: 'gzip' };
const exporters: [what: string, make: (options: Options) => LogRecordExporter, compression: 'gzip' | undefined][] = [
  ['protobuf', (options) => new ProtobufExporter(options as never), undefined],
  ['protobuf, gzip', (options) => new ProtobufExporter(options as never), 'gzip'],
  ['JSON', (options) => new JsonExporter(options as never), undefined],
  ['JSON, gzip', (options) => new JsonExporter(options as never), 'gzip'],
];

/** Logs with the SDK, to its end, and returns what the exporter made of it. */
async function log(
  service: string,
  exporter: LogRecordExporter,
  write: (logger: Logger) => void,
): Promise<{ code: number; error?: Error }[]> {
  const results: { code: number; error?: Error }[] = [];
  const watched: LogRecordExporter = {
    export: (records, done) =>
      exporter.export(records, (result) => {
        results.push(result);
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': service, ...RESOURCE }),
    processors: [new BatchLogRecordProcessor({ exporter: watched, maxExportBatchSize: 7 })],
  });
  write(provider.getLogger('shop-logger', '1.2.3'));
  await provider.forceFlush();
  await provider.shutdown();
  return results;
}

async function stored(selector: string): Promise<{ labels: Record<string, string>; line: string; metadata: Record<string, string> }[]> {
  const response = await fetch(
    `${server.url}/loki/api/v1/query_range?${new URLSearchParams({ query: selector, limit: '1000', direction: 'forward', since: '10m' })}`,
    { headers: { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' } },
  );
  const { data } = (await response.json()) as {
    data: { result: { stream: Record<string, string>; values: [string, string, { structuredMetadata: Record<string, string> }][] }[] };
  };
  return data.result.flatMap(({ stream, values }) =>
    values.map(([, line, { structuredMetadata }]) => ({ labels: stream, line, metadata: structuredMetadata })),
  );
}

for (const [what, make, compression] of exporters) {
  const service = `shop-${what.replace(', ', '-').toLowerCase()}`;
  const exporter = () => make({ url: `${server.url}/otlp/v1/logs`, ...(compression === undefined ? {} : { compression }) });

  test(`OpenTelemetry's exporter, ${what}: what was logged is read back byte for byte`, async () => {
    const results = await log(service, exporter(), (logger) => {
      for (const [index, body] of messages.entries()) logger.emit({ severityNumber: SeverityNumber.INFO, body: `${index} ${body}` });
      for (const [index, body] of messages.entries())
        logger.emit({ severityNumber: SeverityNumber.ERROR3, severityText: 'ERR', body: `${index} ${body}` });
    });
    assert.deepEqual(
      results,
      results.map(() => ({ code: 0 })),
    );
    const sent = messages.map((message, index) => `${index} ${message}`);
    const range = { fromNs: nowNs() - secondsNs(600), toNs: nowNs() + secondsNs(600) };
    for (const level of ['info', 'error']) {
      const found = await allEntries(server.url, `{service_name="${service}"} | detected_level="${level}"`, range);
      assert.deepEqual(found.map(({ line }) => line).sort(), sent.toSorted());
    }
  });

  test(`OpenTelemetry's exporter, ${what}: attributes, trace and severity come back as structured metadata`, async () => {
    const bodies: AnyValue[] = ['one', { order: { id: 7, items: ['a', null] } }, [1, 'two'], 1.5, true];
    const results = await log(`${service}-meta`, exporter(), (logger) => {
      const traced = trace.setSpanContext(context.active(), TRACE);
      for (const body of bodies)
        logger.emit({
          context: traced,
          body,
          severityNumber: SeverityNumber.WARN,
          severityText: 'Warning',
          eventName: 'bought',
          attributes: ATTRIBUTES,
        });
    });
    assert.deepEqual(results, [{ code: 0 }]);
    const found = await stored(`{service_name="${service}-meta", service_namespace="tests"}`);
    assert.deepEqual(found.map(({ line }) => line).sort(), ['1.5', '[1,"two"]', 'one', 'true', '{"order":{"id":7,"items":["a",null]}}']);
    for (const { labels, metadata } of found) {
      const { observed_timestamp: observed, ...rest } = metadata;
      assert.match(observed, /^\d{19}$/);
      assert.deepEqual(labels, { service_name: `${service}-meta`, service_namespace: 'tests' });
      assert.deepEqual(rest, {
        http_route: '/x',
        count: '3',
        ratio: '0.5',
        ok: 'true',
        list: '["a",1]',
        nested_deep_er: 'y',
        host_name: 'h',
        process_pid: '42',
        scope_name: 'shop-logger',
        scope_version: '1.2.3',
        severity_number: '13',
        severity_text: 'Warning',
        event_name: 'bought',
        flags: '1',
        trace_id: TRACE.traceId,
        span_id: TRACE.spanId,
        detected_level: 'warn',
      });
    }
  });

  test(`OpenTelemetry's exporter, ${what}: is told what was refused, the rest is kept`, async () => {
    const results = await log(`${service}-refused`, exporter(), (logger) => {
      logger.emit({ body: 'old', timestamp: new Date('2001-02-03') });
      logger.emit({ body: 'kept' });
    });
    assert.deepEqual(
      results.map(({ code, error }) => [code, (error as { code?: number } | undefined)?.code]),
      [[1, 400]],
    );
    assert.deepEqual(
      (await stored(`{service_name="${service}-refused"}`)).map(({ line }) => line),
      ['kept'],
    );
  });
}

test('the metrics of requests know the route', async () => {
  const { text } = await get(server.url, '/metrics');
  assert.match(text, /loki_request_duration_seconds_count\{method="POST",route="otlp_v1_logs",status_code="204",ws="false"\} \d+/);
});
