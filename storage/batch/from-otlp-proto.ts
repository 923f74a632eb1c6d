import { OtlpProtoValues } from './otlp-proto-values.ts';
import { type OtlpOptions, OtlpRecords } from './otlp-records.ts';
import { fields, fixed32, fixed64, ProtoScanner, sized, varint } from './proto-scanner.ts';
import type { PushSink } from './push-sink.ts';

// opentelemetry-proto, collector/logs/v1/logs_service.proto, logs/v1/logs.proto, resource/v1/resource.proto, common/v1/common.proto:
//   ExportLogsServiceRequest { 1: repeated ResourceLogs }    ResourceLogs { 1: Resource, 2: repeated ScopeLogs }
//   Resource { 1: repeated KeyValue }    ScopeLogs { 1: InstrumentationScope, 2: repeated LogRecord }
//   InstrumentationScope { 1: name, 2: version, 3: repeated KeyValue, 4: dropped_attributes_count }
//   LogRecord { 1: fixed64 time, 2: severity_number, 3: severity_text, 5: AnyValue body, 6: repeated KeyValue, 7: dropped_attributes_count, 8: fixed32 flags,
//               9: trace_id, 10: span_id, 11: fixed64 observed_time, 12: event_name }
const RESOURCE_LOGS = sized(1);
const REQUEST_FIELDS = fields(1);
const [RESOURCE, SCOPE_LOGS] = [sized(1), sized(2)];
const RESOURCE_LOGS_FIELDS = fields(1, 2);
/** Where clients of before 2022 put what is field 2 now, in the same shape. */
const OLD_SCOPE_LOGS = sized(1_000);
const RESOURCE_ATTRIBUTE = sized(1);
const RESOURCE_FIELDS = fields(1);
const [SCOPE, RECORD] = [sized(1), sized(2)];
const SCOPE_LOGS_FIELDS = fields(1, 2);
const [SCOPE_NAME, SCOPE_VERSION, SCOPE_ATTRIBUTE, SCOPE_DROPPED] = [sized(1), sized(2), sized(3), varint(4)];
const SCOPE_FIELDS = fields(1, 2, 3, 4);
const [TIME, SEVERITY_NUMBER, SEVERITY_TEXT, BODY, ATTRIBUTE] = [fixed64(1), varint(2), sized(3), sized(5), sized(6)];
const [DROPPED, FLAGS, TRACE_ID, SPAN_ID, OBSERVED_TIME] = [varint(7), fixed32(8), sized(9), sized(10), fixed64(11)];
const EVENT_NAME = sized(12);
const RECORD_FIELDS = fields(1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12);
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/** Tells `sink` the log records of an ExportLogsServiceRequest in protobuf, and returns how many they are. Fields may come in any order, the last of a single one
 *  counts, unknown ones are skipped. A body that is a string is passed on byte for byte, whether it is UTF-8 or not.
 *  Throws Fault bad_request, at the first byte that does not fit; the sink has then seen part of the request. */
export function readOtlpProto(bytes: Buffer, sink: PushSink, options: OtlpOptions): number {
  return new OtlpReader(bytes, sink, options).request();
}

class OtlpReader {
  readonly #scanner: ProtoScanner;
  readonly #records: OtlpRecords;
  readonly #values: OtlpProtoValues;

  constructor(bytes: Buffer, sink: PushSink, options: OtlpOptions) {
    this.#scanner = new ProtoScanner(bytes);
    this.#records = new OtlpRecords(sink, options);
    this.#values = new OtlpProtoValues(this.#scanner, this.#records);
  }

