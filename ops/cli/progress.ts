import type { Io } from './command.ts';
import { paint } from './print.ts';

const REDRAW_MS = 100;
const BAR_CELLS = 24;

/** One line on a terminal that says how far a push is; nothing elsewhere, apart from the reasons of long waits. */
export class Progress {
  readonly #stderr: Io['stderr'];
  readonly #totalBytes: number | undefined;
  readonly #startedMs = performance.now();
  #readBytes = 0;
  #entries = 0;
  #note = '';
  #drawnMs = Number.NEGATIVE_INFINITY;

  /** `totalBytes` is undefined where the input has no known end. */
  constructor(stderr: Io['stderr'], totalBytes: number | undefined) {
    this.#stderr = stderr;
    this.#totalBytes = totalBytes;
  }

  read(bytes: number): void {
    this.#readBytes += bytes;
    this.#draw();
  }

  sent(entries: number): void {
    this.#entries += entries;
    this.#note = '';
    this.#draw();
  }

  waiting(ms: number, why: string): void {
    this.#note = `waiting ${(ms / 1_000).toFixed(1)} s: ${why}`;
    if (this.#stderr.isTTY) this.#draw(true);
    else this.#stderr.write(`${this.#note}\n`);
  }

  /** Clears the line, so that what follows starts on a clean one. */
  end(): void {
    if (this.#stderr.isTTY) this.#stderr.write('\r\x1b[K');
  }

  #draw(now = false): void {
    if (!this.#stderr.isTTY || (!now && performance.now() - this.#drawnMs < REDRAW_MS)) return;
    this.#drawnMs = performance.now();
    const seconds = Math.max(0.001, (this.#drawnMs - this.#startedMs) / 1_000);
    const parts = [`${this.#entries} entries`, `${sizeText(this.#readBytes)}`, `${sizeText(this.#readBytes / seconds)}/s`, this.#note];
    if (this.#totalBytes !== undefined) parts.unshift(bar(this.#totalBytes === 0 ? 1 : this.#readBytes / this.#totalBytes));
    const text = parts
      .filter((part) => part !== '')
      .join('  ')
      .replaceAll('\n', ' ');
    this.#stderr.write(
      `\r\x1b[K${paint(this.#stderr, this.#note === '' ? 'cyan' : 'yellow', text.slice(0, (this.#stderr.columns ?? 80) - 1))}`,
    );
  }
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, share) * BAR_CELLS);
  return `[${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)}] ${String(Math.floor(Math.min(1, share) * 100)).padStart(3)} %`;
}

export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
