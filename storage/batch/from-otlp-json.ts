import { JsonScanner, type ScannerMark } from './json-scanner.ts';
import { OtlpJsonValues } from './otlp-json-values.ts';
import { type OtlpOptions, OtlpRecords } from './otlp-records.ts';
import type { PushSink } from './push-sink.ts';

const OPEN_OBJECT = 0x7b;
const QUOTE = 0x22;
const MAX_UINT64 = 2n ** 64n - 1n;
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/** Tells `sink` the log records of an ExportLogsServiceRequest in protobuf's JSON, and returns how many they are. Members may come in any order, their names in
 *  either case (`timeUnixNano`, `time_unix_nano`); of equal ones the last counts, a list grows, and scopes or records that stand twice are refused; unknown ones are skipped, as is text after the object.
 *  A body that is a string is passed on byte for byte, whether it is UTF-8 or not.
 *  Throws Fault bad_request where something is not what it must be; the sink has then seen part of the request. */
export function readOtlpJson(bytes: Buffer, sink: PushSink, options: OtlpOptions): number {
  return new OtlpReader(bytes, sink, options).request();
}

class OtlpReader {
  readonly #scanner: JsonScanner;
  readonly #records: OtlpRecords;
  readonly #values: OtlpJsonValues;
  #count = 0;
  /** A body without its escapes. */
  #scratch = Buffer.allocUnsafeSlow(1024);

  constructor(bytes: Buffer, sink: PushSink, options: OtlpOptions) {
    // JSON.stringify writes a text that was cut within a character as half of a pair.
    this.#scanner = new JsonScanner(bytes, 0, 'replace');
    this.#records = new OtlpRecords(sink, options);
    this.#values = new OtlpJsonValues(this.#scanner, this.#records);
  }

  request(): number {
    const scanner = this.#scanner;
    if (scanner.peek() === -1) throw scanner.fault('empty body');
    if (!this.#values.isObject('the request')) return 0;
    for (let more = scanner.firstMember(); more; more = scanner.nextMember()) {
      const name = scanner.text();
      if (name === 'resourceLogs' || name === 'resource_logs') this.#each(name, this.#resourceLogs);
      else scanner.forget();
    }
    return this.#count;
  }

  /** Calls `read` in front of each element of an array that may be null. */
  #each(what: string, read: () => void): void {
    if (this.#values.isArray(what)) this.#scanner.array(read);
  }

  /** Two passes: the resource may stand behind its records. */
  readonly #resourceLogs = (): void => {
    const scanner = this.#scanner;
    if (!this.#values.isObject('an element of resourceLogs')) return;
    let scopes: ScannerMark | undefined;
    const from = scanner.at;
    this.#records.beginResource();
    for (let more = scanner.firstMember(); more; more = scanner.nextMember()) {
      const name = scanner.text();
      if (name === 'resource') this.#resource();
      else if (name === 'scopeLogs' || name === 'scope_logs') scopes = this.#place(scopes, name);
      else scanner.forget();
    }
    if (scopes === undefined) return;
    const end = scanner.mark();
    this.#records.endResource(0, scanner.at - from);
    scanner.goTo(scopes);
    this.#each('scopeLogs', this.#scopeLogs);
    scanner.goTo(end);
  };

  /** Goes past a value that is read later, and returns where it stands. */
  #place(known: ScannerMark | undefined, name: string): ScannerMark {
    const scanner = this.#scanner;
    if (known !== undefined) throw scanner.fault(`${name} stands twice`);
    scanner.peek();
    const place = scanner.mark();
    scanner.skip();
    return place;
  }

  #resource(): void {
    const scanner = this.#scanner;
    if (!this.#values.isObject('resource')) return;
    for (let more = scanner.firstMember(); more; more = scanner.nextMember()) {
      if (scanner.text() === 'attributes') this.#each('attributes', this.#resourceAttribute);
      else scanner.forget();
    }
  }