  request(): number {
    const scanner = this.#scanner;
    let count = 0;
    const end = scanner.bytes.length;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === RESOURCE_LOGS) count += this.#resourceLogs(scanner.end(end));
      else scanner.skip(tag, end, REQUEST_FIELDS);
    }
    return count;
  }

  /** Two passes: the resource may stand behind its records, and what room they want is worth knowing. */
  #resourceLogs(end: number): number {
    const scanner = this.#scanner;
    const start = scanner.at;
    let rows = 0;
    let oldRows = 0;
    let size = 0;
    this.#records.beginResource();
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === RESOURCE) this.#resource(scanner.end(end));
      else if (tag === SCOPE_LOGS || tag === OLD_SCOPE_LOGS) {
        const scopeEnd = scanner.end(end);
        size += scopeEnd - scanner.at;
        if (tag === SCOPE_LOGS) rows += this.#countRecords(scopeEnd);
        else oldRows += this.#countRecords(scopeEnd);
      } else scanner.skip(tag, end, RESOURCE_LOGS_FIELDS);
    }
    const old = rows === 0 && oldRows > 0;
    if (old) rows = oldRows;
    if (rows > 0) this.#records.endResource(rows, size);
    scanner.at = start;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === (old ? OLD_SCOPE_LOGS : SCOPE_LOGS)) this.#scopeLogs(scanner.end(end));
      else scanner.skip(tag, end);
    }
    return rows;
  }

  #resource(end: number): void {
    const scanner = this.#scanner;
    const values = this.#values;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === RESOURCE_ATTRIBUTE) {
        values.keyValue(scanner.end(end));
        this.#records.resourceAttribute(values.key, values.value);
      } else scanner.skip(tag, end, RESOURCE_FIELDS);
    }
  }

  #countRecords(end: number): number {
    const scanner = this.#scanner;
    let count = 0;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === RECORD) count++;
      scanner.skip(tag, end);
    }
    return count;
  }

  #scopeLogs(end: number): void {
    const scanner = this.#scanner;
    const start = scanner.at;
    this.#records.beginScope();
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === SCOPE) this.#scope(scanner.end(end));
      else if (tag === RECORD) scanner.skip(tag, end);
      else scanner.skip(tag, end, SCOPE_LOGS_FIELDS);
    }
    this.#records.endScope();
    scanner.at = start;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === RECORD) this.#record(scanner.end(end));
      else scanner.skip(tag, end);
    }
  }

  #scope(end: number): void {
    const scanner = this.#scanner;
    const values = this.#values;
    const records = this.#records;
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      if (tag === SCOPE_NAME) records.scopeName = values.text(end);
      else if (tag === SCOPE_VERSION) records.scopeVersion = values.text(end);
      else if (tag === SCOPE_DROPPED) records.scopeDroppedAttributes = scanner.uint32(end);
      else if (tag === SCOPE_ATTRIBUTE) {
        values.keyValue(scanner.end(end));
        records.scopeAttribute(values.key, values.value);
      } else scanner.skip(tag, end, SCOPE_FIELDS);
    }
  }

  #record(end: number): void {
    const scanner = this.#scanner;
    const records = this.#records;
    const values = this.#values;
    const { bytes } = scanner;
    records.beginRecord();
    while (scanner.at < end) {
      const tag = scanner.varint(end);
      switch (tag) {
        case TIME: {
          const at = scanner.fixed(8, end);
          records.timeLow = bytes.readUInt32LE(at);
          records.timeHigh = bytes.readUInt32LE(at + 4);
          break;
        }
        case OBSERVED_TIME: {
          const at = scanner.fixed(8, end);
          records.observedLow = bytes.readUInt32LE(at);
          records.observedHigh = bytes.readUInt32LE(at + 4);
          break;
        }
        case SEVERITY_NUMBER:
          records.severityNumber = scanner.uint32(end) | 0;
          break;
        case SEVERITY_TEXT:
          records.severityText = values.text(end);
          break;
        case BODY:
          this.#body(scanner.end(end));
          break;
        case ATTRIBUTE:
          values.keyValue(scanner.end(end));
          records.logAttribute(values.key, values.value);
          break;
        case DROPPED:
          records.droppedAttributes = scanner.uint32(end);
          break;
        case FLAGS:
          records.flags = bytes.readUInt32LE(scanner.fixed(4, end));
          break;
        case TRACE_ID:
          records.traceId = values.id('trace_id', TRACE_ID_BYTES, end);
          break;
        case SPAN_ID:
          records.spanId = values.id('span_id', SPAN_ID_BYTES, end);
          break;
        case EVENT_NAME:
          records.eventName = values.text(end);
          break;
        default:
          scanner.skip(tag, end, RECORD_FIELDS);
      }
    }
    records.endRecord();
  }

  /** Nearly always a string, which need not become one here. */
  #body(end: number): void {
    const scanner = this.#scanner;
    if (this.#values.isString(end)) {
      this.#records.line(scanner.bytes, scanner.at, end);
      scanner.at = end;
    } else this.#records.body(this.#values.anyValue(end));
  }
}
