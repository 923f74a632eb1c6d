import type { BlobStore } from '../storage/blob/blob-store.ts';
import { openFsBlobStore } from '../storage/blob/fs.ts';
import { type KafkaOptions, kafkaOptions } from '../storage/kafka/options.ts';
import { makeDurableDirectory } from './base/durable-directory.ts';
import type { World } from './base/world.ts';
import { type Configuration, commonOptions, filesystemOptions, isBuffered } from './config.ts';
import { type DataFolder, openDataFolder } from './data-folder.ts';
import { enterMode } from './mode.ts';
import { type Component, usesStorage } from './targets.ts';

/** What is the process's own, made and taken; undefined where nothing that it runs reads or writes files. `shared`: the objects are those of several processes. */
export async function openStorage(
  configuration: Configuration,
  components: ReadonlySet<Component>,
  { world, shared }: { readonly world: World; readonly shared: boolean },
): Promise<DataFolder | undefined> {
  if (!usesStorage(components)) return undefined;
  const { pathPrefix } = configuration.valuesOf(commonOptions);
  const { chunksDirectory } = configuration.valuesOf(filesystemOptions);
  if (shared && chunksDirectory === '')
    throw new Error('the processes of a cluster share their storage: -common.storage.filesystem.chunk-directory has to name its folder');
  const folder = await openDataFolder(pathPrefix, chunksDirectory);
  await makeDurableDirectory(world.files, folder.logs);
  if (chunksDirectory !== '') await makeDurableDirectory(world.files, folder.objects);
  const blobs = await openFsBlobStore({ root: folder.objects, world });
  const mode = isBuffered(configuration) ? 'buffered' : shared ? 'replicated' : 'single';
  const kafka = configuration.valuesOf(kafkaOptions);
  if (components.has('ingester')) {
    await enterMode(mode, {
      files: world.files,
      root: folder.root,
      logRoot: folder.logs,
      blobs,
      bufferedRecords: () => bufferedRecords(kafka, blobs, world),
    });
  }
  return folder;
}

/** Loaded by who changes its mode only. */
async function bufferedRecords(options: KafkaOptions, blobs: BlobStore, world: World): Promise<{ topic: string; records: number }> {
  const { recordsNotStored } = await import('../storage/log/kafka-backlog.ts');
  return { topic: options.topic, records: await recordsNotStored(options, blobs, world) };
}
