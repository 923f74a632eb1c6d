import { printSample } from '../syntax/print-number.ts';
import { labelsJson } from './labels-json.ts';
import { type AnswerFrame, renderAnswer, secondsText } from './render.ts';
import type { VolumeBuckets } from './volume-buckets.ts';
import type { RankedVolume } from './volume-table.ts';

/** A vector if no volume has more than one point, otherwise a matrix. `volumes`: in the order of the answer. */
export function renderVolumes(volumes: readonly RankedVolume[], buckets: VolumeBuckets, frame: AnswerFrame): Uint8Array[] {
  const isMatrix = volumes.some(({ points }) => points.length > 1);
  const pointText = ({ bucket, bytes }: RankedVolume['points'][number]): string =>
    `[${secondsText(buckets.stampNs(bucket))},"${printSample(bytes)}"]`;
  return renderAnswer(isMatrix ? 'matrix' : 'vector', '', frame, volumes.length, (body) => {
    body.list(volumes, ({ labels, points }) => {
      const texts = points.map(pointText).join(',');
      body.json.raw(`{"metric":${labelsJson(labels)},${isMatrix ? `"values":[${texts}]` : `"value":${texts}`}}`);
    });
  });
}
