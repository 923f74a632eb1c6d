/** Flags that lift the limits of a server that is measured. */
export const LIFTED = [
  '-distributor.ingestion-rate-limit-mb=1000',
  '-distributor.ingestion-burst-size-mb=2000',
  '-ingester.per-stream-rate-limit=1GB',
  '-ingester.per-stream-rate-limit-burst=2GB',
  '-ingester.max-global-streams-per-user=0',
  '-store.max-query-length=0',
  '-querier.max-query-series=100000',
];