  readonly #resourceAttribute = (): void => {
    this.#values.keyValue();
    this.#records.resourceAttribute(this.#values.key, this.#values.value);
  };

  readonly #scopeLogs = (): void => {
    const scanner = this.#scanner;
    if (!this.#values.isObject('an element of scopeLogs')) return;
    let place: ScannerMark | undefined;
    this.#records.beginScope();
    for (let more = scanner.firstMember(); more; more = scanner.nextMember()) {
      const name = scanner.text();
      if (name === 'scope') this.#scope();
      else if (name === 'logRecords' || name === 'log_records') place = this.#place(place, name);
      else scanner.forget();
    }
    if (place === undefined) return;
    const end = scanner.mark();
    this.#records.endScope();
    scanner.goTo(place);
    this.#each('logRecords', this.#record);
    scanner.goTo(end);
  };

  #scope(): void {
    const scanner = this.#scanner;
    const values = this.#values;
    const records = this.#records;
    if (!values.isObject('scope')) return;
    for (let more = scanner.firstMember(); more; more = scanner.nextMember()) {
      const name = scanner.text();
      if (name === 'name') records.scopeName = values.text(name);
      else if (name === 'version') records.scopeVersion = values.text(name);
      else if (name === 'attributes') this.#each(name, this.#scopeAttribute);
      else if (name === 'droppedAttributesCount' || name === 'dropped_attributes_count')
        records.scopeDroppedAttributes = values.uint32(name);
      else scanner.forget();
    }
  }

  readonly #scopeAttribute = (): void => {
    this.#values.keyValue();
    this.#records.scopeAttribute(this.#values.key, this.#values.value);
  };

  readonly #logAttribute = (): void => {
    this.#values.keyValue();
    this.#records.logAttribute(this.#values.key, this.#values.value);
  };

  readonly #record = (): void => {
    const scanner = this.#scanner;
    this.#records.beginRecord();
    if (this.#values.isObject('a log record')) {
      for (let more = scanner.firstMember(); more; more = scanner.nextMember()) this.#field(scanner.text());
    }
    this.#records.endRecord();
    this.#count++;
  };

  #field(name: string): void {
    const records = this.#records;
    const values = this.#values;
    switch (name) {
      case 'timeUnixNano':
      case 'time_unix_nano': {
        const time = values.integer(name, 0n, MAX_UINT64);
        records.timeHigh = Number(time >> 32n);
        records.timeLow = Number(time & 0xffff_ffffn);
        break;
      }
      case 'observedTimeUnixNano':
      case 'observed_time_unix_nano': {
        const time = values.integer(name, 0n, MAX_UINT64);
        records.observedHigh = Number(time >> 32n);
        records.observedLow = Number(time & 0xffff_ffffn);
        break;
      }
      case 'severityNumber':
      case 'severity_number':
        records.severityNumber = values.severityNumber();
        break;
      case 'severityText':
      case 'severity_text':
        records.severityText = values.text(name);
        break;
      case 'body':
        this.#body();
        break;
      case 'attributes':
        this.#each(name, this.#logAttribute);
        break;
      case 'droppedAttributesCount':
      case 'dropped_attributes_count':
        records.droppedAttributes = values.uint32(name);
        break;
      case 'flags':
        records.flags = values.uint32(name);
        break;
      case 'traceId':
      case 'trace_id':
        records.traceId = values.id(name, TRACE_ID_BYTES);
        break;
      case 'spanId':
      case 'span_id':
        records.spanId = values.id(name, SPAN_ID_BYTES);
        break;
      case 'eventName':
      case 'event_name':
        records.eventName = values.text(name);
        break;
      default:
        this.#scanner.forget();
    }
  }

  /** Nearly always `{"stringValue": …}`, which need not become a string here. */
  #body(): void {
    const scanner = this.#scanner;
    const start = scanner.mark();
    if (scanner.peek() === OPEN_OBJECT && scanner.firstMember()) {
      const name = scanner.text();
      if ((name === 'stringValue' || name === 'string_value') && scanner.peek() === QUOTE) {
        scanner.string('');
        const { stringFrom, stringTo, escaped } = scanner;
        if (!scanner.nextMember()) {
          this.#line(stringFrom, stringTo, escaped);
          return;
        }
      }
    }
    scanner.goTo(start);
    this.#records.body(this.#values.anyValue());
  }

  #line(from: number, to: number, escaped: boolean): void {
    const scanner = this.#scanner;
    if (!escaped) {
      this.#records.line(scanner.bytes, from, to);
      return;
    }
    if (this.#scratch.length < to - from) this.#scratch = Buffer.allocUnsafeSlow((to - from) * 2);
    this.#records.line(this.#scratch, 0, scanner.unescape(from, to, this.#scratch));
  }
}
