import { compactorOptions } from '../actors/compactor/compactor.ts';
import { otlpOptions } from '../actors/distributor/distributor.ts';
import { frontendOptions } from '../actors/frontend/frontend.ts';
import { ingesterOptions } from '../actors/ingester/ingester.ts';
import { limitsOptions } from '../actors/limits.ts';
import { patternIngesterOptions } from '../actors/pattern-ingester/pattern-ingester.ts';
import { querierOptions } from '../actors/querier/querier.ts';
import { sourcesOptions } from '../actors/source/options.ts';
import { kafkaOptions } from '../storage/kafka/options.ts';
import type { OptionsOf, Rows, Section } from './base/options.ts';
import { natsOptions, natsServicesOptions, ringOptions } from './cluster/options.ts';
import { type Configuration, commonOptions, filesystemOptions, generalOptions, serverOptions } from './config.ts';
import { legacyOverridesOptions, runtimeConfigOptions } from './runtime-config.ts';

/** Every option of the program. */
export const sections: readonly Section<Rows>[] = [
  generalOptions,
  serverOptions,
  commonOptions,
  filesystemOptions,
  ringOptions,
  natsOptions,
  natsServicesOptions,
  limitsOptions,
  legacyOverridesOptions,
  runtimeConfigOptions,
  otlpOptions,
  ingesterOptions,
  querierOptions,
  frontendOptions,
  patternIngesterOptions,
  compactorOptions,
  kafkaOptions,
  sourcesOptions,
];

/** The values that the worker threads need; plain data. */
export interface WorkerOptions {
  readonly limits: OptionsOf<typeof limitsOptions>;
  readonly otlp: OptionsOf<typeof otlpOptions>;
  readonly ingester: OptionsOf<typeof ingesterOptions>;
  readonly querier: OptionsOf<typeof querierOptions>;
  readonly patternIngester: OptionsOf<typeof patternIngesterOptions>;
  readonly compactor: OptionsOf<typeof compactorOptions>;
  readonly kafka: OptionsOf<typeof kafkaOptions>;
  readonly sources: OptionsOf<typeof sourcesOptions>;
}

export function workerOptions(configuration: Configuration): WorkerOptions {
  return {
    limits: configuration.valuesOf(limitsOptions),
    otlp: configuration.valuesOf(otlpOptions),
    ingester: configuration.valuesOf(ingesterOptions),
    querier: configuration.valuesOf(querierOptions),
    patternIngester: configuration.valuesOf(patternIngesterOptions),
    compactor: configuration.valuesOf(compactorOptions),
    kafka: configuration.valuesOf(kafkaOptions),
    sources: configuration.valuesOf(sourcesOptions),
  };
}
