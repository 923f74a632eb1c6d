import type { Logger } from './base/instruments.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogSink {
  /** Takes one line with its line end. */
  readonly write: (line: string) => void;
  readonly nowMs: () => number;
}

const stderr: LogSink = { write: (line) => void process.stderr.write(line), nowMs: () => Date.now() };

/** Logfmt lines `ts=… level=… component=… msg=… key=value`. The level of all its loggers can be changed while they are in use. */
export class Logs {
  readonly #sink: LogSink;
  #level: LogLevel;
  #rank: number;
  constructor(level: LogLevel, sink: LogSink = stderr) {
    this.#sink = sink;
    this.#level = level;
    this.#rank = LOG_LEVELS.indexOf(level);
  }

  get level(): LogLevel {
    return this.#level;
  }

  set level(level: LogLevel) {
    this.#level = level;
    this.#rank = LOG_LEVELS.indexOf(level);
  }

  /** Fields that are Errors are written as their message, and their stack at level error; undefined ones are left out. */
  of(component: string): Logger {
    const writer = (level: LogLevel): Logger[LogLevel] => {
      const rank = LOG_LEVELS.indexOf(level);
      return (message, fields) => {
        if (rank < this.#rank) return;
        let line = `ts=${new Date(this.#sink.nowMs()).toISOString()} level=${level} component=${logfmtValue(component)} msg=${logfmtValue(message)}`;
        for (const key in fields) {
          const value = fields[key];
          if (value !== undefined) line += ` ${key.replace(/[\s="]/g, '_')}=${logfmtValue(textOf(value, level))}`;
        }
        this.#sink.write(`${line}\n`);
      };
    };
    return { debug: writer('debug'), info: writer('info'), warn: writer('warn'), error: writer('error') };
  }
}

function textOf(value: unknown, level: LogLevel): string {
  if (value instanceof Error) return level === 'error' ? (value.stack ?? value.message) : value.message;
  if (typeof value === 'object' && value !== null)
    return JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? String(item) : item));
  return String(value);
}

/** As it is where a logfmt reader takes it so, else as a JSON string. */
function logfmtValue(text: string): string {
  return /^[^\s="\\\p{Cc}]+$/u.test(text) ? text : JSON.stringify(text);
}
