import type { Corpus } from './corpus.ts';

/** The same question in LogQL and in LogsQL; RANGE stands for a duration that covers the corpus. */
export interface Question {
  id: string;
  kind: 'log' | 'instant' | 'range';
  logql: string;
  logsql: string;
}

export function questions({ needle }: Corpus): Question[] {
  const rows: [id: string, kind: Question['kind'], logql: string, logsql: string][] = [
    ['needle', 'log', `{env="prod"} |= "${needle}"`, `{env="prod"} "${needle}"`],
    ['needle-absent', 'log', `{env="prod"} |= "deadbeefdeadbeefdeadbeefdeadbeef"`, `{env="prod"} deadbeefdeadbeefdeadbeefdeadbeef`],
    ['latest-100', 'log', `{app="checkout"}`, `{app="checkout"} | sort by (_time desc) limit 100`],
    ['latest-error-100', 'log', `{app="checkout"} |= "error"`, `{app="checkout"} error | sort by (_time desc) limit 100`],
    ['count-all', 'instant', `sum(count_over_time({env="prod"}[RANGE]))`, `{env="prod"} | stats count() n`],
    [
      'count-filter',
      'instant',
      `sum(count_over_time({env="prod"} |= "connection reset"[RANGE]))`,
      `{env="prod"} "connection reset" | stats count() n`,
    ],
    [
      'count-regex',
      'instant',
      `sum(count_over_time({env="prod"} |~ "status=5\\\\d\\\\d"[RANGE]))`,
      `{env="prod"} ~"status=5[0-9][0-9]" | stats count() n`,
    ],
    [
      'count-iregex',
      'instant',
      `sum(count_over_time({env="prod"} |~ "(?i)(timeout|RESET by)"[RANGE]))`,
      `{env="prod"} ~"(?i)(timeout|RESET by)" | stats count() n`,
    ],
    ['bytes-by-app', 'instant', `sum by (app) (bytes_over_time({env="prod"}[RANGE]))`, `{env="prod"} | stats by (app) sum_len(_msg) n`],
    [
      'json-status',
      'instant',
      `sum by (status) (count_over_time({app="checkout"} | json [RANGE]))`,
      `{app="checkout"} | unpack_json from _msg | stats by (status) count() n`,
    ],
    [
      'json-filter',
      'instant',
      `sum(count_over_time({app="checkout"} | json | status >= 500 [RANGE]))`,
      `{app="checkout"} | unpack_json from _msg fields (status) | filter status:>=500 | stats count() n`,
    ],
    [
      'logfmt-quantile',
      'instant',
      `quantile_over_time(0.99, {app="frontend"} | logfmt | unwrap duration(duration) [RANGE]) by (query_type)`,
      `{app="frontend"} | unpack_logfmt from _msg fields (duration, query_type) | stats by (query_type) quantile(0.99, duration) n`,
    ],
    [
      'pattern-by-code',
      'instant',
      `sum by (code) (count_over_time({app="nginx"} | pattern "<ip> - - [<_>] \\"<method> <path> <_>\\" <code> <size> <_>" [RANGE]))`,
      `{app="nginx"} | extract '<ip> - - [<_>] "<method> <path> <_>" <code> <size> ' | stats by (code) count() n`,
    ],
    ['rate-range', 'range', `sum by (app) (rate({env="prod"}[1m]))`, `{env="prod"} | stats by (_time:1m, app) count() n`],
    [
      'rate-filter-range',
      'range',
      `sum by (pod) (rate({env="prod"} |= "error" [1m]))`,
      `{env="prod"} error | stats by (_time:1m, pod) count() n`,
    ],
    [
      'topk-path',
      'instant',
      `topk(3, sum by (path) (count_over_time({app="checkout"} | json path="path" [RANGE])))`,
      `{app="checkout"} | unpack_json from _msg fields (path) | stats by (path) count() n | sort by (n desc) limit 3`,
    ],
  ];
  return rows.map(([id, kind, logql, logsql]) => ({ id, kind, logql, logsql }));
}
