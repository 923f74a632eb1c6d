/** What a distributor is asked for a push in Loki's JSON. `streams`: as they stand in it. */
export function pushAsk(streams: readonly object[]) {
  return {
    kind: 'push' as const,
    format: 'loki' as const,
    body: Buffer.from(JSON.stringify({ streams })),
    contentType: 'application/json',
    contentEncoding: '',
  };
}
